import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload

/// `mule upload`
struct UploadCommand {
    let session: Session

    func run() throws(CommandFailure) -> ExitStatus {
        let arguments = session.arguments
        if let file = arguments.urlFile { return try URLUploadCommand(session: session).run(urlFile: file) }
        guard let last = arguments.operands.last else { fatalError("the parser asks for a destination") }
        let sources = arguments.operands.dropLast()
        try session.checkOrder(sources, last, usage: "mule upload FILE BUCKET/KEY")
        let destination = try session.destination(last)
        if arguments.stdinCommand != nil || sources.contains(Array("-".utf8)) {
            return try StreamCommand(session: session).run(sources, to: destination)
        }
        let printer = EventPrinter(console: session.console)
        let files = try UploadSources(Array(sources), to: destination, session, printer)
        if arguments.dryRun { return try UploadDryRun(session: session, files: files).run() }
        let reserved = Ledger.reserve(path: try session.ledgerPath())
        defer { withExtendedLifetime(reserved) {} }
        // Creates nothing before there is a file to upload.
        guard var first = try firstFiles(of: files) else {
            if files.failures.count == 0, !session.cancellation.isCancelled {
                let leftOut =
                    files.leftOut == 0 ? "" : ": \(Wording.count(files.leftOut, "file")) found, all excluded by options"
                session.console.note("nothing to upload" + leftOut)
            }
            return ExitStatus(files.failures)
        }
        let ledger = try session.openLedger()
        let backend = BackendFiles(session, files.store, destination, ledger)
        defer { backend?.end() }
        let feed = RegistrationFeed(
            ledger,
            service: files.service,
            onRefused: { files.fail($0.path, $0.destination, failure: $1) },
            more: { () throws(UploadFailure) in
                defer { first = [] }
                let found = first.isEmpty ? try files.next() : first
                guard let backend, let found else { return found }
                return found.compactMap { intent in
                    do throws(UploadFailure) {
                        return try backend.prepare(intent)
                    } catch {
                        files.fail(intent.path, intent.destination, failure: error)
                        return nil
                    }
                }
            }
        )
        return session.upload(
            feed,
            ledger,
            printer: printer,
            onPart: backend?.onPart,
            failuresBeside: { files.failures }
        )
    }

    private func firstFiles(of files: UploadSources) throws(CommandFailure) -> [UploadIntent]? {
        do {
            while let found = try files.next() {
                if !found.isEmpty { return found }
                if session.cancellation.isCancelled { return nil }
            }
            return nil
        } catch {
            throw CommandFailure(status: ExitStatus(error.kind), message: error.message)
        }
    }
}
