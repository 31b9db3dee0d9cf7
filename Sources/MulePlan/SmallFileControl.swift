/// Finds how many small files may be in flight at a time, by how long the store takes to answer.
///
/// A small file costs one round trip and few bytes. Over a distance the line is idle while all of them wait for their
/// answers, so more at a time are faster until their answers take longer: then something on the way is full. Near a
/// store, where an answer takes a few milliseconds, `ConcurrencyControl` alone has enough requests, and this adds none.
///
/// Trials of a rate, as in `ConcurrencyControl`, take seconds; thousands of small files take no longer than that. The
/// time to answer tells the same after one round trip.
///
/// It has no clock and no thread; the caller reports events and their time. Times are seconds from any fixed moment and
/// never go back.
package struct SmallFileControl: Sendable {
    /// Small files that may be in flight, including those that other limits allow; 0 if only other limits count.
    package private(set) var limit: Int
    /// Bytes of small files that may be in flight.
    package private(set) var budget = Self.firstBudget
    /// Whether the limit may rise; to be set before answers are reported.
    package var isOpen = true
    /// Small files that are known and wait; to be set before events are reported.
    package var waiting = 0
    /// Whether connections have a TLS handshake; to be set before answers are reported.
    package var isEncrypted = true

    private let ceiling: Int
    private var firstAt: Double?
    private var hasAnswer = false
    /// Whether something failed before the first answer.
    private var hasFailed = false
    /// Answers to requests that were sent before this time belong to an earlier limit.
    private var changedAt = -Double.infinity
    private var mayRiseAt = -Double.infinity
    /// Seconds to answer, of requests with the current limit.
    private var answers: [Double] = []
    /// How long the store takes to answer when nothing on the way is full.
    private var quick = Double.infinity
    /// The quickest answer: on a busy machine most answers of a near store are read late, but not all.
    private var quickest = Double.infinity
    private var slowLooks = 0
    /// The last step back, until its effect is known.
    private var stepBack: (limit: Int, answer: Double)?
    private var pauseAfterStepBack = Self.pause
    private var pauseAfterThrottle = Self.throttlePause
    private var hasThrottled = false
    private var hasCrowded = false
    /// Whether the store was overloaded before: then the next steps are small.
    private var isCareful: Bool { hasThrottled || hasCrowded }
    private var lastThrottleAt = -Double.infinity
    private var breaks = 0
    private var breaksSince = -Double.infinity
    /// Bytes answered since that time, and the rate before it.
    private var slot: (since: Double, bytes: Int64) = (0, 0)
    private var rate = 0.0

    package static let start = ConcurrencyControl.start
    /// While nothing is answered, the limit rises after this many seconds, by one in each step, up to a maximum: the
    /// store is far away, or slow, and both need more than the start. A store on the local network has answered before.
    private static let patience = 0.025
    private static let step = 0.0003
    private static let mostUnanswered = 96
    /// Seconds that a further connection costs at both ends: its thread and its set-up, with a TLS handshake and without.
    /// It must save more, and how much it saves depends on how many files are left.
    private var connectionSeconds: Double { isEncrypted ? 0.004 : 0.002 }
    /// Answers for a decision, and their numbers in order that count as quick and as usual.
    private static let window = 16
    private static let quarter = 3
    private static let median = 7
    /// Seconds to answer below which a store is near.
    private static let near = 0.005
    /// The limit doubles while the usual answer takes at most this many times as long as a quick one.
    private static let undisturbed = 2.0
    /// It goes back if quick answers take this many times as long, in so many windows.
    private static let slow = 4.0
    private static let enoughSlowLooks = 2
    /// If more than this share of the time to answer remains after a step back, the store itself is slow.
    private static let noQuicker = 0.9
    /// Bytes that may be in flight before a rate is known, and seconds of the rate after that. A stop loses what is in
    /// flight, so it is far less than the ten seconds of `SendingOrder`.
    private static let firstBudget: Int64 = 1 << 20
    private static let leastBudget: Int64 = 256 << 10
    private static let budgetSeconds = 2.5
    private static let slotSeconds = 1.0
    private static let shortestSlot = 0.25
    /// Seconds until the limit may rise again.
    private static let pause = 4.0
    private static let throttlePause = 10.0
    private static let longestPause = 60.0
    /// Seconds in which broken connections count together.
    private static let breakSpan = 5.0

    /// - Parameter ceiling: the maximum of small files in flight.
    package init(ceiling: Int) {
        self.ceiling = max(0, ceiling)
        limit = min(Self.start, self.ceiling)
    }

    // MARK: What happens

    /// A small file is on its way.
    package mutating func started(at now: Double) {
        guard firstAt == nil else { return }
        firstAt = now
        slot.since = now
    }

    /// When the limit rises next if nothing is answered until then; nil if it does not.
    package var risesAt: Double? {
        guard let firstAt, !hasAnswer, !hasFailed, limit < min(Self.mostUnanswered, ceiling) else { return nil }
        // A round trip takes at least as long as nothing has been answered.
        let next = Double(limit + 1)
        let paysAfter = next * next * connectionSeconds / Double(max(waiting, 0) + limit + 1)
        return firstAt + max(Self.patience + Double(limit - Self.start + 1) * Self.step, paysAfter)
    }

    /// Raises the limit if it is time.
    package mutating func pass(_ now: Double) {
        while let risesAt, risesAt <= now { limit += 1 }
    }

    /// The store has answered a small file.
    ///
    /// - Parameters:
    ///   - seconds: from the request's first byte to the answer's, on a connection that was ready.
    ///   - inFlight: small files in flight, including this one.
    package mutating func answered(_ bytes: Int64, after seconds: Double, inFlight: Int, at now: Double) {
        hasAnswer = true
        note(bytes, at: now)
        quickest = min(quickest, seconds)
        guard now - seconds >= changedAt else { return }
        answers.append(seconds)
        guard answers.count >= Self.window else { return }
        answers.sort()
        let (quarter, median) = (answers[Self.quarter], answers[Self.median])
        answers.removeAll(keepingCapacity: true)
        judge(quarter, median, inFlight: inFlight, at: now)
    }

    /// The store asked for fewer requests.
    ///
    /// - Parameter inFlight: small files at that moment, including this one.
    package mutating func throttled(inFlight: Int, at now: Double) {
        hasFailed = true
        // Requests that were in flight together are refused together; they count once.
        guard now - lastThrottleAt >= 1 else { return }
        lastThrottleAt = now
        hasThrottled = true
        move(to: min(limit, inFlight) / 2, at: now, pause: pauseAfterThrottle)
        pauseAfterThrottle = min(2 * pauseAfterThrottle, Self.longestPause)
    }

    /// A connection broke or was refused. Many at a time mean that something on the way is overloaded.
    package mutating func broken(at now: Double) {
        hasFailed = true
        guard hasAnswer else {
            // Nothing shows yet that the store can be reached.
            limit = min(limit, Self.start)
            return
        }
        if now - breaksSince > Self.breakSpan {
            breaksSince = now
            breaks = 0
        }
        breaks += 1
        guard breaks >= max(3, limit / 3) else { return }
        breaks = 0
        move(to: limit * 3 / 4, at: now, pause: Self.throttlePause)
    }

    // MARK: Judging

    private mutating func note(_ bytes: Int64, at now: Double) {
        slot.bytes += bytes
        let elapsed = now - slot.since
        let seen = max(rate, Double(slot.bytes) / max(elapsed, Self.shortestSlot))
        budget = max(Self.leastBudget, Int64(min(seen * Self.budgetSeconds, 1e15)))
        guard elapsed >= Self.slotSeconds else { return }
        rate = Double(slot.bytes) / elapsed
        slot = (now, 0)
    }

    private mutating func judge(_ quarter: Double, _ median: Double, inFlight: Int, at now: Double) {
        if let before = stepBack {
            stepBack = nil
            if quarter > before.answer * Self.noQuicker {
                // The store itself is slow.
                quick = quarter
                hasCrowded = false
                limit = before.limit
                changedAt = now
                return
            }
        }
        quick = min(quick, quarter)
        guard quickest >= Self.near else {
            limit = 0
            return
        }
        if quarter > quick * Self.slow { return goBack(quarter, inFlight: inFlight, at: now) }
        slowLooks = 0
        guard isOpen, now >= mayRiseAt, median <= quick * Self.undisturbed, median <= Self.budgetSeconds,
            inFlight >= limit / 2
        else { return }
        let present = max(limit, min(inFlight, ceiling))
        let more = present + (isCareful ? max(1, present / 8) : present)
        let raised = min(more, worth(inFlight), ceiling)
        guard raised > limit else { return }
        limit = raised
        changedAt = now
    }

    /// As many connections as are worth their cost: one more of `n` saves the time of a round trip, for each file that
    /// is left, divided by `n` squared.
    private func worth(_ inFlight: Int) -> Int {
        Int((Double(max(waiting, 0) + inFlight) * quick / connectionSeconds).squareRoot())
    }

    private mutating func goBack(_ quarter: Double, inFlight: Int, at now: Double) {
        slowLooks += 1
        guard slowLooks >= Self.enoughSlowLooks, limit > 0 else { return }
        let before = limit
        // As many as fit into twice the time of a quick answer.
        let fitting = Int(Double(min(limit, inFlight)) * 2 * quick / quarter)
        move(to: max(fitting, limit / 4), at: now, pause: pauseAfterStepBack)
        hasCrowded = true
        pauseAfterStepBack = min(2 * pauseAfterStepBack, Self.longestPause)
        stepBack = (before, quarter)
    }

    /// Sets a lower limit and keeps it for a while.
    private mutating func move(to fewer: Int, at now: Double, pause: Double) {
        limit = fewer < Self.start ? 0 : min(fewer, limit)
        stepBack = nil
        slowLooks = 0
        answers.removeAll(keepingCapacity: true)
        changedAt = now
        mayRiseAt = max(mayRiseAt, now + pause)
    }
}
