import MuleLedger
import MulePlan
import MuleS3
import MuleSources
import MuleSystem
import MuleUpload

/// What `mule upload` was asked to send, file by file: each with its key, or with the reason why it can't be sent.
final class UploadSources {
    private let session: Session
    private let destination: Destination
    private let store: Session.Store
    private let attributes: ObjectAttributes
    private let options: SourceOptions
    private let printer: EventPrinter
    private var walk: SourceWalk
    private let areSeveral: Bool
    /// Keys that another file might become too.
    private var taken: [ObjectKey: [UInt8]] = [:]
    private var batch = 32
    private var hasWaited = false
    private(set) var failures = FailureTally()

    /// Files that are registered at once: enough to make the cost of that small, few enough not to keep other processes
    /// waiting for the ledger. The first ones are fewer, so that sending begins soon.
    private static let largestBatch = 512

    init(
        _ sources: [[UInt8]],
        to destination: Destination,
        _ session: Session,
        _ printer: EventPrinter
    ) throws(CommandFailure) {
        let typed = session.typed
        areSeveral = sources.count > 1
        let below = typed.recursive && sources.contains { (try? FileStatus.of(path: $0))?.kind == .directory }
        if areSeveral || below, case .object(let address) = destination {
            let what = below ? "The files of a directory" : "Several files"
            throw CommandFailure(
                status: .usage,
                message: "\(what) can't become the one object \(TextSafety.displayName(address.description)): end the "
                    + "destination with / to put them below it."
            )
        }
        self.session = session
        self.destination = destination
        self.printer = printer
        store = try session.store(forBucket: destination.bucket)
        attributes = try session.attributes()
        options = typed.source.over(session.configuration.source)
        walk = SourceWalk(sources, isRecursive: typed.recursive)
    }

    var service: S3Service { store.service }

    /// The next files that can be sent, a few hundred at most; nil at the end.
    func next() -> [UploadIntent]? {
        while true {
            var intents: [UploadIntent] = []
            var isAtEnd = false
            while intents.count < batch, !isAtEnd {
                switch walk.next() {
                case .file(let found)?:
                    if let intent = intent(found) { intents.append(intent) }
                case .problem(let found, let problem)?:
                    let failure = UploadFailure(
                        .source,
                        problem.sentence(for: TextSafety.displayName(found.path))
                    )
                    fail(found.path, destination.address(forName: found.name), failure)
                case .leftOut?, .idle?: break
                case nil: isAtEnd = true
                }
            }
            batch = min(batch * 2, Self.largestBatch)
            settle(&intents)
            if !intents.isEmpty { return intents }
            if isAtEnd || session.cancellation.isCancelled { return nil }
        }
    }

    func fail(_ path: [UInt8], _ address: ObjectAddress, _ failure: UploadFailure) {
        failures.add(failure)
        printer.print(.failed(FailedUpload(path, address, failure)))
    }

    private func intent(_ file: SourceWalk.Found) -> UploadIntent? {
        let typed = session.typed
        let address = destination.address(forName: file.name)
        if let objection = objection(to: address, for: file) {
            if let message = objection { fail(file.path, address, UploadFailure(.usage, message)) }
            return nil
        }
        return UploadIntent(
            path: file.path,
            seen: file.status,
            destination: address,
            store: store.address,
            sizing: PartSizing(
                partSize: store.options.partSize,
                multipartThreshold: session.transferOptions.multipartThreshold
            ),
            attributes: attributes,
            onlyIfAbsent: typed.noOverwrite,
            integrity: IntegrityOptions(store.options),
            changing: options.changing ?? .refuse,
            force: typed.force,
            restart: typed.restart,
            demandedPartSize: typed.store.partSize,
            demandedChecksum: typed.store.checksum?.rawValue
        )
    }

    /// Why a file can't become this object; a reason of nil where it is sent already.
    private func objection(to address: ObjectAddress, for file: SourceWalk.Found) -> String?? {
        let length = address.key.utf8.count
        guard length <= StoreLimits.amazon.maximumKeyLength else {
            return "The key for \(TextSafety.displayName(file.path)) is \(length) bytes long; S3 allows "
                + "\(StoreLimits.amazon.maximumKeyLength)."
        }
        guard areSeveral || !file.name.isItsOwnKey else { return nil }
        guard let other = taken[address.key] else {
            taken[address.key] = file.path
            return nil
        }
        if other == file.path { return .some(nil) }
        return "\(TextSafety.displayName(file.path)) and \(TextSafety.displayName(other)) would become the same "
            + "object \(TextSafety.displayName(address.description)); only the first is sent."
    }

    /// Leaves out what is still being written.
    private func settle(_ intents: inout [UploadIntent]) {
        guard let seconds = options.settle, !intents.isEmpty else { return }
        let unsettled = Settling.wait(
            for: intents.map(\.path),
            seconds: seconds,
            cancellation: session.cancellation
        ) { left in
            if !hasWaited {
                session.console.note("waiting \(DurationText.format(left)) for files to be left alone (--settle)")
            }
            hasWaited = true
        }
        for (index, failure) in unsettled.sorted(by: { $0.key < $1.key }) {
            fail(intents[index].path, intents[index].destination, failure)
        }
        intents = intents.indices.filter { unsettled[$0] == nil }.map { intents[$0] }
    }
}

extension IntegrityOptions {
    init(_ options: StoreOptions) {
        self.init(
            checksum: (options.checksum ?? .auto).rawValue,
            payloadSigning: (options.payloadSigning ?? .auto).rawValue
        )
    }
}
