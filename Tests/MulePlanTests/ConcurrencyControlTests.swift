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
        Link(
            name: "a store that reads slowly, with buffers before it",
            perConnection: 12.5e6,
            total: 50e6,
            buffer: 1e6
        ),
        Link(name: "a busy line, whose rate wavers", perConnection: 12.5e6, total: 150e6, noise: 0.25),
    ]

    @Test(arguments: links)
    func `finds what is within a tenth of the best fixed number`(link: Link) {
        var slow = link
        // Half a minute at the link's rate, so that the start does not dominate.
        slow.bytes = Int64(30 * min(link.total, 64 * link.perConnection))
        let best = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64].map { slow.run(fixed: $0).seconds }.min() ?? 0
        let found = slow.run(ceiling: 64)
        #expect(found.seconds <= best * 1.1, "\(found) against \(best)")
    }

    @Test(arguments: links.filter { $0.total < 1e9 })
    func `takes no more requests than a full line needs`(link: Link) {
        var long = link
        long.bytes = Int64(30 * min(link.total, 64 * link.perConnection))
        let needed = max(ConcurrencyControl.start, Int((link.total / link.perConnection).rounded(.up)))
        #expect(long.run(ceiling: 64).meanLimit <= Double(needed) * 2.2)
    }

    @Test(arguments: [links[1], links[2]])
    func `and fewer still in the long run`(link: Link) {
        var long = link
        long.bytes = Int64(120 * link.total)
        let found = long.run(ceiling: 64)
        #expect(found.meanLimit <= 1.7 * 8, "\(found)")
    }

    static let stores = [
        Link(name: "one that puts away less than comes", perConnection: 12.5e6, total: 1e9, store: 50e6),
        Link(
            name: "one that gets slower with what waits",
            perConnection: 12.5e6,
            total: 1e9,
            store: 100e6,
            strain: 0.02
        ),
        Link(name: "one that gets much slower", perConnection: 12.5e6, total: 1e9, store: 100e6, strain: 0.05),
    ]

    @Test(arguments: stores)
    func `goes back from a store that lets bodies wait for their answers`(link: Link) {
        var long = link
        long.bytes = Int64(120 * link.store)
        let best = [8, 12].map { long.run(fixed: $0).seconds }.min() ?? 0
        let found = long.run(ceiling: 64)
        #expect(found.seconds <= best * 1.2, "\(found) against \(best)")
        #expect(found.meanLimit <= 18, "\(found)")
        // With 64 at a time they would take ten.
        #expect(found.answerSeconds <= 2.5, "\(found)")
    }

    @Test(arguments: [0.3, 2])
    func `slow answers that fewer requests would not make quicker are survived`(seconds: Double) {
        var link = Link(name: "", perConnection: 12.5e6, total: .infinity, bytes: 8 << 30)
        link.whim = seconds
        let best = link.run(fixed: 64).seconds
        let found = link.run(ceiling: 64)
        #expect(found.seconds <= best * 1.1, "\(found) against \(best)")
    }

    @Test
    func `a store that is slow from some day on, for all alike, is not left with two requests`() {
        var link = Link(name: "", perConnection: 12.5e6, total: .infinity, bytes: 20 << 30)
        link.slowLater = (at: 10, seconds: 3)
        let best = link.run(fixed: 64).seconds
        let found = link.run(ceiling: 64)
        #expect(found.seconds <= best * 1.25, "\(found) against \(best)")
    }

    @Test
    func `is at the top within two seconds where each connection adds its share`() {
        let link = Link(name: "", perConnection: 12.5e6, total: .infinity, bytes: 1 << 30)
        #expect(link.run(ceiling: 64).secondsToTop <= 2)
    }

    @Test
    func `follows a line that grows, and one that shrinks`() {
        var link = Link(name: "", perConnection: 12.5e6, total: 50e6, bytes: 20 << 30)
        link.totals = [(at: 60, total: 400e6)]
        let grown = link.run(ceiling: 64)
        #expect(grown.seconds <= 60 + (Double(link.bytes) - 60 * 50e6) / 400e6 * 1.4, "\(grown)")
        link.total = 400e6
        link.bytes = 30 << 30
        link.totals = [(at: 60, total: 50e6)]
        let shrunk = link.run(ceiling: 64)
        let best = [32, 48, 64].map { link.run(fixed: $0).seconds }.min() ?? 0
        #expect(shrunk.seconds <= best * 1.1, "\(shrunk) against \(best)")
    }

    @Test
    func `goes back where the store asks for less, and does not ask for more at once`() {
        var link = Link(name: "", perConnection: 12.5e6, total: .infinity, bytes: 20 << 30)
        link.throttledAbove = 12
        let outcome = link.run(ceiling: 64)
        #expect(outcome.refusals <= 120, "\(outcome)")
        // Not so far back that the line lies idle.
        #expect(outcome.meanLimit >= 6, "\(outcome)")
    }

    @Test
    func `small bodies count by their number`() {
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

    @Test
    func `broken connections, many at a time, take a quarter away; single ones nothing`() {
        var control = ConcurrencyControl(ceiling: 6)
        control.broken(at: 0)
        control.broken(at: 1)
        control.broken(at: 100)
        #expect(control.limit == 6)
        control.broken(at: 101)
        control.broken(at: 102)
        #expect(control.limit == 4)
    }

    @Test
    func `while fewer are in flight than the limit allows, nothing is learned of it`() {
        var control = ConcurrencyControl(ceiling: 64)
        control.room = .narrow
        for step in 1...100 {
            control.delivered(8 << 20, at: Double(step))
            control.bodyDone(in: 30, at: Double(step))
        }
        #expect(control.limit == ConcurrencyControl.start)
        control.room = .full
        for step in 101...110 { control.delivered(8 << 20, at: Double(step)) }
        #expect(control.limit <= ConcurrencyControl.start)
        #expect(ConcurrencyControl(ceiling: 1).limit == 1)
    }
}
