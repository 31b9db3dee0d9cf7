import Glibc
import TestSupport
import Testing

@testable import MulePlan

/// A line between here and a store, as a flow of bytes in steps of 10 ms.
struct Link: Sendable, CustomTestStringConvertible {
    var name: String
    /// Bytes per second of one connection, and of all together.
    var perConnection: Double
    var total: Double
    /// Round-trip time in seconds; connections open after three, and double their rate with each.
    var roundTrip = 0.05
    /// Share by which the line's rate wavers from step to step.
    var noise = 0.0
    var bodySize: Int64 = 8 << 20
    var bytes: Int64 = 1 << 30
    /// Requests above which the store refuses.
    var throttledAbove = Int.max
    /// The link's rate from these seconds on.
    var totals: [(at: Double, total: Double)] = []
    /// Bytes per second that the user allows.
    var rateLimit: Double?
    /// Bytes per second that the store can put away. It takes bodies in as fast as they come, and answers when each is
    /// put away, one after the other.
    var store = Double.infinity
    /// How much slower the store gets with each request in its queue, as a share.
    var strain = 0.0
    /// Mean additional seconds of an answer, at random, independent of the store's load.
    var whim = 0.0
    /// From then on all answers take that much longer.
    var slowLater: (at: Double, seconds: Double)?
    /// Bytes per second of the connections that send these bodies first, from 1, instead of the usual rate.
    var crawls: [Int: Double] = [:]
    /// Whether connections get parts of the line that differ by up to sixteen times.
    var isUnfair = false
    /// Whether stragglers are cut and sent again.
    var cutsStragglers = false
    /// Bytes of a connection that the other side has acknowledged and not yet worked off: with them it is not the way
    /// that is narrow, but who reads at its end.
    var buffer = 0.0

    var testDescription: String { name }

    struct Outcome {
        var seconds = 0.0
        var meanLimit = 0.0
        var secondsToTop = Double.infinity
        var refusals = 0
        var cuts = 0
        /// Seconds from the last byte of a body to its answer, in the mean.
        var answerSeconds = 0.0
        /// Bytes that went out and had to go once more.
        var lost = 0.0
        /// Most requests in flight from the third second on.
        var mostInFlight = 0
        /// Every half second: bytes that the link has delivered, and those of answered bodies.
        var timeline: [(at: Double, carried: Double, kept: Double)] = []

        /// Bytes that are lost when the run is stopped: the mean over all moments from that second on, and the most.
        func lossOnStop(from start: Double, to end: Double = .infinity) -> (mean: Double, most: Double) {
            let losses = timeline.filter { $0.at >= start && $0.at <= end }.map { $0.carried - $0.kept }
            return (losses.reduce(0, +) / Double(max(losses.count, 1)), losses.max() ?? 0)
        }

        /// The least share of the delivered bytes that is kept, from that second on.
        func leastKept(from start: Double) -> Double {
            timeline.filter { $0.at >= start }.map { $0.kept / max($0.carried, 1) }.min() ?? 1
        }
    }

    private struct Connection {
        var age: Int
        var size: Int64
        var left: Double
        /// Bytes that may be sent and have not been.
        var granted = 0.0
        var buffered = 0.0
        var began: Double
        /// The connection's own maximum rate.
        var most: Double
        var weight: Double
        /// Its number among the watched ones.
        var number: Int
        var cuts = 0
        var asksAt: Double
        var sentAt = 0.0
        /// Sends from then on.
        var ready: Double
        /// Bytes per second that its window allows.
        var window: Double
        /// Whether all is sent and the answer on its way.
        var answersAt: Double?
    }

    private static let step = 0.01

    func run(fixed: Int, for longest: Double = 2000) -> Outcome { run(limit: fixed, control: nil, longest) }

    func run(ceiling: Int, for longest: Double = 2000) -> Outcome {
        run(limit: ceiling, control: ConcurrencyControl(ceiling: ceiling), longest)
    }

    private func run(limit: Int, control: ConcurrencyControl?, _ longest: Double) -> Outcome {
        var control = control
        var order = SendingOrder(isBounded: control != nil)
        order.limit(to: rateLimit, at: 0)
        var carriedByLine = 0.0
        var kept = 0.0
        var random = SeededRandom(seed: 1)
        var outcome = Outcome()
        var left = bytes
        var active: [Connection] = []
        var stragglers = StragglerDetector()
        var storeFreeAt = 0.0
        var queued: [Double] = []
        var answers = 0.0
        var begun = 0
        // A line of its own for the weights: those of the others stay the same.
        var fairness = SeededRandom(seed: 2)
        // Windows of connections that are open and have nothing to do.
        var idle: [Double] = []
        var now = 0.0
        var limits = 0.0
        var steps = 0.0
        while left > 0 || !active.isEmpty {
            let allowed = control?.limit ?? limit
            if allowed == limit { outcome.secondsToTop = min(outcome.secondsToTop, now) }
            // As the queue of a run does it.
            func hasRoom() -> Bool {
                guard let budget = order.budget, !active.isEmpty else { return true }
                let inFlight = active.reduce(0) { $0 + $1.size }
                return inFlight + inFlight / Int64(active.count) <= budget
            }
            control?.room = hasRoom() ? order.room(at: now) : .narrow
            while active.count < allowed, left > 0, hasRoom() {
                let size = min(bodySize, left)
                left -= size
                begun += 1
                let crawl = crawls[begun]
                let window = crawl == nil ? idle.popLast() : nil
                order.begin(begun, length: size, at: now)
                active.append(
                    Connection(
                        age: begun,
                        size: size,
                        left: Double(size),
                        began: now,
                        most: crawl ?? perConnection,
                        weight: isUnfair ? exp2(Double.random(in: -2...2, using: &fairness)) : 1,
                        number: stragglers.begin(length: size, cuts: 0, at: now),
                        asksAt: now + 1,
                        ready: now + (window == nil ? 3 * roundTrip : 0),
                        window: window ?? 14_600 / roundTrip
                    )
                )
                guard active.count > throttledAbove else { continue }
                let refused = active.removeLast()
                stragglers.end(refused.number, isThere: false, at: now)
                order.end(refused.age, isThere: false, at: now)
                left += size
                outcome.refusals += 1
                control?.throttled(inFlight: active.count + 1, at: now)
                break
            }
            if left == 0 { control?.starved() }
            var capacity = total
            if let later = totals.last(where: { now >= $0.at }) { capacity = later.total }
            if noise > 0 { capacity *= 1 + noise * Double.random(in: -1...1, using: &random) }
            let sending = active.indices.filter { active[$0].answersAt == nil && active[$0].ready <= now }
            var wanted: [Double] = []
            for index in sending {
                var rate = min(active[index].most, active[index].window) * active[index].weight
                // As much as a kernel takes at once, or a step needs.
                let least = buffer > 0 ? min(active[index].left, buffer) : rate * Self.step
                if active[index].granted < least, active[index].left - active[index].granted >= 1 {
                    let more = min(max(least, 65_536), active[index].left - active[index].granted)
                    let wasHeld = order.isHeld(active[index].age)
                    let given = order.grant(max(1, Int(more)), to: active[index].age, at: now)
                    if wasHeld, !order.isHeld(active[index].age) { stragglers.restart(active[index].number, at: now) }
                    active[index].granted += Double(given)
                }
                if buffer > 0 ? active[index].buffered < 1 : active[index].granted < 1 { rate = 0 }
                wanted.append(rate)
            }
            let share = min(1, capacity / max(wanted.reduce(0, +), 1))
            var delivered = 0.0
            for (index, rate) in zip(sending, wanted) {
                let worked =
                    buffer > 0
                    ? min(rate * share * Self.step, active[index].buffered)
                    : min(rate * share * Self.step, active[index].granted, active[index].left)
                active[index].buffered = max(active[index].buffered - worked, 0)
                carriedByLine += worked
                let carried =
                    buffer > 0
                    ? min(active[index].left, active[index].granted, buffer - active[index].buffered) : worked
                active[index].left -= carried
                active[index].granted -= carried
                if buffer > 0 { active[index].buffered += carried }
                delivered += carried
                if carried >= 1 { order.delivered(Int64(carried.rounded()), of: active[index].age, at: now) }
                if cutsStragglers, carried >= 1 {
                    stragglers.delivered(Int64(carried), of: active[index].number, at: now)
                }
                if share == 1, rate > 0 { active[index].window *= 1 + Self.step / roundTrip }
                active[index].window = min(active[index].window, active[index].most)
                guard active[index].left + active[index].buffered < 1 else { continue }
                active[index].sentAt = now
                queued.removeAll { $0 <= now }
                let seconds = Double(active[index].size) / store * (1 + strain * Double(queued.count))
                storeFreeAt = max(storeFreeAt, now) + seconds
                queued.append(storeFreeAt)
                var late = whim > 0 ? -whim * log(Double.random(in: .ulpOfOne..<1, using: &random)) : 0
                if let later = slowLater, now >= later.at { late += later.seconds }
                active[index].answersAt = storeFreeAt + roundTrip + late
                outcome.answerSeconds += storeFreeAt + roundTrip + late - now
                answers += 1
            }
            now += Self.step
            if delivered > 0 { control?.delivered(Int64(delivered), at: now) }
            for connection in active where connection.answersAt.map({ $0 <= now }) == true {
                kept += Double(connection.size)
                let held = order.end(connection.age, isThere: true, at: now)
                control?.bodyDone(in: now - connection.began - held, answeredIn: now - connection.sentAt, at: now)
                stragglers.end(connection.number, isThere: true, at: now)
                idle.append(connection.window)
            }
            active.removeAll { $0.answersAt.map { $0 <= now } == true }
            for index in active.indices where cutsStragglers && left == 0 && now >= active[index].asksAt {
                active[index].asksAt = now + 1
                guard !order.isHeld(active[index].age),
                    stragglers.isLeftBehind(active[index].number, at: now)
                else { continue }
                outcome.cuts += 1
                outcome.lost += Double(active[index].size) - active[index].left
                stragglers.end(active[index].number, isThere: false, at: now)
                active[index].cuts += 1
                active[index].number = stragglers.begin(length: active[index].size, cuts: active[index].cuts, at: now)
                active[index].left = Double(active[index].size)
                active[index].buffered = 0
                active[index].granted = 0
                active[index].most = perConnection
                order.end(active[index].age, isThere: false, at: now)
                order.begin(active[index].age, length: active[index].size, at: now)
                active[index].window = 14_600 / roundTrip
                active[index].ready = now + 3 * roundTrip
            }
            limits += Double(allowed)
            steps += 1
            if now >= 3 { outcome.mostInFlight = max(outcome.mostInFlight, active.count) }
            if Int(now * 2) > outcome.timeline.count { outcome.timeline.append((now, carriedByLine, kept)) }
            if now >= longest { break }
        }
        outcome.seconds = now
        outcome.meanLimit = limits / steps
        outcome.answerSeconds /= max(answers, 1)
        return outcome
    }
}
