import MulePlan
import Testing

@Suite struct AbortDateTests {
    private static let now = UTCTime(secondsSince1970: 1_800_000_000)

    private static func date(in seconds: Int64) -> AbortDate {
        AbortDate(time: now.adding(milliseconds: seconds * 1000))
    }

    @Test func `both spellings of a date are read`() {
        let expected = AbortDate(time: UTCTime(secondsSince1970: 1_795_737_600))
        #expect(AbortDate("Fri, 27 Nov 2026 00:00:00 GMT") == expected)
        #expect(AbortDate("2026-11-27T00:00:00.000Z") == expected)
        #expect(AbortDate("soon") == nil)
    }

    @Test(
        arguments: [
            // left, bytes, rate, risk
            (0, 1, nil, .past), (-5, nil, nil, .past), (1, nil, nil, .near(left: 1)),
            (86_399, 10, nil, .near(left: 86_399)), (86_400, 10, nil, nil), (864_000, nil, 1, nil),
            (864_000, 864_000, 1, nil), (864_000, 864_001, 1, .tooSlow(left: 864_000, needed: 864_001)),
            (100, 10, 1, .near(left: 100)), (100, 0, 0, .near(left: 100)),
            (864_000, 1, 0, .tooSlow(left: 864_000, needed: .infinity)), (864_000, 0, 0, nil),
        ] as [(Int64, Int64?, Double?, AbortDate.Risk?)]
    )
    func `risk follows from time bytes and rate`(left: Int64, bytes: Int64?, rate: Double?, risk: AbortDate.Risk?) {
        #expect(Self.date(in: left).risk(at: Self.now, bytesLeft: bytes, rate: rate) == risk)
    }
}
