import MuleArchive
import MuleJSON
import MuleLedger
import MulePlan
import MuleUpload

/// The last line of a job.
struct ArchiveSummary {
    let job: ArchiveJob
    let report: ArchiveReport
    let status: ExitStatus

    func print(to console: Console) {
        console.record(status == .done ? .info : status == .limitReached ? .warning : .error, text)
        if console.isJSON { return console.result(json) }
        if !console.isQuiet { console.result(text) }
    }

    private var seconds: Double { Double(report.endedAt - report.startedAt) / 1000 }

    private var json: String {
        let counts = report.counts
        return JSONValue.object([
            "actionsFailed": .int(Int64(counts.actionsFailed)),
            "acted": .int(Int64(counts.acted)),
            "archived": .int(Int64(counts.archived)),
            "bytes": .int(counts.bytes),
            "bytesSent": .int(counts.bytesSent),
            "bytesSkipped": .int(counts.bytesSkipped),
            "event": .string("jobEnded"),
            "failed": .int(Int64(counts.failed)),
            "found": .int(Int64(counts.found)),
            "job": .string(job.name),
            "quarantined": .int(Int64(counts.quarantined)),
            "run": .int(report.run.run),
            "seconds": .double((seconds * 1000).rounded() / 1000),
            "status": .int(Int64(status.rawValue)),
            "unchanged": .int(Int64(counts.unchanged)),
            "unfinished": .int(Int64(counts.unfinished)),
            "unsettled": .int(Int64(report.unsettled)),
        ]).line
    }

    private var text: String {
        let words = report.counts.words(report.actions, unsettled: report.unsettled, settle: job.settle).joined(
            separator: ", "
        )
        let kept = report.kept.uploads > 0 ? "; \(report.kept.sentence)" : ""
        let end = status == .done ? "" : "; status \(status.rawValue)"
        return "\(job.name): \(words) in \(DurationText.format(seconds))\(kept)\(end)"
    }
}
