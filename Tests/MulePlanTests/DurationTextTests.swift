import MulePlan
import Testing

@Suite("Durations")
struct DurationTextTests {
    @Test(
        arguments: [
            ("0", 0), ("5", 5), ("5s", 5), ("15m", 900), ("2h", 7200), ("1h30m", 5400), ("7d", 604_800),
            ("1w2d3h4m5s", 788_645), ("1.5h", 5400), ("500ms", 0.5), ("1s500ms", 1.5), ("0.5", 0.5), ("90m", 5400),
        ] as [(String, Double)]
    )
    func `what people type is read`(text: String, seconds: Double) throws {
        #expect(try DurationText.parse(text) == seconds)
    }

    @Test(arguments: [
        "", " ", "s", "5x", "-5s", "+5", "5 s", "1m1h", "1h1h", "5s3", "3 5s", ".5s", "5.s", "1..5s", "5S", "1e3",
        "nan", "inf", "0x10",
    ]
    )
    func `anything else is refused`(text: String) {
        #expect(throws: DurationText.ParseError.notADuration) { try DurationText.parse(text) }
    }

    @Test
    func `more than ten years is refused`() throws {
        #expect(try DurationText.parse("3650d") == 315_360_000)
        #expect(throws: DurationText.ParseError.tooLong) { try DurationText.parse("3651d") }
        let digits = String(repeating: "9", count: 400)
        #expect(throws: DurationText.ParseError.tooLong) { try DurationText.parse(digits) }
    }

    @Test(
        arguments: [
            (0, "0s"), (-3, "0s"), (12.4, "12s"), (59.4, "59s"), (59.6, "1m00s"), (250, "4m10s"), (3599, "59m59s"),
            (3600, "1h00m"), (3720, "1h02m"), (86_399, "23h59m"), (86_400, "1d00h"), (273_600, "3d04h"),
            (.infinity, "?"), (.nan, "?"),
        ] as [(Double, String)]
    )
    func `a span is shown in its two largest units`(seconds: Double, text: String) {
        #expect(DurationText.format(seconds) == text)
    }
}
