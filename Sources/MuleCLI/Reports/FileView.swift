import MuleJSON
import MuleLedger
import MulePlan

/// The result of one file in one run, as reports and receipts show it.
struct FileView {
    let run: RunRecord
    let receipt: Receipt
    /// Nil if none was started, or it was removed from the ledger.
    let upload: UploadRecord?

    // MARK: JSON

    var members: [String: JSONValue] {
        // A failed upload has no proof, though its row may have that of an earlier attempt.
        let proof = receipt.result == .failed ? nil : upload?.proof
        let checksum: JSONValue =
            proof?.checksumAlgorithm.map { algorithm in
                .object([
                    "algorithm": .string(algorithm), "type": JSONValue(proof?.checksumType),
                    "value": JSONValue(proof?.checksumValue),
                ])
            } ?? .null
        return [
            "action": JSONValue(receipt.action?.name),
            "actionError": JSONValue(receipt.actionError),
            "attempts": .int(Int64(receipt.attempts)),
            "bytesSent": .int(receipt.bytesSent),
            "bytesSkipped": .int(receipt.bytesSkipped),
            "checksum": checksum,
            "destination": JSONValue(receipt.destination?.description),
            "eTag": JSONValue(proof?.eTag),
            "endedAt": .string(UTCTime(millisecondsSince1970: receipt.endedAt).iso8601),
            "endpoint": JSONValue(upload?.upload.store.endpoint),
            "error": receipt.failure.map { ["kind": .string($0.kind), "message": .string($0.message)] } ?? .null,
            "event": "file",
            "id": JSONValue(upload?.id),
            "job": .string(run.jobName),
            "region": JSONValue(upload?.upload.store.region),
            "result": .string(receipt.result.rawValue),
            "run": .int(run.number),
            "size": JSONValue(upload?.size),
            "source": .string(TextSafety.jsonName(receipt.source)),
            "startedAt": JSONValue(receipt.startedAt.map { UTCTime(millisecondsSince1970: $0).iso8601 }),
            "target": JSONValue(hasMoved ? receipt.action?.target.map(TextSafety.jsonName) : nil),
            "versionID": JSONValue(proof?.versionID),
        ]
    }

    /// The columns of a table, in their order; a dot leads into an object.
    static let columns = [
        "run", "job", "result", "source", "destination", "size", "checksum.algorithm", "checksum.type",
        "checksum.value",
        "eTag", "versionID", "endpoint", "region", "startedAt", "endedAt", "attempts", "bytesSent", "bytesSkipped",
        "error.kind", "error.message", "action", "target", "actionError",
    ]

    /// A deleted file has no new path, except a temporary name.
    private var hasMoved: Bool { receipt.action?.name == "move" }

    // MARK: Text

    func text(width: Int) -> String {
        let source = TextSafety.displayName(receipt.source)
        let indent = "       "
        var lines: [String] = []
        switch receipt.result {
        case .archived, .settled:
            let object = receipt.destination.map { TextSafety.displayName($0.description) } ?? "?"
            lines.append("\(indent)\(source) -> \(object)")
            var facts: [String] = []
            if receipt.result == .settled { facts.append("archived earlier") }
            if let size = upload?.size { facts.append(ByteSize.format(size)) }
            if let proof = upload?.proof, let algorithm = proof.checksumAlgorithm, let value = proof.checksumValue {
                facts.append("\(algorithm) \(value)")
            } else if let eTag = upload?.proof.eTag {
                facts.append("ETag \(TextSafety.displayName(eTag))")
            }
            if let action = receipt.action, receipt.actionError == nil {
                facts.append(hasMoved ? "moved to \(TextSafety.displayName(action.target ?? []))" : "deleted")
            }
            lines += Paragraph.lines(of: facts.joined(separator: ", "), width, indent: 11)
            if let error = receipt.actionError {
                lines += Paragraph.lines(of: "not \(hasMoved ? "moved" : "deleted"): it \(error)", width, indent: 11)
            }
        case .failed:
            lines.append("\(indent)\(source): failed")
            lines += Paragraph.lines(of: TextSafety.displayName(receipt.failure?.message ?? ""), width, indent: 11)
        }
        return lines.joined(separator: "\n")
    }
}
