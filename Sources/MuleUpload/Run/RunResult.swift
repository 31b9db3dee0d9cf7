/// The result of a run.
package struct RunResult: Sendable {
    package var completed = 0
    package var failures = FailureTally()
    /// What the store has of uploads that can be resumed.
    package var kept = KeptParts()
    /// Registered uploads that did not start because the run was stopped.
    package var untouched = 0
    /// Whether the search for uploads finished.
    package var hasFoundAll = true
    /// What stopped the search.
    package var obstacle: UploadFailure?
}

/// Failures of a run, as counts, because there may be a million.
package struct FailureTally: Sendable {
    package private(set) var kinds: Set<UploadFailure.Kind> = []
    package private(set) var count = 0
    /// Failures that the same command resumes from, not counting uploads held by other processes.
    package private(set) var resumable = 0

    package init(_ failures: [UploadFailure] = []) {
        for failure in failures { add(failure) }
    }

    package mutating func add(_ failure: UploadFailure) {
        kinds.insert(failure.kind)
        count += 1
        if failure.isResumable && failure.kind != .held { resumable += 1 }
    }
}
