import MulePlan
import Testing

@Suite("Media types")
struct MediaTypesTests {
    @Test(
        arguments: [
            ("/a/page.html", "text/html"), ("PAGE.HTM", "text/html"), ("d.json", "application/json"),
            ("a.tar.gz", "application/gzip"), ("v.1/clip.MP4", "video/mp4"), (".profile.txt", "text/plain"),
            ("a", nil), ("/a.html/b", nil), (".html", nil), ("a.", nil), ("a.unheard", nil), ("", nil),
        ] as [(String, String?)]
    )
    func `common extensions need no table`(path: String, type: String?) {
        #expect(MediaTypes()[path: Array(path.utf8)] == type)
    }

    @Test func `the table comes first, and its first type of an extension counts`() {
        let table = """
            # a comment
            application/x-new\t\tnew  fresh # and another
            text/x-page html
            text/x-other html
            no-type\tjson
            text/bad type/slash css
            text/\u{1B}[31m txt
            application/none
            """
        let types = MediaTypes(table: Array(table.utf8))
        #expect(types[path: Array("a.NEW".utf8)] == "application/x-new")
        #expect(types[path: Array("a.fresh".utf8)] == "application/x-new")
        #expect(types[path: Array("a.and".utf8)] == nil)
        #expect(types[path: Array("a.html".utf8)] == "text/x-page")
        #expect(types[path: Array("a.json".utf8)] == "application/json")
        #expect(types[path: Array("dir/a.Html//".utf8)] == "text/x-page")
        #expect(types[path: Array("a.x-new".utf8)] == nil)
        #expect(types[path: Array("a.txt".utf8)] == "text/plain")
    }

    @Test func `any bytes are a table`() {
        #expect(MediaTypes(table: [0xFF, 0x2F, 0xFE, 0x20, 0xFF, 0x0A, 0])[path: [0x61, 0x2E, 0xFF]] == nil)
    }
}

@Suite("The end of a lock")
struct RetainUntilTests {
    @Test(arguments: ["2027-01-31T00:00:00Z", "+2592000", "+1"])
    func `a text is read back`(text: String) throws {
        #expect(try #require(RetainUntil(text: text)).text == text)
    }

    @Test(arguments: ["", "+", "30d", "2592000", "++1", "-1", "2027-01-31"])
    func `other texts are none`(text: String) {
        #expect(RetainUntil(text: text) == nil)
    }

    @Test func `a duration starts when it is sent`() {
        let now = UTCTime(secondsSince1970: 1_000_000)
        #expect(RetainUntil(text: "+60")?.date(from: now) == UTCTime(secondsSince1970: 1_000_060))
        #expect(RetainUntil(text: "1970-01-01T00:00:07Z")?.date(from: now) == UTCTime(secondsSince1970: 7))
    }
}
