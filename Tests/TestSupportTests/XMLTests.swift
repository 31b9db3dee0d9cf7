import Testing

@testable import TestSupport

@Suite struct XMLTests {
    @Test func `documents survive writing and reading`() {
        let root = FakeXML(
            "Root",
            children: [
                FakeXML("Key", "a<b>&\"c'\r\n\u{FC}"), FakeXML("Empty"),
                FakeXML("List", children: [FakeXML("Part", "1")]),
            ]
        )
        #expect(FakeXML(parsing: root.document(namespace: "urn:x")) == root)
    }

    @Test func `every cut document is refused`() {
        let document = FakeXML("Root", children: [FakeXML("Key", "a&b")]).document(namespace: nil)
        for length in 0..<document.count { #expect(FakeXML(parsing: Array(document.prefix(length))) == nil) }
        #expect(FakeXML(parsing: document + Array("\n ".utf8)) != nil)
        #expect(FakeXML(parsing: document + document) == nil)
    }

    @Test(arguments: ["<a></b>", "<a>&nope;</a>", "<a>&amp</a>", "<a><b></a></b>", "<>", "text", "</a>"])
    func `broken markup is refused`(text: String) {
        #expect(FakeXML(parsing: Array(text.utf8)) == nil)
    }

    @Test func `white space and comments may come first`() {
        let text = "  \n<?xml version=\"1.0\"?><!-- x --><a b=\"c\"><d/>&#x41;&#66;</a>"
        #expect(FakeXML(parsing: Array(text.utf8))?.children == [FakeXML("d")])
        #expect(FakeXML(parsing: Array("<a>&#x41;&#66;</a>".utf8))?.text == "AB")
    }
}
