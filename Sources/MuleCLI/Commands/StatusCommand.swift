import MuleLedger
import MuleUpload

/// `mule status`
struct StatusCommand {
    let session: Session

    func run() throws(CommandFailure) -> ExitStatus {
        let ledger = try session.openLedger()
        if session.typed.remote { return try RemoteStatus(session: session, ledger: ledger).run() }
        var uploads = try session.uploads(ledger, ids: session.typed.operands, session.selection, everywhere: true)
        var isEmpty = true
        do {
            let jobs = try ledger.jobs()
            while let records = try uploads.next() {
                let quarantined = try ledger.quarantinedFiles(of: records.map(\.number), in: jobs)
                StatusLines(console: session.console, ledger: ledger, quarantined: quarantined).print(records)
                isEmpty = false
            }
            // Only named uploads are shown, if any are named.
            if session.typed.operands.isEmpty { try printQuarantined(of: jobs, ledger, &isEmpty) }
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        if isEmpty && !session.console.isJSON { session.console.note("no unfinished uploads") }
        return .done
    }

    /// Quarantined files without an upload in the list above.
    private func printQuarantined(of jobs: [KnownJob], _ ledger: Ledger, _ isEmpty: inout Bool) throws(LedgerError) {
        let lines = StatusLines(console: session.console, ledger: ledger)
        for job in jobs {
            var last: [UInt8]?
            while case let files = try ledger.quarantinedFiles(of: job, after: last, limit: 500), let end = files.last {
                last = end.item.source
                let others = files.filter { file in
                    guard let upload = file.item.upload else { return true }
                    return !session.typed.all && !upload.isOpen
                }
                lines.print(others)
                if !others.isEmpty { isEmpty = false }
            }
        }
    }
}

extension Session {
    /// The uploads that `status` lists where none is named.
    var selection: UploadSelection { typed.all ? .all : .open }
}
