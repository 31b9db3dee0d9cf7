import MulePlan
package import MuleSystem

/// Skips files that are still being written: the upload of a half-written file would be a true copy of half a file.
package enum Settling {
    /// Waits until the files have not changed for a time, but no longer than that time in total.
    ///
    /// - Parameters:
    ///   - seconds: required seconds since the last modification.
    ///   - now: milliseconds since 1970.
    ///   - willWait: called once with the seconds to wait, if any.
    /// - Returns: the failures of files that changed during the wait, by index. Other problems are reported when the
    ///   files are opened.
    package static func wait(
        for paths: [[UInt8]],
        seconds: Double,
        cancellation: Cancellation,
        now: @Sendable () -> Int64 = wallClockMilliseconds,
        willWait: (Double) -> Void
    ) -> [Int: UploadFailure] {
        var young: [(index: Int, seen: SourceIdentity)] = []
        var longest = 0.0
        for (index, path) in paths.enumerated() {
            guard let status = try? FileStatus.of(path: path) else { continue }
            let age = Double(now() - status.modificationTime / 1_000_000) / 1000
            // A time in the future does not tell the age.
            let left = age < 0 ? seconds : seconds - age
            guard left > 0 else { continue }
            young.append((index, SourceIdentity(path: path, status)))
            longest = max(longest, left)
        }
        guard !young.isEmpty else { return [:] }
        willWait(longest)
        sleep(until: Moment.now().adding(seconds: longest), cancellation)
        if cancellation.isCancelled { return [:] }
        var failures: [Int: UploadFailure] = [:]
        for (index, seen) in young {
            guard let status = try? FileStatus.of(path: seen.path),
                SourceIdentity(path: seen.path, status).changes(since: seen).isEmpty
            else {
                failures[index] = UploadFailure(
                    .source,
                    "\(LossyUTF8.string(seen.path)) is still being written: it changed within "
                        + "\(DurationText.format(seconds)) (--settle). Run the same command again when it is finished.",
                    isResumable: true
                )
                continue
            }
        }
        return failures
    }
}
