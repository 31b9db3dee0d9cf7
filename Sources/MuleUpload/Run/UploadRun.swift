// A run: a pool of workers that uploads what a feed finds. Guarantees that an upload is reported done only after its
// row says so durably, and that every upload taken from the feed is reported exactly once.

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
    let signedBodies: SignedBodyFacts
    let startedAt = Moment.now()
    private let onEvent: @Sendable (UploadEvent) -> Void
    /// Called for each part that is recorded. It must not block: all workers wait for it.
    let onPart: (@Sendable (UploadRecord, _ part: Int) -> Void)?
    private let state = Monitor<State>(State())
    private let pool = WorkerPool()
    private let lastSign = Atomic<Int64>(0)
    // Created in `init` after `self`, because it reports its failures here.
    private let recorderBox = Monitor<Recorder?>(nil)

    private struct State {
        var stopReason: UploadFailure?
        var result = RunResult()
        /// Transfers that have not been reported.
        var open: [ObjectIdentifier: Transfer] = [:]
        /// How many there have been.
        var taken = 0
        /// Threads that read streams; an upload may be reported before its reader ends.
        var readers: [Thread] = []
        /// Services that have loaded the regions in the ledger.
        var services: Set<ObjectIdentifier> = []
        var storeFailures = StoreFailures<ObjectIdentifier>()
    }

    /// - Parameter onEvent: called on any thread, one call at a time per upload.
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
        queue = WorkQueue(
            concurrency: settings.concurrency,
            smallFiles: settings.smallFiles,
            pacer: settings.adaptsConcurrency ? pacer : nil
        )
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
            // If the fact cannot be stored, a later run learns it again. A broken ledger fails at the next commit
            // anyway.
            save: { try? ledger.remember(EndpointFacts.factName, $1, of: $0, lifetime: EndpointFacts.lifetime) }
        )
        signedBodies = SignedBodyFacts(
            load: { try? ledger.fact(SignedBodyFacts.factName, of: $0) },
            save: { try? ledger.remember(SignedBodyFacts.factName, $1, of: $0, lifetime: EndpointFacts.lifetime) }
        )
        let recorder = Recorder(
            ledger,
            shouldStop: { cancellation.isCancelled },
            isLast: { [weak self] entries in self?.ends(with: entries) ?? false },
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

    /// Uploads everything from the feed; returns when the last upload is recorded. Call once.
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

    /// Whether all uploads end with these entries, and the ledger is closed after the run.
    private func ends(with entries: [Ledger.Entry]) -> Bool {
        guard settings.closesLedger, queue.isSealed else { return false }
        let ending = entries.filter { if case .upload = $0 { true } else { false } }
        return state.withLock { $0.open.count } == ending.count
    }

    // MARK: Taking uploads

    /// Takes uploads from the feed when workers need them, and lets it search otherwise.
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

    /// Uploads to take at a time.
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

    /// Starts one more worker if there is work for it and the limit allows it.
    ///
    /// If no more threads can be created, the existing ones do the work. The run stops only if there are none.
    func startWorker() {
        do throws(SystemError) {
            try pool.start { Worker(self).work() }
        } catch {
            queue.missesWorker()
            if pool.isEmpty { stop(.noThread(error)) }
        }
    }

    /// A thread that works for an upload in addition to the workers.
    func add(reader: Thread) {
        state.withLock { $0.readers.append(reader) }
    }

    /// The store has acknowledged bytes, which may show that more concurrent requests are possible.
    func delivered(_ bytes: Int64) {
        queue.delivered(bytes)
        if queue.wantsWorker() { startWorker() }
    }

    /// Payload bytes sent so far. Can be called at any time, on any thread.
    package var bytesSent: Int64 { progress.bytesSent }

    /// The current state. Can be called at any time, on any thread.
    package func snapshot() -> RunSnapshot { progress.snapshot() }

    /// What the store has of failed uploads, and of active ones if the run ended now. Can be called at any time, on any
    /// thread.
    package var kept: KeptParts {
        let (open, ended) = state.withLock { (Array($0.open.values), $0.result.kept) }
        var kept = ended
        for transfer in open { kept.add(transfer) }
        return kept
    }

    // MARK: Liveness

    /// Notes activity for the run that moves no bytes and ends no request.
    package func noteSign() {
        lastSign.store(Moment.now().nanoseconds, ordering: .relaxed)
    }

    /// Whether the run makes progress: with open uploads, something must move within the stall limit, or the workers
    /// stop with an error. If they have not done that either, they hang.
    ///
    /// - Parameter slack: extra seconds for them to stop.
    package func isAlive(slack: Double = 60) -> Bool {
        if state.withLock({ $0.open.isEmpty }) || stallTimer.remaining > -slack { return true }
        let last = Moment(nanoseconds: lastSign.load(ordering: .relaxed))
        return Moment.now().seconds(since: last) < slack
    }

    // MARK: Stopping

    var isStopping: Bool { cancellation.isCancelled }

    /// Stops the run for a reason that affects every upload.
    package func stop(_ reason: UploadFailure) {
        state.withLock { state in
            if state.stopReason == nil { state.stopReason = reason }
        }
        cancellation.cancel()
    }

    /// Ends the run for a reason that affects every upload, after the active ones finish.
    package func drain(_ reason: UploadFailure) {
        // A stream is read until it is stopped.
        let hasStreams = state.withLock { $0.open.values.contains { $0.job.path == nil } }
        if hasStreams { return stop(reason) }
        state.withLock { state in
            if state.stopReason == nil { state.stopReason = reason }
        }
        queue.close()
    }

    /// Replaces an interruption by the reason why the run was stopped.
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

    // MARK: Failing stores

    /// Ends all transfers with the same failure: those to the same bucket or store. Others continue.
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

    /// Why nothing is sent to the transfer's store or bucket any more; nil if it has not failed.
    func failureOfStore(of transfer: Transfer) -> UploadFailure? {
        failure(of: transfer.job.service, transfer.job.destination.bucket)
    }

    private func failure(of service: S3Service, _ bucket: String) -> UploadFailure? {
        state.withLock { $0.storeFailures.failure(of: ObjectIdentifier(service), bucket) }
    }

    /// Why nothing of the feed can be sent; nil while it may hold uploads to other stores.
    private func failureOfAll(in feed: some UploadFeed) -> UploadFailure? {
        guard state.withLock({ $0.storeFailures.first }) != nil, let (service, bucket) = feed.onlyPlace else {
            return nil
        }
        return failure(of: service, bucket)
    }

    /// Handles a failed transfer once no thread works on it: reports it, or looks at it again.
    func endIfStopped(_ transfer: Transfer) {
        guard transfer.isStopped else { return }
        // Before the workers are counted, so that no worker can take more of it afterwards.
        queue.drop(transfer)
        switch transfer.change({ $0.conclude(isStopping: isStopping) }) {
        case .failed(let failure): end(transfer, failure)
        case .reconcile(let failure): reconcile(transfer, after: failure)
        case nil: break
        }
    }

    private func reconcile(_ transfer: Transfer, after failure: UploadFailure) {
        // Wait for the rows of all parts at the store, or they would count as foreign and be counted twice.
        recorder.waitUntilRecorded()
        transfer.beginAnotherLook()
        queue.add(reconciling: transfer, isGone: failure.s3Code == "NoSuchUpload")
    }

    private func end(_ transfer: Transfer, _ failure: UploadFailure) {
        let record = transfer.record
        let report: @Sendable () -> Void = { [self] in reportFailed(transfer, failure) }
        // Report to the user even what the ledger cannot record.
        guard let record, failure.kind != .ledger, failure.kind != .held else { return report() }
        let isStream = record.upload.source == nil
        // If the store has nothing of a stream, there is nothing to resume.
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
            // Report even if the write failed.
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

    /// Releases a transfer that has been reported.
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
        // Only one of recorder and stream reader sees that it was the last part.
        let (isWhole, isFirstLook) = transfer.change { ($0.recordPart(), !$0.hasLookedAgain) }
        if wasSkipped && isFirstLook { transfer.bytesSkipped.add(size, ordering: .relaxed) }
        if isWhole && !transfer.isStopped { queue.add(completionOf: transfer) }
    }

    /// A stream has ended: the number of parts is known.
    func streamEnded(_ transfer: Transfer, size: Int64, partCount: Int) {
        let (isWhole, expected) = transfer.change { $0.endStream(size: size, partCount: partCount) }
        progress.found(size: size, insteadOf: expected)
        if isWhole && !transfer.isStopped { queue.add(completionOf: transfer) }
    }

    /// The object is proven; reports it once the ledger has it.
    ///
    /// - Parameters:
    ///   - found: the object, if it already existed; nil for an upload that was sent.
    ///   - evidence: what proved that it equals the file; nil if the ledger already had the upload as done.
    func completed(
        _ transfer: Transfer,
        _ record: UploadRecord,
        proof: ObjectProof,
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
            partSize: record.upload.partSize,
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
                // The object is complete, but the next run would not know: not a success.
                if let failure { reportFailed(transfer, self.failure(failure)) } else { report() }
            }
        )
    }

    // MARK: Record properties

    func plan(of record: UploadRecord) -> PartPlan? {
        guard let partSize = record.upload.partSize, let size = record.upload.source?.size else { return nil }
        return PartPlan(objectSize: size, partSize: partSize)
    }
}
