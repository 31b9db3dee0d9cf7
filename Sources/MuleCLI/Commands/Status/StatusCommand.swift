import Glibc
import MuleLedger
import MuleSystem
import MuleUpload

/// `mule status`
struct StatusCommand {
    let session: Session

    func run() throws(CommandFailure) -> ExitStatus {
        let ledger = try session.openLedger()
        if session.arguments.remote { return try RemoteStatus(session: session, ledger: ledger).run() }
        if session.arguments.watch { return try watch(ledger) }
        if try !printAll(ledger), !session.console.isJSON { session.console.note("no unfinished uploads") }
        return .done
    }

    /// Seconds between two lists of `--watch`.
    private static let interval = 2.0

    /// On a terminal each list replaces the previous one.
    private func watch(_ ledger: Ledger) throws(CommandFailure) -> ExitStatus {
        let isTerminal = isatty(STDOUT_FILENO) == 1 && !session.console.isJSON
        while !session.cancellation.isCancelled {
            // Clears the screen and moves the cursor to its upper left corner.
            if isTerminal {
                session.console.result("\u{1B}[2J\u{1B}[H" + LocalTime.text(milliseconds: wallClockMilliseconds()))
            }
            if try !printAll(ledger), isTerminal { session.console.result("no unfinished uploads") }
            sleep(until: Moment.now().adding(seconds: Self.interval), session.cancellation)
        }
        return .interrupted
    }

    /// - Returns: whether there was anything to print.
    private func printAll(_ ledger: Ledger) throws(CommandFailure) -> Bool {
        var uploads = try session.uploads(ledger, ids: session.arguments.operands, session.selection, everywhere: true)
        var lines = StatusLines(console: session.console, ledger: ledger)
        var isEmpty = true
        do {
            let jobs = try ledger.jobs()
            while let records = try uploads.next() {
                lines.quarantined = try ledger.quarantinedFiles(of: records.map(\.number), in: jobs)
                lines.print(records)
                isEmpty = false
            }
            // Only named uploads are shown, if any are named.
            if session.arguments.operands.isEmpty { try printQuarantined(of: jobs, ledger, lines, isEmpty: &isEmpty) }
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        return !isEmpty
    }

    /// Quarantined files without an upload in the list above.
    private func printQuarantined(
        of jobs: [KnownJob],
        _ ledger: Ledger,
        _ lines: StatusLines,
        isEmpty: inout Bool
    ) throws(LedgerError) {
        for job in jobs {
            var last: [UInt8]?
            while case let files = try ledger.quarantinedFiles(of: job, after: last, limit: 500), let end = files.last {
                last = end.item.source
                let others = files.filter { file in
                    guard let upload = file.item.upload else { return true }
                    return !session.arguments.all && !upload.isOpen
                }
                lines.print(others)
                if !others.isEmpty { isEmpty = false }
            }
        }
    }
}

extension Session {
    /// The uploads that `status` lists if none is named.
    var selection: UploadSelection { arguments.all ? .all : .open }
}
