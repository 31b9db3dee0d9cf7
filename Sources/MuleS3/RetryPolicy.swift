/// How long to wait before another try: exponential, with full jitter, so that many workers don't come back at once.
///
/// The constants are those of AWS's SDK retry standard: 50 ms for ordinary failures, 1 s when throttled, 20 s at most.
package struct RetryPolicy: Hashable, Sendable {
    package var base = 0.05
    package var throttledBase = 1.0
    package var cap = 20.0
    /// Tries of one request whose bytes the store calls damaged: the third such answer is no accident on the line.
    package var damagedTries = 3
    /// Tries of one request that the server answers with success and a body that says nothing.
    package var unreadableTries = 5
    /// Times that one request is sent again because new credentials have been got for it.
    package var renewals = 2

    package init() {}

    /// Seconds before the next try.
    ///
    /// - Parameters:
    ///   - failures: how often the request has failed in a row, 1 at least.
    ///   - retryAfter: what the store asked for; never waited less, nor more than a minute for one answer.
    ///   - random: a number in 0..<1.
    package func delay(for kind: RetryClass, failures: Int, retryAfter: Double?, random: Double) -> Double {
        let base = kind == .throttled ? throttledBase : base
        let ceiling = min(cap, base * Double(1 << min(max(failures, 1) - 1, 30)))
        let jittered = ceiling * random
        guard let retryAfter, retryAfter > 0 else { return jittered }
        return min(retryAfter, 60) + min(jittered, 5)
    }
}
