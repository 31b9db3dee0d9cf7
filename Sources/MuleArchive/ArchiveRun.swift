// Runs an archive job: resumes uploads of earlier runs, sends new files, and acts on a file only after the store has
// confirmed it and the ledger has recorded that.

package import MuleLedger
import MulePlan
package import MuleS3
package import MuleSystem
package import MuleUpload

/// Something to report to the user during a run.
package enum ArchiveEvent: Sendable {
    case upload(UploadEvent)
    /// The file was moved or deleted.
    case acted(source: [UInt8], id: String, ItemAction)
    /// The file is archived but stays in place.
    case actionFailed(source: [UInt8], id: String, ItemAction, UploadFailure)
}

/// The result of a run.
package struct ArchiveReport: Sendable {
    package var run: JobRun
    package var counts: RunCounts
    package var actions: ActionCounts
    package var failures: FailureTally
    /// What stopped the run.
    package var obstacle: UploadFailure?
    /// What the store has of uploads that the next run resumes.
    package var kept: KeptParts
    /// Files that are too young and wait for the next run.
    package var unsettled: Int
    /// Milliseconds since 1970.
    package var startedAt: Int64
    package var endedAt: Int64
}

/// Counts of actions on archived files, done and failed.
package struct ActionCounts: Hashable, Sendable {
    package private(set) var moved = 0
    package private(set) var deleted = 0
    package private(set) var notMoved = 0
    package private(set) var notDeleted = 0

    package init() {}

    mutating func note(_ action: ItemAction) {
        if action.name == AfterActionExecutor.move { moved += 1 } else { deleted += 1 }
    }

    /// A noted action could not be made durable.
    mutating func takeBack(_ action: ItemAction) {
        if action.name == AfterActionExecutor.move { moved -= 1 } else { deleted -= 1 }
    }

    mutating func noteFailure(of action: ItemAction) {
        if action.name == AfterActionExecutor.move { notMoved += 1 } else { notDeleted += 1 }
    }
}

package final class ArchiveRun: Sendable {
    private let job: ArchiveJob
    private let numbers: JobRun
    private let ledger: Ledger
    private let settings: RunSettings
    private let cancellation: Cancellation
    private let recorder: JobRecorder
    private let run: UploadRun
    private let startedAt: Int64

    /// Starts a run in the ledger. The caller holds the job's lease until the run is closed.
    ///
    /// - Parameters:
    ///   - cancellation: for this run only; cancelled if the run cannot continue.
    ///   - onEvent: called on any thread.
    package init(
        _ job: ArchiveJob,
        number: Int64,
        ledger: Ledger,
        settings: RunSettings,
        cancellation: Cancellation,
        onEvent: @escaping @Sendable (ArchiveEvent) -> Void
    ) throws(LedgerError) {
        self.job = job
        self.ledger = ledger
        self.settings = settings
        self.cancellation = cancellation
        startedAt = ledger.now()
        numbers = JobRun(job: number, run: try ledger.beginRun(of: number))
        let stop = Monitor<(@Sendable (LedgerError) -> Void)?>(nil)
        let sign = Monitor<(@Sendable () -> Void)?>(nil)
        let recorder = JobRecorder(
            job,
            numbers,
            ledger,
            cancellation: cancellation,
            onEvent: onEvent,
            onFailure: { error in stop.withLock { $0 }?(error) },
            onSign: { sign.withLock { $0 }?() }
        )
        self.recorder = recorder
        let run = UploadRun(ledger: ledger, settings: settings, cancellation: cancellation) { recorder.note($0) }
        self.run = run
        sign.withLock { sign in
            sign = { [weak run] in run?.noteSign() }
        }
        stop.withLock { stop in
            stop = { [weak run] error in run?.stop(ledger.failure(error)) }
        }
    }

    /// The current state. Can be called at any time, on any thread.
    package func snapshot() -> RunSnapshot { run.snapshot() }

    /// What the store would keep if the run ended now. Can be called at any time, on any thread.
    package var kept: KeptParts { run.kept }

    /// Whether the run makes progress. Can be called at any time, on any thread.
    package var isAlive: Bool { run.isAlive() }

    /// Runs the whole job. Call once.
    ///
    /// - Parameter service: returns the store of an earlier run's upload.
    package func run(
        service: @escaping (UploadRecord) throws(UploadFailure) -> S3Service
    ) -> ArchiveReport {
        do throws(LedgerError) {
            if let obstacle = try SourcePlaces(job, numbers, ledger).obstacleAtStart() {
                return report(RunCounts(), obstacle: obstacle)
            }
        } catch {
            return report(RunCounts(), obstacle: ledger.failure(error))
        }
        let limitWatch = RunLimitWatch(job.limits, of: run, cancellation: cancellation, now: ledger.now)
        let recorder = recorder
        var (watch, books): (Thread?, Thread?)
        do throws(SystemError) {
            watch = try limitWatch.start()
            books = try recorder.start()
        } catch {
            run.stop(.noThread(error))
        }
        let leftovers = OpenItemFeed(
            job,
            numbers,
            ledger,
            recorder,
            abort: AbortRun(ledger: ledger, settings: settings, cancellation: cancellation) { recorder.note($0) },
            service: service
        )
        let candidates = DirectoryFeed(job, numbers, ledger, recorder, cancellation)
        let feed = CombinedFeed(
            old: JobFeed { () throws(UploadFailure) in try leftovers.next() },
            new: RegistrationFeed(
                ledger,
                service: job.service,
                for: numbers,
                onChange: job.onChange,
                onRefused: { recorder.fail(FailedUpload($0.path, $0.destination, $1)) },
                more: { () throws(UploadFailure) in try candidates.next() }
            )
        )
        let result = run.run(feed)
        recorder.close()
        books?.join()
        // Not earlier: when all is sent, files may still be copied, and the limits apply to that too.
        limitWatch.end()
        watch?.join()
        var counts = recorder.counts
        counts.unfinished += result.untouched + recorder.undone
        var reason = result.obstacle ?? obstacle(limitWatch)
        let isWhole = reason == nil && result.hasFoundAll && !cancellation.isCancelled
        let missing = look(at: candidates.places, isWhole: isWhole)
        reason = reason ?? missing
        return report(counts, kept: result.kept, obstacle: reason ?? recorder.obstacle)
    }

    /// Checks for files that are missing with their disk, and records the file systems for the next run.
    ///
    /// - Parameter isWhole: whether the whole source was walked.
    private func look(at places: SourcePlaces, isWhole: Bool) -> UploadFailure? {
        do throws(LedgerError) {
            let obstacle = isWhole ? try places.obstacleAtEnd() : nil
            try places.record(isWhole: isWhole)
            return obstacle
        } catch {
            return ledger.failure(error)
        }
    }

    private func report(
        _ counts: RunCounts,
        kept: KeptParts = KeptParts(),
        obstacle: UploadFailure?
    ) -> ArchiveReport {
        ArchiveReport(
            run: numbers,
            counts: counts,
            actions: recorder.actions,
            failures: recorder.failures,
            obstacle: obstacle,
            kept: kept,
            unsettled: recorder.unsettled,
            startedAt: startedAt,
            endedAt: ledger.now()
        )
    }

    /// Why actions on files are missing although all uploads ended.
    private func obstacle(_ limitWatch: RunLimitWatch) -> UploadFailure? {
        if let failure = recorder.failure { return ledger.failure(failure) }
        guard recorder.undone > 0 else { return nil }
        return limitWatch.reason ?? .interrupted
    }

    /// Records the end of the run.
    ///
    /// - Parameter status: the exit status.
    package func close(_ report: ArchiveReport, status: Int) throws(LedgerError) {
        try ledger.note(report.counts, of: numbers.run, status: status, error: report.obstacle?.message)
    }
}
