import Testing

@testable import MulePlan

/// The law for small files, on a simulated store: no clock, no network, the same numbers each time.
@Suite struct SmallFileControlTests {
    static let far = Distance(files: 2000, roundTrip: 0.05)

    @Test(arguments: [0.02, 0.05, 0.1, 0.2], [1.0, 2])
    func `over a distance it takes little longer than as many connections as pay`(roundTrip: Double, setUps: Double) {
        var far = Self.far
        (far.roundTrip, far.setUps) = (roundTrip, setUps)
        let best = far.run(fixed: min(256, Int((2000 * roundTrip / 0.004).squareRoot()))).seconds
        let found = far.run()
        // The way up takes some round trips more.
        #expect(found.seconds <= best + 6 * roundTrip, "\(found) against \(best)")
        #expect(found.seconds <= far.run(fixed: 64).seconds * 0.85, "\(found)")
    }

    @Test func `many files take all that is allowed`() {
        var far = Self.far
        far.files = 50_000
        #expect(far.run().mostInFlight == 256)
        #expect(far.run(ceiling: 100).mostInFlight == 100)
        #expect(far.run(ceiling: 3).mostInFlight == ConcurrencyControl.start, "others limit it")
    }

    @Test func `with a handshake fewer connections pay`() {
        var control = SmallFileControl(ceiling: 256)
        func limit(isEncrypted: Bool) -> Int {
            control = SmallFileControl(ceiling: 256)
            control.isEncrypted = isEncrypted
            control.waiting = 1936
            control.started(at: 0)
            control.pass(1)
            for step in 1...3 {
                for _ in 0..<16 { control.answered(4096, after: 0.05, inFlight: control.limit, at: Double(step)) }
            }
            return control.limit
        }
        #expect((155...170).contains(limit(isEncrypted: true)))
        #expect((220...240).contains(limit(isEncrypted: false)))
    }

    @Test func `few files do not open a connection for each`() {
        var few = Self.far
        few.files = 100
        let found = few.run()
        #expect((20...70).contains(found.mostInFlight), "\(found)")
    }

    @Test(arguments: [0.0002, 0.001, 0.004])
    func `near a store it adds none`(roundTrip: Double) {
        let near = Distance(files: 20_000, roundTrip: roundTrip, capacity: 9000)
        // A first answer takes some round trips, until which it is not known to be near.
        #expect(near.run().mostInFlight <= 2 * ConcurrencyControl.start)
    }

    @Test func `near a store on a busy machine it adds none either`() {
        var control = SmallFileControl(ceiling: 256)
        control.waiting = 10_000
        control.started(at: 0)
        for number in 1...64 {
            control.answered(65_536, after: number % 16 == 5 ? 0.002 : 0.02, inFlight: 8, at: Double(number))
        }
        #expect(control.limit == 0)
    }

    @Test(arguments: [100.0, 400, 1500])
    func `a store that is full is not asked for more`(capacity: Double) {
        let store = Distance(files: 8000, roundTrip: 0.02, capacity: capacity)
        let best = store.run(fixed: 64).seconds
        let found = store.run()
        #expect(found.seconds <= best * 1.1, "\(found) against \(best)")
        // With 256 it would be 2.6, 0.6 and 0.17 s.
        #expect(found.meanAnswer <= max(0.13, 19 / capacity), "\(found)")
    }

    @Test(arguments: [16 << 10, 64 << 10, 256 << 10])
    func `on a slow line few bytes are in flight`(size: Int64) {
        let rate = 250_000.0
        let slow = Distance(files: Int(30 * rate) / Int(size), roundTrip: 0.05, size: size, bytesPerSecond: rate)
        let found = slow.run()
        let others = Int64(ConcurrencyControl.start) * size
        #expect(found.mostBytes <= max(1 << 20, others) + size, "\(found)")
        #expect(found.seconds <= slow.run(fixed: 64).seconds * 1.05, "\(found)")
    }

    @Test func `a store that refuses gets half, and later a little more at a time`() {
        var store = Distance(files: 60_000, roundTrip: 0.05)
        store.throttledAbove = 100
        let found = store.run()
        // Each time for what was sent together; the pauses get longer.
        #expect(found.refusals <= 400, "\(found)")
        #expect(found.meanInFlight >= 40, "\(found)")
        #expect(found.meanInFlight <= 100, "\(found)")
    }

    @Test func `a store that is slow from some time on for all requests keeps its requests`() {
        var store = Distance(files: 20_000, roundTrip: 0.03)
        store.slowLater = (at: 1, seconds: 0.4)
        let found = store.run()
        #expect(found.seconds <= store.run(fixed: 256).seconds * 1.3, "\(found)")
    }

    @Test func `while nothing is answered it stays with few, and a failure keeps it at the start`() {
        var control = SmallFileControl(ceiling: 256)
        control.waiting = 10_000
        #expect(control.risesAt == nil)
        control.started(at: 5)
        control.pass(5.005)
        #expect(control.limit == SmallFileControl.start)
        control.pass(5.035)
        #expect((30...50).contains(control.limit))
        control.pass(60)
        #expect(control.limit == 96)
        #expect(control.risesAt == nil)
        control.broken(at: 61)
        control.pass(70)
        #expect(control.limit == SmallFileControl.start)
    }

    @Test func `the time of the next rise always lies ahead`() throws {
        for waiting in [0, 1, 100, 100_000] {
            var control = SmallFileControl(ceiling: 256)
            control.waiting = waiting
            control.started(at: 0)
            var now = 0.0
            while let next = control.risesAt {
                try #require(next > now)
                now = next
                let before = control.limit
                control.pass(now)
                try #require(control.limit > before)
            }
            #expect(control.limit == 96)
        }
    }

    @Test func `broken connections, many at a time, take a quarter away; single ones nothing`() {
        var control = SmallFileControl(ceiling: 256)
        control.waiting = 10_000
        control.started(at: 0)
        control.pass(1)
        for _ in 0..<16 { control.answered(100, after: 0.05, inFlight: 64, at: 1) }
        #expect(control.limit == 192)
        for step in 0..<10 { control.broken(at: 2 + 10 * Double(step)) }
        #expect(control.limit == 192)
        for _ in 0..<64 { control.broken(at: 200) }
        #expect(control.limit == 144)
    }

    @Test func `SlowDown halves what is in flight, once for those in flight together`() {
        var control = SmallFileControl(ceiling: 256)
        control.waiting = 10_000
        control.started(at: 0)
        control.pass(1)
        for _ in 0..<16 { control.answered(100, after: 0.05, inFlight: 128, at: 1) }
        control.throttled(inFlight: 100, at: 2)
        #expect(control.limit == 50)
        for _ in 0..<50 { control.throttled(inFlight: 100, at: 2.5) }
        #expect(control.limit == 50)
        for _ in 0..<160 { control.answered(100, after: 0.05, inFlight: 50, at: 11) }
        #expect(control.limit == 50)
        for _ in 0..<16 { control.answered(100, after: 0.05, inFlight: 50, at: 12.1) }
        #expect(control.limit == 56)
        control.throttled(inFlight: 12, at: 13)
        #expect(control.limit == 0, "only the other limits count")
    }
}

/// Files of one size to a store at a distance.
struct Distance: Sendable {
    var files: Int
    /// Seconds of a round trip, and how many of them a new connection takes.
    var roundTrip: Double
    var setUps = 2.0
    var size: Int64 = 4096
    /// Files per second that the store takes, one after the other.
    var capacity = Double.infinity
    /// Bytes per second of the line.
    var bytesPerSecond = Double.infinity
    /// Requests above which the store refuses.
    var throttledAbove = Int.max
    /// From then on all answers take that much longer.
    var slowLater: (at: Double, seconds: Double)?

    struct Outcome {
        var seconds = 0.0
        var mostInFlight = 0
        var meanInFlight = 0.0
        var mostBytes: Int64 = 0
        /// Mean seconds from the request to the answer.
        var meanAnswer = 0.0
        var refusals = 0
    }

    private struct Request {
        var sentAt: Double
        var answersAt: Double
        var isRefused: Bool
    }

    private static let step = 0.0005

    func run(fixed: Int) -> Outcome { run(fixed: fixed, nil) }

    func run(ceiling: Int = 256) -> Outcome { run(fixed: ConcurrencyControl.start, SmallFileControl(ceiling: ceiling)) }

    private func run(fixed: Int, _ control: SmallFileControl?) -> Outcome {
        var control = control
        var outcome = Outcome()
        var left = files
        var active: [Request] = []
        var idle = 0
        var (lineFreeAt, storeFreeAt, now) = (0.0, 0.0, 0.0)
        var (answers, answerSeconds, inFlight, steps) = (0, 0.0, 0, 0)
        while left > 0 || !active.isEmpty {
            control?.waiting = left
            control?.pass(now)
            while left > 0 {
                let bytes = Int64(active.count) * size
                let isExtra = active.count >= fixed
                if isExtra {
                    guard let control, active.count < control.limit, bytes + size <= control.budget else { break }
                }
                left -= 1
                control?.started(at: now)
                let sentAt = now + (idle > 0 ? 0 : setUps * roundTrip)
                if idle > 0 { idle -= 1 }
                lineFreeAt = max(lineFreeAt, sentAt) + Double(size) / bytesPerSecond
                storeFreeAt = max(storeFreeAt, lineFreeAt + roundTrip / 2) + 1 / capacity
                let slower = slowLater.map { sentAt >= $0.at ? $0.seconds : 0 } ?? 0
                active.append(
                    Request(
                        sentAt: sentAt,
                        answersAt: storeFreeAt + roundTrip / 2 + slower,
                        isRefused: active.count >= throttledAbove
                    )
                )
            }
            outcome.mostInFlight = max(outcome.mostInFlight, active.count)
            outcome.mostBytes = max(outcome.mostBytes, Int64(active.count) * size)
            inFlight += active.count
            steps += 1
            now += Self.step
            for request in active where request.answersAt <= now {
                if request.isRefused {
                    outcome.refusals += 1
                    left += 1
                    control?.throttled(inFlight: active.count, at: now)
                } else {
                    let seconds = now - request.sentAt
                    answers += 1
                    answerSeconds += seconds
                    control?.answered(size, after: seconds, inFlight: active.count, at: now)
                }
                idle += 1
            }
            active.removeAll { $0.answersAt <= now }
        }
        outcome.seconds = now
        outcome.meanInFlight = Double(inFlight) / Double(max(steps, 1))
        outcome.meanAnswer = answerSeconds / Double(max(answers, 1))
        return outcome
    }
}
