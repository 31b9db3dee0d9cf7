import Glibc
import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload

/// `mule upload`
struct UploadCommand {
    let session: Session

    func run() throws(CommandFailure) -> ExitStatus {
        let typed = session.typed
        guard let last = typed.operands.last else { fatalError("the parser asks for a destination") }
        let destination = try session.destination(last)
        let sources = typed.operands.dropLast()
        if sources.contains(Array("-".utf8)) { return try uploadStream(sources, destination) }
        let printer = EventPrinter(console: session.console)
        let files = try UploadSources(Array(sources), to: destination, session, printer)
        // Nothing is written anywhere before there is something to send.
        guard var first = try firstFiles(of: files) else {
            if files.failures.count == 0, !session.cancellation.isCancelled {
                let leftOut = files.leftOut == 0 ? "" : ": \(files.leftOut) found, all of them left out"
                session.console.note("there is nothing to send" + leftOut)
            }
            return ExitStatus(files.failures)
        }
        let ledger = try session.openLedger()
        let feed = RegistrationFeed(
            ledger,
            service: files.service,
            onRefused: { files.fail($0.path, $0.destination, $1) },
            more: { () throws(UploadFailure) in
                defer { first = [] }
                return first.isEmpty ? try files.next() : first
            }
        )
        return session.carry(feed, ledger, printer, failuresBeside: { files.failures })
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

    // MARK: Standard input

    private func uploadStream(
        _ sources: ArraySlice<[UInt8]>,
        _ destination: Destination
    ) throws(CommandFailure) -> ExitStatus {
        guard sources.count == 1 else {
            throw CommandFailure(status: .usage, message: "Standard input (-) is sent alone, not among other sources.")
        }
        guard case .object(let address) = destination else {
            throw CommandFailure(
                status: .usage,
                message: "Standard input has no name to put below a prefix: write the whole key, bucket/key."
            )
        }
        let store = try session.store(forBucket: address.bucket)
        if let size = store.options.partSize {
            do {
                _ = try PartSizing(partSize: size).method(size: size)
            } catch {
                throw CommandFailure(status: .usage, message: error.sentence(for: "standard input"))
            }
        }
        let upload = NewUpload(
            source: nil,
            store: store.address,
            destination: address,
            attributes: try session.attributes(),
            onlyIfAbsent: session.typed.noOverwrite,
            integrity: IntegrityOptions(store.options),
            partSize: nil
        )
        let ledger = try session.openLedger()
        let claim: Ledger.Claim?
        do {
            claim = try ledger.claim([upload]).first
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        guard case .began(let record, let lease) = claim else { fatalError("a stream has no earlier upload") }
        session.console.note(
            "standard input can be read only once: if this is interrupted, it must be sent from the start"
        )
        let job = UploadJob(
            source: .stream(STDIN_FILENO, StreamPlan(fixedPartSize: store.options.partSize)),
            destination: address,
            row: .claimed(record, lease),
            service: store.service
        )
        return session.carry(JobFeed([job]), ledger, EventPrinter(console: session.console))
    }
}
