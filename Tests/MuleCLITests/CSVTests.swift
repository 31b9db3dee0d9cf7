import MuleJSON
import Testing

@testable import MuleCLI

/// Tables for spreadsheets, which must take a name for a name.
@Suite struct CSVTests {
    @Test(arguments: [
        ("plain", "plain"), ("", ""), ("a b", "a b"), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("a\nb", "\"a\nb\""),
        ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\t=1", "'\t=1"), ("a=1", "a=1"),
        ("=HYPERLINK(\"x\",1)", "\"'=HYPERLINK(\"\"x\"\",1)\""), ("\r=1", "\"'\r=1\""),
    ])
    func cells(text: String, cell: String) {
        #expect(CSV(isShown: false).row(["a": .string(text)], ["a"]) == cell + "\r")
    }

    @Test func `other values are as in JSON`() {
        let members: [String: JSONValue] = ["n": -7, "x": nil, "d": 0.5, "b": true, "o": ["in": "=x"]]
        #expect(
            CSV(isShown: false).row(members, ["n", "x", "d", "b", "o.in", "o.out", "none"]) == "-7,,0.5,true,'=x,,\r"
        )
    }

    @Test func `a terminal is not steered`() {
        #expect(CSV(isShown: true).row(["a": "x\u{1B}[2J"], ["a"]) == "x\\x1B[2J\r")
    }
}
