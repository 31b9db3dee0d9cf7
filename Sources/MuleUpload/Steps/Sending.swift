// Sends bytes and judges the answer, for parts and for small objects.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport
import Synchronization

/// A body that has reached the store.
struct SentBody {
    var stored: StoredObject
    var digest: SliceDigest
    /// Over all attempts.
    var bytesSent: Int64
    /// Bytes of the successful attempt that still count as in flight.
    var bytesInFlight: Int64
    /// Whether the answer itself proved that the store holds these bytes.
    var isProven: Bool
}

extension Worker {
    /// Sends one slice until the store has it and its answer matches.
    ///
    /// - Parameters:
    ///   - endsUnanswered: as for `StoreClient.retrying`.
    ///   - request: sends the body with the proof; called for every attempt.
    func send(
        _ slice: FileSlice,
        of transfer: Transfer,
        endsUnanswered: Bool = false,
        _ request: (S3Connection, HTTPRequest.Body, BodyProof, BodyTransfer) throws(S3Error) -> StoredObject
    ) throws(UploadFailure) -> Answer<SentBody> {
        // Small bodies are not watched.
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
                // The damage may have happened here, so damaged bytes are read again; other digests are reused.
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
                // Small bodies are read once and sent from the buffer.
                let isReadTwice = slice.length > Digester.mostHeld
                if !checksumMode.isConfirmed && isReadTwice {
                    check = SentBytesCheck(checksumMode.wholeObjectCRC)
                    transferOptions.observer = check
                }
                let digest = try self.digestForSending(slice, transfer, checksumMode: checksumMode, reusing: kept)
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
                        self.proof(digest, checksumMode, transfer: transfer),
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
                counter.discardAttempt()
                // If the source has changed, that is the clearer message.
                if error.retryClass == .damaged { try transfer.source?.checkUnchanged() }
                return .refused(error, ambiguous: ambiguous)
            case .success(let stored, let ambiguous):
                guard let digest = kept else { fatalError("a body was sent without a digest") }
                if let check, check.checksum != digest.crc {
                    counter.discardAttempt()
                    throw UploadFailure(
                        .source,
                        "The source of \(transfer.name) changed while it was sent: bytes \(slice.offset) to "
                            + "\(slice.offset + slice.length) differed when they were read again."
                    )
                }
                let verdict = try judge(stored, digest, slice: slice, checksumMode: checksumMode, transfer: transfer)
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
                case .sendAgain: counter.discardAttempt()
                case .differs(let what):
                    counter.discardAttempt()
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
        checksumMode: ChecksumMode,
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

    private func proof(_ digest: SliceDigest, _ checksumMode: ChecksumMode, transfer: Transfer) -> BodyProof {
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
        /// The store has proved that it holds the digested bytes.
        case agrees
        /// The store accepted the bytes without proof.
        case silent
        /// Send again with a proof that this store understands.
        case sendAgain
        case differs(String)
    }

    /// Checks the proof in an answer.
    private func judge(
        _ stored: StoredObject,
        _ digest: SliceDigest,
        slice: FileSlice,
        checksumMode: ChecksumMode,
        transfer: Transfer
    ) throws(UploadFailure) -> Verdict {
        switch checksumMode {
        case .checksum(let algorithm, let confirmed):
            let mine = algorithm == .sha256 ? digest.sha256.map(Base64.encode) : digest.crc.base64
            if let theirs = stored.checksums[algorithm] {
                guard theirs == mine else { return .differs("checksum") }
                if !confirmed { run.setChecksumMode(.checksum(algorithm, confirmed: true), transfer) }
                return .agrees
            }
            // Complete will compare the whole object's checksum.
            if confirmed && transfer.negotiated.wholeObject != nil { return .silent }
            // The store ignores the header. Unless it encrypts, its ETag is the MD5 of what it holds, which is as good.
            run.setChecksumMode(.md5, transfer)
            // A row must hold the CRC of the upload's mode, or the object's checksum cannot be combined.
            guard checksumMode.wholeObjectCRC == ChecksumMode.md5.wholeObjectCRC, let eTag = stored.eTag, isMD5(eTag)
            else {
                return .sendAgain
            }
            let md5 = try self.digest(slice, transfer, crc: checksumMode.wholeObjectCRC, withMD5: true).md5
            return isTag(eTag, ofMD5: md5, transfer) ? .agrees : .sendAgain
        case .md5:
            // The store checks Content-MD5 before it answers 200; an MD5 as ETag confirms it. Another ETag proves
            // nothing, because stores that encrypt make it up; but if the ETags were MD5s before, it shows that nothing
            // was checked.
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

/// Counts the bytes of one body over all attempts, for the user's progress and the stall timer.
private final class SentCounter {
    private let transfer: Transfer
    private let onProgress: () -> Void
    private(set) var total: Int64 = 0
    /// Bytes of this attempt that count as in flight.
    private(set) var attempt: Int64 = 0
    private var position: Int64 = 0
    private let countsAcknowledged: Bool
    private var furthest: Int64 = 0

    /// - Parameter countsAcknowledged: whether `acknowledged` is called; if not, sent bytes count as in flight.
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

    /// Makes the request until it succeeds or fails; if it is postponed, the counts continue next time.
    func keepingCount<Result>(
        _ client: StoreClient,
        after earlier: EarlierFailures?,
        endsUnanswered: Bool,
        _ request: (S3Connection) throws(S3Error) -> Result
    ) throws(UploadFailure) -> Answer<Result> {
        do {
            return try client.retrying(transfer, after: earlier, endsUnanswered: endsUnanswered, request)
        } catch {
            discardAttempt()
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
        // Resent bytes are no progress: a connection that always breaks at the same point would keep the run alive
        // indefinitely.
        if position > furthest {
            furthest = position
            onProgress()
        }
    }

    /// Bytes that the store has acknowledged are in flight; those in local buffers are not.
    func acknowledged(_ count: Int64) {
        attempt += count
        transfer.bytesInFlight.add(count, ordering: .relaxed)
    }

    /// The body no longer counts as in flight.
    func discardAttempt() {
        beginAttempt()
    }
}
