import Glibc
import MuleJSON
import MuleLedger
import MulePlan
import MuleSystem

/// `mule report`
struct ReportCommand {
    let session: Session

    /// Seconds: one day, and twelve weeks for the page.
    static let defaultAge = 86_400.0
    static let defaultPageAge = 84 * 86_400.0
    private static let batch = 500
    /// Maximum number of files per job in the text report; JSON has all.
    private static let mostTroubles = 20

    private var arguments: Arguments { session.arguments }
    private var console: Console { session.console }
    private var since: Int64 {
        let age = arguments.since ?? (arguments.html == nil ? Self.defaultAge : Self.defaultPageAge)
        return wallClockMilliseconds() - Int64(age * 1000)
    }
    private var format: ReportFormat { arguments.format ?? (console.isJSON ? .json : .text) }

    func run() throws(CommandFailure) -> ExitStatus {
        let path = try session.ledgerPath()
        // A report must not create a ledger.
        if (try? FileStatus.of(path: path)) == nil, errno == ENOENT {
            console.note("no runs yet")
            return .done
        }
        let ledger = try session.openLedger()
        var page: HTMLReport?
        do throws(LedgerError) {
            if arguments.html == nil { try report(ledger) } else { page = try collect(ledger) }
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        if let page, let path = arguments.html, !session.cancellation.isCancelled { try write(page, to: path) }
        return session.cancellation.isCancelled ? .interrupted : .done
    }

    /// The requested jobs; none, with a note, if no job of that name has run.
    private func wantedJobs(_ ledger: Ledger) throws(LedgerError) -> [KnownJob] {
        let jobs = try ledger.jobs()
        let wanted = jobs.filter { arguments.jobName == nil || $0.name == arguments.jobName }
        if wanted.isEmpty, let name = arguments.jobName {
            let near = Suggestion.nearest(of: name, in: jobs.map(\.name)).map { "; did you mean \"\($0)\"?" } ?? ""
            console.note(TextSafety.displayName("no runs of job \"\(name)\" yet\(near)"))
        }
        return wanted
    }

    private func report(_ ledger: Ledger) throws(LedgerError) {
        let wanted = try wantedJobs(ledger)
        if wanted.isEmpty, arguments.jobName != nil { return }
        let showsFiles = arguments.files || arguments.runNumber != nil
        let table = CSV(isShown: isatty(STDOUT_FILENO) == 1)
        let width = TerminalOutput(descriptor: STDOUT_FILENO).size.columns
        if format == .csv { console.results([table.header(showsFiles ? FileView.columns : RunView.columns)]) }
        let hasHeading = format == .text && isatty(STDOUT_FILENO) == 1
        var count = 0
        try forEachRun(ledger, of: arguments.jobName == nil ? nil : wanted.first?.number) { run throws(LedgerError) in
            if count == 0, hasHeading { console.results([RunView.heading]) }
            count += 1
            let view = try RunView(run, ledger)
            switch format {
            case .text: console.results([view.text(width: width)])
            case .json: console.results([JSONValue.object(view.members).line])
            case .csv: if !showsFiles { console.results([table.row(view.members, RunView.columns)]) }
            }
            if showsFiles { try printFiles(of: run, ledger, table, width: width) }
        }
        if count == 0 {
            console.note(arguments.runNumber.map { "run \($0) does not exist" } ?? "no runs in this time")
        }
        if format != .csv, arguments.runNumber == nil { try printTroubles(of: wanted, ledger, width) }
    }

    private func forEachRun(
        _ ledger: Ledger,
        of job: Int64?,
        _ body: (RunRecord) throws(LedgerError) -> Void
    ) throws(LedgerError) {
        if let number = arguments.runNumber {
            if let run = try ledger.run(number: Int64(number)), job == nil || run.job == job { try body(run) }
            return
        }
        let since = since
        var last: Int64 = 0
        while !session.cancellation.isCancelled {
            let runs = try ledger.runs(since: since, of: job, after: last, limit: Self.batch)
            guard let end = runs.last else { return }
            last = end.number
            for run in runs where !session.cancellation.isCancelled { try body(run) }
        }
    }

    private func forEachSlice(
        of run: RunRecord,
        _ ledger: Ledger,
        _ body: ([FileView]) -> Void
    ) throws(LedgerError) {
        var last: Int64 = 0
        while !session.cancellation.isCancelled {
            let slice = try ledger.receipts(of: run.number, after: last, limit: Self.batch)
            guard let end = slice.last else { return }
            last = end.receipt.number
            body(slice.map { FileView(run: run, receipt: $0.receipt, upload: $0.upload) })
        }
    }

    private func printFiles(of run: RunRecord, _ ledger: Ledger, _ table: CSV, width: Int) throws(LedgerError) {
        try forEachSlice(of: run, ledger) { views in
            console.results(
                views.map { view in
                    switch format {
                    case .text: view.text(width: width)
                    case .json: JSONValue.object(view.members).line
                    case .csv: table.row(view.members, FileView.columns)
                    }
                }
            )
        }
    }

    private func printTroubles(of jobs: [KnownJob], _ ledger: Ledger, _ width: Int) throws(LedgerError) {
        var hasHeading = false
        for job in jobs {
            var shown = 0
            try forEachTrouble(of: job, ledger) { views in
                if format == .json {
                    console.results(views.map { JSONValue.object($0.members).line })
                    return true
                }
                if !hasHeading { console.results(["Needs attention:"]) }
                hasHeading = true
                console.results(views.prefix(Self.mostTroubles - shown).map { $0.text(width: width) })
                shown += min(views.count, Self.mostTroubles - shown)
                guard views.count > Self.mostTroubles || views.count == Self.batch else { return true }
                console.results(["  \(TextSafety.displayName(job.name)): more files; --json lists all"])
                return false
            }
        }
    }

    /// - Parameter body: receives the next files that need attention; returns whether it wants more.
    private func forEachTrouble(
        of job: KnownJob,
        _ ledger: Ledger,
        _ body: ([AttentionView]) -> Bool
    ) throws(LedgerError) {
        var last: [UInt8]?
        while !session.cancellation.isCancelled {
            let items = try ledger.troubledItems(
                of: job.number,
                startedBefore: wallClockMilliseconds() - AttentionView.patience,
                after: last,
                limit: Self.batch
            )
            guard let end = items.last, body(items.map { AttentionView(job: job, item: $0) }) else { return }
            last = end.source
        }
    }

    // MARK: The page

    private func collect(_ ledger: Ledger) throws(LedgerError) -> HTMLReport {
        let wanted = try wantedJobs(ledger)
        var history = RunHistory()
        if !wanted.isEmpty {
            try forEachRun(ledger, of: arguments.jobName == nil ? nil : wanted.first?.number) {
                run throws(LedgerError) in
                history.add(try RunView(run, ledger))
                try forEachSlice(of: run, ledger) { views in
                    for view in views { history.add(view.receipt, size: view.upload?.size, job: run.jobName) }
                }
            }
        }
        for job in wanted {
            try forEachTrouble(of: job, ledger) { views in
                views.forEach { history.add($0) }
                return !history.hasMoreTroubles
            }
        }
        let host = HostName(environment: session.environment).text
        return HTMLReport(history: history, host: host, since: since, now: wallClockMilliseconds())
    }

    private func write(_ report: HTMLReport, to path: [UInt8]) throws(CommandFailure) {
        if path == [UInt8(ascii: "-")] { return console.result(report.page) }
        do throws(SystemError) {
            // It may name files that other users must not see.
            try replaceFile(path: path, with: Array(report.page.utf8), mode: 0o600)
        } catch {
            throw CommandFailure(
                status: .failed,
                message: "The report cannot be written to \(TextSafety.displayName(path)): \(error.reason)."
            )
        }
    }
}

/// The format of a report.
package enum ReportFormat: String, CaseIterable, Sendable {
    case text, json, csv
}
