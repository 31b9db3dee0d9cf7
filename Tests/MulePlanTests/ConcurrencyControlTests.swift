import TestSupport
import Testing

@testable import MulePlan

/// The control law, proven on a simulated link: no clock, no network, the same numbers each time.
@Suite struct ConcurrencyControlTests {
    static let links = [
        Link(name: "a fast line, slow connections", perConnection: 12.5e6, total: .infinity),
        Link(name: "a bottleneck that eight connections fill", perConnection: 12.5e6, total: 100e6),
        Link(name: "a bottleneck that one connection fills", perConnection: 200e6, total: 100e6),
        Link(name: "a slow line", perConnection: 5e6, total: 1.25e6),
        Link(name: "a long fat line", perConnection: 4e6, total: 150e6, roundTrip: 0.2),
        Link(name: "a busy line, whose rate wavers", perConnection: 12.5e6, total: 150e6, noise: 0.25),
    ]

    @Test("finds what is within a tenth of the best fixed number", arguments: links)
    func finds(link: Link) {
        var slow = link
        // Half a minute of what the line can carry, so that the beginning does not decide.
        slow.bytes = Int64(30 * min(link.total, 64 * link.perConnection))
        let best = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64].map { slow.run(fixed: $0).seconds }.min() ?? 0
        let found = slow.run(ceiling: 64)
        #expect(found.seconds <= best * 1.1, "\(found) against \(best)")
    }

    @Test("takes no more requests than a full line has use for", arguments: links.filter { $0.total < 1e9 })
    func restraint(link: Link) {
        var long = link
        long.bytes = Int64(30 * min(link.total, 64 * link.perConnection))
        let needed = max(ConcurrencyControl.start, Int((link.total / link.perConnection).rounded(.up)))
        #expect(long.run(ceiling: 64).meanLimit <= Double(needed) * 2.2)
    }

    @Test("is at the top within two seconds where each connection adds its share")
    func climbs() {
        let link = Link(name: "", perConnection: 12.5e6, total: .infinity, bytes: 1 << 30)
        #expect(link.run(ceiling: 64).secondsToTop <= 2)
    }

    @Test("follows a line that grows, and one that shrinks")
    func changes() {
        var link = Link(name: "", perConnection: 12.5e6, total: 50e6, bytes: 20 << 30)
        link.totalLater = (at: 60, total: 400e6)
        let grown = link.run(ceiling: 64)
        #expect(grown.seconds <= 60 + (Double(link.bytes) - 60 * 50e6) / 400e6 * 1.4, "\(grown)")
        link.total = 400e6
        link.bytes = 30 << 30
        link.totalLater = (at: 60, total: 50e6)
        let shrunk = link.run(ceiling: 64)
        #expect(shrunk.seconds <= (60 + (Double(link.bytes) - 60 * 400e6) / 50e6) * 1.1, "\(shrunk)")
    }

    @Test("goes back where the store asks for less, and does not ask for more at once")
    func throttles() {
        var link = Link(name: "", perConnection: 12.5e6, total: .infinity, bytes: 20 << 30)
        link.throttledAbove = 12
        let outcome = link.run(ceiling: 64)
        #expect(outcome.refusals <= 120, "\(outcome)")
        // Not so far back that the line lies idle.
        #expect(outcome.meanLimit >= 6, "\(outcome)")
    }

    @Test("small bodies count by their number")
    func smallBodies() {
        let link = Link(
            name: "",
            perConnection: 12.5e6,
            total: .infinity,
            roundTrip: 0.05,
            bodySize: 4096,
            bytes: 40_000 * 4096
        )
        let found = link.run(ceiling: 64)
        let best = link.run(fixed: 64).seconds
        #expect(found.seconds <= best * 1.3, "\(found) against \(best)")
    }

    @Test("broken connections, many at a time, take a quarter away; single ones nothing")
    func breaks() {
        var control = ConcurrencyControl(ceiling: 6)
        control.broken(at: 0)
        control.broken(at: 1)
        control.broken(at: 100)
        #expect(control.limit == 6)
        control.broken(at: 101)
        control.broken(at: 102)
        #expect(control.limit == 4)
    }

    @Test("bodies that take long get fewer, two at least")
    func longBodies() {
        var control = ConcurrencyControl(ceiling: 16)
        for count in 1...20 { control.bodyDone(in: 30, at: Double(count) * 30) }
        #expect(control.limit == 2)
        #expect(ConcurrencyControl(ceiling: 1).limit == 1)
    }
}

/// A line between here and a store, as a flow of bytes in steps of 10 ms.
struct Link: Sendable, CustomTestStringConvertible {
    var name: String
    /// Bytes per second of one connection, and of all together.
    var perConnection: Double
    var total: Double
    /// Seconds there and back; connections open with three, and double what they carry with each.
    var roundTrip = 0.05
    /// Share by which the line's rate wavers from step to step.
    var noise = 0.0
    var bodySize: Int64 = 8 << 20
    var bytes: Int64 = 1 << 30
    /// Requests above which the store refuses.
    var throttledAbove = Int.max
    var totalLater: (at: Double, total: Double)?

    var testDescription: String { name }

    struct Outcome {
        var seconds = 0.0
        var meanLimit = 0.0
        var secondsToTop = Double.infinity
        var refusals = 0
    }

    private struct Connection {
        var left: Double
        var began: Double
        /// Sends from then on.
        var ready: Double
        /// Bytes per second that its window allows.
        var window: Double
        /// Whether all is sent and the answer on its way.
        var answersAt: Double?
    }

    private static let step = 0.01

    func run(fixed: Int) -> Outcome { run(limit: fixed, control: nil) }

    func run(ceiling: Int) -> Outcome { run(limit: ceiling, control: ConcurrencyControl(ceiling: ceiling)) }

    private func run(limit: Int, control: ConcurrencyControl?) -> Outcome {
        var control = control
        var random = SeededRandom(seed: 1)
        var outcome = Outcome()
        var left = bytes
        var active: [Connection] = []
        // Windows of connections that are open and have nothing to do.
        var idle: [Double] = []
        var now = 0.0
        var limits = 0.0
        var steps = 0.0
        while left > 0 || !active.isEmpty {
            let allowed = control?.limit ?? limit
            if allowed == limit { outcome.secondsToTop = min(outcome.secondsToTop, now) }
            while active.count < allowed, left > 0 {
                let size = min(bodySize, left)
                left -= size
                let window = idle.popLast()
                active.append(
                    Connection(
                        left: Double(size),
                        began: now,
                        ready: now + (window == nil ? 3 * roundTrip : 0),
                        window: window ?? 14_600 / roundTrip
                    )
                )
                guard active.count > throttledAbove else { continue }
                active.removeLast()
                left += size
                outcome.refusals += 1
                control?.throttled(inFlight: active.count + 1, at: now)
                break
            }
            if left == 0 { control?.starved() }
            var capacity = total
            if let later = totalLater, now >= later.at { capacity = later.total }
            if noise > 0 { capacity *= 1 + noise * Double.random(in: -1...1, using: &random) }
            let sending = active.indices.filter { active[$0].answersAt == nil && active[$0].ready <= now }
            let wanted = sending.map { min(perConnection, active[$0].window) }
            let share = min(1, capacity / max(wanted.reduce(0, +), 1))
            var delivered = 0.0
            for (index, rate) in zip(sending, wanted) {
                let carried = min(active[index].left, rate * share * Self.step)
                active[index].left -= carried
                delivered += carried
                if share == 1 { active[index].window *= 1 + Self.step / roundTrip }
                active[index].window = min(active[index].window, perConnection)
                if active[index].left < 1 { active[index].answersAt = now + roundTrip }
            }
            now += Self.step
            if delivered > 0 { control?.delivered(Int64(delivered), at: now) }
            for connection in active where connection.answersAt.map({ $0 <= now }) == true {
                control?.bodyDone(in: now - connection.began, at: now)
                idle.append(connection.window)
            }
            active.removeAll { $0.answersAt.map { $0 <= now } == true }
            limits += Double(allowed)
            steps += 1
            if steps > 200_000 { break }
        }
        outcome.seconds = now
        outcome.meanLimit = limits / steps
        return outcome
    }
}
