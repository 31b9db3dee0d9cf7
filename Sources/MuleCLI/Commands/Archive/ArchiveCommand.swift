import MuleArchive
import MuleLedger
import MulePlan
import MuleSources
import MuleSystem
import MuleUpload

/// `mule archive`
struct ArchiveCommand {
    let session: Session

    func run() throws(CommandFailure) -> ExitStatus {
        let jobs = try jobs()
        guard !jobs.isEmpty else {
            throw CommandFailure(
                status: .usage,
                message: "The configuration has no jobs. Add one under \"jobs\", or give --source and --to."
            )
        }
        if session.arguments.dryRun { return try ArchiveDryRun(session: session).run(jobs) }
        let ledger = try session.openLedger()
        var statuses: Set<ExitStatus> = []
        for (name, options) in jobs where !session.cancellation.isCancelled {
            do throws(CommandFailure) {
                statuses.insert(try run(name, options, ledger: ledger))
            } catch {
                session.console.error("\(name): \(error.message)")
                statuses.insert(error.status)
            }
        }
        statuses.remove(.done)
        return statuses.count > 1 ? .failed : statuses.first ?? .done
    }

    /// The named jobs, or all jobs sorted by name.
    private func jobs() throws(CommandFailure) -> [(name: String, options: JobOptions)] {
        let arguments = session.arguments
        if let source = arguments.job.source, let destination = arguments.job.destination {
            return [("\(TextSafety.displayName(source)) -> \(destination.text)", arguments.job)]
        }
        let known = session.configuration.jobs
        let names = arguments.operands.map { TextSafety.displayName($0) }
        for name in names where known[name] == nil {
            let near = Suggestion.nearest(of: name, in: Array(known.keys))
            var hint = near.map { " Did you mean \"\($0)\"?" } ?? ""
            if near == nil, (try? FileStatus.of(path: Array(name.utf8)))?.kind == .directory {
                hint = " To archive a directory without a job: mule archive --source DIRECTORY --to BUCKET/."
            }
            throw CommandFailure(status: .usage, message: "The configuration has no job \"\(name)\".\(hint)")
        }
        return (names.isEmpty ? known.keys.sorted() : names).compactMap { name in
            known[name].map { (name, arguments.job.over($0)) }
        }
    }

    // MARK: One job

    private func run(_ name: String, _ options: JobOptions, ledger: Ledger) throws(CommandFailure) -> ExitStatus {
        guard mayBegin(name, options) else { return .limitReached }
        let number: Int64
        let lease: Lease?
        do {
            number = try ledger.job(named: name)
            lease = try self.lease(of: number, ledger)
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        guard let lease else {
            session.console.note("\(name): another run of this job is in progress")
            return .locked
        }
        defer { withExtendedLifetime(lease) {} }
        guard mayBegin(name, options) else { return .limitReached }
        // Reports use it to find quarantined files.
        do {
            try ledger.setQuarantine(after: options.quarantineAfter ?? ArchiveJob.quarantineAfter, of: number)
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        let cancellation = Cancellation()
        let ticket = session.cancellation.onCancel { cancellation.cancel() }
        defer { session.cancellation.removeWaker(ticket) }
        if session.cancellation.isCancelled { cancellation.cancel() }
        let serving = session.serving(options, cancellation: cancellation)
        let job: ArchiveJob
        do throws(CommandFailure) {
            job = try serving.job(name, options)
        } catch {
            note(error, options, of: number, ledger: ledger)
            throw error
        }
        return try run(job, options, number: number, serving: serving, ledger: ledger)
    }

    /// Outside its window, a job records no run: cron may start it every five minutes.
    private func mayBegin(_ name: String, _ options: JobOptions) -> Bool {
        guard let reason = session.reasonNotToBegin(options) else { return true }
        session.console.note("\(name): not started, \(reason)")
        return false
    }

    /// Records a run that could not start, so that the report shows it.
    private func note(_ failure: CommandFailure, _ options: JobOptions, of job: Int64, ledger: Ledger) {
        guard let run = try? ledger.beginRun(of: job) else { return }
        try? ledger.note(RunCounts(), of: run, status: Int(failure.status.rawValue), error: failure.message)
        _ = PostRun(session: session, options: options, ledger: ledger).run(run, status: failure.status)
    }

    private func run(
        _ job: ArchiveJob,
        _ options: JobOptions,
        number: Int64,
        serving: Session,
        ledger: Ledger
    ) throws(CommandFailure) -> ExitStatus {
        let printer = EventPrinter(console: session.console)
        var settings = serving.runSettings
        settings.pageCache = serving.transferOptions.pageCache ?? .drop
        let stores = StoreCache(serving, followsOptions: false)
        do {
            let run = try ArchiveRun(
                job,
                number: number,
                ledger: ledger,
                settings: serving.fitted(settings),
                cancellation: serving.cancellation,
                onEvent: { printer.print($0) }
            )
            session.console.startProgress(
                job: job.name,
                printsEvents: true,
                isAlive: { run.isAlive },
                stopReport: { UnfinishedUploads(of: run.kept, resumption: .sameCommand).stopped }
            ) {
                TransferSnapshot(run.snapshot(), failures: printer.failures)
            }
            let report = run.run { record throws(UploadFailure) in try stores.service(of: record) }
            session.console.stopProgress(final: nil)
            if let obstacle = report.obstacle { printer.say(obstacle) }
            let ended = status(of: report)
            var status = ended
            // The summary is the last line, even if the ledger can no longer be written.
            defer { ArchiveSummary(job: job, report: report, status: status).print(to: session.console) }
            try run.close(report, status: Int(ended.rawValue))
            status = PostRun(session: session, options: options, ledger: ledger)
                .run(report.run.run, status: ended)
            return status
        } catch {
            session.console.stopProgress(final: nil)
            throw session.ledgerFailure(error, ledger)
        }
    }

    /// An interrupted run counts as interrupted, even after other failures: the signal ends the process.
    private func status(of report: ArchiveReport) -> ExitStatus {
        let obstacle = FailureTally(report.obstacle.map { [$0] } ?? [])
        let wasInterrupted = report.failures.kinds.contains(.interrupted) || obstacle.kinds.contains(.interrupted)
        if wasInterrupted, session.cancellation.isCancelled { return .interruption }
        return ExitStatus(report.failures, obstacle)
    }

    /// The job's lease; nil if another run holds it and does not end in time.
    private func lease(of job: Int64, _ ledger: Ledger) throws(LedgerError) -> Lease? {
        let end = Moment.now().adding(seconds: session.arguments.wait ?? 0)
        while true {
            if let lease = try ledger.claim(job: job) { return lease }
            let now = Moment.now()
            guard now < end, !session.cancellation.isCancelled else { return nil }
            sleep(until: min(end, now.adding(seconds: 0.5)), session.cancellation)
        }
    }
}
