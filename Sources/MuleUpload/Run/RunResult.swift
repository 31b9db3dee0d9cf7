/// How a run ended.
package struct RunResult: Sendable {
    package var completed = 0
    package var failures = FailureTally()
    /// What is kept of those that can be resumed.
    package var kept = KeptParts()
    /// Uploads that are registered and were not taken up, since the run was stopped before.
    package var untouched = 0
    /// Whether all that was to be uploaded has been found.
    package var hasFoundAll = true
    /// What ended the search for more, or kept it from its end.
    package var obstacle: UploadFailure?
}

/// Failures of a run that may have had a million of them.
package struct FailureTally: Sendable {
    package private(set) var kinds: Set<UploadFailure.Kind> = []
    package private(set) var count = 0
    /// Those with which the same command goes on where this one stopped, but for what others carry.
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
