import MuleJSON
import MuleLedger
import MulePlan
import MuleS3
import MuleUpload

/// A line of a receipt, or of `mule report --json`, as `RunView` and `FileView` write it.
enum ReceiptLine {
    /// A file that was archived in the run.
    case archived(ArchivedFile)
    /// The run itself, with the number of its file lines; nil if missing, as in a report.
    case run(files: Int64?)
    /// A file that this receipt does not prove, or a file that needs attention.
    case other

    struct ArchivedFile {
        var object: ReceiptEntry
        /// Where it was archived; nil if the ledger no longer knew it.
        var endpoint: String?
        var region: String?
    }

    /// Why a line is not a receipt record, as text.
    struct Problem: Error, Equatable {
        var reason: String
    }

    init(_ bytes: [UInt8]) throws(Problem) {
        guard bytes.count <= ExportFormat.longestLine else {
            throw Problem(reason: "it is longer than \(ExportFormat.longestLine) bytes")
        }
        let value: JSONValue
        do {
            value = try JSONReader.read(bytes)
        } catch {
            throw Problem(reason: "column \(error.column): \(error.reason)")
        }
        guard case .object(let members) = value, case .string(let event)? = members["event"] else {
            throw Problem(reason: "it is not a receipt record: it has no \"event\"")
        }
        switch event {
        case "run": self = .run(files: try Self.count("files", members))
        case "attention": self = .other
        case "file":
            let result = try Self.text("result", members)
            guard let result = result.flatMap(Receipt.Result.init(rawValue:)) else {
                throw Problem(reason: "\"result\" has an unknown value")
            }
            self = result == .archived ? .archived(try Self.archived(members)) : .other
        default: throw Problem(reason: "it is not a receipt record: its \"event\" is \"\(event)\"")
        }
    }

    private static func archived(_ members: [String: JSONValue]) throws(Problem) -> ArchivedFile {
        guard let source = try text("source", members) else { throw Problem(reason: "\"source\" is missing") }
        guard let named = try text("destination", members),
            case .object(let address)? = try? Destination(parsing: Array(named.utf8), exactKey: true)
        else { throw Problem(reason: "\"destination\" is not an object (bucket/key)") }
        var proof = ObjectProof(eTag: try text("eTag", members), versionID: try text("versionID", members))
        switch members["checksum"] {
        case .null, nil: break
        case .object(let checksum):
            proof.checksumAlgorithm = try text("algorithm", checksum)
            proof.checksumType = try text("type", checksum)
            proof.checksumValue = try text("value", checksum)
        default: throw Problem(reason: "\"checksum\" is not a JSON object")
        }
        let file = ArchivedFile(
            object: ReceiptEntry(
                id: try text("id", members),
                source: Array(source.utf8),
                address: address,
                size: try count("size", members),
                proof: proof
            ),
            endpoint: try text("endpoint", members),
            region: try text("region", members)
        )
        if let region = file.region, !Endpoint.isRegionName(region) {
            throw Problem(reason: "\"region\" is not a valid region name")
        }
        if let endpoint = file.endpoint, (try? Endpoint(url: endpoint, region: "us-east-1")) == nil {
            throw Problem(reason: "\"endpoint\" is not a server address")
        }
        return file
    }

    /// Nil for null and for a missing member.
    private static func text(_ name: String, _ members: [String: JSONValue]) throws(Problem) -> String? {
        switch members[name] {
        case .null, nil: return nil
        case .string(let text): return text
        default: throw Problem(reason: "\"\(name)\" is not a string")
        }
    }

    private static func count(_ name: String, _ members: [String: JSONValue]) throws(Problem) -> Int64? {
        switch members[name] {
        case .null, nil: return nil
        case .int(let count) where count >= 0: return count
        default: throw Problem(reason: "\"\(name)\" is not a number of \(name == "size" ? "bytes" : name)")
        }
    }

    /// Whether it is a run's line, without parsing it: quotation marks inside a text have a backslash.
    static func isRun(_ bytes: [UInt8]) -> Bool { bytes.contains(Array(#""event":"run""#.utf8)) }
}
