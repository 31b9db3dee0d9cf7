/// Which of the bodies under way is so far behind the others that it is sooner there when it is sent anew.
///
/// One connection in many may hang or crawl: a path that loses packets, a server behind the address that is ill. As long as
/// there is other work the rest goes on without it; at the end all wait for it. Whoever asks must see to it that
/// nothing else is left to do.
///
/// It has no clock of its own. Times are seconds from any fixed moment and never go back.
package struct StragglerDetector: Sendable {
    private struct Body {
        var length: Int64
        var delivered: Int64 = 0
        /// How often it has been cut before.
        var cuts: Int
        /// What was delivered when, a second apart at least, from its beginning or from before the longest span on.
        var marks: [Mark]

        /// Bytes per second since a moment; nil where it is younger than that.
        func rate(since start: Double, at now: Double) -> Double? {
            guard let mark = marks.last(where: { $0.at <= start }), now > mark.at else { return nil }
            return Double(delivered - mark.delivered) / (now - mark.at)
        }
    }

    private struct Mark {
        var at: Double
        var delivered: Int64
    }

    private var bodies: [Int: Body] = [:]
    private var begun = 0
    /// Rates of the last ones that came to a good end: at the very end they are all that one can be compared with.
    private var finished: [(at: Double, rate: Double)] = []

    /// A body is far behind with less than this part of the others' rate.
    private static let share = 1.0 / 8
    /// It is watched for as long as the others need for so many bodies, within bounds: below them TCP may just be waiting
    /// to repeat a packet, above them the time without a byte decides.
    private static let bodiesOfSpan = 4.0
    private static let shortestSpan = 3.0
    private static let longestSpan = 30.0
    /// Its rest must take so many times as long as all of it takes the others, and a while more.
    private static let worth = 3.0
    private static let worthSeconds = 3.0
    /// A body is cut no more often.
    private static let mostCuts = 2
    /// Few, so that they are outvoted when all that is under way has become slow.
    private static let finishedKept = 4
    /// Seconds after which lines have changed.
    private static let finishedCount = 60.0
    private static let leastEvidence = 2

    package init() {}

    /// A body is on its way.
    ///
    /// - Parameter cuts: how often it was cut before.
    /// - Returns: the number under which it goes from now on.
    package mutating func begin(length: Int64, cuts: Int, at now: Double) -> Int {
        begun += 1
        bodies[begun] = Body(length: length, cuts: cuts, marks: [Mark(at: now, delivered: 0)])
        return begun
    }

    /// The other side has that many bytes more.
    package mutating func delivered(_ bytes: Int64, of number: Int, at now: Double) {
        guard var body = bodies[number] else { return }
        if let last = body.marks.last, now - last.at >= 1 {
            body.marks.append(Mark(at: now, delivered: body.delivered))
            // One from before the longest span is enough.
            while body.marks.count > 1, body.marks[1].at <= now - 2 * Self.longestSpan { body.marks.removeFirst() }
        }
        body.delivered += bytes
        bodies[number] = body
    }

    /// It was held and goes on: what it did before says nothing of its connection.
    package mutating func restart(_ number: Int, at now: Double) {
        guard let delivered = bodies[number]?.delivered else { return }
        bodies[number]?.marks = [Mark(at: now, delivered: delivered)]
    }

    /// - Parameter isThere: whether all of it has come to the store.
    package mutating func end(_ number: Int, isThere: Bool, at now: Double) {
        guard let body = bodies.removeValue(forKey: number), isThere else { return }
        finished.append((now, Double(body.length) / max(now - body.marks[0].at, 0.001)))
        if finished.count > Self.finishedKept { finished.removeFirst() }
    }

    /// Whether to cut it and send it anew.
    package func isLeftBehind(_ number: Int, at now: Double) -> Bool {
        // Who has sent all waits for the answer, and sending it again would not bring that sooner.
        guard let body = bodies[number], body.cuts < Self.mostCuts, body.delivered < body.length else { return false }
        guard let others = rateOfOthers(than: number, at: now), others > 0 else { return false }
        let whole = Double(body.length) / others
        let span = min(max(whole * Self.bodiesOfSpan, Self.shortestSpan), Self.longestSpan) * Double(body.cuts + 1)
        guard let rate = body.rate(since: now - span, at: now), rate < others * Self.share else { return false }
        let rest = Double(body.length - body.delivered) / max(rate, 1)
        return rest > whole * Self.worth + Self.worthSeconds
    }

    /// The median, the lower of two; nil where there is too little to say.
    private func rateOfOthers(than number: Int, at now: Double) -> Double? {
        var rates = finished.filter { now - $0.at <= Self.finishedCount }.map(\.rate)
        for (other, body) in bodies where other != number && body.delivered < body.length {
            let start = max(body.marks[0].at, now - Self.shortestSpan)
            // One that has only begun has shown nothing yet.
            if now - start >= 1, let rate = body.rate(since: start, at: now) { rates.append(rate) }
        }
        guard rates.count >= Self.leastEvidence else { return nil }
        return rates.sorted()[(rates.count - 1) / 2]
    }
}
