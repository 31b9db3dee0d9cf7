/// How many requests may be in flight at once, found by trying: more of them for a moment, and kept if more came through.
///
/// It has no clock and no thread of its own: whoever drives it says what happened and when. Times are seconds from any
/// fixed moment and never go back.
package struct ConcurrencyControl: Sendable {
    /// Requests that may be in flight, from 1 to the ceiling.
    package private(set) var limit: Int

    private let ceiling: Int
    private var trial: Trial?
    private var window = Window()
    /// What came through in each second with the limit as it stands, when nothing is tried.
    private var rate: Double?
    /// Nothing is counted before this, since what is new is not in full swing yet.
    private var settledAt = 0.0
    private var nextTrialAt = 0.0
    private var pause = Self.shortestPause
    /// Whether every trial so far has paid: then the next doubles, and follows at once.
    private var isClimbing = true
    private var hasThrottled = false
    private var lastThrottleAt = -Double.infinity
    /// Seconds that the last body took.
    private var bodySeconds = 0.0
    private var breaks = 0
    private var breaksSince = 0.0

    /// More requests than before, on probation.
    private struct Trial {
        var before: Int
        var rateBefore: Double
        /// What the last window showed, and how many there were.
        var seen = 0.0
        var windows = 0
    }

    /// What came through while the limit stood still.
    private struct Window {
        var began: Double?
        var bytes: Int64 = 0
        var bodies = 0
        /// Whether there was less to do than might have been done.
        var isIdle = false
    }

    package static let start = 8
    /// Fewer are left on the slowest link, so that one stuck request does not hold up all.
    private static let fewest = 2
    /// A window ends when it shows enough, or has lasted long enough.
    private static let shortestWindow = 0.2
    private static let longestWindow = 4.0
    private static let windowBytes: Int64 = 4 << 20
    private static let windowBodies = 64
    /// What one request costs beside its bytes, as bytes: where bodies are small, their number is what counts.
    private static let bodyWeight: Int64 = 64 << 10
    /// Seconds until new requests are in full swing: handshakes, and windows that open from nothing.
    private static let settling = 0.2
    /// The part of the gain hoped for that makes a trial worth it. With half as many again, a tenth.
    private static let worth = 0.2
    /// New requests that still gain from window to window are given more of these: on a long line it takes round trips.
    private static let growth = 1.05
    private static let mostWindows = 12
    /// A line that carries so much more by itself has room for more at once.
    private static let relief = 1.3
    private static let shortestPause = 4.0
    private static let longestPause = 60.0
    private static let throttlePause = 10.0
    /// Seconds that a body may take. What is in flight is lost with the connection, so that on a slow link fewer bodies at
    /// a time cost nothing and lose less.
    private static let quickBody = 10.0
    private static let slowBody = 20.0
    /// Seconds in which broken connections count together.
    private static let breakSpan = 5.0

    /// - Parameter ceiling: 1 at least.
    package init(ceiling: Int) {
        self.ceiling = max(1, ceiling)
        limit = min(Self.start, self.ceiling)
    }

    // MARK: What happens

    /// The other side has that many bytes more.
    package mutating func delivered(_ bytes: Int64, at now: Double) {
        guard now >= settledAt else { return }
        window.bytes += bytes
        look(at: now)
    }

    /// A body is at the store.
    ///
    /// - Parameter seconds: from its first byte to the answer.
    package mutating func bodyDone(in seconds: Double, at now: Double) {
        bodySeconds = seconds
        if seconds > Self.slowBody {
            settle(on: max(limit - 1, min(Self.fewest, ceiling)), at: now, pause: Self.longestPause)
        }
        guard now >= settledAt else { return }
        window.bodies += 1
        look(at: now)
    }

    /// There was nothing to do for one that might have been in flight.
    package mutating func starved() {
        window.isIdle = true
    }

    /// The store asked for less.
    ///
    /// - Parameter inFlight: requests at that moment, this one among them.
    package mutating func throttled(inFlight: Int, at now: Double) {
        // All that were in flight together are refused together, and mean the same.
        guard now - lastThrottleAt >= 1 || inFlight < limit else { return }
        lastThrottleAt = now
        hasThrottled = true
        settle(on: max(1, min(limit, max(inFlight, 1)) / 2), at: now, pause: max(pause, Self.throttlePause))
    }

    /// A connection broke. Many at a time mean that something on the way is full.
    package mutating func broken(at now: Double) {
        if now - breaksSince > Self.breakSpan {
            breaksSince = now
            breaks = 0
        }
        breaks += 1
        guard breaks >= max(3, limit / 3) else { return }
        breaks = 0
        settle(on: max(1, limit * 3 / 4), at: now, pause: Self.throttlePause)
    }

    // MARK: Judging

    private mutating func look(at now: Double) {
        guard let began = window.began else {
            window.began = now
            return
        }
        let elapsed = now - began
        let isTelling = window.bytes >= Self.windowBytes || window.bodies >= Self.windowBodies
        guard elapsed >= Self.shortestWindow, isTelling || elapsed >= Self.longestWindow else { return }
        let seen = Double(window.bytes + Int64(window.bodies) * Self.bodyWeight) / elapsed
        let isIdle = window.isIdle
        window = Window()
        // Where there was not enough to do, nothing is learned.
        if !isIdle { judge(seen, at: now) }
    }

    private mutating func judge(_ seen: Double, at now: Double) {
        if var trial {
            let hoped = Double(limit) / Double(trial.before) - 1
            let gained = seen / max(trial.rateBefore, 1) - 1
            guard gained >= Self.worth * hoped else {
                let grows = seen > trial.seen * Self.growth && trial.windows < Self.mostWindows
                trial.seen = seen
                trial.windows += 1
                self.trial = trial
                if grows { return }
                isClimbing = false
                settle(on: trial.before, at: now, pause: min(pause * 2, Self.longestPause))
                rate = trial.rateBefore
                return
            }
            self.trial = nil
            pause = Self.shortestPause
            nextTrialAt = now
            rate = seen
        } else if let rate, seen > rate * Self.relief {
            self.rate = seen
            nextTrialAt = now
        } else {
            // Lines change: what was seen lately counts most.
            rate = rate.map { $0 * 0.6 + seen * 0.4 } ?? seen
        }
        guard let rate, now >= nextTrialAt, limit < ceiling, bodySeconds <= Self.quickBody else { return }
        trial = Trial(before: limit, rateBefore: rate)
        let step = hasThrottled ? max(1, limit / 8) : isClimbing ? limit : max(1, limit / 2)
        limit = min(limit + step, ceiling)
        settledAt = now + Self.settling
    }

    /// Stays on a limit for a while.
    private mutating func settle(on newLimit: Int, at now: Double, pause: Double) {
        limit = newLimit
        trial = nil
        rate = nil
        window = Window()
        isClimbing = false
        self.pause = pause
        settledAt = now + Self.settling
        nextTrialAt = now + pause
    }
}
