/// How many requests may be in flight at once, found by trying: more of them for a moment, and kept if more came through.
///
/// It has no clock and no thread of its own: whoever drives it says what happened and when. Times are seconds from any
/// fixed moment and never go back.
package struct ConcurrencyControl: Sendable {
    /// Requests that may be in flight, from 1 to the ceiling.
    package private(set) var limit: Int
    /// What else says how much may be in flight; to be set before anything that happens is told.
    package var room = Room.open {
        didSet { if room == .narrow { forget() } }
    }

    /// Whether `SendingOrder` lets more be tried.
    package enum Room: Sendable {
        case open
        /// The same, and each connection has been seen to add its share.
        case proven
        /// No more requests than there are: the rate is limited, or not known yet.
        case full
        /// Fewer are in flight than the limit allows, so that nothing is learned of it.
        case narrow
    }

    private let ceiling: Int
    private var trial: Trial?
    private var window = Window()
    /// What came through in each second with the limit as it stands, when nothing is tried.
    private var rate: Double?
    /// Nothing is counted before this, since what is new is not in full swing yet.
    private var settledAt = 0.0
    private var nextTrialAt = 0.0
    private var nextTrialOfFewerAt = 0.0
    private var pause = Self.shortestPause
    private var pauseBeforeFewer = Self.shortestPause
    /// Requests beyond the limit that have not come to their end. What they carry says nothing of the limit.
    private var leaving = 0
    /// Windows in a row that the limit has stood as it is.
    private var calmWindows = 0
    /// Whether every trial so far has paid: then the next doubles, and follows at once.
    private var isClimbing = true
    private var hasThrottled = false
    private var hasCrowded = false
    /// Whether more has proved to be too much for the store: then the next steps are small, and wait for what they bring.
    private var isCareful: Bool { hasThrottled || hasCrowded }
    private var lastThrottleAt = -Double.infinity
    /// Seconds that the last body took.
    private var bodySeconds = 0.0
    private var hasAnswer = false
    /// Of the bodies since the last look at them, all from before or from after the last step back.
    private var answers: [(sending: Double, waiting: Double)] = []
    private var answersAreOld = false
    /// How often in a row all of them were slow.
    private var slowLooks = 0
    private var quickestAnswer = Double.infinity
    /// What an answer takes at a store that is not in a hurry, as far as that is known.
    private var ordinaryAnswer = Self.shortestAnswer
    /// The step back whose effect is to be seen.
    private var stepBack: (limit: Int, waiting: Double)?
    private var steppedBackAt = -Double.infinity
    private var pauseAfterStepBack = Self.throttlePause
    private var breaks = 0
    private var breaksSince = 0.0

    /// More requests than before, or fewer, on probation.
    private struct Trial {
        var before: Int
        var rateBefore: Double
        var isOfFewer = false
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
    /// Until a body is answered no more are tried: what is on the way may take bytes in and pass none on.
    private static let mostUnanswered = 32
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
    /// The part of the rate that fewer requests must still bring.
    private static let enough = 0.95
    /// Less than this part is enough to see that more were needed.
    private static let tooLittle = 0.85
    /// Windows that make a rate to compare with.
    private static let calm = 10
    /// Fewer requests look as good as more for a moment, while queues on the way run empty.
    private static let windowOfFewer = 2.0
    private static let shortestPause = 4.0
    private static let longestPause = 60.0
    private static let throttlePause = 10.0
    /// Seconds that a body may take. What is in flight is lost with the connection, so that on a slow link fewer bodies at
    /// a time cost nothing and lose less.
    private static let quickBody = 10.0
    /// Answers are slow when they take so many times as long as the quickest has taken, and a moment more: what stores
    /// differ by from answer to answer is no sign.
    private static let slowAnswer = 4.0
    private static let slowAnswerSeconds = 0.3
    private static let shortestAnswer = 0.1
    /// With more than this part of the wait left after a step back, the store is slow by itself.
    private static let noQuicker = 0.9
    /// Answers of one look, and looks in a row that must agree.
    private static let answerCount = 16
    private static let enoughSlowLooks = 2
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
        guard now >= settledAt, leaving == 0 else { return }
        window.bytes += bytes
        look(at: now)
    }

    /// A body is at the store.
    ///
    /// - Parameters:
    ///   - seconds: from its first byte to the answer.
    ///   - answer: seconds of these from its last byte on. For a body so small that this can't be told, all of them.
    package mutating func bodyDone(in seconds: Double, answeredIn answer: Double = 0, at now: Double) {
        bodySeconds = seconds
        hasAnswer = true
        noteAnswer(after: seconds, waiting: answer, at: now)
        if leaving > 0 {
            leaving -= 1
            if leaving == 0 { settledAt = max(settledAt, now + Self.settling) }
            return
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
        moveTo(limit: max(1, min(limit, max(inFlight, 1)) / 2), at: now, pause: max(pause, Self.throttlePause))
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
        moveTo(limit: max(1, limit * 3 / 4), at: now, pause: Self.throttlePause)
    }

    /// A store that is given more than it can put away takes bodies in all the same, and lets them wait for their answers:
    /// more come through for a moment, and none the sooner.
    private mutating func noteAnswer(after seconds: Double, waiting: Double, at now: Double) {
        quickestAnswer = min(quickestAnswer, waiting)
        answers.append((seconds - waiting, waiting))
        // Those that were under way at the last step back show what it was for.
        let isOld = now - seconds < steppedBackAt
        if answersAreOld && !isOld { answers.removeFirst(answers.count - 1) }
        answersAreOld = isOld
        guard answers.count >= Self.answerCount else { return }
        // Answers differ, and one of many is quick unless there is a queue in which all wait.
        let waiting = answers.map(\.waiting).min() ?? 0
        let sending = answers.map(\.sending).reduce(0, +) / Double(answers.count)
        answers = []
        if isOld {
            if let before = stepBack { stepBack?.waiting = max(before.waiting, waiting) }
            return
        }
        if let before = stepBack, waiting > before.waiting * Self.noQuicker {
            // The store is slow by itself.
            stepBack = nil
            hasCrowded = false
            ordinaryAnswer = waiting
            moveTo(limit: max(limit, before.limit), at: now, pause: Self.shortestPause)
            return
        }
        stepBack = nil
        stepBackFrom(waiting, sending, at: now)
    }

    private mutating func stepBackFrom(_ waiting: Double, _ sending: Double, at now: Double) {
        let quick = max(quickestAnswer, ordinaryAnswer)
        // As long as most of the requests under way are sending, fewer would leave the line idle.
        guard waiting > quick * Self.slowAnswer + Self.slowAnswerSeconds, waiting > sending else {
            slowLooks = 0
            return
        }
        slowLooks += 1
        guard slowLooks >= Self.enoughSlowLooks else { return }
        slowLooks = 0
        let before = limit
        let needed = Int((Double(before) * (sending + 2 * quick) / (sending + waiting)).rounded(.up))
        let fewer = max(min(max(needed, before / 4), before * 3 / 4), min(Self.fewest, ceiling))
        guard fewer < before else { return }
        moveTo(limit: fewer, at: now, pause: pauseAfterStepBack)
        pauseAfterStepBack = min(pauseAfterStepBack * 2, Self.longestPause)
        leaving = before - fewer
        stepBack = (before, waiting)
        steppedBackAt = now
        hasCrowded = true
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
        if let trial, trial.isOfFewer, elapsed < Self.windowOfFewer, seen > trial.rateBefore * Self.tooLittle { return }
        let isIdle = window.isIdle
        window = Window()
        // Where there was not enough to do, nothing is learned.
        if room != .narrow, !isIdle { judge(seen, at: now) }
    }

    /// What was seen does not count, and a trial that is not decided has not been.
    private mutating func forget() {
        if let trial { limit = trial.before }
        (trial, rate, window, leaving) = (nil, nil, Window(), 0)
    }

    private mutating func judge(_ seen: Double, at now: Double) {
        if let trial {
            let hasPaid = trial.isOfFewer ? judge(trialOfFewer: trial, seen, at: now) : judge(trial, seen, at: now)
            guard hasPaid else { return }
            self.trial = nil
            calmWindows = 0
            rate = seen
        } else if let rate, seen > rate * Self.relief {
            self.rate = seen
            nextTrialAt = now
        } else {
            // Lines change: what was seen lately counts most.
            rate = rate.map { $0 * 0.6 + seen * 0.4 } ?? seen
            calmWindows += 1
        }
        guard let rate else { return }
        if now >= nextTrialAt, limit < ceiling, mayTry {
            tryMore(rate, at: now)
        } else if calmWindows >= Self.calm, now >= nextTrialOfFewerAt {
            tryFewer(rate)
        }
    }

    private var mayTry: Bool {
        switch room {
        case .proven: true
        case .open: bodySeconds <= Self.quickBody && (hasAnswer || limit < Self.mostUnanswered)
        case .full, .narrow: false
        }
    }

    /// Whether more requests have paid. If not, the limit is as it was, or more is to be seen first.
    private mutating func judge(_ trial: Trial, _ seen: Double, at now: Double) -> Bool {
        let hoped = Double(limit) / Double(trial.before) - 1
        let gained = seen / max(trial.rateBefore, 1) - 1
        guard gained < Self.worth * hoped else {
            pause = Self.shortestPause
            // A store that was given too much before shows it with its answers.
            nextTrialAt = isCareful ? now + 2 * bodySeconds : now
            nextTrialOfFewerAt = max(nextTrialOfFewerAt, now + pauseBeforeFewer)
            return true
        }
        let grows = seen > trial.seen * Self.growth && trial.windows < Self.mostWindows
        self.trial?.seen = seen
        self.trial?.windows += 1
        if !grows { goBack(trial, at: now) }
        return false
    }

    private mutating func judge(trialOfFewer trial: Trial, _ seen: Double, at now: Double) -> Bool {
        guard seen < trial.rateBefore * Self.enough else {
            // The next gets along with less still, measured by the same rate, or many small losses would add up.
            pauseBeforeFewer = Self.shortestPause
            nextTrialAt = max(nextTrialAt, now + pause)
            tryFewer(max(seen, trial.rateBefore))
            return false
        }
        pauseBeforeFewer = min(pauseBeforeFewer * 2, Self.longestPause)
        nextTrialOfFewerAt = now + pauseBeforeFewer
        goBack(trial, at: now)
        return false
    }

    private mutating func goBack(_ trial: Trial, at now: Double) {
        let excess = limit - trial.before
        moveTo(limit: trial.before, at: now, pause: excess > 0 ? min(pause * 2, Self.longestPause) : pause)
        leaving = max(excess, 0)
        rate = trial.rateBefore
    }

    private mutating func tryMore(_ rate: Double, at now: Double) {
        trial = Trial(before: limit, rateBefore: rate)
        let step = isCareful ? max(1, limit / 8) : isClimbing ? limit : max(1, limit / 2)
        limit = min(limit + step, ceiling)
        settledAt = now + Self.settling
    }

    private mutating func tryFewer(_ rate: Double) {
        trial = nil
        let least = min(Self.fewest, ceiling)
        let fewer = max(limit * 3 / 4, least)
        guard fewer < limit else { return }
        trial = Trial(before: limit, rateBefore: rate, isOfFewer: true)
        leaving = limit - fewer
        limit = fewer
    }

    /// Stays on a limit for a while.
    private mutating func moveTo(limit newLimit: Int, at now: Double, pause: Double) {
        limit = newLimit
        leaving = 0
        calmWindows = 0
        trial = nil
        rate = nil
        window = Window()
        isClimbing = false
        self.pause = pause
        settledAt = now + Self.settling
        nextTrialAt = now + pause
        nextTrialOfFewerAt = max(nextTrialOfFewerAt, now + pauseBeforeFewer)
    }
}
