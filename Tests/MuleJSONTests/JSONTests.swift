import MuleJSON
import Testing

@Suite("JSON")
struct JSONTests {
    @Test
    func `an object is one line with sorted keys`() {
        let value: JSONValue = [
            "size": 1_073_741_824, "bytesDone": 0, "lastError": nil, "Z": true, "list": [1, "two", 3.5, [:]],
            "é": false,
        ]
        let line = #"{"Z":true,"bytesDone":0,"lastError":null,"list":[1,"two",3.5,{}],"size":1073741824,"é":false}"#
        #expect(value.line == line)
        #expect(JSONValue(nil as String?).line == "null")
        #expect(JSONValue(5 as Int64?).line == "5")
    }

    @Test
    func `integers are exact, doubles short, and what is not finite is null`() {
        #expect(JSONValue.int(.max).line == "9223372036854775807")
        #expect(JSONValue.int(.min).line == "-9223372036854775808")
        #expect(JSONValue.double(4.2).line == "4.2")
        #expect(JSONValue.double(0.1 + 0.2).line == "0.30000000000000004")
        #expect(JSONValue.double(.infinity).line == "null")
        #expect(JSONValue.double(.nan).line == "null")
    }

    @Test
    func `strings are escaped as RFC 8259 asks, and so that no terminal obeys them`() {
        #expect(JSONValue.string("a\"b\\c/d").line == #""a\"b\\c/d""#)
        #expect(JSONValue.string("\u{08}\u{0C}\n\r\t").line == #""\b\f\n\r\t""#)
        #expect(JSONValue.string("\u{00}\u{1F}\u{7F}\u{FC}\r\n").line == #""\u0000\u001f\u007fü\r\n""#)
        #expect(JSONValue.string("\u{9B}31m\u{202E}\u{2028}\u{E0041}").line == #""\u009b31m\u202e\u2028\udb40\udc41""#)
    }

    @Test
    func `what is written reads back the same, for every ASCII character and the edges of Unicode`() throws {
        let scalars = (0..<128).compactMap { Unicode.Scalar($0 as UInt32) } + ["\u{D7FF}", "\u{E000}", "\u{10FFFF}"]
        for scalar in scalars {
            let text = "x\(Character(scalar))y"
            let value = JSONValue.object([
                text: .array([.string(text), .int(.min), .double(-1.5e300), .bool(false), .null])
            ])
            #expect(try JSONReader.read(Array(value.line.utf8)) == value)
        }
    }

    @Test(
        arguments: [
            (" [ ] ", []), ("{}", [:]), ("[1, -0.5e1 ,\n2E+2]", [1, -5.0, 200.0]), (#""\u00fc\ud83d\udc34\/""#, "ü🐴/"),
            ("18446744073709551616", 18446744073709551616.0), ("-0", 0),
        ] as [(String, JSONValue)]
    )
    func `a valid document is read`(text: String, value: JSONValue) throws {
        #expect(try JSONReader.read(Array(text.utf8)) == value)
    }

    @Test(
        arguments: [
            ("", 1, 1), (" \n ", 2, 2), ("{\"a\":1,\n  b}", 2, 3), ("{\"a\":1,}", 1, 7), ("[1,]", 1, 3),
            ("[1 2]", 1, 4),
            ("{\"a\" 1}", 1, 6), ("{'a':1}", 1, 2), ("{\"a\":1,\n \"a\":2}", 2, 2), ("[1] x", 1, 5), ("\"ü\\x\"", 1, 3),
            ("\"abc", 1, 1), ("\"a\nb\"", 1, 3), ("[01]", 1, 2), ("[1.]", 1, 2), ("[.5]", 1, 2), ("[+1]", 1, 2),
            ("[1e]", 1, 2), ("[1e999]", 1, 2), ("[-]", 1, 2), ("nul", 1, 1), ("// x", 1, 1), ("\"\\ud800\"", 1, 2),
            ("\"\\udc00\\ud800\"", 1, 2), ("\"\\u12g4\"", 1, 2), ("\"\\u+123\"", 1, 2), ("\"\\u-000\"", 1, 2),
            ("{\"a\":", 1, 6), ("[", 1, 2),
            ("{", 1, 2),
        ] as [(String, Int, Int)]
    )
    func `a broken one is refused at its place`(text: String, line: Int, column: Int) {
        let error = #expect(throws: JSONReader.SyntaxError.self) { try JSONReader.read(Array(text.utf8)) }
        #expect(error?.line == line)
        #expect(error?.column == column)
    }

    @Test
    func `no prefix of a document is a document, and none is fatal; nor is deep nesting or invalid UTF-8`() {
        let document = Array(#"{"a":[1,-2.5e3,"\u00fc\ud83d\udc34"],"b":{"c":true,"d":null}}"#.utf8)
        for length in 0..<document.count {
            #expect(throws: JSONReader.SyntaxError.self) { try JSONReader.read(Array(document[..<length])) }
        }
        let deep = [UInt8](repeating: UInt8(ascii: "["), count: 100_000)
        #expect(throws: JSONReader.SyntaxError.self) { try JSONReader.read(deep) }
        #expect(throws: JSONReader.SyntaxError.self) { try JSONReader.read([0x22, 0xFF, 0x22]) }
    }

    @Test
    func `the place of every key and element is known, escaped or not`() throws {
        let text = "  {\n \"a\" : [1,\n  {\"ü\\n\":2, \"x.y\": []}], \"b\":{}}"
        let (value, places) = try JSONReader.readWithPlaces(Array(text.utf8))
        #expect(try value == JSONReader.read(Array(text.utf8)))
        func place(_ names: String...) -> [Int]? { places[names].map { [$0.line, $0.column] } }
        #expect(place() == [1, 3])
        #expect(place("a") == [2, 2])
        #expect(place("a", "0") == [2, 9])
        #expect(place("a", "1") == [3, 3])
        #expect(place("a", "1", "ü\n") == [3, 4])
        #expect(place("a", "1", "x.y") == [3, 13])
        #expect(place("b") == [3, 26])
        #expect(place("c") == nil && place("a", "2") == nil)
    }
}
