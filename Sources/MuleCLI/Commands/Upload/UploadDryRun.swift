import MuleJSON
import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload

/// `mule upload --dry-run`: what an upload of these files would do, from the files and the ledger. Does not contact the
/// store, and does not create a ledger.
struct UploadDryRun {
    /// What the run would do with a file.
    enum Kind: String, CaseIterable {
        case new
        /// An earlier run started it; only missing parts would be sent.
        case pending
        /// The parts of an earlier run would be aborted first.
        case restart
        /// Uploaded before; sent again only if the store no longer has it.
        case unchanged
        case problem

        var words: String { self == .problem ? "cannot be uploaded" : rawValue }
    }

    let session: Session
    let files: UploadSources

    private var console: Console { session.console }

    func run() throws(CommandFailure) -> ExitStatus {
        let path = try session.ledgerPath()
        let ledger = (try? FileStatus.of(path: path, followingLinks: false)) == nil ? nil : try session.openLedger()
        var counts: [Kind: Int] = [:]
        var (bytes, parts) = (Int64(0), 0)
        var failures = FailureTally()
        while !session.cancellation.isCancelled, let intents = try next() {
            for intent in intents {
                let outlook: Registration.Outlook
                do throws(LedgerError) {
                    outlook = try Registration.foresee(intent, ledger)
                } catch {
                    throw CommandFailure(
                        status: .ledger,
                        message: UploadFailure(ledger: error, path: TextSafety.displayName(path)).message
                    )
                }
                let file = PlannedUpload(intent, outlook)
                if let failure = file.failure { failures.add(failure) }
                counts[file.kind, default: 0] += 1
                bytes += file.bytes
                parts += file.parts
                print(file)
            }
        }
        if session.cancellation.isCancelled { return .interrupted }
        counts[.problem, default: 0] += files.failures.count
        printTotals(counts, bytes, parts: parts)
        return ExitStatus(files.failures, failures)
    }

    private func next() throws(CommandFailure) -> [UploadIntent]? {
        do { return try files.next() } catch {
            throw CommandFailure(status: ExitStatus(error.kind), message: error.message)
        }
    }

    private func print(_ file: PlannedUpload) {
        if console.isJSON {
            console.result(file.json.line)
        } else if file.kind != .problem, !console.isQuiet {
            console.result(file.text)
        }
        if let failure = file.failure { console.error(TextSafety.displayName(failure.message)) }
    }

    private func printTotals(_ counts: [Kind: Int], _ bytes: Int64, parts: Int) {
        if console.isJSON {
            let files = Kind.allCases.map { ($0.rawValue, JSONValue.int(Int64(counts[$0] ?? 0))) }
            let members: [String: JSONValue] = [
                "bytes": .int(bytes), "event": "plan", "files": .object(Dictionary(uniqueKeysWithValues: files)),
                "parts": .int(Int64(parts)),
            ]
            return console.result(JSONValue.object(members).line)
        }
        guard !console.isQuiet else { return }
        let sent = [Kind.new, .pending, .restart].reduce(0) { $0 + (counts[$1] ?? 0) }
        let facts = Kind.allCases.compactMap { kind in counts[kind].flatMap { $0 > 0 ? "\($0) \(kind.words)" : nil } }
        let what = facts.isEmpty ? "" : ": " + facts.joined(separator: ", ")
        console.result("\(Wording.count(sent, "file")) to upload, \(ByteSize.format(bytes))\(what); nothing was sent")
    }
}

/// A file of the plan.
private struct PlannedUpload {
    let source: [UInt8]
    let destination: ObjectAddress
    var kind = UploadDryRun.Kind.new
    var size: Int64 = 0
    /// What would be sent.
    var bytes: Int64 = 0
    var parts = 0
    var failure: UploadFailure?

    init(_ intent: UploadIntent, _ outlook: Registration.Outlook) {
        source = intent.path
        destination = intent.destination
        switch outlook {
        case .begins(let upload): send(upload)
        case .restarts(_, let upload):
            kind = .restart
            send(upload)
        case .resumes(let record):
            kind = .pending
            size = record.size ?? 0
            bytes = size - record.bytesDone
            parts = (record.partCount ?? 0) - record.partsDone
        case .asks(let record, _):
            kind = .unchanged
            size = record.size ?? 0
        case .refused(let failure):
            kind = .problem
            self.failure = failure
        }
    }

    private mutating func send(_ upload: NewUpload) {
        size = upload.source?.size ?? 0
        bytes = size
        if let partSize = upload.partSize { parts = PartPlan(objectSize: size, partSize: partSize).count }
    }

    var text: String {
        var text =
            "\(kind.words): \(TextSafety.displayName(source)) -> \(TextSafety.displayName(destination.description))"
        text += ", \(ByteSize.format(kind == .unchanged ? size : bytes))"
        if parts > 0 { text += ", \(Wording.count(parts, "part"))" }
        return text
    }

    var json: JSONValue {
        .object([
            "bytes": .int(bytes),
            "destination": .string(destination.description),
            "error": failure.map(EventPrinter.error) ?? .null,
            "event": "planned",
            "kind": .string(kind.rawValue),
            "parts": .int(Int64(parts)),
            "size": .int(size),
            "source": .string(TextSafety.jsonName(source)),
        ])
    }
}
