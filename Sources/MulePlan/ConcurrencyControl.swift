/// Finds the number of concurrent requests by trial: it allows more for a moment, and keeps them if the rate grew.
///
/// It has no clock and no thread; the caller reports events and their time. Times are seconds from any fixed moment and
/// never go back.
package struct ConcurrencyControl: Sendable {
    /// Requests that may be in flight, from 1 to the ceiling.
    package private(set) var limit: Int
    /// What `SendingOrder` allows; to be set before events are reported.
    package var room = Room.open {
        didSet { if room == .narrow { forget() } }
    }

    /// Whether `SendingOrder` allows trials of more requests.
    package enum Room: Sendable {
        case open
        /// Allowed, and each connection has been seen to add its share.
        case proven
        /// Not allowed: the rate is limited, or not known yet.
        case full
        /// Fewer are in flight than the limit allows, so nothing can be learned about the limit.
        case narrow
    }

    private let ceiling: Int
    private var trial: Trial?
    private var window = Window()
    /// The measured rate at the current limit, outside trials.
    private var rate: Double?
    /// Nothing is counted before this time, while new requests reach their full rate.
    private var settledAt = 0.0
    private var nextTrialAt = 0.0
    private var nextTrialOfFewerAt = 0.0
    private var pause = Self.shortestPause
    private var pauseBeforeFewer = Self.shortestPause
    /// Requests beyond a lowered limit that are still running. Their bytes say nothing about the limit.
    private var leaving = 0
    /// Windows in a row with the same limit.
    private var calmWindows = 0
    /// Whether all trials so far have succeeded: then the next one doubles the limit, and follows at once.
    private var isClimbing = true
    private var hasThrottled = false
    private var hasCrowded = false
    /// Whether the store was overloaded before: then the next steps are small, and wait for their effect.
    private var isCareful: Bool { hasThrottled || hasCrowded }
    private var lastThrottleAt = -Double.infinity
    /// Duration of the last body, in seconds.
    private var bodySeconds = 0.0
    private var hasAnswer = false
    /// Bodies since the last check; all started before the last step back, or all after it.
    private var answers: [(sending: Double, waiting: Double)] = []
    private var answersAreOld = false
    /// Checks in a row in which all answers were slow.
    private var slowLooks = 0
    private var quickestAnswer = Double.infinity
    /// How long the store takes for an answer when it is not overloaded, as far as known.
    private var ordinaryAnswer = Self.shortestAnswer
    /// The last step back, until its effect is known.
    private var stepBack: (limit: Int, waiting: Double)?
    private var steppedBackAt = -Double.infinity
    private var pauseAfterStepBack = Self.throttlePause
    private var breaks = 0
    private var breaksSince = 0.0

    /// A trial of more or of fewer requests.
    private struct Trial {
        var before: Int
        var rateBefore: Double
        var isOfFewer = false
        /// The rate of the last window, and the number of windows.
        var seen = 0.0
        var windows = 0
    }

    /// What was sent while the limit did not change.
    private struct Window {
        var began: Double?
        var bytes: Int64 = 0
        var bodies = 0
        /// Whether there was less work than the limit allows.
        var isIdle = false
    }

    package static let start = 8
    /// Limit until a body is answered: until then, buffers on the way may take the bytes and pass none on.
    private static let mostUnanswered = 32
    /// Minimum on the slowest link, so that one stuck request does not block all.
    private static let fewest = 2
    /// A window ends when it has enough data, or after the longest time.
    private static let shortestWindow = 0.2
    private static let longestWindow = 4.0
    private static let windowBytes: Int64 = 4 << 20
    private static let windowBodies = 64
    /// The overhead of a request, as bytes: for small bodies, the number of requests matters.
    private static let bodyWeight: Int64 = 64 << 10
    /// Seconds until new requests reach their full rate: TLS handshakes, TCP slow start.
    private static let settling = 0.2
    /// A trial succeeds with this share of the proportional gain: 10 % for 50 % more requests.
    private static let worth = 0.2
    /// A trial continues while its rate grows by this factor from window to window: on a long path that takes round
    /// trips.
    private static let growth = 1.05
    private static let mostWindows = 12
    /// If the rate grows by this factor without a trial, the next trial starts at once.
    private static let relief = 1.3
    /// The share of the rate that fewer requests must still reach.
    private static let enough = 0.95
    /// A trial of fewer requests fails at once below this share of the rate.
    private static let tooLittle = 0.85
    /// Windows needed for a rate to compare with.
    private static let calm = 10
    /// Seconds of a trial of fewer requests: at first, queues on the way drain and hide the loss.
    private static let windowOfFewer = 2.0
    private static let shortestPause = 4.0
    private static let longestPause = 60.0
    private static let throttlePause = 10.0
    /// Maximum duration of a body, in seconds, for trials of more. A lost connection loses what is in flight, so on a
    /// slow link fewer bodies at a time cost nothing and lose less.
    private static let quickBody = 10.0
    /// Answers are slow if they take this many times as long as the quickest one, plus the seconds below, because
    /// answer times vary.
    private static let slowAnswer = 4.0
    private static let slowAnswerSeconds = 0.3
    private static let shortestAnswer = 0.1
    /// If more than this share of the waiting time remains after a step back, the store itself is slow.
    private static let noQuicker = 0.9
    /// Answers per check, and checks in a row that must agree.
    private static let answerCount = 16
    private static let enoughSlowLooks = 2
    /// Seconds in which broken connections count together.
    private static let breakSpan = 5.0

    /// - Parameter ceiling: at least 1.
    package init(ceiling: Int) {
        self.ceiling = max(1, ceiling)
        limit = min(Self.start, self.ceiling)
    }

    // MARK: What happens

    /// The server has acknowledged bytes.
    package mutating func delivered(_ bytes: Int64, at now: Double) {
        guard now >= settledAt, leaving == 0 else { return }
        window.bytes += bytes
        look(at: now)
    }

    /// The store has answered a body.
    ///
    /// - Parameters:
    ///   - seconds: from its first byte to the answer.
    ///   - answer: seconds of these after its last byte; all of them if the body is too small to tell.
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

    /// There was no work for a request that the limit allows.
    package mutating func starved() {
        window.isIdle = true
    }

    /// The store asked for fewer requests.
    ///
    /// - Parameter inFlight: requests at that moment, including this one.
    package mutating func throttled(inFlight: Int, at now: Double) {
        // Requests that were in flight together are refused together; they count once.
        guard now - lastThrottleAt >= 1 || inFlight < limit else { return }
        lastThrottleAt = now
        hasThrottled = true
        moveTo(limit: max(1, min(limit, max(inFlight, 1)) / 2), at: now, pause: max(pause, Self.throttlePause))
    }

    /// A connection broke. Many at a time mean that something on the way is overloaded.
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

    /// An overloaded store still accepts bodies, but delays their answers: the rate grows for a moment, and no body
    /// finishes sooner.
    private mutating func noteAnswer(after seconds: Double, waiting: Double, at now: Double) {
        quickestAnswer = min(quickestAnswer, waiting)
        answers.append((seconds - waiting, waiting))
        // Bodies in flight at the last step back show the waiting time before it.
        let isOld = now - seconds < steppedBackAt
        if answersAreOld && !isOld { answers.removeFirst(answers.count - 1) }
        answersAreOld = isOld
        guard answers.count >= Self.answerCount else { return }
        // The minimum: answers vary, and one of many is quick unless all wait in a queue.
        let waiting = answers.map(\.waiting).min() ?? 0
        let sending = answers.map(\.sending).reduce(0, +) / Double(answers.count)
        answers = []
        if isOld {
            if let before = stepBack { stepBack?.waiting = max(before.waiting, waiting) }
            return
        }
        if let before = stepBack, waiting > before.waiting * Self.noQuicker {
            // The store itself is slow.
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
        // While most requests are sending, fewer would leave the link idle.
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
        // Without enough work, nothing can be learned.
        if room != .narrow, !isIdle { judge(seen, at: now) }
    }

    /// Drops the current window, and undoes an undecided trial.
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
            // Links change: recent windows count most.
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

    /// Whether more requests have paid off. If not, the limit is restored, or the trial needs more windows.
    private mutating func judge(_ trial: Trial, _ seen: Double, at now: Double) -> Bool {
        let hoped = Double(limit) / Double(trial.before) - 1
        let gained = seen / max(trial.rateBefore, 1) - 1
        guard gained < Self.worth * hoped else {
            pause = Self.shortestPause
            // A store that was overloaded before shows it by slow answers.
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
            // The next trial has the same rate as its reference, or many small losses would add up.
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

    /// Sets a limit and keeps it for a while.
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
