import Testing

@testable import MulePlan

/// Which bodies are cut and sent again, on the simulated link.
@Suite struct StragglerDetectorTests {
    static let line = Link(name: "", perConnection: 12.5e6, total: 100e6, bytes: 512 << 20, cutsStragglers: true)
    /// 512 MiB are 64 bodies.
    static let last = 64

    @Test(
        arguments: [0, 10e3, 100e3, 1e6] as [Double],
        [60, 64]
    )
    func `one that crawls at the end costs seconds, where it cost minutes`(rate: Double, body: Int) {
        var link = Self.line
        let smooth = link.run(fixed: 8)
        link.crawls = [body: rate]
        let outcome = link.run(fixed: 8)
        #expect(outcome.seconds <= smooth.seconds + 7, "\(outcome) against \(smooth)")
        #expect(outcome.cuts == 1)
        #expect(outcome.lost <= Double(link.bodySize))
        link.cutsStragglers = false
        #expect(link.run(fixed: 8).seconds >= smooth.seconds + 7)
    }

    @Test(arguments: [2, 3])
    func `all that crawl at the end are cut, each once`(count: Int) {
        var link = Self.line
        for body in 0..<count { link.crawls[Self.last - body] = 20e3 }
        let outcome = link.run(fixed: 8)
        #expect(outcome.cuts == count)
        #expect(outcome.seconds <= 15, "\(outcome)")
    }

    @Test
    func `one that has started to crawl while there was other work is cut when that is done`() {
        var link = Self.line
        link.crawls = [3: 10e3]
        let outcome = link.run(fixed: 8)
        #expect(outcome.cuts == 1)
        #expect(outcome.seconds <= link.run(fixed: 7).seconds + 3, "\(outcome)")
    }

    @Test(arguments: [(0.0, 20e3), (2.5, 100e3), (4.5, 100e3), (5.2, 100e3), (5.5, 1e3)]
    )
    func `no one is cut where all are slow, from the beginning or all at once`(at: Double, total: Double) {
        var link = Self.line
        link.bytes = at == 0 ? 64 << 20 : link.bytes
        link.totals = [(at: at, total: total)]
        #expect(link.run(fixed: 8).cuts == 0)
        #expect(link.run(ceiling: 64).cuts == 0)
    }

    @Test(arguments: [8, 16, 48])
    func `no one is cut where the line is shared unevenly`(concurrency: Int) {
        for total in [1e6, 10e6, 100e6] {
            var link = Self.line
            link.isUnfair = true
            link.noise = 0.5
            link.total = total
            link.bytes = Int64(concurrency * 3) << 23
            #expect(link.run(fixed: concurrency).cuts == 0)
        }
    }

    @Test
    func `what is nearly there, or all there, is not cut`() {
        for gone in [6_000_000, 8_000_000] as [Int64] {
            var stragglers = Self.afterFour()
            let number = stragglers.begin(length: 8_000_000, cuts: 0, at: 10)
            stragglers.delivered(gone, of: number, at: 11)
            // Two million at 200 kB/s take ten seconds; the others need one for all of it.
            for second in 12...20 where gone < 8_000_000 {
                stragglers.delivered(200_000, of: number, at: Double(second))
            }
            #expect(!stragglers.isLeftBehind(number, at: 20))
        }
    }

    @Test
    func `each is cut twice at most, the second time after twice the time`() {
        for (cuts, seconds) in [(0, 5.0), (1, 9.0), (2, nil)] as [(Int, Double?)] {
            var stragglers = Self.afterFour()
            let number = stragglers.begin(length: 8_000_000, cuts: cuts, at: 10)
            let cutAfter = (1...50).first { stragglers.isLeftBehind(number, at: 10 + Double($0)) }
            #expect(cutAfter.map(Double.init) == seconds.map { $0 - 1 })
        }
    }

    @Test
    func `without others nothing is known`() {
        var stragglers = StragglerDetector()
        let number = stragglers.begin(length: 8_000_000, cuts: 0, at: 0)
        #expect(!stragglers.isLeftBehind(number, at: 100))
        // Nor where they were long ago.
        stragglers = Self.afterFour()
        let late = stragglers.begin(length: 8_000_000, cuts: 0, at: 100)
        #expect(!stragglers.isLeftBehind(late, at: 130))
    }

    /// Four bodies of a second each have come through.
    private static func afterFour() -> StragglerDetector {
        var stragglers = StragglerDetector()
        for _ in 1...4 {
            let number = stragglers.begin(length: 8_000_000, cuts: 0, at: 9)
            stragglers.delivered(8_000_000, of: number, at: 10)
            stragglers.end(number, isThere: true, at: 10)
        }
        return stragglers
    }
}
