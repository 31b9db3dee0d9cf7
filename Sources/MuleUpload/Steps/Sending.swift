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

/// What is computed of a body before it is sent.
struct BodyDigests: Equatable {
    var crc: CRCAlgorithm
    var sha256: Bool
    var md5: Bool
    /// Whether the signature covers the body.
    var signs: Bool
    /// Whether the signature replaces Content-MD5, because the store compares the two.
    var replacesMD5: Bool

    /// - Parameters:
    ///   - signs: whether the signature covers the body in this mode.
    ///   - omitsMD5: whether the signature replaces Content-MD5.
    init(_ checksumMode: ChecksumMode, signs: Bool, omitsMD5: Bool) {
        replacesMD5 = omitsMD5 && checksumMode.sendsMD5
        crc = checksumMode.wholeObjectCRC
        self.signs = signs || replacesMD5
        sha256 = self.signs || checksumMode.checksumAlgorithm == .sha256
        md5 = checksumMode.sendsMD5 && !replacesMD5
    }
}

extension Worker {
    /// Sends one slice until the store has it and its answer matches.
    ///
    /// - Parameters:
    ///   - omitsMD5: whether the signature over the body replaces its Content-MD5.
    ///   - returnsAfter: as for `StoreClient.retrying`.
    ///   - request: sends the body with the proof; called for every attempt.
    func send(
        _ slice: FileSlice,
        of transfer: Transfer,
        omitsMD5: Bool = false,
        returnsAfter: (S3Error) -> Bool = { _ in false },
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
            let digests = BodyDigests(
                checksumMode,
                signs: run.signs(transfer, checksumMode),
                omitsMD5: omitsMD5
            )
            var kept: SliceDigest?
            var check: SentBytesCheck?
            let answer = try counter.keepingCount(client, after: earlier, returnsAfter: returnsAfter) {
                (connection) throws(S3Error) -> StoredObject in
                // The damage may have happened here, so damaged bytes are read again; other digests are reused.
                var transferOptions = BodyTransfer()
                transferOptions.onSent = { [run] count in
                    counter.sent(count)
                    run.observePace(of: transfer)
                }
                var lastByteAt: Moment?
                var smallAnswer: WorkQueue.SmallAnswer?
                if let size = transfer.smallSize {
                    transferOptions.onAnswered = { [slot] seconds in
                        smallAnswer = WorkQueue.SmallAnswer(
                            size: size,
                            seconds: seconds,
                            slot: slot,
                            isEncrypted: transfer.job.service.endpoint.isEncrypted
                        )
                    }
                }
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
                // A store that compares notices a source that changes between the two reads.
                if !checksumMode.isConfirmed && !digests.replacesMD5 && isReadTwice {
                    check = SentBytesCheck(checksumMode.wholeObjectCRC)
                    transferOptions.observer = check
                }
                let digest = try self.digestForSending(slice, transfer, digests, reusing: kept)
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
                        checksumMode.proof(digest, signs: digests.signs),
                        transferOptions
                    )
                    isThere = true
                    store.hasTakenBodies.store(true, ordering: .relaxed)
                    let now = Moment.now()
                    let held = paced.end(isThere: true)
                    if let answer = smallAnswer { smallAnswer?.seconds = max(answer.seconds - held, 0) }
                    run.queue.bodyDelivered(
                        in: now.seconds(since: started) - held,
                        answeredIn: now.seconds(since: lastByteAt ?? started),
                        of: smallAnswer
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
                if transfer.job.service.terms.customerKey != nil, stored.encryption != .customerKey {
                    counter.discardAttempt()
                    throw .customerKeyIgnored(transfer, isComplete: transfer.record?.uploadID == nil)
                }
                if let check, check.checksum != digest.crc {
                    counter.discardAttempt()
                    throw UploadFailure(
                        .source,
                        "The source of \(transfer.name) changed while it was sent: bytes \(slice.offset) to "
                            + "\(slice.offset + slice.length) differed when they were read again."
                    )
                }
                let verdict = try judge(stored, digest, digests, slice: slice, checksumMode, transfer)
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
        _ digests: BodyDigests,
        reusing kept: SliceDigest?
    ) throws(S3Error) -> SliceDigest {
        if let kept { return kept }
        do {
            return try digester.digest(
                slice,
                crc: digests.crc,
                withSHA256: digests.sha256,
                withMD5: digests.md5
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

    /// Checks the proof in an answer, and records what it has shown of the store.
    private func judge(
        _ stored: StoredObject,
        _ digest: SliceDigest,
        _ digests: BodyDigests,
        slice: FileSlice,
        _ checksumMode: ChecksumMode,
        _ transfer: Transfer
    ) throws(UploadFailure) -> BodyVerdict.Kind {
        let (isPromised, tagsAreMD5) = transfer.change { ($0.negotiated.wholeObject != nil, $0.tagsAreMD5) }
        let verdict = try checksumMode.verdict(
            on: stored,
            digest,
            isPromised: isPromised,
            tagsAreMD5: tagsAreMD5,
            isCompared: {
                // An object in one request is proven by its MD5.
                guard digests.signs, let record = transfer.record, record.uploadID != nil,
                    run.mayOmitMD5(transfer, record)
                else { return false }
                run.signedBodies.waitForAnswer(record.upload.store.endpoint)
                return run.omitsMD5(transfer, record)
            }
        ) { () throws(UploadFailure) in
            try self.digest(slice, transfer, crc: checksumMode.wholeObjectCRC, withMD5: true).md5
        }
        if verdict.mode != checksumMode { run.setChecksumMode(verdict.mode, transfer) }
        if verdict.tagIsMD5 { transfer.change { $0.noteTagsAreMD5() } }
        return verdict.kind
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
        returnsAfter: (S3Error) -> Bool,
        _ request: (S3Connection) throws(S3Error) -> Result
    ) throws(UploadFailure) -> Answer<Result> {
        do {
            return try client.retrying(transfer, after: earlier, returnsAfter: returnsAfter, request)
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
