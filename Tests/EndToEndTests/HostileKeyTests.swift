import TestSupport
import Testing

/// Names that uploaders are known to mangle: by encoding them twice or not at all, by tidying paths, or by Unicode.
enum HostileKeys {
    static let all = [
        "a b", "a+b", "a=b&c", "a//b", "./x", "../x", "\u{FC}", "u\u{308}", "%2F", "a@b:c", "日本/😀", "trailing/…/",
        "/leading", long,
    ]

    /// 900 bytes in folders, since no server on a file system takes one name of that length.
    static let long = String(String(repeating: "ninebytes/", count: 90).dropLast()) + "s"

    /// In the order of their bytes.
    static func sorted(_ keys: [String] = all) -> [[UInt8]] {
        keys.map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// Uploads one file under each of the keys.
    static func upload(_ file: String, _ mule: MuleRun, to bucket: String, _ keys: [String] = all) throws {
        for key in keys {
            let outcome = try mule.uploadInParts(file, "\(bucket)/\(key)", "--exact-key").run()
            #expect(outcome.exitCode == 0, "\(key): \(outcome.err)")
        }
    }
}

@Suite struct HostileKeyTests {
    @Test(arguments: [1, 2]) func `hostile keys arrive under exactly that name`(parts: Int) throws {
        let store = FakeS3()
        let mule = MuleRun(store)
        let file = try mule.file(parts: parts)
        try HostileKeys.upload(file, mule, to: "bucket")
        #expect(store.keys() == HostileKeys.sorted())
        for key in store.keys() { #expect(try store.object(key: key)?.equals(file: file) == true) }
        #expect(store.count(.complete) == (parts == 1 ? 0 : HostileKeys.all.count))
        #expect(store.violations.isEmpty)
    }

    /// S3 takes such names, though XML 1.0 can't write them: its answers are not well-formed then.
    @Test(arguments: [1, 2]) func `key with a control character that XML forbids arrives`(parts: Int) throws {
        let store = FakeS3()
        let mule = MuleRun(store)
        let file = try mule.file(parts: parts)
        try HostileKeys.upload(file, mule, to: "bucket", ["bell\u{07}"])
        #expect(store.keys() == HostileKeys.sorted(["bell\u{07}"]))
    }

    @Test func `key of more than 1024 bytes is refused before anything is sent`() throws {
        let store = FakeS3()
        let mule = MuleRun(store)
        let outcome = try mule.run("upload", try mule.file(parts: 1), "bucket/" + String(repeating: "k", count: 1_025))
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("1025 bytes", "1024"))
        #expect(store.requests.isEmpty)
    }

    @Test func `composed and decomposed names of pending uploads are two uploads`() throws {
        let store = FakeS3()
        let mule = MuleRun(store)
        store.add(.on(.uploadPart, times: 2, .status(403, code: "AccessDenied")))
        let file = try mule.file(parts: 2)
        for key in ["\u{FC}", "u\u{308}"] {
            #expect(
                try mule.command(["upload", "-j", "1"] + MuleRun.inParts + [file, "bucket/\(key)"]).run().exitCode == 4
            )
        }
        #expect(try mule.status().count == 2)
        #expect(try mule.run("resume").exitCode == 0)
        #expect(store.keys() == HostileKeys.sorted(["\u{FC}", "u\u{308}"]))
    }
}
