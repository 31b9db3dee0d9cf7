import MuleLedger
import MulePlan
import MuleUpload

/// `mule upload`
struct UploadCommand {
    let session: Session

    func run() throws(CommandFailure) -> ExitStatus {
        let typed = session.typed
        guard let last = typed.operands.last else { fatalError("the parser asks for a destination") }
        let destination = try session.destination(last)
        let sources = typed.operands.dropLast()
        if typed.stdinCommand != nil || sources.contains(Array("-".utf8)) {
            return try StreamCommand(session: session).run(sources, to: destination)
        }
        let printer = EventPrinter(console: session.console)
        let files = try UploadSources(Array(sources), to: destination, session, printer)
        // Nothing is written anywhere before there is something to send.
        guard var first = files.next() else {
            if files.failures.count == 0 { session.console.note("there is nothing to send") }
            return ExitStatus(files.failures)
        }
        let ledger = try session.openLedger()
        let feed = RegistrationFeed(
            ledger,
            service: files.service,
            onRefused: { files.fail($0.path, $0.destination, $1) },
            more: { () throws(UploadFailure) in
                defer { first = [] }
                return first.isEmpty ? files.next() : first
            }
        )
        return session.carry(feed, ledger, printer, failuresBeside: { files.failures })
    }
}
