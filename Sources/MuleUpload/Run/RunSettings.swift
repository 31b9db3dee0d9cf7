package import MulePlan
package import MuleS3

/// Settings of a run.
package struct RunSettings: Sendable {
    /// Maximum requests in flight, at least 1.
    package var concurrency: Int
    /// Whether to use fewer requests if the link shows that more would not help.
    package var adaptsConcurrency = false
    /// Maximum requests in flight while small files are sent, if `adaptsConcurrency`; they may be more than other requests.
    package var smallFiles = mostSmallFiles
    /// Seconds without progress after which the run stops, resumable.
    package var stallLimit: Double
    /// Bytes per second for the whole run; nil for no limit.
    package var rateLimit: RateTimetable?
    package var retry = RetryPolicy()
    /// Seconds between two checks of whether an upload will finish before the store aborts it. The first check waits as
    /// long, to have a meaningful rate.
    package var paceInterval = 60.0
    package var pageCache = PageCacheUse.keep
    /// The smallest upload for which a store is asked whether it compares signed bodies with their hash. The MD5 of less
    /// costs less than the four requests.
    package var leastSizeToAsk: Int64 = 64 << 20
    /// Whether an object without a given type gets that of its extension.
    package var guessesContentType = false
    /// Whether the ledger is probably closed right after the run, without further writes.
    package var closesLedger = false

    package static let defaultConcurrency = 16
    /// The upper limit if the user set no number: each request costs about a megabyte and a few open files.
    package static let mostConcurrency = 64
    /// The upper limit for small files if the user set no number.
    package static let mostSmallFiles = 256
    /// Files of fewer bytes are small: they fit into a worker's buffer.
    package static let smallFileSize = StragglerWatch.leastLength
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
