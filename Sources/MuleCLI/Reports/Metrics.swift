import MuleLedger

/// The state of a job for Prometheus's textfile collector.
/// https://prometheus.io/docs/instrumenting/exposition_formats/
enum Metrics {
    /// - Parameters:
    ///   - last: the last finished run, if there is one.
    ///   - now: milliseconds since 1970.
    static func text(of job: KnownJob, _ totals: JobTotals, last: RunRecord?, now: Int64) -> String {
        var text = ""
        func add(_ name: String, _ type: String, _ help: String, _ value: String?) {
            // An unknown value has no sample: zero would be a valid time.
            guard let value else { return }
            text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n\(name){job=\"\(escaped(job.name))\"} \(value)\n"
        }
        func seconds(_ milliseconds: Int64) -> String { String(Double(milliseconds) / 1000) }
        add(
            "mule_job_last_success_timestamp_seconds",
            "gauge",
            "When a run of the job last exited with 0.",
            totals.lastSuccess.map(seconds)
        )
        add(
            "mule_job_last_run_timestamp_seconds",
            "gauge",
            "When the last run of the job ended.",
            last?.endedAt.map(seconds)
        )
        add(
            "mule_job_last_status",
            "gauge",
            "Exit status of the last run that ended.",
            last?.status.map { String($0) }
        )
        add(
            "mule_job_duration_seconds",
            "gauge",
            "Duration of the last run that ended.",
            last.flatMap { run in run.endedAt.map { seconds($0 - run.startedAt) } }
        )
        add(
            "mule_job_files_archived_total",
            "counter",
            "Files whose objects the store has confirmed.",
            String(totals.archived)
        )
        add("mule_job_bytes_archived_total", "counter", "Sizes of those files.", String(totals.bytes))
        add(
            "mule_job_failures_total",
            "counter",
            "Files that failed in a run, and archived files that could not be moved or deleted.",
            String(totals.failures)
        )
        add(
            "mule_job_quarantined_files",
            "gauge",
            "Files quarantined after failing too often.",
            String(totals.quarantined)
        )
        add("mule_job_pending_uploads", "gauge", "Unfinished uploads.", String(totals.pending))
        add(
            "mule_job_oldest_pending_seconds",
            "gauge",
            "Age of the oldest of them, 0 if there are none.",
            seconds(totals.oldestPending.map { max(now - $0, 0) } ?? 0)
        )
        add(
            "mule_job_orphan_bytes",
            "gauge",
            "Bytes of parts at the store that no run will complete: mule clean removes them.",
            String(totals.orphanBytes)
        )
        return text
    }

    /// A label's value: escapes only backslash, quote and line feed.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
