import Glibc
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
        if sources.contains(Array("-".utf8)) { return try uploadStream(sources, destination) }

        var walk = SourceWalk()
        var failures: [UploadFailure] = []
        let printer = EventPrinter(console: session.console)
        func fail(_ path: [UInt8], _ name: [UInt8], _ failure: UploadFailure) {
            failures.append(failure)
            printer.print(.failed(id: nil, source: path, destination: destination.address(forName: name), failure))
        }
        for source in sources {
            do throws(UploadFailure) {
                try walk.add(source, recursive: typed.recursive)
            } catch {
                fail(source, SourceWalk.lastComponent(source), error)
            }
        }
        for problem in walk.problems {
            fail(problem.found.path, problem.found.name, UploadFailure(.source, problem.message))
        }
        let store = try session.store(forBucket: destination.bucket)
        let options = typed.source.over(session.configuration.source)
        var intents = try intents(walk.files, destination, store, options, printer, failures: &failures)
        settle(&intents, for: options.settle, printer, failures: &failures)
        guard !intents.isEmpty else {
            if failures.isEmpty { session.console.note("there is nothing to send") }
            return ExitStatus(failures)
        }
        let ledger = try session.openLedger()
        let entries: [Registration.Entry]
        do {
            entries = try Registration(ledger).register(intents)
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        var jobs: [UploadJob] = []
        for (intent, entry) in zip(intents, entries) {
            switch entry {
            case .job(let row, let restartsAs):
                jobs.append(
                    UploadJob(
                        source: .file(intent.path),
                        destination: intent.destination,
                        row: row,
                        service: store.service,
                        restartsAs: restartsAs
                    )
                )
            case .refused(let failure):
                printer.print(
                    .failed(id: nil, source: intent.path, destination: intent.destination, failure)
                )
                failures.append(failure)
            }
        }
        return session.carry(jobs, ledger, failuresBefore: failures)
    }

    private func intents(
        _ files: [SourceWalk.Found],
        _ destination: Destination,
        _ store: Session.Store,
        _ options: SourceOptions,
        _ printer: EventPrinter,
        failures: inout [UploadFailure]
    ) throws(CommandFailure) -> [UploadIntent] {
        let typed = session.typed
        let areNamed = files.allSatisfy { typed.operands.contains($0.path) }
        if files.count > 1 || !areNamed, case .object(let address) = destination {
            let what = areNamed ? "Several files" : "The files of a directory"
            throw CommandFailure(
                status: .usage,
                message: "\(what) can't become the one object \(TextSafety.displayName(address.description)): end the "
                    + "destination with / to put them below it."
            )
        }
        let attributes = try session.attributes()
        let partSize = store.options.partSize
        var intents: [UploadIntent] = []
        var taken: [ObjectAddress: [UInt8]] = [:]
        func refuse(_ file: SourceWalk.Found, _ address: ObjectAddress, _ message: String) {
            let failure = UploadFailure(.usage, message)
            failures.append(failure)
            printer.print(.failed(id: nil, source: file.path, destination: address, failure))
        }
        for file in files {
            let address = destination.address(forName: file.name)
            guard address.key.utf8.count <= StoreLimits.amazon.maximumKeyLength else {
                refuse(
                    file,
                    address,
                    "The key for \(TextSafety.displayName(file.path)) is \(address.key.utf8.count) bytes long; S3 allows "
                        + "\(StoreLimits.amazon.maximumKeyLength)."
                )
                continue
            }
            if let other = taken.updateValue(file.path, forKey: address) {
                if other != file.path {
                    refuse(
                        file,
                        address,
                        "\(TextSafety.displayName(file.path)) and \(TextSafety.displayName(other)) would become the same "
                            + "object \(TextSafety.displayName(address.description)); only the first is sent."
                    )
                }
                taken[address] = other
                continue
            }
            intents.append(
                UploadIntent(
                    path: file.path,
                    destination: address,
                    store: store.address,
                    sizing: PartSizing(
                        partSize: partSize,
                        multipartThreshold: session.transferOptions.multipartThreshold
                    ),
                    attributes: attributes,
                    onlyIfAbsent: typed.noOverwrite,
                    integrity: integrity(store),
                    changing: options.changing ?? .refuse,
                    force: typed.force,
                    restart: typed.restart,
                    demandedPartSize: typed.store.partSize,
                    demandedChecksum: typed.store.checksum?.rawValue
                )
            )
        }
        return intents
    }

    /// Leaves out what is still being written.
    private func settle(
        _ intents: inout [UploadIntent],
        for seconds: Double?,
        _ printer: EventPrinter,
        failures: inout [UploadFailure]
    ) {
        guard let seconds else { return }
        let unsettled = Settling.wait(
            for: intents.map(\.path),
            seconds: seconds,
            cancellation: session.cancellation
        ) { session.console.note("waiting \(DurationText.format($0)) for files to be left alone (--settle)") }
        for (index, failure) in unsettled.sorted(by: { $0.key < $1.key }) {
            let intent = intents[index]
            printer.print(.failed(id: nil, source: intent.path, destination: intent.destination, failure))
            failures.append(failure)
        }
        intents = intents.indices.filter { unsettled[$0] == nil }.map { intents[$0] }
    }

    private func integrity(_ store: Session.Store) -> IntegrityOptions {
        IntegrityOptions(
            checksum: (store.options.checksum ?? .auto).rawValue,
            payloadSigning: (store.options.payloadSigning ?? .auto).rawValue
        )
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
            integrity: integrity(store),
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
        return session.carry([job], ledger, failuresBefore: [])
    }
}
