import MulePlan
import Testing

@Suite("Byte sizes")
struct ByteSizeTests {
    @Test(
        arguments: [
            ("0", 0), ("1", 1), ("8388608", 8_388_608), ("512B", 512), ("8MiB", 8 << 20), ("8M", 8 << 20),
            ("8m", 8 << 20), ("8mib", 8 << 20), ("8 MiB", 8 << 20), ("100MB", 100_000_000), ("100mb", 100_000_000),
            ("1K", 1024), ("1KB", 1000), ("1KiB", 1024), ("2G", 2 << 30), ("2GB", 2_000_000_000), ("5TiB", 5 << 40),
            ("1.5G", 3 << 29), ("1.5KB", 1500), ("0.5K", 512), ("1.0000005MB", 1_000_000), ("1P", 1 << 50),
            ("7EiB", 7 << 60), ("9223372036854775807", Int64.max), ("00000000000000000000000000001", 1),
        ] as [(String, Int64)]
    )
    func `what people type is read`(text: String, bytes: Int64) throws {
        #expect(try ByteSize.parse(text) == bytes)
    }

    @Test(arguments: [
        "", " ", "x", "MiB", "-1", "+1", "1.", ".5", "1..5", "1 2", "1e3", "8  MiB", "0x10", "1,5G", "8MiB ",
        "\u{0661}", "1.0000000001K",
    ]
    )
    func `anything else is refused`(text: String) {
        #expect(throws: ByteSize.ParseError.self) { try ByteSize.parse(text) }
    }

    @Test
    func `an unknown unit is named, and a size past Int64 is too large`() {
        #expect(throws: ByteSize.ParseError.unknownUnit("XB")) { try ByteSize.parse("8XB") }
        #expect(throws: ByteSize.ParseError.unknownUnit("MiBs")) { try ByteSize.parse("8MiBs") }
        for text in ["8M\u{1B}[31m", "8K\nmule: done", "8\u{FC}", "8" + String(repeating: "K", count: 13)] {
            #expect(throws: ByteSize.ParseError.notASize) { try ByteSize.parse(text) }
        }
        #expect(throws: ByteSize.ParseError.tooLarge) { try ByteSize.parse("8EiB") }
        #expect(throws: ByteSize.ParseError.tooLarge) { try ByteSize.parse("9223372036854775808") }
        #expect(throws: ByteSize.ParseError.tooLarge) { try ByteSize.parse("99999999999999999999E") }
        #expect(throws: ByteSize.ParseError.tooLarge) { try ByteSize.parse("999999999999999999999") }
    }

    @Test(
        arguments: [("500K", 512_000), ("20MB/s", 20_000_000), ("1MiB/s", 1 << 20)] as [(String, Int64)]
    )
    func `a rate may end in /s`(text: String, bytes: Int64) throws {
        #expect(try ByteSize.parseRate(text) == bytes)
    }

    @Test
    func `a bare /s is no rate`() {
        #expect(throws: ByteSize.ParseError.notASize) { try ByteSize.parseRate("/s") }
    }

    @Test(
        arguments: [
            (-5, "0 B"), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (64_277_709, "61.3 MiB"),
            (1_048_575, "1.0 MiB"), (1_048_524, "1023.9 KiB"), (1_048_525, "1.0 MiB"), (300 << 30, "300.0 GiB"),
            (Int64.max, "8.0 EiB"),
        ] as [(Int64, String)]
    )
    func `counts are shown in the unit that keeps them below 1024`(bytes: Int64, text: String) {
        #expect(ByteSize.format(bytes) == text)
    }

    @Test
    func `a part of a whole is shown in the unit of the whole`() {
        #expect(ByteSize.format(196_602_000_000, of: 300 << 30) == "183.1 of 300.0 GiB")
        #expect(ByteSize.format(0, of: 300 << 30, separator: "/") == "0.0/300.0 GiB")
        #expect(ByteSize.format(3, of: 10) == "3 of 10 B")
    }

    @Test
    func `whole multiples of every unit read back as themselves`() throws {
        for power in 1...5 {
            for count in [1, 2, 9, 10, 99, 512, 1000, 1023] as [Int64] {
                let bytes = count << Int64(10 * power)
                #expect(try ByteSize.parse(ByteSize.format(bytes)) == bytes)
            }
        }
    }
}
