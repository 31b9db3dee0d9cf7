import Testing

@testable import MulePlan

/// Workers that send small files and parts, with their durations; no clock.
private struct Pool {
    var share = FairShare()
    var waiting: (small: Int, parts: Int)
    var busy = (small: 0, parts: 0)
    /// When each worker is done, and with what.
    var workers: [(until: Double, share: Share?)]
    let seconds: [Share: Double]
    var now = 0.0
    var ends: [Share: Double] = [:]

    init(workers: Int, small: Int, parts: Int, seconds: [Share: Double]) {
        waiting = (small, parts)
        self.workers = Array(repeating: (0, nil), count: workers)
        self.seconds = seconds
    }

    mutating func run() {
        while waiting.small + waiting.parts + busy.small + busy.parts > 0 {
            let next = workers.indices.min { workers[$0].until < workers[$1].until } ?? 0
            now = workers[next].until
            finish(next)
            guard waiting.small + waiting.parts > 0 else {
                workers[next].until = .infinity
                if workers.allSatisfy({ $0.until == .infinity }) { return }
                continue
            }
            let turn = share.next(waiting: waiting, busy: busy)
            if turn == .small { (waiting.small, busy.small) = (waiting.small - 1, busy.small + 1) }
            if turn == .part { (waiting.parts, busy.parts) = (waiting.parts - 1, busy.parts + 1) }
            workers[next] = (now + seconds[turn, default: 0], turn)
        }
    }

    private mutating func finish(_ worker: Int) {
        guard let done = workers[worker].share else { return }
        if done == .small { busy.small -= 1 } else { busy.parts -= 1 }
        workers[worker].share = nil
        share.took(done, seconds: seconds[done, default: 0])
        ends[done] = now
    }
}

@Suite struct FairShareTests {
    @Test(arguments: [
        (workers: 16, small: 100_000, parts: 5_000, fast: 0.01, slow: 0.4),
        (workers: 4, small: 1_000, parts: 1_000, fast: 0.05, slow: 0.05),
        (workers: 8, small: 10_000, parts: 100, fast: 0.002, slow: 3),
        (workers: 2, small: 2_000, parts: 40, fast: 0.02, slow: 1),
    ])
    func `one huge file and many small ones end together`(
        _ link: (workers: Int, small: Int, parts: Int, fast: Double, slow: Double)
    ) throws {
        var pool = Pool(
            workers: link.workers,
            small: link.small,
            parts: link.parts,
            seconds: [.small: link.fast, .part: link.slow]
        )
        pool.run()
        let (small, parts) = (try #require(pool.ends[.small]), try #require(pool.ends[.part]))
        let work = Double(link.small) * link.fast + Double(link.parts) * link.slow
        let ideal = work / Double(link.workers)
        // Within a tenth of the whole, and a part's time at the end.
        #expect(abs(small - parts) <= 0.1 * ideal + 2 * link.slow, "\(small) and \(parts) of \(ideal)")
        #expect(max(small, parts) <= ideal + 2 * link.slow)
    }

    @Test func `what is alone gets all`() {
        let share = FairShare()
        #expect(share.next(waiting: (0, 10), busy: (0, 64)) == .part)
        #expect(share.next(waiting: (10, 0), busy: (64, 0)) == .small)
    }

    @Test func `one worker serves both`() {
        var pool = Pool(workers: 1, small: 100, parts: 4, seconds: [.small: 0.02, .part: 0.5])
        var turns: [Share] = []
        while pool.waiting.small + pool.waiting.parts > 0 {
            let turn = pool.share.next(waiting: pool.waiting, busy: pool.busy)
            turns.append(turn)
            if turn == .small { pool.waiting.small -= 1 } else { pool.waiting.parts -= 1 }
        }
        // Neither is left to the end.
        let half = turns.prefix(52)
        #expect(half.contains(.part) && half.contains(.small))
        #expect(turns.suffix(30).contains(.part))
    }
}
