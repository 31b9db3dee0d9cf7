import MuleLedger
import MulePlan
import MuleS3
import MuleSQLite
import MuleSources
import MuleSystem
import MuleUpload

/// The files of `mule upload`, one by one: each with its key, or with the reason why it cannot be uploaded.
final class UploadSources {
    private let session: Session
    private let destination: Destination
    let store: Session.Store
    private let attributes: ObjectAttributes
    private let options: SourceOptions
    private let printer: EventPrinter
    private var walk: OrderedWalk
    private let areSeveral: Bool
    /// Keys that several files may map to, with the path of the first file.
    private var taken: SpillNames?
    private var batch = 32
    private var hasWaited = false
    private(set) var failures = FailureTally()
    /// Files and whole directories that the selection excludes.
    private(set) var leftOut = 0

    /// Files registered in one transaction: enough to make its cost small, few enough not to block other processes. The
    /// first batches are smaller, so that uploading starts soon.
    private static let largestBatch = 512

    init(
        _ sources: [[UInt8]],
        to destination: Destination,
        _ session: Session,
        _ printer: EventPrinter
    ) throws(CommandFailure) {
        let arguments = session.arguments
        let list = try Self.list(arguments)
        areSeveral = sources.count > 1 || list != nil
        let below = arguments.recursive && sources.contains { (try? FileStatus.of(path: $0))?.kind == .directory }
        if areSeveral || below, case .object(let address) = destination {
            let what = below ? "The files of a directory" : "Several files"
            throw CommandFailure(
                status: .usage,
                message: "\(what) cannot all be uploaded as \(TextSafety.displayName(address.description)): end the "
                    + "destination with / to use it as a prefix."
            )
        }
        if areSeveral || below, arguments.ifMatch != nil {
            throw CommandFailure(status: .usage, message: "--if-match is the ETag of one object, and here are several.")
        }
        self.session = session
        self.destination = destination
        self.printer = printer
        store = try session.store(forBucket: destination.bucket)
        attributes = try session.attributes(for: store.options)
        options = arguments.source.over(session.configuration.source)
        let selection = arguments.selection.selection(symlinks: .files)
        let found =
            if let list {
                SourceWalk(list, isRecursive: arguments.recursive, selection: selection)
            } else {
                SourceWalk(sources, isRecursive: arguments.recursive, selection: selection)
            }
        walk = OrderedWalk(found, order: arguments.selection.order ?? .name)
    }

    private static func list(_ arguments: Arguments) throws(CommandFailure) -> NameList? {
        guard let path = arguments.filesFrom ?? arguments.filesFrom0 else { return nil }
        do {
            return try NameList(path: path, separator: arguments.filesFrom == nil ? 0 : UInt8(ascii: "\n"))
        } catch {
            throw CommandFailure(
                status: .source,
                message: "Cannot read the file list \(TextSafety.displayName(path)): \(error.reason)."
                    + (SourceHint.text(forMissing: path).map { " " + $0 } ?? "")
            )
        }
    }

    var service: S3Service { store.service }

    /// The next files to upload, a few hundred at most; empty if the list has none at the moment or the run must stop;
    /// nil at the end.
    func next() throws(UploadFailure) -> [UploadIntent]? {
        while true {
            var intents: [UploadIntent] = []
            var isAtEnd = false
            var isIdle = false
            while intents.count < batch, !isAtEnd, !isIdle {
                switch try step() {
                case .file(let found)?:
                    if let intent = try intent(found) { intents.append(intent) }
                case .problem(let found, let problem)?:
                    var message = problem.sentence(for: TextSafety.displayName(found.path))
                    if let hint = SourceHint.text(forMissing: found.path) { message += " " + hint }
                    let failure = UploadFailure(.source, message)
                    fail(found.path, destination.address(forName: found.name), failure: failure)
                case .leftOut(let found, let reason)?:
                    leftOut += 1
                    let text = "\(TextSafety.displayName(found.path)) skipped: \(reason.phrase)"
                    // The user did not ask for this one.
                    if reason == .ledger { session.console.note(text) } else { session.console.detail(text) }
                    isIdle = session.cancellation.isCancelled
                case .idle?: isIdle = true
                case nil: isAtEnd = true
                }
            }
            if !isIdle { batch = min(batch * 2, Self.largestBatch) }
            settle(&intents)
            if !intents.isEmpty { return intents }
            if isAtEnd { return nil }
            if isIdle || session.cancellation.isCancelled { return [] }
        }
    }

    private func step() throws(UploadFailure) -> SourceWalk.Step? {
        do { return try walk.next() } catch { throw Self.unheld(error) }
    }

    private static func unheld(_ error: SpillError) -> UploadFailure {
        UploadFailure(
            .source,
            "Cannot store the list of files: \(error.reason). Free space there or set TMPDIR to another directory.",
            isResumable: true
        )
    }

    func fail(_ path: [UInt8], _ address: ObjectAddress, failure: UploadFailure) {
        failures.add(failure)
        printer.print(.failed(FailedUpload(path, address, failure)))
    }

    private func intent(_ file: SourceWalk.Found) throws(UploadFailure) -> UploadIntent? {
        let arguments = session.arguments
        let address = destination.address(forName: file.name)
        if let objection = try objection(to: address, for: file) {
            if let message = objection { fail(file.path, address, failure: UploadFailure(.usage, message)) }
            return nil
        }
        var intent = UploadIntent(
            path: file.path,
            seen: file.status,
            destination: address,
            store: store.address,
            sizing: PartSizing(
                partSize: store.options.partSize,
                multipartThreshold: session.transferOptions.multipartThreshold
            ),
            attributes: attributes,
            onlyIfAbsent: arguments.noOverwrite,
            integrity: IntegrityOptions(store.options),
            changing: options.changing ?? .refuse,
            force: arguments.force,
            restart: arguments.restart,
            demandedPartSize: arguments.store.partSize,
            demandedChecksum: arguments.store.checksum?.rawValue
        )
        intent.limits = store.service.limits
        intent.ifMatch = arguments.ifMatch
        return intent
    }

    /// Why a file cannot become this object; an inner nil if it is already being sent.
    private func objection(
        to address: ObjectAddress,
        for file: SourceWalk.Found
    ) throws(UploadFailure) -> String?? {
        let length = address.key.utf8.count
        guard length <= StoreLimits.amazon.maximumKeyLength else {
            return "The key for \(TextSafety.displayName(file.path)) is \(length) bytes long; S3 allows "
                + "\(StoreLimits.amazon.maximumKeyLength)."
        }
        guard areSeveral || !file.name.isItsOwnKey else { return nil }
        let other: [UInt8]?
        do {
            let names = if let taken { taken } else { try SpillNames() }
            taken = names
            other = try names.take(address.key.utf8, for: file.path)
        } catch {
            throw Self.unheld(error)
        }
        guard let other else { return nil }
        if other == file.path || Self.areSame(other, file.path) { return .some(nil) }
        return "\(TextSafety.displayName(file.path)) and \(TextSafety.displayName(other)) would both be uploaded as "
            + "\(TextSafety.displayName(address.description)); only the first is uploaded."
    }

    /// Whether two spellings lead to one file, such as `a` and `./a`.
    private static func areSame(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        guard let one = try? FileStatus.of(path: one), let other = try? FileStatus.of(path: other) else { return false }
        return one.device == other.device && one.inode == other.inode
    }

    /// Refuses files that are still being written.
    private func settle(_ intents: inout [UploadIntent]) {
        // A dry run does not wait.
        guard let seconds = options.settle, !session.arguments.dryRun, !intents.isEmpty else { return }
        let unsettled = Settling.wait(
            for: intents.map(\.path),
            seconds: seconds,
            cancellation: session.cancellation
        ) { left in
            if !hasWaited {
                session.console.note("waiting \(DurationText.format(left)) for files to stop changing (--settle)")
            }
            hasWaited = true
        }
        for (index, failure) in unsettled.sorted(by: { $0.key < $1.key }) {
            fail(intents[index].path, intents[index].destination, failure: failure)
        }
        intents = intents.indices.filter { unsettled[$0] == nil }.map { intents[$0] }
    }
}

extension LeftOut {
    fileprivate var phrase: String {
        switch self {
        case .excluded: "excluded"
        case .notIncluded: "not included"
        case .tooYoung: "newer than --min-age"
        case .tooOld: "older than --max-age"
        case .tooSmall: "smaller than --min-size"
        case .tooLarge: "larger than --max-size"
        case .symbolicLink: "a symbolic link"
        case .ledger: "part of the ledger in use"
        }
    }
}

extension IntegrityOptions {
    init(_ options: StoreOptions) {
        self.init(
            checksum: (options.checksum ?? .auto) == .auto && options.aws.onlyRequiredChecksums == true
                ? Self.automaticFromMD5 : (options.checksum ?? .auto).rawValue,
            payloadSigning: (options.payloadSigning ?? .auto).rawValue
        )
    }
}
