import Testing

@testable import MulePlan

/// Who sends first and how much is in flight, on simulated links: what a run keeps when it is stopped at any moment.
@Suite struct SendingOrderTests {
    private static let megabit = 1e6 / 8
    private static let part = Double(8 << 20)

    @Test(arguments: [1.0, 4, 8, 20])
    func `on a slow link parts end one after the other`(megabits: Double) {
        let rate = megabits * Self.megabit
        let link = Link(name: "", perConnection: 12.5e6, total: rate, bytes: 400 << 20)
        let time = max(60, 2.5 * Self.part / rate)
        let found = link.run(ceiling: 64, for: time)
        // A part or two, and what the younger ones had sent before the link was known.
        let loss = found.lossOnStop(from: 2)
        #expect(loss.most <= max(Self.part, 5 * rate) + rate + 2e6, "\(loss)")
        #expect(loss.mean <= max(Self.part, 5 * rate) * 0.7 + 2e6, "\(loss)")
        // The link is as full as with eight at a time.
        let all = link.run(fixed: 8, for: time)
        #expect((found.timeline.last?.carried ?? 0) >= (all.timeline.last?.carried ?? 0) * 0.97)
        #expect((found.timeline.last?.kept ?? 0) >= (all.timeline.last?.kept ?? 0))
    }

    @Test(arguments: [0.5e6, 4e6, 16e6])
    func `what a proxy takes in is not taken for what the link carries`(buffer: Double) {
        let link = Link(name: "", perConnection: 1e9, total: 1.5e6, bytes: 400 << 20, buffer: buffer)
        let found = link.run(ceiling: 64, for: 120)
        let loss = found.lossOnStop(from: 2)
        #expect(loss.mean <= 2 * Self.part, "\(loss)")
        #expect(loss.most <= 4 * Self.part, "\(loss)")
        #expect(found.mostInFlight <= 16)
        #expect((found.timeline.last?.carried ?? 0) >= 1.5e6 * 115)
    }

    @Test
    func `a link that becomes slow, and fast again`() {
        var link = Link(name: "", perConnection: 125e6, total: 125e6, bytes: 20 << 30)
        link.totals = [(at: 5, total: 2e6), (at: 65, total: 125e6)]
        let found = link.run(ceiling: 64, for: 80)
        // What was in flight at the change ends part by part.
        let loss = found.lossOnStop(from: 50, to: 65)
        #expect(loss.most <= 3 * Self.part, "\(loss)")
        let before = found.timeline.last { $0.at <= 65 }?.carried ?? 0
        #expect((found.timeline.last?.carried ?? 0) - before >= 125e6 * 15 * 0.6)
    }

    @Test(arguments: [1e6, 3e6, 4e6, 20e6])
    func `a rate limit goes to the oldest part`(rate: Double) {
        var link = Link(name: "", perConnection: 12.5e6, total: 100e6, bytes: 200 << 20)
        link.rateLimit = rate
        let found = link.run(ceiling: 64, for: 40)
        let loss = found.lossOnStop(from: 0)
        #expect(loss.most <= max(Self.part, rate) + 1e6, "\(loss)")
        #expect(Double(found.mostInFlight) <= max(1, 10 * rate / Self.part))
        let end = found.timeline.last ?? (at: 0, carried: 0, kept: 0)
        #expect(end.carried >= min(Double(link.bytes) * 0.9, rate * end.at * 0.97), "\(end)")
        #expect(end.carried <= rate * (end.at + 0.5))
    }

    @Test(arguments: [0.3e6, 0.5e6, 1e6])
    func `where each connection is slow by itself, all send`(each: Double) {
        let link = Link(name: "", perConnection: each, total: .infinity, bytes: 256 << 20)
        let found = link.run(ceiling: 16)
        #expect(found.seconds <= link.run(fixed: 8).seconds * 1.1)
    }

    @Test(arguments: [(each: 0.5e6, total: 4e6), (0.5e6, 2e6), (1e6, 4e6), (2e6, 8e6)]
    )
    func `where each connection is slow by itself and they fill a link together, as many send as it takes`(
        each: Double,
        total: Double
    ) {
        let link = Link(name: "", perConnection: each, total: total, bytes: 256 << 20)
        let found = link.run(ceiling: 64)
        #expect(found.seconds <= link.run(fixed: 8).seconds * 1.1)
        // More requests than fill the link only lose more when the run is stopped.
        #expect(found.mostInFlight <= 16)
    }

    @Test(arguments: [0.5e6, 1e6, 2e6])
    func `connections that are slow by themselves get more requests at a time`(each: Double) {
        let link = Link(name: "", perConnection: each, total: .infinity, bytes: 1 << 30)
        #expect(link.run(ceiling: 64).seconds <= link.run(fixed: 64).seconds * 1.6)
    }

    @Test
    func `a long way is not taken for a proxy that takes bytes in`() {
        var link = Link(name: "", perConnection: 12.5e6, total: .infinity, bytes: 1 << 30)
        link.roundTrip = 0.5
        #expect(link.run(ceiling: 64).seconds <= link.run(fixed: 8).seconds * 0.7)
    }

    @Test
    func `a slow link that becomes faster for each connection is found out`() {
        var link = Link(name: "", perConnection: 0.5e6, total: 0.5e6, bytes: 1 << 30)
        link.totals = [(at: 30, total: 8e6)]
        let found = link.run(ceiling: 64, for: 200)
        #expect((found.timeline.last?.carried ?? 0) >= 4 * 0.5e6 * 200)
    }

    @Test
    func `a held part sends a few bytes now and then, and the oldest continues`() {
        var order = SendingOrder(isBounded: true)
        order.limit(to: 1e6, at: 0)
        for number in 1...3 { order.begin(number, length: 8 << 20, at: 0) }
        var sent = [0, 0, 0]
        for step in 1...700 {
            let now = Double(step) / 100
            for number in [3, 2, 1] {
                let granted = order.grant(64 << 10, to: number, at: now)
                sent[number - 1] += granted
                if granted > 0 { order.delivered(Int64(granted), of: number, at: now) }
            }
        }
        #expect(sent[0] > 6_000_000, "\(sent)")
        #expect(sent[1] > 0 && sent[2] > 0 && sent[1] + sent[2] < 500_000, "\(sent)")
        #expect(order.isHeld(3))
    }

    @Test
    func `with a number of requests that the user has named only the rate limit holds parts back`() {
        var order = SendingOrder(isBounded: false)
        for number in 1...3 { order.begin(number, length: 8 << 20, at: 0) }
        #expect((1...3).allSatisfy { order.grant(1 << 20, to: $0, at: 0.1) == 1 << 20 })
        #expect(order.budget == nil && order.room(at: 1) == .open)
        order.limit(to: 1e6, at: 1)
        #expect(order.grant(1 << 20, to: 2, at: 1.1) > 0)
        #expect(order.grant(1 << 20, to: 1, at: 1.1) == 0)
        // The oldest is waiting now.
        #expect(order.grant(1 << 20, to: 2, at: 1.15) == 0)
        #expect(order.grant(1 << 20, to: 1, at: 1.15) > 0)
        #expect(order.budget == nil)
    }

    @Test
    func `a rate limit says at once how much may be in flight, and a slow link more strictly`() {
        var order = SendingOrder(isBounded: true)
        #expect(order.budget == nil)
        order.limit(to: 3e6, at: 0)
        #expect(order.budget == 30_000_000)
        order.limit(to: nil, at: 1)
        #expect(order.budget == nil)
    }
}
