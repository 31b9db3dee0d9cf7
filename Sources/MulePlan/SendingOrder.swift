/// Which of the bodies in flight may send now, and how many bytes may be in flight: the oldest bodies finish first,
/// which bounds what a stopped run loses.
///
/// If all bodies shared a slow link equally, none would finish before the run is stopped. So at most ten seconds' worth
/// of bytes is in flight, but at least one body. Of these, the oldest send, up to five seconds' worth. A younger body
/// in flight when the link proves slow is held: it loses nothing, and a few bytes now and then keep its connection
/// open.
///
/// A rate limit is known from the start; a link's rate is known after a moment. Until then the younger bodies stop
/// after their first bytes, unless the link is fast.
///
/// It has no clock. Times are seconds from any fixed moment and never go back.
package struct SendingOrder: Sendable {
    private struct Body {
        var number: Int
        var length: Int64
        var beganAt: Double
        var sent: Int64 = 0
        var delivered: Int64 = 0
        /// When the server had acknowledged all of it.
        var deliveredAt: Double?
        var lastGrantAt: Double
        var heldSince: Double?
        var heldSeconds = 0.0
        /// When it was last denied bytes because of the rate limit.
        var deniedAt = -Double.infinity

        var remaining: Int64 { max(length - delivered, 0) }
        var isSending: Bool { delivered < length && heldSince == nil }
    }

    /// Sorted by number: the oldest first.
    private var bodies: [Body] = []
    /// Whether bodies may be held to bound what is in flight.
    package let isBounded: Bool
    private var link = LinkRate()
    private var lastAt: Double?
    private var isKnown = false
    /// Bytes of each body that buffers on the way take at once, long before the store has them. They count when the
    /// body is answered.
    private var swallowed: Int64 = 0
    /// Bytes of recently answered bodies, added up per slot.
    private var answers: [(at: Double, bytes: Int64)] = []
    private var bodySeconds = 0.0
    private var waitingSeconds = 0.0
    private var firstAt: Double?
    private var firstAnswerAt: Double?
    private var lastAnswerAt = -Double.infinity
    /// Highest number of bodies at a time so far, and since when.
    private var mostBodies = ConcurrencyControl.start
    private var mostSince = -Double.infinity
    private var sharing = Sharing.unproven
    /// If bodies share a link: how many of them fill it, and so how many may always send.
    private var enough = 1
    /// The total rate at which that was measured, and the rate of each body.
    private var provenRate = 0.0
    private var rateOfEach = 0.0
    private var judgedAt = 0
    private var trialAgainAfter = 0
    private var pauseSlots = Self.firstPauseSlots
    private var tokens = 0.0
    private var tokensAt = 0.0
    private var deniedAt = -Double.infinity
    private var limit: Double?

    /// Whether the bodies in flight share a link.
    private enum Sharing {
        case unproven
        case trying(Trial)
        /// They share one link, so fewer bodies reach the same rate.
        case shared
        /// Each connection adds its share, so fewer would be slower: nothing is bounded.
        case addsUp
    }

    /// A trial with another number of sending bodies: do fewer reach the same rate, or do more reach a higher one?
    private struct Trial {
        var senders: Int
        /// How many sent before.
        var sendersBefore: Int
        var rateBefore: Double
        var startedAt: Int
        /// Slots of sending after which it is judged; nil while held bodies still send what they were granted before.
        var judgedAfter: Int?

        var isOfFewer: Bool { senders < sendersBefore }
    }

    /// Seconds of the link's rate that may be in flight, and that may be sent at a time.
    private static let inFlightSeconds = 10.0
    private static let sendingSeconds = 5.0
    /// Bytes that a younger body may send before the rate is known.
    private static let quota: Int64 = 384 << 10
    /// Slots after which the rate is known if it no longer grows, and after which it is known in any case.
    private static let knownAfter = 7
    private static let knownAtLast = 60
    /// Seconds after the first bytes after which the rate is known, however much was sent.
    private static let longestUnknown = 3.0
    /// Seconds after which a new highest number of bodies has reached its full rate.
    private static let swing = 3.0
    /// Seconds of sending for the mean rate: the current one, and the longest span, of about two bodies.
    private static let recent = 1.0
    private static let longest = 20.0
    /// A slot at this many times the rate only filled buffers on the way; with these, each new connection seems to add.
    private static let swallow = 4.0
    /// Slots that a trial ignores, at least and at most, and slots that it measures.
    private static let trialSettling = 7
    private static let longestSettling = 40
    private static let trialSlots = 10
    /// Slots after a failed trial of fewer until the others have restarted, and until the rate has recovered.
    private static let restartSlots = 7
    private static let releasedSlots = 30
    /// Each body still adds its own rate as long as it keeps this share of it.
    private static let sameShare = 0.7
    /// The gain that shows that twice as many bodies are faster.
    private static let gain = 1.25
    /// A fraction of a body that is not worth one more.
    private static let slack = 0.15
    /// Slots until the next trial: each failed trial costs some throughput.
    private static let firstPauseSlots = 150
    private static let longestPauseSlots = 1200
    /// If answers take this share of a body's time, and this many seconds, acknowledged bytes were not at the store
    /// yet.
    private static let lateShare = 0.25
    private static let lateSeconds = 1.0
    private static let answerSpan = 5.0
    private static let answerSlack = 1.1
    /// A held body sends this many bytes at this interval in seconds: servers close connections that are idle for 20 s.
    private static let trickle = 8 << 10
    private static let trickleSeconds = 5.0
    /// Seconds of the rate limit that may be granted at once, and that may be saved up.
    private static let slice = 0.1
    private static let saved = 0.25
    /// Seconds per piece, so that a body that is held stops at once.
    private static let pieceSeconds = 0.05
    private static let smallestPiece = 16 << 10
    private static let firstPiece = 64 << 10

    /// - Parameter isBounded: whether bodies may be held. Not if the user sets the number of requests; a rate limit
    ///   still   goes to the oldest first.
    package init(isBounded: Bool) {
        self.isBounded = isBounded
    }

    // MARK: What happens

    /// A body starts, or restarts.
    ///
    /// - Parameter number: its age: a smaller one is older. Numbers are unique.
    package mutating func begin(_ number: Int, length: Int64, at now: Double) {
        pass(now)
        let index = bodies.firstIndex { $0.number > number } ?? bodies.endIndex
        bodies.insert(Body(number: number, length: length, beganAt: now, lastGrantAt: now), at: index)
        if bodies.count > mostBodies { (mostBodies, mostSince) = (bodies.count, now) }
    }

    /// The server has acknowledged bytes of a body.
    package mutating func delivered(_ bytes: Int64, of number: Int, at now: Double) {
        pass(now)
        if firstAt == nil { firstAt = now }
        guard let index = index(of: number) else { return }
        let before = bodies[index].delivered
        bodies[index].delivered += bytes
        link.delivered(max(before + bytes - max(swallowed, before), 0))
        if bodies[index].delivered >= bodies[index].length { bodies[index].deliveredAt = now }
    }

    /// A body has ended.
    ///
    /// - Parameter isThere: whether the store has it.
    /// - Returns: seconds for which it was held.
    @discardableResult package mutating func end(_ number: Int, isThere: Bool, at now: Double) -> Double {
        pass(now)
        guard let index = index(of: number) else { return 0 }
        let body = bodies.remove(at: index)
        let held = body.heldSeconds + (body.heldSince.map { now - $0 } ?? 0)
        guard isThere else { return held }
        // Bytes that only filled buffers, or were too few to be observed, count now.
        link.delivered(max(body.length - max(body.delivered, swallowed), 0) + min(swallowed, body.length))
        let seconds = max(now - body.beganAt - held, 0)
        let waiting = max(now - (body.deliveredAt ?? now), 0)
        (bodySeconds, waitingSeconds) =
            firstAnswerAt == nil
            ? (seconds, waiting) : (bodySeconds * 0.7 + seconds * 0.3, waitingSeconds * 0.7 + waiting * 0.3)
        if firstAnswerAt == nil { firstAnswerAt = now }
        lastAnswerAt = now
        if waitingSeconds < Self.lateSeconds { swallowed = 0 }
        note(answerOf: body.length, at: now)
        return held
    }

    /// Added up per slot: thousands of small bodies may be answered in a second.
    private mutating func note(answerOf bytes: Int64, at now: Double) {
        if let last = answers.last, now - last.at < LinkRate.slotSeconds {
            answers[answers.endIndex - 1].bytes += bytes
            return
        }
        answers.removeAll { now - $0.at > 2 * Self.longest }
        answers.append((now, bytes))
    }

    /// The rate limit from now on, in bytes per second; nil for none.
    package mutating func limit(to rate: Double?, at now: Double) {
        guard rate != limit else { return }
        refill(now)
        limit = rate
        tokens = min(max(tokens, 0), (rate ?? 0) * Self.slice)
    }

    // MARK: Who may send

    /// How many of the wanted bytes a body may send now; 0 if it must wait and ask again soon.
    package mutating func grant(_ wanted: Int, to number: Int, at now: Double) -> Int {
        pass(now)
        guard wanted > 0, let index = index(of: number) else { return wanted }
        let isKept = isBounded && !mayGo(index)
        var granted = wanted
        if isKept {
            guard now - bodies[index].lastGrantAt >= Self.trickleSeconds else { return hold(index, at: now) }
            granted = min(granted, Self.trickle)
        } else if isBounded, !isKnown, isOpen || index == 0 {
            granted = min(granted, max(Self.firstPiece, Int(clamping: bodies[index].delivered)))
        } else if isBounded, !isKnown {
            // libcurl keeps granted bytes, and sends them even if the body is held in the meantime.
            let left = Int(max(Self.quota - bodies[index].sent, Int64(Self.trickle)))
            granted = min(granted, Self.firstPiece, left)
        } else if isBounded, isKnown, let rate {
            granted = min(granted, max(Self.smallestPiece, Int(rate * Self.pieceSeconds)))
        }
        if let limit {
            granted = pay(granted, limit, index: index, at: now)
            guard granted > 0 else { return hold(index, at: now) }
        }
        bodies[index].lastGrantAt = now
        bodies[index].sent += Int64(granted)
        if !isKept, let since = bodies[index].heldSince {
            bodies[index].heldSeconds += now - since
            bodies[index].heldSince = nil
        }
        return granted
    }

    private mutating func hold(_ index: Int, at now: Double) -> Int {
        if bodies[index].heldSince == nil { bodies[index].heldSince = now }
        return 0
    }

    /// Takes bytes from the rate limit: none while an older body waits for them.
    private mutating func pay(_ wanted: Int, _ rate: Double, index: Int, at now: Double) -> Int {
        refill(now)
        let most = max(1, Int(rate * Self.slice))
        let isPassedOver = bodies[..<index].contains { now - $0.deniedAt < Self.slice }
        let isStarving = now - bodies[index].lastGrantAt >= Self.trickleSeconds
        guard !isPassedOver || isStarving, tokens >= Double(min(wanted, max(most / 10, 1))) else {
            bodies[index].deniedAt = now
            deniedAt = now
            return 0
        }
        bodies[index].deniedAt = -.infinity
        let granted = min(wanted, isPassedOver ? min(Self.trickle, most) : most, max(1, Int(tokens)))
        tokens -= Double(granted)
        return granted
    }

    private mutating func refill(_ now: Double) {
        if let limit { tokens = min(tokens + (now - tokensAt) * limit, max(1, limit * Self.saved)) }
        tokensAt = now
    }

    private func mayGo(_ index: Int) -> Bool {
        if index == 0 || isOpen { return true }
        guard isKnown, let rate else { return bodies[index].sent < Self.quota }
        switch sharing {
        case .unproven, .addsUp: return true
        case .trying(let trial): return sendersAhead(of: index) < trial.senders
        case .shared:
            let before = bodies[..<index].reduce(0) { $0 + $1.remaining }
            return sendersAhead(of: index) < enough
                || Double(before + bodies[index].remaining) <= rate * Self.sendingSeconds
        }
    }

    private func sendersAhead(of index: Int) -> Int {
        bodies[..<index].count { $0.remaining > 0 }
    }

    /// Whether all bodies may send, because the rate is not known and nothing shows that it is lower than it seems.
    private var isOpen: Bool {
        !isKnown
            && (firstAnswerAt != nil && waitingSeconds < Self.lateSeconds || link.slotCount >= 2 && !link.hasFallen)
    }

    // MARK: Rate of the link

    /// Bytes that may be in flight, apart from one body that always may; nil if not known yet or not bounded.
    package var budget: Int64? {
        guard isBounded else { return nil }
        let byLink = isKnown ? sendersAtLeast.flatMap(budget(senders:)) : nil
        let byLimit = limit.map { $0 * Self.inFlightSeconds }
        guard let least = [byLink, byLimit].compactMap(\.self).min() else { return nil }
        return Int64(min(least, 1e18))
    }

    /// The bytes of ten seconds, or of as many bodies as fill the link.
    private func budget(senders: Int) -> Double? {
        guard let rate else { return nil }
        let length = Double(bodies.reduce(0) { $0 + $1.length }) / Double(max(bodies.count, 1))
        return max(rate * Self.inFlightSeconds, Double(senders) * length)
    }

    /// Bodies that may send at any rate; nil if all may.
    private var sendersAtLeast: Int? {
        switch sharing {
        case .shared: enough
        case .trying(let trial): trial.isOfFewer ? nil : trial.senders
        case .unproven, .addsUp: nil
        }
    }

    /// Whether more bodies at a time may be tried: the link is known or fast, and no rate limit is reached. While a
    /// trial runs, nothing else is learned.
    package func room(at now: Double) -> ConcurrencyControl.Room {
        guard isBounded else { return .open }
        guard now - deniedAt > Self.recent else { return .full }
        switch sharing {
        case .trying: return .narrow
        case .addsUp: return link.slotCount > judgedAt + Self.restartSlots ? .proven : .narrow
        case .shared: return .open
        case .unproven:
            let isSmall = bodies.allSatisfy { $0.length <= Self.quota }
            return isKnown || isOpen || isSmall ? .open : .full
        }
    }

    /// Whether the body waits for its turn. A held body does not count as slow.
    package func isHeld(_ number: Int) -> Bool {
        index(of: number).map { bodies[$0].heldSince != nil } ?? false
    }

    /// Bytes per second; nil before the first slot.
    private var rate: Double? {
        guard let now = link.steady(of: Self.recent), let lastAt else { return nil }
        let span = min(max(2 * bodySeconds, 2 * Self.recent), Self.longest)
        var rate = min(now, link.mean(of: span) ?? now)
        let answerSpan = max(Self.answerSpan, 2 * bodySeconds)
        // While no answer comes, at most the unanswered bytes can have reached the store.
        if let waitsFrom = bodies.compactMap(\.deliveredAt).min() {
            let silence = lastAt - max(waitsFrom, lastAnswerAt)
            if silence > Self.recent { rate = min(rate, Double(bodies.reduce(0) { $0 + $1.delivered }) / silence) }
        }
        if isLate, let firstAt, lastAt - firstAt >= answerSpan {
            let answered = answers.filter { lastAt - $0.at <= answerSpan }.reduce(0) { $0 + $1.bytes }
            if answered > 0 { rate = min(rate, Double(answered) / answerSpan * Self.answerSlack) }
        }
        return rate
    }

    /// Whether acknowledged bytes were not at the store yet.
    private var isLate: Bool {
        waitingSeconds > Self.lateSeconds && waitingSeconds > bodySeconds * Self.lateShare
    }

    /// Advances the time.
    private mutating func pass(_ now: Double) {
        defer { lastAt = now }
        if !isKnown, let firstAt, now - firstAt > Self.longestUnknown { know() }
        guard let lastAt, now > lastAt, bodies.contains(where: \.isSending), firstAt != nil else { return }
        let before = link.slotCount
        link.pass(now - lastAt)
        if link.slotCount > before { look() }
    }

    private mutating func know() {
        isKnown = true
        let hasPromptAnswer = firstAnswerAt != nil && waitingSeconds < Self.lateSeconds
        guard !hasPromptAnswer, link.hasFallen || link.slotCount < Self.knownAfter else { return }
        swallowed = bodies.map(\.delivered).max() ?? 0
    }

    private mutating func look() {
        guard let rate else { return }
        if !isKnown {
            guard link.slotCount >= (link.isGrowing ? Self.knownAtLast : Self.knownAfter) else { return }
            know()
        }
        let inFlight = bodies.reduce(0) { $0 + $1.length }
        switch sharing {
        case .unproven:
            guard bodies.count > 1, Double(inFlight) > rate * Self.sendingSeconds else { return }
            // Filling buffers on the way adds no throughput, but would seem to.
            if link.peak > rate * Self.swallow, firstAnswerAt == nil || isLate {
                (sharing, provenRate, enough) = (.shared, rate, 1)
                // More bodies would only fill more buffers.
                (judgedAt, trialAgainAfter) = (link.slotCount, .max)
            } else if isSettled {
                tryFewer(rate)
            }
        case .trying(let trial): judge(trial, rate)
        case .addsUp:
            guard link.slotCount > judgedAt + Self.releasedSlots else { return }
            provenRate = max(provenRate, rate)
            let expected = rateOfEach * Double(bodies.count { $0.isSending })
            let isLess = rate < expected * Self.sameShare && link.slotCount > trialAgainAfter
            if rate < provenRate / 2 || isLess { sharing = .unproven }
        case .shared:
            guard link.slotCount > judgedAt + Self.releasedSlots else { return }
            if rate > provenRate * Self.swallow && link.peak < rate * Self.swallow
                || enough > 1 && rate < provenRate / 2
            {
                sharing = .unproven
            } else if link.slotCount > trialAgainAfter, !isLate {
                let senders = max(enough, bodies.count { $0.isSending })
                startTrial(of: 2 * senders, before: senders, rate)
            }
        }
    }

    /// New connections show what they add only at their full rate.
    private var isSettled: Bool { (lastAt ?? 0) - mostSince > Self.swing && !link.isGrowing }

    /// Holding the younger bodies is right if the others reach the same rate without them. If each connection is slow
    /// by itself, they do not.
    private mutating func tryFewer(_ rate: Double) {
        let sending = bodies.filter { $0.remaining > 0 }
        guard sending.count > 1 else { return }
        var ahead: Int64 = 0
        let fitting = sending.prefix { body in
            ahead += body.remaining
            return Double(ahead) <= rate * Self.sendingSeconds
        }
        startTrial(of: max(1, min(fitting.count, sending.count / 2)), before: sending.count, rate)
    }

    private mutating func startTrial(of senders: Int, before: Int, _ rate: Double) {
        sharing = .trying(
            Trial(senders: senders, sendersBefore: before, rateBefore: rate, startedAt: link.slotCount)
        )
    }

    private mutating func end(_ trial: Trial) {
        let settling = link.slotCount - trial.startedAt
        let isDraining = bodies.contains { $0.heldSince != nil && $0.sent - $0.delivered > Self.smallestPiece }
        guard settling >= (isDraining ? Self.longestSettling : Self.trialSettling) else { return }
        var settled = trial
        settled.judgedAfter = link.slotCount + Self.trialSlots
        sharing = .trying(settled)
    }

    private mutating func judge(_ trial: Trial, _ rate: Double) {
        guard let judgedAfter = trial.judgedAfter else { return end(trial) }
        guard link.slotCount >= judgedAfter else { return }
        let seen = link.mean(of: Double(Self.trialSlots) * LinkRate.slotSeconds) ?? rate
        judgedAt = link.slotCount
        if trial.isOfFewer {
            // On a lossy link a connection takes longer than this to reach its full rate: in doubt the link is shared.
            let share = Double(trial.senders) / Double(trial.sendersBefore)
            sharing = seen < trial.rateBefore * share.squareRoot() ? .addsUp : .shared
            // The rate of each of the fewer bodies tells how many fill the link.
            let needed = Double(trial.senders) * trial.rateBefore / max(seen, 1)
            enough = max(1, min(Int((needed - Self.slack).rounded(.up)), trial.sendersBefore))
            provenRate = trial.rateBefore
            rateOfEach = provenRate / Double(trial.sendersBefore)
        } else {
            sharing = .shared
            if seen > trial.rateBefore * Self.gain {
                (enough, provenRate, pauseSlots) = (trial.senders, seen, Self.firstPauseSlots)
                trialAgainAfter = link.slotCount + Self.releasedSlots
                return
            }
        }
        trialAgainAfter = link.slotCount + pauseSlots
        pauseSlots = min(2 * pauseSlots, Self.longestPauseSlots)
    }

    private func index(of number: Int) -> Int? {
        bodies.firstIndex { $0.number == number }
    }
}
