package import MulePlan
package import MuleS3

/// How a run works.
package struct RunSettings: Sendable {
    /// Requests in flight, 1 at least.
    package var concurrency: Int
    /// Whether fewer may be in flight where the link shows that more would not help.
    package var adaptsConcurrency = false
    /// Seconds without progress until the run stops, resumable.
    package var stallLimit: Double
    /// Bytes per second for the whole run; nil for no limit at any time.
    package var rateLimit: RateTimetable?
    package var retry = RetryPolicy()
    /// Seconds between two looks at whether an upload will be done before the store gives it up; the first look needs as
    /// many to be worth something.
    package var paceInterval = 60.0
    package var pageCache = PageCacheUse.keep

    package static let defaultConcurrency = 16
    /// As far as the line may lead where no number was asked for: each costs about a megabyte, and a few open files.
    package static let mostConcurrency = 64
    package static let defaultStallLimit = 900.0

    package init(
        concurrency: Int = defaultConcurrency,
        stallLimit: Double = defaultStallLimit,
        rateLimit: RateTimetable? = nil
    ) {
        self.concurrency = max(1, concurrency)
        self.stallLimit = stallLimit
        self.rateLimit = rateLimit
    }
}
