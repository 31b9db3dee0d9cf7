import MulePlan
import TestSupport
import Testing

@Suite("Part plan")
struct PartPlanTests {
    @Test
    func `the parts of every small file cover it once, in order, and only the last is shorter`() {
        for objectSize in Int64(1)...40 {
            for partSize in Int64(1)...42 {
                expectExactCover(PartPlan(objectSize: objectSize, partSize: partSize))
            }
        }
    }

    @Test(arguments: UInt64(1)...20)
    func `so do those of large files`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let objectSize = Int64.random(in: 1...StoreLimits.amazon.maximumObjectSize, using: &random)
        let smallest = (objectSize - 1) / 10_000 + 1
        let partSize = Int64.random(in: smallest...(smallest * 3), using: &random)
        expectExactCover(PartPlan(objectSize: objectSize, partSize: partSize))
    }

    @Test
    func `a part larger than the file is the file`() {
        let plan = PartPlan(objectSize: 5, partSize: .max)
        #expect(plan.count == 1)
        #expect(plan.range(of: 1) == 0..<5)
    }

    private func expectExactCover(_ plan: PartPlan) {
        var offset: Int64 = 0
        for number in 1...plan.count {
            let range = plan.range(of: number)
            guard range.lowerBound == offset, range.upperBound > offset,
                plan.size(of: number) == range.upperBound - range.lowerBound,
                number == plan.count || plan.size(of: number) == plan.partSize
            else {
                Issue.record("part \(number) of \(plan) is \(range)")
                return
            }
            offset = range.upperBound
        }
        #expect(offset == plan.objectSize)
    }
}

@Suite("Part sizing")
struct PartSizingTests {
    private static let mebibyte: Int64 = 1 << 20
    private static let gibibyte: Int64 = 1 << 30

    @Test(
        arguments: [
            (0, nil), (1, nil), (8 << 20, nil), (16 << 20, nil), ((16 << 20) + 1, 5 << 20),
            (640 << 20, 5 << 20), (641 << 20, 6 << 20), (1 << 30, 8 << 20),
            (80_000 << 20, 8 << 20), ((80_000 << 20) + 1, 9 << 20), (10_000 * (5 << 30), 5 << 30),
        ] as [(Int64, Int64?)]
    )
    func
        `by default files up to 16 MiB go in one request and larger ones in 128 parts of 5 to 8 MiB, or in larger ones`(
            size: Int64,
            partSize: Int64?
        ) throws
    {
        #expect(try PartSizing().method(size: size) == partSize.map { .multipart(partSize: $0) } ?? .put)
    }

    @Test
    func `one byte more than 10,000 parts of 5 GiB has no plan`() {
        let maximum = 10_000 * 5 * Self.gibibyte
        #expect(throws: PlanError.objectTooLarge(size: maximum + 1, maximum: maximum)) {
            try PartSizing().method(size: maximum + 1)
        }
    }

    @Test
    func `a chosen part size is kept as long as 10,000 parts suffice, and grows to whole MiB beyond`() throws {
        let sizing = PartSizing(partSize: 10_000_000)
        #expect(try sizing.method(size: 10_000_000) == .put)
        #expect(try sizing.method(size: 10_000_001) == .multipart(partSize: 10_000_000))
        #expect(try sizing.method(size: 100_000_000_000) == .multipart(partSize: 10_000_000))
        #expect(try sizing.method(size: 100_000_000_001) == .multipart(partSize: 10 * Self.mebibyte))
    }

    @Test
    func `a file that fits in one part goes in one request, however large the part`() throws {
        let sizing = PartSizing(partSize: 100 * Self.mebibyte)
        #expect(try sizing.method(size: 100 * Self.mebibyte) == .put)
        #expect(try sizing.method(size: 100 * Self.mebibyte + 1) == .multipart(partSize: 100 * Self.mebibyte))
    }

    @Test
    func `a chosen threshold moves the border, but not below one part nor above the largest PUT`() throws {
        let low = PartSizing(multipartThreshold: 1)
        #expect(try low.method(size: 5 * Self.mebibyte) == .put)
        #expect(try low.method(size: 5 * Self.mebibyte + 1) == .multipart(partSize: 5 * Self.mebibyte))
        let high = PartSizing(multipartThreshold: .max)
        #expect(try high.method(size: 5 * Self.gibibyte) == .put)
        #expect(try high.method(size: 5 * Self.gibibyte + 1) == .multipart(partSize: 8 * Self.mebibyte))
    }

    @Test(arguments: [0, 1, (5 << 20) - 1, (5 << 30) + 1])
    func `a part size that the store refuses is refused at once`(partSize: Int64) {
        #expect(
            throws: PlanError.partSizeOutOfRange(partSize, minimum: 5 * Self.mebibyte, maximum: 5 * Self.gibibyte)
        ) {
            try PartSizing(partSize: partSize).method(size: 1)
        }
    }

    @Test
    func `other stores' limits are kept: 1,000 parts, or parts of 64 MiB at least`() throws {
        var scaleway = StoreLimits.amazon
        scaleway.maximumPartCount = 1000
        #expect(
            try PartSizing().method(size: 16_000 * Self.mebibyte, limits: scaleway)
                == .multipart(partSize: 16 * Self.mebibyte)
        )
        var storj = StoreLimits.amazon
        storj.minimumPartSize = 64 * Self.mebibyte
        #expect(try PartSizing().method(size: 64 * Self.mebibyte, limits: storj) == .put)
        #expect(
            try PartSizing().method(size: 65 * Self.mebibyte, limits: storj)
                == .multipart(partSize: 64 * Self.mebibyte)
        )
    }

    @Test(arguments: UInt64(1)...50)
    func `whatever is chosen, the plan keeps the store's limits`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let limits = StoreLimits.amazon
        // Sizes spread over all orders of magnitude.
        let size = Int64.random(
            in: 0...(limits.maximumObjectSize >> Int64.random(in: 0...40, using: &random)),
            using: &random
        )
        let sizing = PartSizing(
            partSize: Bool.random(using: &random)
                ? Int64.random(in: limits.minimumPartSize...limits.maximumPartSize, using: &random) : nil,
            multipartThreshold: Bool.random(using: &random) ? Int64.random(in: 0...Int64.max, using: &random) : nil
        )
        switch try sizing.method(size: size) {
        case .put: #expect(size <= limits.maximumPutSize)
        case .multipart(let partSize):
            #expect((limits.minimumPartSize...limits.maximumPartSize).contains(partSize))
            #expect(partSize >= sizing.partSize ?? 0)
            #expect(PartPlan(objectSize: size, partSize: partSize).count <= limits.maximumPartCount)
        }
    }
}
