import MuleJSON
import MulePlan
import MuleUpload

/// The counts of a run, for its last line.
struct RunSummary {
    /// Files whose object was sent by this run and confirmed by the store.
    var uploaded = 0
    /// Files that were not sent, because the store already had them.
    var unchanged = 0
    /// Without those that the same command resumes.
    var failed = 0
    /// Uploads that the same command resumes.
    var unfinished = 0
    /// Sizes of the uploaded files.
    var bytes: Int64 = 0
    /// Payload bytes that were sent, including retries.
    var bytesSent: Int64 = 0
    /// Bytes that earlier runs had sent.
    var bytesSkipped: Int64 = 0
    var seconds = 0.0

    var files: Int { uploaded + unchanged + failed + unfinished }

    mutating func add(_ summary: UploadSummary) {
        if summary.wasThere {
            unchanged += 1
        } else {
            uploaded += 1
            bytes += summary.size
            bytesSent += summary.bytesSent
            bytesSkipped += summary.bytesSkipped
        }
    }

    mutating func add(_ failures: FailureTally) {
        failed += failures.count - failures.resumable
        unfinished += failures.resumable
    }

    /// `45 files, 22.8 MiB in 12s (1.9 MiB/s): 44 uploaded, 1 unchanged, 0 failed`
    var text: String {
        var text = "\(Wording.count(files, "file")), \(ByteSize.format(bytes)) in \(DurationText.format(seconds))"
        if seconds > 0.05, bytesSent > 0 { text += " (\(ByteSize.format(Int64(Double(bytesSent) / seconds)))/s)" }
        text += ": \(uploaded) uploaded, \(unchanged) unchanged, \(failed) failed"
        if unfinished > 0 { text += ", \(unfinished) unfinished" }
        return text
    }

    var json: JSONValue {
        .object([
            "bytes": .int(bytes),
            "bytesSent": .int(bytesSent),
            "bytesSkipped": .int(bytesSkipped),
            "event": "summary",
            "failed": .int(Int64(failed)),
            "files": .int(Int64(files)),
            "seconds": .double((seconds * 1000).rounded() / 1000),
            "unchanged": .int(Int64(unchanged)),
            "unfinished": .int(Int64(unfinished)),
            "uploaded": .int(Int64(uploaded)),
        ])
    }
}
