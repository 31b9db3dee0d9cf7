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
        StatusLines(console: session.console, ledger: ledger).print(records)
        if records.isEmpty && !session.console.isJSON { session.console.note("nothing is pending") }
        return .done
    }
}
