import TestSupport
import Testing

@testable import MuleCredentials

struct SharedFileCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let text: String
    let sections: [String]

    init(_ name: String, _ text: String, _ sections: [String]) {
        testDescription = name
        self.text = text
        self.sections = sections
    }
}

@Suite("A shared file")
struct SharedFileTests {
    /// `[header] name=value name={inner=value}`, names sorted.
    private static func render(_ file: SharedFile) -> [String] {
        file.sections.map { section in
            let settings = section.settings.sorted { $0.key < $1.key }.map { name, value in
                switch value {
                case .text(let text): "\(name)=\(text)"
                case .nested(let inner):
                    "\(name)={\(inner.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " "))}"
                }
            }
            return (["[\(section.header)]"] + settings).joined(separator: " ")
        }
    }

    private static func parse(_ bytes: [UInt8]) throws(SharedConfigurationError) -> [String] {
        render(try SharedFile(parsing: bytes, path: "f"))
    }

    @Test
    func `a value of very many lines is read in the time of its bytes`() throws {
        let text = "[a]\nx = 0" + String(repeating: "\n 1", count: 300_000)
        let file = try SharedFile(parsing: Array(text.utf8), path: "f")
        #expect(file.sections[0].settings["x"] == .text("0" + String(repeating: "\n1", count: 300_000)))
    }

    static let readable: [SharedFileCase] = [
        .init("empty", "", []),
        .init("only blanks and comments", "\n  \n# a\n ; b\n\t# c", []),
        .init("a section without settings", "[a]", ["[a]"]),
        .init("settings with and without blanks", "[a]\nx=1\ny = 2 \n z\t=\t3\n", ["[a] x=1 y=2\nz\t=\t3"]),
        .init("names in lower case", "[a]\nAWS_Access_Key_ID = AKID", ["[a] aws_access_key_id=AKID"]),
        .init("a colon as in Python's parser", "[a]\nregion: eu-west-1", ["[a] region=eu-west-1"]),
        .init("later signs belong to the value", "[a]\nu = http://h:1/?a=b", ["[a] u=http://h:1/?a=b"]),
        .init("an empty value", "[a]\nx =\ny=1", ["[a] x= y=1"]),
        .init("the last of two settings wins", "[a]\nx=1\nx=2", ["[a] x=2"]),
        .init("the same section twice", "[a]\nx=1\n[b]\n[a]\ny=2", ["[a] x=1", "[b]", "[a] y=2"]),
        .init("a comment behind a header", "[a] # why\nx=1\n[ b ];c", ["[a] x=1", "[b]"]),
        .init("a comment behind a value is part of it", "[a]\nx=1 # one\ny=2 ;two", ["[a] x=1 # one y=2 ;two"]),
        .init("a comment line among nested lines", "[a]\ns3 =\n  # why\n  x=1\n; and\n  y=2", ["[a] s3={x=1 y=2}"]),
        .init("nested lines", "[a]\ns3 =\n  addressing_style = path\nx=1", ["[a] s3={addressing_style=path} x=1"]),
        .init("nested lines after an empty one", "[a]\ns3 =\n\n\tA = b:c\n", ["[a] s3={a=b:c}"]),
        .init("a nested value may be empty", "[a]\ns3 =\n  x =", ["[a] s3={x=}"]),
        .init("a value goes on in deeper lines", "[a]\nx = 1\n  2\n  3\ny=4", ["[a] x=1\n2\n3 y=4"]),
        .init("indented settings of an indented section", "  [a]\n  x=1\n  y=2", ["[a] x=1 y=2"]),
        .init("a first setting may be indented", "[a]\n    x=1\n    y=2", ["[a] x=1 y=2"]),
        .init("an indented header goes on with the value", "[a]\nx=1\n [b]", ["[a] x=1\n[b]"]),
        .init("CR LF", "[a]\r\nx=1\r\ns3 =\r\n  y=2\r\n", ["[a] s3={y=2} x=1"]),
        .init("CR alone", "[a]\rx=1\r", ["[a] x=1"]),
        .init("a byte order mark", "\u{FEFF}[a]\nx=1", ["[a] x=1"]),
        .init("other scripts", "[größe]\nx=ü", ["[größe] x=ü"]),
        .init("a header that is no profile", "[plugins]\nx=1", ["[plugins] x=1"]),
    ]

    @Test(arguments: readable)
    func `is read as the AWS command line reads it`(_ example: SharedFileCase) throws {
        #expect(try Self.parse(Array(example.text.utf8)) == example.sections)
    }

    @Test(arguments: [
        ("x=1", 1, "a setting comes before the first [section]"),
        ("\n\n# c\nx=1\n[a]", 4, "a setting comes before the first [section]"),
        ("[a", 1, "a section needs a name and a closing ]"),
        ("[]", 1, "a section needs a name and a closing ]"),
        ("[  ]", 1, "a section needs a name and a closing ]"),
        ("[a]\r\nx\r\n", 2, "neither a [section] nor a setting of the form name = value"),
        ("[a]\n=1", 2, "neither a [section] nor a setting of the form name = value"),
        (
            "[a]\ns3 =\n  x=1\n  y\nz=1", 4,
            "an indented line under a name without a value must be of the form name = value"
        ),
        (
            "[a]\ns3 =\n\n  y", 4,
            "an indented line under a name without a value must be of the form name = value"
        ),
    ]
    )
    func `that makes no sense is refused with the line's number`(_ text: String, _ line: Int, _ problem: String) {
        #expect(throws: SharedConfigurationError(path: "f", line: line, problem: problem)) {
            try Self.parse(Array(text.utf8))
        }
    }

    @Test
    func `with bytes that are not UTF-8 is refused with the line's number`() {
        #expect(throws: SharedConfigurationError(path: "f", line: 2, problem: "not UTF-8 text")) {
            try Self.parse(Array("[a]\nx=".utf8) + [0xFC])
        }
    }

    @Test(arguments: ["%", "[%", "=%", "[a]\n%", "[a]\n%=\n  %\n"])
    func `quotes nothing of a line that makes no sense`(_ template: String) {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
        let text = template.replacing("%", with: secret)
        #expect {
            try Self.parse(Array(text.utf8))
        } throws: { error in
            !"\(error)".lowercased().contains("wjalr")
        }
    }

    @Test
    func `never crashes the reader, wherever it is cut off`() {
        for example in Self.readable {
            let bytes = Array(example.text.utf8)
            for end in bytes.indices { _ = try? Self.parse(Array(bytes[..<end])) }
        }
    }

    @Test(arguments: 0..<40)
    func `never crashes the reader, whatever its bytes are`(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let alphabet = Array("[]=:#;\n\r\t  ab\"'\\\u{FEFF}ü".utf8) + [0, 0xFF]
        for _ in 0..<200 {
            let noise = random.bytes(Int.random(in: 0..<60, using: &random))
            _ = try? Self.parse(noise)
            let likely = noise.map { alphabet[Int($0) % alphabet.count] }
            _ = try? Self.parse(likely)
            _ = SectionHeader(String(decoding: likely, as: UTF8.self))
        }
    }

    @Test(
        arguments: [
            ("default", .profile("default")),
            ("profile default", .profile("default")),
            ("profile dev", .profile("dev")),
            ("profile\tdev", .profile("dev")),
            ("profile \"my dev\"", .profile("my dev")),
            ("profile 'my \"dev\"'", .profile("my \"dev\"")),
            ("profile my\\ dev", .profile("my dev")),
            ("profile \"a\\\"b\\c\"", .profile("a\"b\\c")),
            ("profile \"\"", .profile("")),
            ("services s3-specific", .services("s3-specific")),
            ("sso-session my-sso", .singleSignOnSession("my-sso")),
            ("dev", .other("dev")),
            ("profile", .other("profile")),
            ("profile a b", .other("profile a b")),
            ("profile \"a", .other("profile \"a")),
            ("profile a\\", .other("profile a\\")),
            ("profiles a", .other("profiles a")),
        ] as [(String, SectionHeader)]
    )
    func `has sections of four kinds`(_ header: String, _ kind: SectionHeader) {
        #expect(SectionHeader(header) == kind)
    }
}
