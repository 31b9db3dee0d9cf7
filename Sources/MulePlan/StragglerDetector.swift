/// Finds a body in flight that is so much slower than the others that sending it again would finish sooner.
///
/// One connection in many may hang or crawl, because a path loses packets or a server behind the address is faulty. As
/// long as there is other work, the run does not wait for it; at the end it does. The caller must make sure that no
/// other work is left.
///
/// It has no clock. Times are seconds from any fixed moment and never go back.
package struct StragglerDetector: Sendable {
    private struct Body {
        var length: Int64
        var delivered: Int64 = 0
        /// How often it has been cut before.
        var cuts: Int
        /// Delivered bytes over time, at least a second apart, for about the longest span.
        var marks: [Mark]

        /// Bytes per second since `start`; nil if the body is younger.
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
    /// Rates of the last bodies that were delivered: at the very end there is nothing else to compare with.
    private var finished: [(at: Double, rate: Double)] = []

    /// A body is a straggler below this share of the others' rate.
    private static let share = 1.0 / 8
    /// Its rate is measured over the time that the others need for this many bodies, within bounds: below them TCP may
    /// just be waiting to retransmit a packet, above them the stall timeout decides.
    private static let bodiesOfSpan = 4.0
    private static let shortestSpan = 3.0
    private static let longestSpan = 30.0
    /// Its rest must take this many times as long as a whole body takes the others, plus the seconds below.
    private static let worth = 3.0
    private static let worthSeconds = 3.0
    /// Maximum number of cuts of a body.
    private static let mostCuts = 2
    /// Few, so that they are outvoted if all bodies in flight have become slow.
    private static let finishedKept = 4
    /// Seconds after which a rate no longer counts, because links change.
    private static let finishedCount = 60.0
    private static let leastEvidence = 2

    package init() {}

    /// A body starts.
    ///
    /// - Parameter cuts: how often it was cut before.
    /// - Returns: its number for the other calls.
    package mutating func begin(length: Int64, cuts: Int, at now: Double) -> Int {
        begun += 1
        bodies[begun] = Body(length: length, cuts: cuts, marks: [Mark(at: now, delivered: 0)])
        return begun
    }

    /// The server has acknowledged bytes of a body.
    package mutating func delivered(_ bytes: Int64, of number: Int, at now: Double) {
        guard var body = bodies[number] else { return }
        if let last = body.marks.last, now - last.at >= 1 {
            body.marks.append(Mark(at: now, delivered: body.delivered))
            // One mark from before the longest span is enough.
            while body.marks.count > 1, body.marks[1].at <= now - 2 * Self.longestSpan { body.marks.removeFirst() }
        }
        body.delivered += bytes
        bodies[number] = body
    }

    /// The body was held and resumes: its rate before says nothing about its connection.
    package mutating func restart(_ number: Int, at now: Double) {
        guard let delivered = bodies[number]?.delivered else { return }
        bodies[number]?.marks = [Mark(at: now, delivered: delivered)]
    }

    /// - Parameter isThere: whether all of it has reached the store.
    package mutating func end(_ number: Int, isThere: Bool, at now: Double) {
        guard let body = bodies.removeValue(forKey: number), isThere else { return }
        finished.append((now, Double(body.length) / max(now - body.marks[0].at, 0.001)))
        if finished.count > Self.finishedKept { finished.removeFirst() }
    }

    /// Whether to cut the body and send it again.
    package func isLeftBehind(_ number: Int, at now: Double) -> Bool {
        // A body that is fully sent waits for the answer; sending it again would not speed that up.
        guard let body = bodies[number], body.cuts < Self.mostCuts, body.delivered < body.length else { return false }
        guard let others = rateOfOthers(than: number, at: now), others > 0 else { return false }
        let whole = Double(body.length) / others
        let span = min(max(whole * Self.bodiesOfSpan, Self.shortestSpan), Self.longestSpan) * Double(body.cuts + 1)
        guard let rate = body.rate(since: now - span, at: now), rate < others * Self.share else { return false }
        let rest = Double(body.length - body.delivered) / max(rate, 1)
        return rest > whole * Self.worth + Self.worthSeconds
    }

    /// The lower median; nil without enough rates.
    private func rateOfOthers(than number: Int, at now: Double) -> Double? {
        var rates = finished.filter { now - $0.at <= Self.finishedCount }.map(\.rate)
        for (other, body) in bodies where other != number && body.delivered < body.length {
            let start = max(body.marks[0].at, now - Self.shortestSpan)
            // A body younger than a second has no useful rate yet.
            if now - start >= 1, let rate = body.rate(since: start, at: now) { rates.append(rate) }
        }
        guard rates.count >= Self.leastEvidence else { return nil }
        return rates.sorted()[(rates.count - 1) / 2]
    }
}
