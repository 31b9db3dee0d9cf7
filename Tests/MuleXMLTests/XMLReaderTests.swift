import MuleSystem
import MuleXML
import TestSupport
import Testing

@Suite("XML reader")
struct XMLReaderTests {
    private let result = """
        <?xml version="1.0" encoding="UTF-8"?>
        <CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\
        <Location>http://h/b/k</Location><Bucket>b</Bucket><Key>ü&amp;&#x1F600;</Key><ETag>&quot;3858f622-2&quot;</ETag>\
        </CompleteMultipartUploadResult>
        """

    private func parse(_ text: String) throws -> XMLElement { try XMLReader.parse(Array(text.utf8)) }

    /// Why the text is refused; nil when it is not.
    private func reason(_ text: String) -> String? {
        do throws(XMLReader.Malformed) {
            _ = try XMLReader.parse(Array(text.utf8))
            return nil
        } catch {
            return error.reason
        }
    }

    /// Names, text in quotes, children in parentheses.
    private func outline(_ element: XMLElement) -> String {
        let text = element.text.isEmpty ? "" : "'\(element.text)'"
        let children = element.children.map(outline).joined(separator: " ")
        return element.name + text + (children.isEmpty ? "" : "(\(children))")
    }

    @Test
    func `names, text and entities are read`() throws {
        let root = try parse(result)
        #expect(root.name == "CompleteMultipartUploadResult")
        #expect(root.children.map(\.name) == ["Location", "Bucket", "Key", "ETag"])
        #expect(root.value("Key") == "ü&😀")
        #expect(root.value("ETag") == "\"3858f622-2\"")
        #expect(root.value("Size") == nil)
    }

    @Test
    func `a document that is cut at any byte is no document`() {
        let bytes = Array(result.utf8)
        for count in 0..<bytes.count {
            #expect(throws: XMLReader.Malformed.self, "cut at \(count)") { try XMLReader.parse(Array(bytes[..<count])) }
        }
    }

    @Test(arguments: [" ", "\r\n\t ", "long"])
    func `white space may come before the declaration, as much as S3 sends`(space: String) throws {
        let lead = space == "long" ? String(repeating: " \n", count: 100_000) : space
        #expect(try outline(parse(lead + result + "\n ")) == outline(parse(result)))
    }

    @Test(arguments: ["", " ", "\n\n \t", "<?xml version=\"1.0\"?>"])
    func `white space alone, or nothing, is no document`(text: String) {
        #expect(throws: XMLReader.Malformed.self) { try parse(text) }
    }

    @Test(arguments: [
        "x", "<a>", "</a>", "<a></b>", "<a/><b/>", "<a/>x", "<a>&unknown;</a>", "<a>\u{1}</a>", "{}",
        "<html><body><br></body></html>",
    ]
    )
    func `what is not XML is refused`(text: String) {
        #expect(throws: XMLReader.Malformed.self) { try parse(text) }
    }

    @Test
    func `bytes that are not UTF-8 are refused`() {
        #expect(throws: XMLReader.Malformed.self) {
            try XMLReader.parse(Array("<a>".utf8) + [0xFF] + Array("</a>".utf8))
        }
    }

    @Test(arguments: [
        "<!DOCTYPE a><a/>", "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>",
        "<!DOCTYPE html><html/>",
    ]
    )
    func `a document type is refused, whatever it declares`(text: String) {
        #expect(reason(text) == "document type")
    }

    @Test
    func `entities that multiply are not multiplied`() {
        var text = "<!DOCTYPE a [<!ENTITY x0 \"ha\">"
        for level in 1...40 {
            text += "<!ENTITY x\(level) \"\(String(repeating: "&x\(level - 1);", count: 10))\">"
        }
        let start = Moment.now()
        #expect(throws: XMLReader.Malformed.self) { try parse(text + "]><a>&x40;</a>") }
        #expect(Moment.now().seconds(since: start) < 30)
    }

    @Test
    func `depth has a bound, and width one that no list comes near`() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "<a>", count: depth) + String(repeating: "</a>", count: depth)
        }
        #expect(try parse(nested(32)).name == "a")
        #expect(reason(nested(33)) == "nested too deeply")
        #expect(reason(nested(100_000)) == "nested too deeply")
        #expect(try parse("<a>\(String(repeating: "<b/>", count: 10_000))</a>").all("b").count == 10_000)
        #expect(reason("<a>\(String(repeating: "<b/>", count: XMLReader.maximumElements))</a>") == "too many elements")
    }

    @Test
    func `prefixes of a namespace do not matter, attributes neither`() throws {
        let root = try parse("<s3:R xmlns:s3=\"http://x/\" s3:y='z'><s3:ETag q=\"1\">e</s3:ETag></s3:R>")
        #expect(outline(root) == "R(ETag'e')")
        #expect(try parse("<a:\u{301}b/>").name == "\u{301}b")
        #expect(reason("<a:/>") == "a name that is only a prefix")
    }

    @Test
    func `text is whole however it is broken up: entities, CDATA, comments, lines, long runs`() throws {
        #expect(try parse("<a>x&lt;y<!-- c --><![CDATA[<&]]>z</a>").text == "x<y<&z")
        let long = String(repeating: "ü😀\n", count: 20_000)
        #expect(try parse("<a><k>\(long)</k></a>")["k"]?.text == long)
    }

    @Test
    func `a value is trimmed, its text is not; the first of a name counts, all are kept`() throws {
        let root = try parse("<a><k> x y \n</k><k>2</k><e></e><s>  </s></a>")
        #expect(root.value("k") == "x y")
        #expect(root["k"]?.text == " x y \n")
        #expect(root.all("k").count == 2)
        #expect(root.value("e") == nil && root.value("s") == nil)
    }

    @Test(
        arguments: UInt64(1)...20
    )
    func `a damaged document is refused or has a root with a name, and nothing worse happens`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for _ in 1...50 {
            var bytes = Array(result.utf8)
            for _ in 1...3 {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if let root = try? XMLReader.parse(bytes) { #expect(!root.name.isEmpty) }
        }
    }
}

@Suite("Character references")
struct CharacterReferenceTests {
    @Test(arguments: [
        ("<R><Key>a&#x1B;b</Key><UploadId>u</UploadId></R>", "a\u{FFFD}b"),
        ("<R><Key>a&#27;b</Key><UploadId>u</UploadId></R>", "a\u{FFFD}b"),
        ("<R><Key>&#0;&#x0;&#xFFFF;</Key><UploadId>u</UploadId></R>", "\u{FFFD}\u{FFFD}\u{FFFD}"),
        ("<R><Key>&#x41;&amp;&#10;&#128512;</Key><UploadId>u</UploadId></R>", "A&\n😀"),
    ]
    )
    func `a reference to a character that XML lacks does not cost the document`(document: String, key: String) throws {
        let root = try XMLReader.parse(Array(document.utf8))
        #expect(root["Key"]?.text == key)
        #expect(root.value("UploadId") == "u")
    }

    @Test(arguments: [
        "<R>&#x1B</R>", "<R>&#zz;</R>", "<R>& </R>", "<R>&#", "<R>&#+2;</R>", "<R>&#x-0;</R>", "<R>&#x;</R>",
    ]
    )
    func `what is no reference stays as it is`(document: String) {
        #expect(throws: XMLReader.Malformed.self) { try XMLReader.parse(Array(document.utf8)) }
    }
}
