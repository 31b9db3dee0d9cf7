import MuleJSON
import MuleLedger
import MulePlan

/// A file that needs somebody.
struct TroubleView {
    enum Kind: String {
        /// Failed so often that it is left alone.
        case quarantined
        /// Failed in the last run that tried, and is tried again.
        case failing
        /// Archived, and stays where it is.
        case actionFailed
        /// Begun long ago.
        case pending
    }

    let job: KnownJob
    let item: JobItem

    /// Milliseconds after which what is begun should be done.
    static let patience: Int64 = 86_400_000

    var kind: Kind {
        if item.state == .acting { return .actionFailed }
        if item.failures >= job.quarantineAfter { return .quarantined }
        return item.lastError == nil ? .pending : .failing
    }

    var members: [String: JSONValue] {
        [
            "attempts": .int(Int64(item.attempts)),
            "error": item.lastError.map { ["kind": .string($0.kind), "message": .string($0.message)] } ?? .null,
            "event": "attention",
            "failures": .int(Int64(item.failures)),
            "job": .string(job.name),
            "kind": .string(kind.rawValue),
            "since": JSONValue(item.upload.map { UTCTime(millisecondsSince1970: $0.createdAt).iso8601 }),
            "source": .string(TextSafety.jsonName(item.source)),
        ]
    }

    func text(width: Int) -> String {
        let what =
            switch kind {
            case .quarantined: "left alone after \(item.failures) \(item.failures == 1 ? "failure" : "failures")"
            case .failing: "failed; the next run tries again"
            case .actionFailed: "archived, and still there; the next run tries again"
            case .pending: "begun \(UTCTime(millisecondsSince1970: item.upload?.createdAt ?? 0).iso8601) and not done"
            }
        let head = "  \(TextSafety.displayName(job.name)): \(TextSafety.displayName(item.source))"
        let about = item.lastError.map { what + ". " + TextSafety.displayName($0.message) } ?? what
        return ([head] + Paragraph.lines(of: about, width, indent: 6)).joined(separator: "\n")
    }
}
