import MulePlan
import TestSupport
import Testing

@Suite("Stream plan")
struct StreamPlanTests {
    private static let mebibyte: Int64 = 1 << 20
    private static let gibibyte: Int64 = 1 << 30
    private static let tebibyte: Int64 = 1 << 40

    /// Sizes of all parts that the store takes.
    private static func parts(_ plan: StreamPlan, _ limits: StoreLimits = .amazon) -> [Int64] {
        var sent: Int64 = 0
        return (1...limits.maximumPartCount).map { number in
            let size = plan.partSize(number: number, after: sent, limits: limits)
            sent += size
            return size
        }
    }

    /// How many parts the first bytes of a stream take.
    private static func count(_ plan: StreamPlan, for bytes: Int64) -> Int {
        var sent: Int64 = 0
        return parts(plan).firstIndex { size in
            sent += size
            return sent >= bytes
        }.map { $0 + 1 } ?? .max
    }

    @Test
    func `10,000 parts that grow from 8 MiB hold 48 TiB, and none passes 5 GiB`() {
        let parts = Self.parts(StreamPlan())
        #expect(parts.count == 10_000)
        #expect(parts.reduce(0, +) >= 48 * Self.tebibyte)
        #expect(parts.first == 8 * Self.mebibyte)
        #expect(parts.allSatisfy { $0 >= 8 * Self.mebibyte && $0 <= 5 * Self.gibibyte && $0 % Self.mebibyte == 0 })
        #expect(zip(parts, parts.dropFirst()).allSatisfy { $0 <= $1 })
    }

    @Test
    func `short streams are cheap: small parts, each a small share of what has gone`() {
        var sent: Int64 = 0
        for size in Self.parts(StreamPlan()) {
            #expect(size <= max(8 * Self.mebibyte, sent / 25 + Self.mebibyte))
            sent += size
        }
        #expect(StreamPlan().partSize(number: 25, after: 24 * 8 * Self.mebibyte) == 8 * Self.mebibyte)
        #expect(Self.count(StreamPlan(), for: Self.gibibyte) >= 60)
        #expect(Self.count(StreamPlan(), for: 100 * Self.gibibyte) >= 170)
    }

    @Test(
        arguments: [(10_000, 5 << 30), (10_000, 64 << 20), (1000, 5 << 30), (10_000, 5 << 40), (100, 1 << 30)]
            as [(Int, Int64)]
    )
    func `the same with other limits: what a store takes at most is nearly reached`(count: Int, largest: Int64) {
        var limits = StoreLimits.amazon
        (limits.maximumPartCount, limits.maximumPartSize) = (count, largest)
        let parts = Self.parts(StreamPlan(), limits)
        #expect(parts.allSatisfy { $0 <= largest })
        let share = Double(parts.reduce(0, +)) / Double(limits.maximumObjectSize)
        #expect(share > (count >= 1000 ? 0.95 : 0.7), "\(share)")
    }

    @Test
    func `a store's smallest part and its wish for equal parts are kept`() {
        var storj = StoreLimits.amazon
        storj.minimumPartSize = 64 * Self.mebibyte
        #expect(StreamPlan().partSize(number: 1, after: 0, limits: storj) == 64 * Self.mebibyte)
        // Chosen before the store was known.
        #expect(StreamPlan(equalPartSize: 5 << 20).partSize(number: 1, after: 0, limits: storj) == 64 * Self.mebibyte)
        var equal = StoreLimits.amazon
        equal.partsMustBeEqual = true
        #expect(Set(Self.parts(StreamPlan(), equal)) == [64 * Self.mebibyte])
        #expect(Set(Self.parts(StreamPlan(equalPartSize: 5 << 20), equal)) == [5 * Self.mebibyte])
    }

    @Test(
        arguments: [1, 8 << 20, 1 << 30, 70 << 30, 1 << 40, 40 << 40] as [Int64]
    )
    func `an expected size is cut into equal parts, as a file of that size`(size: Int64) throws {
        let plan = try StreamPlan(expectedSize: size)
        let parts = Self.parts(plan)
        let first = try #require(plan.equalPartSize)
        #expect(first >= 8 * Self.mebibyte && first % Self.mebibyte == 0)
        let needed = Int((size - 1) / first) + 1
        #expect(needed <= 9000)
        #expect(parts.prefix(needed).allSatisfy { $0 == first })
        // No larger than it must be, but for the tenth of the numbers that is kept for what comes beyond.
        if first > 8 * Self.mebibyte { #expect(Int64(9000) * (first - Self.mebibyte) < size) }
    }

    @Test(arguments: [1, 1 << 40] as [Int64])
    func `a stream that is longer than expected continues in parts that grow`(size: Int64) throws {
        let parts = Self.parts(try StreamPlan(expectedSize: size))
        #expect(parts.reduce(0, +) >= 4 * Self.tebibyte)
        #expect(zip(parts, parts.dropFirst()).allSatisfy { $0 <= $1 && $1 <= max(2 * $0, 5 * Self.gibibyte) })
        #expect(parts[9000] == parts[8999])
        #expect(parts.last == 5 * Self.gibibyte)
    }

    @Test
    func `the largest object may be expected, nothing larger`() throws {
        let largest = StoreLimits.amazon.maximumObjectSize
        #expect(try StreamPlan(expectedSize: largest).equalPartSize == 5 * Self.gibibyte)
        #expect(throws: PlanError.objectTooLarge(size: largest + 1, maximum: largest)) {
            try StreamPlan(expectedSize: largest + 1)
        }
    }

    @Test
    func `a size that was asked for is kept as long as it can hold what is expected`() throws {
        #expect(try StreamPlan(expectedSize: 1 << 30, asked: 5 << 20).equalPartSize == 5 << 20)
        #expect(try StreamPlan(expectedSize: 1 << 30, asked: 64 << 20).equalPartSize == 64 << 20)
        #expect(try StreamPlan(expectedSize: 1 << 40, asked: 5 << 20).equalPartSize == 117 << 20)
    }

    @Test(arguments: UInt64(1)...10)
    func `the cut is the same however often it is asked for, and from wherever`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let plan = StreamPlan(equalPartSize: Bool.random(using: &random) ? 5 << 20 : nil)
        let parts = Self.parts(plan)
        let number = Int.random(in: 1...10_000, using: &random)
        let before = parts.prefix(number - 1).reduce(0, +)
        #expect(plan.partSize(number: number, after: before) == parts[number - 1])
    }
}
