/// Delays between attempts: exponential, with full jitter, so that many workers do not retry at the same time.
///
/// The constants are those of AWS's SDK retry standard: 50 ms for ordinary failures, 1 s when throttled, 20 s at most.
package struct RetryPolicy: Hashable, Sendable {
    package var base = 0.05
    package var throttledBase = 1.0
    package var cap = 20.0
    /// Maximum attempts when the store says the bytes are damaged: after three, the cause is not the network.
    package var damagedTries = 3
    /// Maximum attempts when the server answers with success but without a valid body.
    package var unreadableTries = 5
    /// Maximum retries of a request because of renewed credentials.
    package var renewals = 2
    /// Seconds for which a CompleteMultipartUpload without an answer may still run at the store, in any case.
    package var completionBase = 5.0
    /// Bytes per second at which the slowest stores assemble an object from its parts.
    package var assemblyRate = 20e6
    /// The maximum for any size, in seconds.
    package var completionCap = 300.0

    package init() {}

    /// Seconds for which a CompleteMultipartUpload without an answer may still run at the store.
    package func completionTime(size: Int64) -> Double {
        min(completionCap, completionBase + Double(size) / assemblyRate)
    }

    /// Seconds before the next attempt.
    ///
    /// - Parameters:
    ///   - failures: how often the request has failed in a row, at least 1.
    ///   - retryAfter: what the store asked for, in seconds: the minimum delay, capped at one minute.
    ///   - random: a number in 0..<1.
    package func delay(for kind: RetryClass, failures: Int, retryAfter: Double?, random: Double) -> Double {
        let base = kind == .throttled ? throttledBase : base
        let ceiling = min(cap, base * Double(1 << min(max(failures, 1) - 1, 30)))
        let jittered = ceiling * random
        guard let retryAfter, retryAfter > 0 else { return jittered }
        return min(retryAfter, 60) + min(jittered, 5)
    }
}
