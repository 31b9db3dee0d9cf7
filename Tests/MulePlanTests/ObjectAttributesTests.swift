import MulePlan
import TestSupport
import Testing

@Suite("Object attributes")
struct ObjectAttributesTests {
    @Test
    func `names are lower case, sorted, and set once`() throws {
        var attributes = ObjectAttributes()
        try attributes.set("X-Amz-Meta-B", "1")
        try attributes.set("Content-Type", "text/plain")
        try attributes.set("x-amz-meta-b", "2")
        #expect(attributes.headers.map(\.name) == ["content-type", "x-amz-meta-b"])
        #expect(attributes["x-amz-meta-b"] == "2")
        #expect(attributes["x-amz-meta-a"] == nil)
    }

    @Test(arguments: ["", "a b", "a:b", "a\r\nb", "ä", "a/b", "a\"b", "a\u{0}"])
    func `a name that is no token is refused`(name: String) {
        var attributes = ObjectAttributes()
        #expect(throws: AttributeError.badName(name.lowercased())) { try attributes.set(name, "v") }
        #expect(attributes == ObjectAttributes())
    }

    @Test(arguments: ["\n", "a\r\nx-amz-acl: public-read", "a\r", "\0", "a\u{7F}", "\u{1B}[0m"]
    )
    func `a value that would end its header is refused`(value: String) {
        var attributes = ObjectAttributes()
        #expect(throws: AttributeError.badValue(name: "x-amz-meta-a")) { try attributes.set("x-amz-meta-a", value) }
        #expect(attributes == ObjectAttributes())
    }

    @Test
    func `metadata is counted as S3 counts it: names without their prefix, and values, in bytes`() throws {
        var attributes = ObjectAttributes()
        #expect(attributes.metadataSize == 0)
        try attributes.set("content-type", "text/plain")
        try attributes.set("x-amz-meta-name", "ü")
        try attributes.set("x-amz-meta-e", "")
        #expect(attributes.metadataSize == "name".utf8.count + 2 + 1)
    }

    @Test(arguments: [
        "", "v", "a: b", ":", " leading", "trailing ", "  ", "\ttab", "ü😀", "\u{301}accent first", "a=b;c,d",
    ]
    )
    func `the ledger's text gives the same value back`(value: String) throws {
        var attributes = ObjectAttributes()
        try attributes.set("x-amz-meta-a", value)
        try attributes.set("x-amz-meta-b", "after")
        let read = ObjectAttributes(text: attributes.text)
        #expect(read == attributes)
        #expect(read["x-amz-meta-a"].map { Array($0.utf8) } == Array(value.utf8))
    }

    @Test
    func `text of no attributes is empty, and lines that are none are left out`() {
        #expect(ObjectAttributes().text.isEmpty)
        #expect(ObjectAttributes(text: "") == ObjectAttributes())
        #expect(ObjectAttributes(text: "no colon\n: no name\nbad name: v\na: b").text == "a: b")
    }
}
