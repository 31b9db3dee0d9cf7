import Glibc
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleUpload

/// `mule upload` from standard input, or of a command's output.
struct StreamCommand {
    let session: Session

    private var arguments: Arguments { session.arguments }
    private var source: StreamSource { arguments.stdinCommand == nil ? .standardInput : .command }

    func run(_ sources: ArraySlice<[UInt8]>, to destination: Destination) throws(CommandFailure) -> ExitStatus {
        guard sources.count == (source == .command ? 0 : 1) else {
            throw CommandFailure(status: .usage, message: "Standard input (-) must be the only source.")
        }
        guard source == .command || StandardStreams.canRead else {
            throw CommandFailure(
                status: .source,
                message:
                    "Cannot read standard input: it is closed. Nothing was sent. Provide the data as \"COMMAND | mule "
                    + "upload - BUCKET/KEY\" or \"mule upload - BUCKET/KEY < FILE\"."
            )
        }
        guard case .object(let address) = destination else {
            let what = source == .command ? "A command's output" : "Standard input"
            throw CommandFailure(
                status: .usage,
                message: "\(what) has no file name to append to a prefix: write the complete key, bucket/key."
            )
        }
        let store = try session.store(forBucket: address.bucket)
        var intent = StreamIntent(
            source: source,
            destination: address,
            store: store.address,
            attributes: try session.attributes(for: store.options),
            onlyIfAbsent: arguments.noOverwrite,
            integrity: IntegrityOptions(store.options),
            partSize: store.options.partSize,
            expectedSize: arguments.expectedSize,
            restart: arguments.restart
        )
        intent.limits = store.service.limits
        intent.ifMatch = arguments.ifMatch
        // Wrong arguments are reported before a ledger is created.
        do {
            try intent.check()
        } catch {
            throw CommandFailure(status: .usage, message: error.message)
        }
        if source == .standardInput, isatty(STDIN_FILENO) == 1 {
            session.console.note("reading from the terminal: end with Ctrl-D")
        }
        let ledger = try session.openLedger()
        let printer = EventPrinter(console: session.console)
        let registered: (entry: Registration.Entry, notes: [String])
        do {
            registered = try Registration(ledger).register(intent)
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        for note in registered.notes { printer.print(.notice(id: nil, note)) }
        switch registered.entry {
        case .refused(let failure):
            printer.print(.failed(FailedUpload(source.name, address, failure)))
            return ExitStatus(FailureTally([failure]))
        case .job(let row, let restartsAs):
            let job = UploadJob(
                source: .stream(input),
                destination: address,
                row: row,
                service: store.service,
                restartsAs: restartsAs
            )
            return session.upload(JobFeed([job]), ledger, printer: printer, canBeResumed: false)
        }
    }

    private var input: StreamInput {
        let shell = ["/bin/sh", "-c"].map { Array($0.utf8) }
        let origin: StreamInput.Origin =
            arguments.stdinCommand.map { .program(shell + [$0]) }
            ?? .descriptor(STDIN_FILENO)
        return StreamInput(origin, expectedSize: arguments.expectedSize)
    }
}
