import MuleLedger
import MuleUpload

/// `mule status`
struct StatusCommand {
    let session: Session

    func run() throws(CommandFailure) -> ExitStatus {
        let ledger = try session.openLedger()
        if session.typed.remote { return try RemoteStatus(session: session, ledger: ledger).run() }
        let showsAll = session.typed.all
        let records = try session.records(ledger, ids: session.typed.operands, everywhere: true) {
            ledger throws(LedgerError) in
            showsAll ? try ledger.all() : try ledger.unfinished().filter(\.isOpen)
        }
        let lines: StatusLines
        let others: [QuarantinedFile]
        do {
            let quarantined = try ledger.quarantinedFiles()
            lines = StatusLines(console: session.console, ledger: ledger, quarantined: quarantined)
            // Those that were named are all that is to be seen.
            let shown = Set(records.map(\.number))
            others = quarantined.filter { file in
                session.typed.operands.isEmpty && !(file.item.upload.map { shown.contains($0.number) } ?? false)
            }
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        lines.print(records)
        lines.print(others)
        if records.isEmpty && others.isEmpty && !session.console.isJSON { session.console.note("nothing is pending") }
        return .done
    }
}
