import MuleJSON
import MuleLedger
import MulePlan

/// A file that needs attention.
struct AttentionView {
    enum Kind: String {
        /// Failed too often; not retried until the file changes.
        case quarantined
        /// Failed in its last run, and is retried.
        case failing
        /// Archived, but not moved or deleted.
        case actionFailed
        /// Started long ago.
        case pending
    }

    let job: KnownJob
    let item: JobItem

    /// Milliseconds after which an upload should be complete.
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

    /// What is wrong, with the last error.
    var summary: String {
        let what =
            switch kind {
            case .quarantined: "quarantined after \(Wording.count(item.failures, "failure")), until the file changes"
            case .failing: "failed; the next run retries"
            case .actionFailed: "archived, but not moved or deleted; the next run retries"
            case .pending: "unfinished since \(LocalTime.text(milliseconds: item.upload?.createdAt ?? 0))"
            }
        return item.lastError.map { what + ". " + TextSafety.displayName($0.message) } ?? what
    }

    func text(width: Int) -> String {
        let head = "  \(TextSafety.displayName(job.name)): \(TextSafety.displayName(item.source))"
        return ([head] + Paragraph.lines(of: summary, width, indent: 6)).joined(separator: "\n")
    }
}
