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

    package init() {}

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
