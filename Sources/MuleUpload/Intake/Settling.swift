import MulePlan
package import MuleSystem

/// Leaving files alone that are still being written: the object of a file that another program was half-way through would
/// be a true copy of half a file.
package enum Settling {
    /// Waits until the files have been left alone for a time, at most that time in all.
    ///
    /// - Parameters:
    ///   - seconds: since the last modification.
    ///   - now: milliseconds since 1970.
    ///   - willWait: told once, with the seconds, when there is something to wait for.
    /// - Returns: the failures of the files that changed meanwhile, by their place in the list. What is wrong with a file in
    ///   other ways is left to those who open it.
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
            // A time in the future says nothing of how long ago it was.
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
