import MuleArchive
import MuleJSON
import MuleLedger
import MulePlan
import MuleUpload

/// A run of a job as reports, receipts and hooks show it.
struct RunView {
    enum State: String {
        case ended, running
        /// It has no end, and no process runs the job.
        case killed
    }

    let record: RunRecord
    let state: State
    /// For a run without an end, the sums from its receipts.
    let counts: RunCounts

    init(_ record: RunRecord, _ ledger: Ledger, isHeldHere: Bool = false) throws(LedgerError) {
        self.record = record
        guard record.endedAt == nil else {
            state = .ended
            counts = record.counts
            return
        }
        // Only the last run of a job can still be running.
        let isLast = try ledger.isLastRun(record)
        state = isLast && !isHeldHere && ledger.isRunning(job: record.job) ? .running : .killed
        counts = try ledger.countsByReceipts(of: record.number)
    }

    var status: ExitStatus? { record.status.flatMap { ExitStatus(rawValue: Int32($0)) } }

    /// The result as one word.
    var word: String { state == .ended ? status?.word ?? "?" : state.rawValue }

    /// Nil if the duration is unknown.
    var seconds: Double? { record.endedAt.map { Double($0 - record.startedAt) / 1000 } }

    // MARK: JSON

    /// Counts that are only known at the end of a run are null if it did not end.
    var members: [String: JSONValue] {
        func whole(_ count: Int) -> JSONValue { state == .ended ? .int(Int64(count)) : .null }
        return [
            "acted": .int(Int64(counts.acted)),
            "actionsFailed": .int(Int64(counts.actionsFailed)),
            "archived": .int(Int64(counts.archived)),
            "begunAt": .string(UTCTime(millisecondsSince1970: record.startedAt).iso8601),
            "bytes": .int(counts.bytes),
            "bytesSent": .int(counts.bytesSent),
            "bytesSkipped": .int(counts.bytesSkipped),
            "endedAt": JSONValue(record.endedAt.map { UTCTime(millisecondsSince1970: $0).iso8601 }),
            "error": JSONValue(record.error),
            "event": "run",
            "failed": .int(Int64(counts.failed)),
            "found": whole(counts.found),
            "job": .string(record.jobName),
            "meaning": JSONValue(status?.meaning),
            "quarantined": whole(counts.quarantined),
            "run": .int(record.number),
            "seconds": seconds.map { .double($0) } ?? .null,
            "state": .string(state.rawValue),
            "status": JSONValue(record.status.map(Int64.init)),
            "unchanged": whole(counts.unchanged),
            "unfinished": whole(counts.unfinished),
        ]
    }

    /// The columns of a table, in their order.
    static let columns = [
        "run", "job", "state", "status", "meaning", "begunAt", "endedAt", "seconds", "found", "archived", "bytes",
        "bytesSent", "bytesSkipped", "unchanged", "failed", "quarantined", "unfinished", "acted", "actionsFailed",
        "error",
    ]

    // MARK: Text

    /// The headings of the first line of `text`.
    static var heading: String {
        "\("RUN".right(5))  \("STARTED".left(19))  \("TOOK".right(7))  \("STATUS".left(15))  JOB"
    }

    /// Two lines, or more if they would exceed `width` columns.
    func text(width: Int) -> String {
        let status = record.status.map { String($0) } ?? ""
        let head =
            "\(String(record.number).right(5))  \(LocalTime.plain(milliseconds: record.startedAt))  "
            + "\((seconds.map(DurationText.format) ?? "").right(7))  \(status.right(3)) \(word.left(11))  "
        let job = TextSafety.displayName(record.jobName)
        let room = max(width - DisplayWidth.of(head), 20)
        var lines = [head + DisplayWidth.shorten(job, to: room)]
        lines += Paragraph.lines(of: counts.words().joined(separator: ", "), width, indent: 7)
        if let error = record.error { lines += Paragraph.lines(of: TextSafety.displayName(error), width, indent: 7) }
        return lines.joined(separator: "\n")
    }
}

extension RunCounts {
    /// As text: first what was archived, then everything else.
    ///
    /// - Parameters:
    ///   - actions: what was done with files afterwards, if known in more detail than in the ledger.
    ///   - unsettled: files that changed within the settle time.
    ///   - settle: the job's settle time in seconds.
    func words(_ actions: ActionCounts? = nil, unsettled: Int = 0, settle: Double? = nil) -> [String] {
        var parts = ["\(Wording.count(archived, "file")) archived (\(ByteSize.format(bytes)))"]
        func add(_ count: Int, _ words: String) { if count > 0 { parts.append("\(count) \(words)") } }
        if let actions {
            add(actions.moved, "moved")
            add(actions.deleted, "deleted")
        } else {
            add(acted, "moved or deleted")
        }
        add(unchanged, "unchanged")
        add(unsettled, Wording.unsettled(settle))
        add(failed, "failed")
        if let actions {
            add(actions.notMoved, "not moved")
            add(actions.notDeleted, "not deleted")
        } else {
            add(actionsFailed, "not moved or deleted")
        }
        add(quarantined, "quarantined")
        add(unfinished, "unfinished")
        return parts
    }
}

extension ExitStatus {
    /// The status as one word, for tables.
    var word: String {
        switch self {
        case .done: "done"
        case .failed: "failed"
        case .usage: "usage"
        case .source: "source"
        case .refused: "refused"
        case .credentials: "credentials"
        case .unverified: "unverified"
        case .destinationExists: "exists"
        case .limitReached: "limit"
        case .locked: "locked"
        case .ledger: "ledger"
        case .temporary: "network"
        case .hangup, .interrupted, .terminated: "interrupted"
        }
    }
}

/// Wraps text.
enum Paragraph {
    /// Breaks at spaces, with a left margin. A word wider than a line gets its own line.
    static func lines(of text: String, _ width: Int, indent: Int) -> [String] {
        let margin = String(repeating: " ", count: indent)
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, DisplayWidth.of(last) + 1 + DisplayWidth.of(String(word)) <= width {
                lines[lines.count - 1] = last + " " + word
            } else {
                lines.append(margin + word)
            }
        }
        return lines
    }
}

extension String {
    fileprivate func left(_ width: Int) -> String { self + spaces(width) }
    fileprivate func right(_ width: Int) -> String { spaces(width) + self }
    private func spaces(_ width: Int) -> String { String(repeating: " ", count: max(0, width - utf8.count)) }
}
