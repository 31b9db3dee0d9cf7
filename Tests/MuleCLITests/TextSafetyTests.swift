import MuleCLI
import Testing

@Suite("Names made safe to show")
struct TextSafetyTests {
    @Test(arguments: [
        ("plain.txt", "plain.txt"), ("", ""), ("a\nb\rc\td", "a\\nb\\rc\\td"), ("\u{1B}[2J", "\\x1B[2J"),
        ("\u{0}\u{7F}", "\\x00\\x7F"), ("\u{9B}31m", "\\u{9b}31m"), ("a\u{202E}txt.exe", "a\\u{202e}txt.exe"),
        ("\u{2066}\u{2028}", "\\u{2066}\\u{2028}"), ("\u{200B}", "\\u{200b}"), ("grün 文件 🐴", "grün 文件 🐴"),
        ("👩\u{200D}🚀", "👩\u{200D}🚀"), ("100%FF\\n", "100%FF\\n"), ("\r\n", "\\r\\n"),
    ]
    )
    func `controls and direction marks are escaped, other text stays`(name: String, shown: String) {
        #expect(TextSafety.displayName(Array(name.utf8)).utf8.elementsEqual(shown.utf8))
    }

    @Test(
        arguments: [
            ([0xFF], "%FF"), ([0x61, 0xC3], "a%C3"), ([0xC3, 0x61], "%C3a"), ([0xE2, 0x82], "%E2%82"),
            ([0xED, 0xA0, 0x80], "%ED%A0%80"), ([0xC0, 0xAF], "%C0%AF"), ([0xF5, 0x80], "%F5%80"),
            ([0x80, 0xC3, 0xBC, 0x80], "%80\u{FC}%80"), ([0xF0, 0x9F, 0x90], "%F0%9F%90"),
        ] as [([UInt8], String)]
    )
    func `bytes that are not UTF-8 are percent-escaped, none is dropped`(bytes: [UInt8], shown: String) {
        #expect(TextSafety.displayName(bytes) == shown)
        #expect(TextSafety.jsonName(bytes) == shown)
    }

    @Test
    func `every string of up to two bytes shows each of its bytes, and shows no control`() {
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                let bytes = [first, second]
                let json = TextSafety.jsonName(bytes)
                if let text = String(validating: bytes, as: UTF8.self) {
                    #expect(json.utf8.elementsEqual(text.utf8))
                } else {
                    let kept = bytes.filter { $0 < 0x80 }.count
                    #expect(json.utf8.count == kept + 3 * (2 - kept))
                }
                #expect(TextSafety.displayName(bytes).utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F })
            }
        }
    }

    @Test
    func `JSON names keep what is valid, controls too`() {
        #expect(TextSafety.jsonName(Array("a\n\u{202E}".utf8)) == "a\n\u{202E}")
    }

    @Test
    func `messages keep their line feeds and nothing else`() {
        #expect(TextSafety.displayText("a\n\u{1B}b\r\n\n") == "a\n\\x1Bb\\r\n\n")
    }
}

@Suite("Columns on a terminal")
struct DisplayWidthTests {
    @Test(arguments: [
        ("", 0), ("abc", 3), ("ü", 1), ("u\u{308}", 1), ("文件", 4), ("한글", 4), ("ｆｕ", 4), ("🐴", 2), ("é文a", 4),
        ("…", 1), ("\u{200D}", 0), ("Ω", 1),
    ]
    )
    func `wide characters take two columns, combining marks none`(text: String, columns: Int) {
        #expect(DisplayWidth.of(text) == columns)
    }

    @Test
    func `a shortened text keeps both ends and never exceeds its room`() {
        #expect(DisplayWidth.shorten("dump.zst", to: 8) == "dump.zst")
        #expect(DisplayWidth.shorten("database-2026.dump.zst", to: 13) == "datab...p.zst")
        #expect(DisplayWidth.shorten("文件文件文件.zst", to: 9, ellipsis: "…") == "文件….zst")
        for text in ["", "a", "database-2026.dump.zst", "文件文件文件", "a文b文c文", "e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}"]
        {
            for room in 0...30 {
                for ellipsis in ["...", "…"] {
                    let shown = DisplayWidth.shorten(text, to: room, ellipsis: ellipsis)
                    #expect(DisplayWidth.of(shown) <= room)
                    #expect(DisplayWidth.of(DisplayWidth.fit(text, to: room)) == room)
                }
            }
        }
    }
}
