import MuleArchive
import MuleJSON
import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload
import Synchronization

/// Prints the events of a run: JSON objects, or sentences.
final class EventPrinter: Sendable {
    private let console: Console
    private let said = Monitor<Set<String>>([])
    private let failed = Atomic<Int>(0)
    private let done = Monitor(RunSummary())

    /// Maximum number of files with a line each without `--verbose`.
    private static let fewFiles = 20

    /// Failures so far, without those caused by an interruption.
    var failures: Int { failed.load(ordering: .relaxed) }

    /// What was completed so far.
    var completed: RunSummary { done.withLock { $0 } }

    init(console: Console) {
        self.console = console
    }

    private func isNews(_ message: String) -> Bool { said.withLock { $0.insert(message).inserted } }

    func print(_ event: UploadEvent) {
        switch event {
        case .started(let record):
            if console.isJSON {
                json("started", id: record.id, record.upload.sourceName, destination: record.upload.destination)
            }
        case .resumed(let record, let parts, let bytes):
            if console.isJSON {
                json(
                    "resumed",
                    id: record.id,
                    record.upload.source?.path,
                    destination: record.upload.destination,
                    members: ["bytesSkipped": .int(bytes), "partsSkipped": .int(Int64(parts))]
                )
            } else {
                console.note(
                    "resuming \(record.id) (\(display(record.upload.destination))): \(parts) of "
                        + "\(record.partCount ?? parts) parts (\(ByteSize.format(bytes))) already uploaded"
                )
            }
        case .notice(let id, let text):
            if console.isJSON {
                console.result(
                    JSONValue.object(["event": "notice", "id": JSONValue(id), "message": .string(text)]).line
                )
            }
            console.notice(TextSafety.displayName(text))
        case .completed(let summary): completed(summary)
        case .failed(let end):
            if end.failure.kind != .interrupted { failed.add(1, ordering: .relaxed) }
            if console.isJSON {
                json(
                    "failed",
                    id: end.id,
                    end.source,
                    destination: end.destination,
                    members: [
                        "error": Self.error(end.failure), "resumable": .bool(end.failure.isResumable),
                    ]
                )
            }
            say(end.failure)
        }
    }

    func print(_ event: ArchiveEvent) {
        switch event {
        case .upload(let event): print(event)
        case .acted(let source, let id, let action):
            let done = action.name == "move" ? "moved" : "deleted"
            if console.isJSON {
                json(
                    done,
                    id,
                    source: source,
                    members: ["target": action.target.map { .string(TextSafety.jsonName($0)) } ?? .null]
                )
            } else {
                let target = action.target.map { " to " + TextSafety.displayName($0) } ?? ""
                console.detail("\(done) \(TextSafety.displayName(source))\(action.name == "move" ? target : "")")
            }
        case .actionFailed(let source, let id, let action, let failure):
            if console.isJSON {
                json(
                    "actionFailed",
                    id,
                    source: source,
                    members: ["action": .string(action.name), "error": Self.error(failure)]
                )
            }
            say(failure)
        }
    }

    private func json(_ event: String, _ id: String, source: [UInt8], members: [String: JSONValue]) {
        let common: [String: JSONValue] = [
            "event": .string(event), "id": .string(id), "source": .string(TextSafety.jsonName(source)),
        ]
        console.result(JSONValue.object(common.merging(members) { one, _ in one }).line)
    }

    /// Prints a failure that many files share only once, and an interruption not at all: the end of the run reports it.
    func say(_ failure: UploadFailure) {
        if failure.kind != .interrupted, failure.scope == .transfer || isNews(failure.message) {
            console.error(TextSafety.displayName(failure.message))
        }
    }

    static func error(_ failure: UploadFailure) -> JSONValue {
        .object([
            "httpStatus": JSONValue(failure.httpStatus.map(Int64.init)),
            "kind": .string(failure.kind.rawValue),
            "message": .string(failure.message),
            "requestID": JSONValue(failure.requestID),
            "s3Code": JSONValue(failure.s3Code),
        ])
    }

    private func completed(_ summary: UploadSummary) {
        let isOneOfFew = done.withLock { done in
            done.add(summary)
            return done.files <= Self.fewFiles
        }
        if console.hasLog { console.record(.info, sentence(summary, withChecksum: true)) }
        if console.isJSON {
            let checksum: JSONValue =
                summary.proof.checksumAlgorithm.map { algorithm in
                    .object([
                        "algorithm": .string(algorithm),
                        "type": JSONValue(summary.proof.checksumType),
                        "value": JSONValue(summary.proof.checksumValue),
                    ])
                } ?? .null
            var members: [String: JSONValue] = [
                "bytesSent": .int(summary.bytesSent),
                "bytesSkipped": .int(summary.bytesSkipped),
                "checksum": checksum,
                "eTag": JSONValue(summary.proof.eTag),
                "parts": summary.parts.map { .int(Int64($0)) } ?? .null,
                "seconds": .double((summary.seconds * 1000).rounded() / 1000),
                "size": .int(summary.size),
            ]
            if let version = summary.proof.versionID { members["versionID"] = .string(version) }
            json("completed", id: summary.id, summary.source, destination: summary.destination, members: members)
        } else if !console.isQuiet, isOneOfFew || console.isVerbose {
            console.result(sentence(summary, withChecksum: console.isVerbose))
        }
    }

    private func sentence(_ summary: UploadSummary, withChecksum: Bool) -> String {
        let source = summary.name.map(TextSafety.displayName) ?? "standard input"
        let object = display(summary.destination)
        if let evidence = summary.evidence {
            return
                "\(object) already exists with the same content as \(source), verified by "
                + "\(VerifyEvent.words(evidence)); nothing was sent"
        }
        if summary.wasThere {
            return "\(source) -> \(object): already uploaded, confirmed before and unchanged; nothing was sent"
        }
        var text = "\(source) -> \(object): \(ByteSize.format(summary.size))"
        if summary.bytesSkipped > 0 { text += ", \(ByteSize.format(summary.bytesSkipped)) of it sent earlier" }
        text += " in \(DurationText.format(summary.seconds))"
        if summary.seconds > 0.05, summary.bytesSent > 0 {
            text += " (\(ByteSize.format(Int64(Double(summary.bytesSent) / summary.seconds)))/s)"
        }
        if withChecksum, let algorithm = summary.proof.checksumAlgorithm, let value = summary.proof.checksumValue {
            text += ", \(algorithm) \(value)"
        }
        return text
    }

    private func display(_ address: ObjectAddress) -> String { TextSafety.displayName(address.description) }

    private func json(
        _ event: String,
        id: String?,
        _ source: [UInt8]?,
        destination: ObjectAddress,
        members: [String: JSONValue] = [:]
    ) {
        var members = members
        members["event"] = .string(event)
        members["id"] = JSONValue(id)
        members["source"] = .string(source.map(TextSafety.jsonName) ?? "-")
        members["destination"] = .string(destination.description)
        console.result(JSONValue.object(members).line)
    }
}

extension TransferSnapshot {
    /// The run's counts for progress.
    init(_ run: RunSnapshot, failures: Int) {
        self.init(
            files: run.active.enumerated().map { index, file in
                FileProgress(
                    id: index,
                    name: file.source.map {
                        TextSafety.displayName($0.split(separator: UInt8(ascii: "/")).last.map(Array.init) ?? $0)
                    }
                        ?? "standard input",
                    size: file.size,
                    bytesDone: file.bytesDone,
                    bytesInFlight: file.bytesInFlight,
                    partsDone: file.partsDone,
                    partsTotal: file.partCount,
                    state: FileProgress.State(file.phase)
                )
            },
            totalBytes: run.bytesTotal,
            bytesDone: run.bytesDone,
            bytesSkipped: run.bytesSkipped,
            bytesSentThisRun: run.bytesSent,
            partsInFlight: run.partsInFlight,
            retries: run.retries,
            failures: failures,
            filesDone: run.filesDone,
            filesTotal: run.filesTotal,
            findsMore: run.findsMore,
            waitingReason: run.waitingReason
        )
    }
}

extension FileProgress.State {
    init(_ phase: TransferPhase) {
        switch phase {
        case .waiting: self = .waiting
        case .checking: self = .checking
        case .sending: self = .sending
        case .completing: self = .completing
        case .done: self = .done
        case .failed: self = .failed
        }
    }
}
