// A run: a pool of workers that carries uploads to their ends as they are found. It promises that an upload is reported done
// only when its row says so durably, and that every upload it has taken from its feed is reported once.

import MuleDigest
package import MuleLedger
import MulePlan
import MuleS3
package import MuleSystem
import MuleTransport
import Synchronization

package final class UploadRun: Sendable {
    let ledger: Ledger
    let settings: RunSettings
    let cancellation: Cancellation
    let queue: WorkQueue
    let progress = RunProgress()
    let stallTimer: StallTimer
    let pacer: BodyPacer
    let stragglers: StragglerWatch
    let context: RetryContext
    let facts: EndpointFacts
    let startedAt = Moment.now()
    private let onEvent: @Sendable (UploadEvent) -> Void
    /// Hears of each part that is recorded. It must not block: all workers wait for it.
    let onPart: (@Sendable (UploadRecord, _ part: Int) -> Void)?
    private let state = Monitor<State>(State())
    private let pool = WorkerPool()
    private let lastSign = Atomic<Int64>(0)
    // Made in `init`, after `self`, because it reports its failures here.
    private let recorderBox = Monitor<Recorder?>(nil)

    private struct State {
        var stopReason: UploadFailure?
        var result = RunResult()
        /// Transfers that have not been reported.
        var open: [ObjectIdentifier: Transfer] = [:]
        /// How many of them there have been.
        var taken = 0
        /// The threads that read streams; an upload may have been reported before its reader has left.
        var readers: [Thread] = []
        /// Those that know which regions the ledger remembers.
        var services: Set<ObjectIdentifier> = []
        var storeFailures = StoreFailures<ObjectIdentifier>()
    }

    /// - Parameter onEvent: called from any thread, one call at a time for each upload.
    package init(
        ledger: Ledger,
        settings: RunSettings,
        cancellation: Cancellation,
        onPart: (@Sendable (UploadRecord, _ part: Int) -> Void)? = nil,
        onEvent: @escaping @Sendable (UploadEvent) -> Void
    ) {
        self.onPart = onPart
        self.ledger = ledger
        self.settings = settings
        self.cancellation = cancellation
        self.onEvent = onEvent
        pacer = BodyPacer(settings.rateLimit, isBounded: settings.adaptsConcurrency)
        queue = WorkQueue(concurrency: settings.concurrency, pacer: settings.adaptsConcurrency ? pacer : nil)
        stragglers = StragglerWatch(isPaced: settings.rateLimit != nil, isDry: { [queue] in queue.isDry })
        stallTimer = StallTimer(limit: settings.stallLimit)
        context = RetryContext(
            settings: settings,
            stallTimer: stallTimer,
            cancellation: cancellation,
            ledger: ledger,
            hooks: StoreClient.Hooks(
                throttled: { [queue] in queue.throttled() },
                broke: { [queue] in queue.connectionBroke() },
                retries: { [progress] reason, moment in
                    progress.retries.add(1, ordering: .relaxed)
                    progress.noteWaiting(reason, until: moment)
                }
            )
        )
        facts = EndpointFacts(
            load: { try? ledger.fact(EndpointFacts.factName, of: $0) },
            // A fact that can't be kept is learned again; the ledger's own trouble shows at the next commit.
            save: { try? ledger.remember(EndpointFacts.factName, $1, of: $0, lifetime: EndpointFacts.lifetime) }
        )
        let recorder = Recorder(
            ledger,
            shouldStop: { cancellation.isCancelled },
            onShortage: { [weak self] error in
                guard let self else { return }
                self.drain(self.failure(error))
            },
            onFailure: { [weak self] error in
                guard let self else { return }
                self.stop(self.failure(error))
            }
        )
        recorderBox.withLock { $0 = recorder }
    }

    var recorder: Recorder {
        guard let recorder = recorderBox.withLock({ $0 }) else { fatalError("made in init") }
        return recorder
    }

    /// Carries all uploads of the feed to their ends; returns when the last one is recorded. To be called once.
    package func run(_ feed: some UploadFeed) -> RunResult {
        let ticket = cancellation.onCancel { [queue] in queue.close() }
        if cancellation.isCancelled { queue.close() }
        do {
            try ledger.makeRoom()
        } catch {
            stop(failure(error))
        }
        var recorderThread: Thread?
        do {
            recorderThread = try recorder.start()
        } catch {
            stop(.noThread(error))
        }
        let ticks = stallTimer.startTicking()
        takeAll(from: feed)
        pool.waitForAll()
        cancellation.removeWaker(ticket)
        for reader in state.withLock({ $0.readers }) { reader.join() }
        let open = state.withLock { Array($0.open.values) }
        for transfer in open where !transfer.hasEnded {
            transfer.fail(stopReason)
            endIfStopped(transfer)
        }
        recorder.close()
        recorderThread?.join()
        withExtendedLifetime(ticks) {}
        let (result, taken) = state.withLock { ($0.result, $0.taken) }
        precondition(
            result.completed + result.failures.count == taken,
            "every upload is reported once, done or failed"
        )
        return result
    }

    // MARK: Taking uploads

    /// Takes uploads from the feed as the workers need them, and lets it look for more while they don't.
    private func takeAll(from feed: some UploadFeed) {
        var feed = feed
        do throws(UploadFailure) {
            while !queue.isClosed {
                if let failure = failureOfAll(in: feed) { stop(failure) }
                let waiting = Share.allCases.filter { feed.count(of: $0) > 0 }
                let short = queue.short(of: waiting)
                if !short.isEmpty {
                    for share in short { take(try feed.take(share, atMost: Self.helping)) }
                } else if feed.mayFind {
                    let findings = try feed.find()
                    progress.found(findings)
                    queue.announce(findings.waiting)
                    if feed.hasFoundAll { progress.foundAll() }
                } else if waiting.isEmpty {
                    break
                } else {
                    _ = queue.waitUntilShort(of: waiting)
                }
            }
        } catch {
            state.withLock { $0.result.obstacle = error }
            stop(error)
        }
        let untouched = Share.allCases.reduce(0) { $0 + feed.count(of: $1) }
        state.withLock { state in
            state.result.untouched = untouched
            state.result.hasFoundAll = feed.hasFoundAll
            let wasKept = untouched > 0 || !feed.hasFoundAll
            if wasKept, state.result.obstacle == nil { state.result.obstacle = state.stopReason ?? .interrupted }
        }
        queue.seal()
    }

    /// Uploads that are taken at once.
    private static let helping = 128

    private func take(_ jobs: [UploadJob]) {
        let transfers = jobs.map(Transfer.init)
        let services = state.withLock { state in
            jobs.map(\.service).filter { state.services.insert(ObjectIdentifier($0)).inserted }
        }
        for service in services { service.remember(regions: ledger.regions(of: service.endpoint.url)) }
        state.withLock { state in
            state.taken += transfers.count
            for transfer in transfers { state.open[ObjectIdentifier(transfer)] = transfer }
        }
        queue.add(transfers)
        if queue.wantsWorker() { startWorker() }
    }

    /// One more worker: as many as there is work for, and leave.
    ///
    /// Where the system gives no more threads, those that there are do the work. It stops the run only when there is none.
    func startWorker() {
        do throws(SystemError) {
            try pool.start { Worker(self).work() }
        } catch {
            queue.missesWorker()
            if pool.isEmpty { stop(.noThread(error)) }
        }
    }

    /// A thread that works for an upload, beside the workers.
    func add(reader: Thread) {
        state.withLock { $0.readers.append(reader) }
    }

    /// The other side has acknowledged bytes: that may show that there is room for more at a time.
    func delivered(_ bytes: Int64) {
        queue.delivered(bytes)
        if queue.wantsWorker() { startWorker() }
    }

    /// Payload bytes that have gone out; may be asked at any time, from any thread.
    package var bytesSent: Int64 { progress.bytesSent }

    /// How the run stands; may be asked at any time, from any thread.
    package func snapshot() -> RunSnapshot { progress.snapshot() }

    /// What is kept of uploads that have failed, and would be of those under way if the run ended now; may be asked at any time,
    /// from any thread.
    package var kept: KeptParts {
        let (open, ended) = state.withLock { (Array($0.open.values), $0.result.kept) }
        var kept = ended
        for transfer in open { kept.add(transfer) }
        return kept
    }

    // MARK: Life

    /// Something is done on behalf of the run that moves no byte and ends no request.
    package func noteSign() {
        lastSign.store(Moment.now().nanoseconds, ordering: .relaxed)
    }

    /// Whether the run gets on, by its own judgement: with uploads in hand something must move within the stall limit, or the
    /// workers give up by themselves. When they have not done that either, they hang.
    ///
    /// - Parameter slack: seconds that they may take for it.
    package func isAlive(slack: Double = 60) -> Bool {
        if state.withLock({ $0.open.isEmpty }) || stallTimer.remaining > -slack { return true }
        let last = Moment(nanoseconds: lastSign.load(ordering: .relaxed))
        return Moment.now().seconds(since: last) < slack
    }

    // MARK: Stopping

    var isStopping: Bool { cancellation.isCancelled }

    /// Ends the run for a reason that every upload shares.
    package func stop(_ reason: UploadFailure) {
        state.withLock { state in
            if state.stopReason == nil { state.stopReason = reason }
        }
        cancellation.cancel()
    }

    /// Ends the run for a reason that every upload shares, when what is under way has come to its end.
    package func drain(_ reason: UploadFailure) {
        // A stream goes on being read until somebody stops it.
        let hasStreams = state.withLock { $0.open.values.contains { $0.job.path == nil } }
        if hasStreams { return stop(reason) }
        state.withLock { state in
            if state.stopReason == nil { state.stopReason = reason }
        }
        queue.close()
    }

    /// What an interruption really is when the run was stopped for a reason.
    func reasonToStop(_ failure: UploadFailure) -> UploadFailure {
        failure.kind == .interrupted && isStopping ? stopReason : failure
    }

    private var stopReason: UploadFailure { state.withLock { $0.stopReason } ?? .interrupted }

    func failure(_ error: LedgerError) -> UploadFailure {
        ledger.failure(error)
    }

    func fail(_ transfer: Transfer, _ failure: UploadFailure) {
        transfer.fail(reasonToStop(failure))
        switch failure.scope {
        case .transfer: break
        case .bucket, .store: failStore(of: transfer, failure)
        case .run: stop(failure)
        }
    }

    // MARK: Stores that fail

    /// Ends all transfers that meet the same failure: those to the same bucket, or to the same store. Others continue.
    private func failStore(of transfer: Transfer, _ failure: UploadFailure) {
        let (service, bucket) = (transfer.job.service, transfer.job.destination.bucket)
        let others: [Transfer] = state.withLock { state in
            guard state.storeFailures.add(failure, of: ObjectIdentifier(service), bucket) else { return [] }
            return state.open.values.filter { other in
                other.job.service === service
                    && (failure.scope == .store || other.job.destination.bucket == bucket) && other !== transfer
            }
        }
        for other in others {
            other.fail(failure)
            endIfStopped(other)
        }
    }

    /// Why nothing more is sent where the transfer goes; nil where nothing is known to be wrong.
    func failureOfStore(of transfer: Transfer) -> UploadFailure? {
        failure(of: transfer.job.service, transfer.job.destination.bucket)
    }

    private func failure(of service: S3Service, _ bucket: String) -> UploadFailure? {
        state.withLock { $0.storeFailures.failure(of: ObjectIdentifier(service), bucket) }
    }

    /// Why nothing of the feed can be sent; nil as long as it may hold uploads to other stores.
    private func failureOfAll(in feed: some UploadFeed) -> UploadFailure? {
        guard state.withLock({ $0.storeFailures.first }) != nil, let (service, bucket) = feed.onlyPlace else {
            return nil
        }
        return failure(of: service, bucket)
    }

    /// Deals with a transfer that has failed, once nobody works on it any more: it is reported, or looked at once more.
    func endIfStopped(_ transfer: Transfer) {
        guard transfer.isStopped else { return }
        // Before the workers are counted, so that nobody can take more of it afterwards.
        queue.drop(transfer)
        switch transfer.change({ $0.conclude(isStopping: isStopping) }) {
        case .failed(let failure): end(transfer, failure)
        case .reconcile(let failure): reconcile(transfer, after: failure)
        case nil: break
        }
    }

    private func reconcile(_ transfer: Transfer, after failure: UploadFailure) {
        // The rows of all that has reached the store, or it would be taken for somebody else's and counted twice.
        recorder.waitUntilRecorded()
        transfer.beginAnotherLook()
        queue.add(anotherLookAt: transfer, isGone: failure.s3Code == "NoSuchUpload")
    }

    private func end(_ transfer: Transfer, _ failure: UploadFailure) {
        let record = transfer.record
        let report: @Sendable () -> Void = { [self] in reportFailed(transfer, failure) }
        // What the ledger can't be told is told to people at least.
        guard let record, failure.kind != .ledger, failure.kind != .held else { return report() }
        let isStream = record.upload.source == nil
        // Nothing waits for the rest of a stream of which nothing is there.
        let isOver = isStream && !record.mayHoldParts && failure.state == .pending
        recorder.record(
            .upload(
                Ledger.FinishedUpload(
                    upload: record.number,
                    outcome: .stopped(
                        isOver ? .failed : failure.state,
                        error: failure.isStop ? nil : failure.message
                    ),
                    bytesSent: record.upload.partSize == nil && !isStream
                        ? transfer.bytesSent.load(ordering: .relaxed) : 0
                )
            ),
            // Whether it could be written or not, people are told.
            then: { _ in report() }
        )
    }

    private func reportFailed(_ transfer: Transfer, _ failure: UploadFailure) {
        let record = transfer.record
        progress.end(transfer)
        let isKept = failure.isResumable && failure.kind != .held
        state.withLock { state in
            state.result.failures.add(failure)
            if isKept { state.result.kept.add(transfer) }
        }
        var end =
            record.map { FailedUpload($0, failure) }
            ?? FailedUpload(transfer.job.sourceName, transfer.job.destination, failure)
        end.name = transfer.job.sourceName
        end.source = end.source ?? end.name
        emit(.failed(end))
        close(transfer)
    }

    /// It has been reported: nothing of it is kept.
    private func close(_ transfer: Transfer) {
        transfer.change { $0.release() }
        state.withLock { _ = $0.open.removeValue(forKey: ObjectIdentifier(transfer)) }
        queue.transferEnded()
    }

    // MARK: Progress of transfers

    func emit(_ event: UploadEvent) {
        onEvent(event)
    }

    func partRecorded(_ transfer: Transfer, size: Int64, wasSkipped: Bool) {
        transfer.bytesDone.add(size, ordering: .relaxed)
        transfer.partsDone.add(1, ordering: .relaxed)
        // Of the recorder and a stream's reader one finds that it was the last.
        let (isWhole, isFirstLook) = transfer.change { ($0.recordPart(), !$0.hasLookedAgain) }
        if wasSkipped && isFirstLook { transfer.bytesSkipped.add(size, ordering: .relaxed) }
        if isWhole && !transfer.isStopped { queue.add(completionOf: transfer) }
    }

    /// A stream has come to its end: how many parts are to be recorded is known.
    func streamEnded(_ transfer: Transfer, size: Int64, partCount: Int) {
        let (isWhole, expected) = transfer.change { $0.endStream(size: size, partCount: partCount) }
        progress.found(size: size, insteadOf: expected)
        if isWhole && !transfer.isStopped { queue.add(completionOf: transfer) }
    }

    /// The object is proven. It is reported when the ledger has it.
    ///
    /// - Parameters:
    ///   - found: what was at the store before anything was sent; nil for what was sent.
    ///   - evidence: what proved it equal to the file just now; nil where the ledger had it as done before.
    func completed(
        _ transfer: Transfer,
        _ record: UploadRecord,
        _ proof: ObjectProof,
        found: ObjectHead? = nil,
        provenBy evidence: Verification.Proof? = nil
    ) {
        let wasThere = found != nil
        let (size, partCount) = transfer.change { ($0.size ?? 0, $0.partCount) }
        let summary = UploadSummary(
            id: record.id,
            number: record.number,
            identity: record.upload.source,
            source: record.upload.sourceName,
            name: transfer.job.sourceName,
            destination: transfer.job.destination,
            size: size,
            parts: evidence != nil
                ? found?.object.eTag.flatMap(DigestETag.init)?.partCount
                : wasThere ? record.partCount : partCount,
            proof: proof,
            content: RecordedContent(proof, size: size, partSize: record.upload.partSize),
            bytesSent: transfer.bytesSent.load(ordering: .relaxed),
            bytesSkipped: transfer.bytesSkipped.load(ordering: .relaxed),
            seconds: Moment.now().seconds(since: transfer.startedAt),
            wasThere: wasThere,
            evidence: evidence,
            storeClock: transfer.job.service.clock,
            lastModified: found?.lastModified
        )
        dropCache(of: transfer)
        transfer.change { $0.complete() }
        let report: @Sendable () -> Void = { [self] in
            progress.end(transfer)
            state.withLock { $0.result.completed += 1 }
            emit(.completed(summary))
            close(transfer)
        }
        let outcome: Ledger.Outcome
        if let found {
            guard evidence != nil else { return report() }
            outcome = .found(proof, size: size, token: found.metadata[UploadToken.metadataName] ?? "")
        } else {
            outcome = .done(proof, size: size, partCount: partCount)
        }
        recorder.record(
            .upload(
                Ledger.FinishedUpload(
                    upload: record.number,
                    outcome: outcome,
                    bytesSent: partCount == nil ? summary.bytesSent : 0
                )
            ),
            then: { [self] failure in
                // The object is whole, but what the next run needs to know of it is not on record: no success.
                if let failure { reportFailed(transfer, self.failure(failure)) } else { report() }
            }
        )
    }

    // MARK: Of a record

    func plan(of record: UploadRecord) -> PartPlan? {
        guard let partSize = record.upload.partSize, let size = record.upload.source?.size else { return nil }
        return PartPlan(objectSize: size, partSize: partSize)
    }

    /// What the user asked for, with the token, and the time of the source in the form that other tools read.
    func attributes(of record: UploadRecord) -> ObjectAttributes {
        var attributes = record.upload.attributes
        do {
            try attributes.set("x-amz-meta-" + UploadToken.metadataName, record.token)
            if let time = record.upload.source?.modificationTime, attributes["x-amz-meta-mtime"] == nil {
                let fraction = String(time % 1_000_000_000)
                let padding = String(repeating: "0", count: max(0, 9 - fraction.utf8.count))
                if time >= 0 { try attributes.set("x-amz-meta-mtime", "\(time / 1_000_000_000).\(padding)\(fraction)") }
            }
        } catch {
            fatalError("names and values of our own are clean: \(error)")
        }
        return attributes
    }
}
