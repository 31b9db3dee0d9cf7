import TestSupport
import Testing

/// `--if-match`: an object is replaced only if it is the one that the user has seen.
@Suite struct IfMatchTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    private func upload(_ file: String, _ options: String...) throws -> CommandOutcome {
        try mule.run(["upload"] + MuleRun.inParts + options + [file, "bucket/key"])
    }

    @Test(arguments: [1, 2]) func `only the object with the ETag is replaced`(parts: Int) throws {
        let first = try mule.file(parts: parts, "first")
        let second = try mule.file(parts: parts, "second", seed: 2)
        let missing = try upload(first, "--if-match", "0123")
        #expect(missing.exitCode == 7 && missing.explains("does not exist", "0123"), "\(missing.err)")
        #expect(try upload(first).exitCode == 0)
        let eTag = try #require(store.object(key: "key")).eTag
        let other = try upload(second, "--if-match", "0123")
        #expect(other.exitCode == 7 && other.explains("has the ETag \(eTag) now", "0123"), "\(other.err)")
        #expect(try #require(store.object(key: "key")).equals(file: first))
        let right = try upload(second, "--if-match", "\"\(eTag)\"", "--restart")
        #expect(right.exitCode == 0, "\(right.err)")
        #expect(try store.holdsOnly(second))
        // The same command again: the object is its own.
        #expect(try upload(second, "--if-match", eTag).exitCode == 0)
        // Where mule may not look, the store decides.
        store.add(.on(.headObject, times: 99, .status(403, code: "AccessDenied")))
        let hidden = try upload(first, "--if-match", "4567")
        #expect(hidden.exitCode == 7 && hidden.explains("4567"), "\(hidden.err)")
        #expect(try #require(store.object(key: "key")).equals(file: second))
    }

    @Test func `a resume keeps the condition, and the object may change until the end`() throws {
        let first = try mule.file(parts: 1, "first")
        let second = try mule.file(parts: 3, "second", seed: 2)
        #expect(try upload(first).exitCode == 0)
        let eTag = try #require(store.object(key: "key")).eTag
        store.add(.on(.uploadPart, part: 3, .status(403, code: "AccessDenied")))
        #expect(try upload(second, "--if-match", eTag).exitCode == 4)
        let changed = try upload(second)
        #expect(changed.exitCode == 2 && changed.explains("--if-match \(eTag)"), "\(changed.err)")
        #expect(try MuleRun(store).run("upload", second, "bucket/key").exitCode == 0)
        let resumed = try mule.run("resume")
        #expect(resumed.exitCode == 7 && resumed.explains("--if-match"), "\(resumed.err)")
        #expect(store.count(.create) == 1)
        let exported = try mule.run("doctor", "--export", "-").lines.last.flatMap { JSONText($0) }
        #expect(exported?["ifMatch"]?.text == eTag)
    }

    @Test func `it is for one object that may be replaced`() throws {
        let file = try mule.file(parts: 1)
        for options in [["--if-match", "a", "--no-overwrite"], ["--if-match", "*"], ["--if-match", "W/\"a\""]] {
            let outcome = try mule.run(["upload"] + options + [file, "bucket/key"])
            #expect(outcome.exitCode == 2 && outcome.messages.count == 1, "\(outcome.err)")
        }
        let several = try mule.run("upload", "--if-match", "a", file, file, "bucket/")
        #expect(several.exitCode == 2 && several.explains("one object"), "\(several.err)")
        #expect(store.requests.isEmpty)
    }
}
