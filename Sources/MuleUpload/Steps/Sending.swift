// Sending bytes and judging the answer: the middle of a part's life, the same for a part and for a whole small object.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport
import Synchronization

/// A body that has reached the store and was proven there.
struct SentBody {
    var stored: StoredObject
    var digest: SliceDigest
    /// Over all tries.
    var bytesSent: Int64
    /// Of the try that succeeded, which still count as under way.
    var bytesInFlight: Int64
    /// Whether the answer itself showed that the store holds these bytes.
    var isProven: Bool
}

extension Worker {
    /// Sends one slice until the store has it and the answer agrees with what was sent.
    ///
    /// - Parameters:
    ///   - endsUnanswered: as for `StoreClient.retrying`.
    ///   - request: sends the body with the proof; called again for every try.
    func send(
        _ slice: FileSlice,
        of transfer: Transfer,
        endsUnanswered: Bool = false,
        _ request: (S3Connection, HTTPRequest.Body, BodyProof, BodyTransfer) throws(S3Error) -> StoredObject
    ) throws(UploadFailure) -> Answer<SentBody> {
        // Small bodies count by their number.
        let isWatched = slice.length >= StragglerWatch.leastLength
        let store = run.context.store(transfer.job.service)
        let counter = SentCounter(transfer, after: earlier, countsAcknowledged: isWatched) { [context = run.context] in
            context.noteBytes(store, transfer)
        }
        let age = run.pacer.nextAge()
        var rounds = 0
        var cuts = 0
        while true {
            let checksumMode = transfer.checksumMode
            var kept: SliceDigest?
            var check: SentBytesCheck?
            let answer = try counter.keepingCount(client, after: earlier, endsUnanswered: endsUnanswered) {
                (connection) throws(S3Error) -> StoredObject in
                // Damaged bytes may have been damaged here: they are read again each time. What is certain is reused.
                var transferOptions = BodyTransfer()
                transferOptions.onSent = { [run] count in
                    counter.sent(count)
                    run.observePace(of: transfer)
                }
                var lastByteAt: Moment?
                if isWatched {
                    transferOptions.onDelivered = { [run] in
                        counter.acknowledged($0)
                        run.delivered($0)
                        lastByteAt = .now()
                    }
                }
                transferOptions.shouldStop = { transfer.isStopped }
                // What is small is read once, and sent as it was digested.
                let isReadTwice = slice.length > Digester.mostHeld
                if !checksumMode.isConfirmed && isReadTwice {
                    check = SentBytesCheck(checksumMode.wholeObjectCRC)
                    transferOptions.observer = check
                }
                let digest = try self.digestForSending(slice, transfer, checksumMode, reusing: kept)
                kept = digest
                counter.beginAttempt()
                client.noteTryStarts()
                let watched = run.stragglers.watch(slice.length, cuts: cuts, with: &transferOptions)
                var isThere = false
                defer { watched?.end(isThere: isThere) }
                let paced = run.pacer.start(age, length: slice.length, with: &transferOptions) { watched?.restart() }
                let started = Moment.now()
                do throws(S3Error) {
                    let body = isReadTwice ? .file(slice) : digester.held.map(HTTPRequest.Body.lent) ?? .file(slice)
                    let stored = try request(
                        connection,
                        slice.length == 0 ? .none : body,
                        self.proof(digest, checksumMode, transfer),
                        transferOptions
                    )
                    isThere = true
                    store.hasTakenBodies.store(true, ordering: .relaxed)
                    let now = Moment.now()
                    let held = paced.end(isThere: true)
                    run.queue.bodyDelivered(
                        in: now.seconds(since: started) - held,
                        answeredIn: now.seconds(since: lastByteAt ?? started)
                    )
                    return stored
                } catch {
                    paced.end(isThere: false)
                    if error.retryClass == .damaged { kept = nil }
                    if error.isLeftBehind { cuts += 1 }
                    throw error
                }
            }
            switch answer {
            case .refused(let error, let ambiguous):
                counter.giveUp()
                // The source may be what is wrong; that is the clearer sentence.
                if error.retryClass == .damaged { try transfer.source?.checkUnchanged() }
                return .refused(error, ambiguous: ambiguous)
            case .success(let stored, let ambiguous):
                guard let digest = kept else { fatalError("a body was sent without a digest") }
                if let check, check.checksum != digest.crc {
                    counter.giveUp()
                    throw UploadFailure(
                        .source,
                        "The source of \(transfer.name) changed while it was sent: bytes \(slice.offset) to "
                            + "\(slice.offset + slice.length) differed when they were read again."
                    )
                }
                let verdict = try judge(stored, digest, slice, checksumMode, transfer)
                switch verdict {
                case .agrees, .silent:
                    return .success(
                        SentBody(
                            stored: stored,
                            digest: digest,
                            bytesSent: counter.total,
                            bytesInFlight: counter.attempt,
                            isProven: verdict == .agrees
                        ),
                        ambiguous: ambiguous
                    )
                case .sendAgain: counter.giveUp()
                case .differs(let what):
                    counter.giveUp()
                    rounds += 1
                    if rounds >= run.settings.retry.damagedTries {
                        throw UploadFailure(
                            .verification,
                            "The store's \(what) for \(transfer.name) differed from the local one \(rounds) times. The "
                                + "upload is not completed; check this machine's memory and network.",
                            isResumable: true
                        )
                    }
                }
            }
        }
    }

    private func digestForSending(
        _ slice: FileSlice,
        _ transfer: Transfer,
        _ checksumMode: ChecksumMode,
        reusing kept: SliceDigest?
    ) throws(S3Error) -> SliceDigest {
        if let kept { return kept }
        let signs = run.signs(transfer, checksumMode)
        do {
            return try digester.digest(
                slice,
                crc: checksumMode.wholeObjectCRC,
                withSHA256: signs || checksumMode.checksumAlgorithm == .sha256,
                withMD5: checksumMode == .md5
            ) {
                run.stallTimer.noteProgress()
                return run.isStopping || transfer.isStopped
            }
        } catch {
            throw S3Error(
                operation: transfer.partCount == nil ? .putObject : .uploadPart,
                bucket: transfer.job.destination.bucket,
                key: transfer.job.destination.key,
                cause: .transport(error)
            )
        }
    }

    private func proof(_ digest: SliceDigest, _ checksumMode: ChecksumMode, _ transfer: Transfer) -> BodyProof {
        var proof = BodyProof(payload: .unsigned)
        if run.signs(transfer, checksumMode), let sha256 = digest.sha256 { proof.payload = .sha256(sha256) }
        switch checksumMode {
        case .checksum(.sha256, _):
            proof.checksum = digest.sha256.map { Checksum(algorithm: .sha256, bytes: $0) }
        case .checksum: proof.checksum = digest.crc
        case .md5: proof.md5 = digest.md5
        case .signedPayload, .none: break
        }
        return proof
    }

    private enum Verdict: Equatable {
        /// The store has shown that it holds the bytes that were digested here.
        case agrees
        /// It took them and said nothing that could prove it.
        case silent
        /// To be sent again with a proof that this store understands.
        case sendAgain
        case differs(String)
    }

    /// Reads the proof out of an answer.
    private func judge(
        _ stored: StoredObject,
        _ digest: SliceDigest,
        _ slice: FileSlice,
        _ checksumMode: ChecksumMode,
        _ transfer: Transfer
    ) throws(UploadFailure) -> Verdict {
        switch checksumMode {
        case .checksum(let algorithm, let confirmed):
            let mine = algorithm == .sha256 ? digest.sha256.map(Base64.encode) : digest.crc.base64
            if let theirs = stored.checksums[algorithm] {
                guard theirs == mine else { return .differs("checksum") }
                if !confirmed { run.setChecksumMode(.checksum(algorithm, confirmed: true), transfer) }
                return .agrees
            }
            // Complete will compare the whole object's.
            if confirmed && transfer.negotiated.wholeObject != nil { return .silent }
            // The store ignores the header. Its ETag is the MD5 of what it holds unless it encrypts: that is as good.
            run.setChecksumMode(.md5, transfer)
            // A row must hold the CRC of the rung that the upload stands on, or the whole can't be combined from them.
            guard checksumMode.wholeObjectCRC == ChecksumMode.md5.wholeObjectCRC, let eTag = stored.eTag, isMD5(eTag)
            else {
                return .sendAgain
            }
            let md5 = try self.digest(slice, transfer, crc: checksumMode.wholeObjectCRC, withMD5: true).md5
            return isTag(eTag, ofMD5: md5, transfer) ? .agrees : .sendAgain
        case .md5:
            // Content-MD5 was to be checked before the store answered 200; an ETag in the same form shows it once more.
            // Another ETag proves nothing where stores encrypt and make it up; but where tags were the MD5 before, it
            // shows that nothing was checked.
            guard let eTag = stored.eTag, isMD5(eTag) else { return .silent }
            if isTag(eTag, ofMD5: digest.md5, transfer) { return .agrees }
            return transfer.change { $0.tagsAreMD5 } ? .differs("entity tag") : .silent
        case .signedPayload, .none:
            return .silent
        }
    }

    private func isTag(_ eTag: String, ofMD5 md5: [UInt8]?, _ transfer: Transfer) -> Bool {
        guard md5.map(Hex.encode) == eTag.lowercased() else { return false }
        transfer.change { $0.noteTagsAreMD5() }
        return true
    }

    func isMD5(_ eTag: String) -> Bool {
        eTag.utf8.count == 32 && Hex.decode(eTag) != nil
    }
}

/// Counts the bytes of one body over all its tries, for the progress that people see and the progress of the stall timer.
private final class SentCounter {
    private let transfer: Transfer
    private let onProgress: () -> Void
    private(set) var total: Int64 = 0
    /// Bytes of this try that count as under way.
    private(set) var attempt: Int64 = 0
    private var position: Int64 = 0
    private let countsAcknowledged: Bool
    private var furthest: Int64 = 0

    /// - Parameter countsAcknowledged: whether it is told what the other side has acknowledged; else what has gone out counts as
    ///   under way.
    init(
        _ transfer: Transfer,
        after earlier: EarlierFailures?,
        countsAcknowledged: Bool,
        onProgress: @escaping () -> Void
    ) {
        self.countsAcknowledged = countsAcknowledged
        self.transfer = transfer
        self.onProgress = onProgress
        furthest = earlier?.furthest ?? 0
    }

    /// Makes the request until it has an end; what went out before it is postponed counts for the next time.
    func keepingCount<Result>(
        _ client: StoreClient,
        after earlier: EarlierFailures?,
        endsUnanswered: Bool,
        _ request: (S3Connection) throws(S3Error) -> Result
    ) throws(UploadFailure) -> Answer<Result> {
        do {
            return try client.retrying(transfer, after: earlier, endsUnanswered: endsUnanswered, request)
        } catch {
            giveUp()
            var failure = error
            failure.postponement?.bytesSent = total
            failure.postponement?.furthest = furthest
            throw failure
        }
    }

    func beginAttempt() {
        transfer.bytesInFlight.subtract(attempt, ordering: .relaxed)
        (attempt, position) = (0, 0)
    }

    func sent(_ count: Int64) {
        position += count
        total += count
        transfer.bytesSent.add(count, ordering: .relaxed)
        if !countsAcknowledged { acknowledged(count) }
        // Bytes that are sent again after a failure are no progress: a line that always breaks at the same place would
        // keep the run alive for ever.
        if position > furthest {
            furthest = position
            onProgress()
        }
    }

    /// What the other side has is under way; what only lies in buffers here is not.
    func acknowledged(_ count: Int64) {
        attempt += count
        transfer.bytesInFlight.add(count, ordering: .relaxed)
    }

    /// The body is not to be counted as under way any more.
    func giveUp() {
        beginAttempt()
    }
}
