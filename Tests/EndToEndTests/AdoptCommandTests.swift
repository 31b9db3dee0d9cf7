import TestSupport
import Testing

/// `mule adopt` as a user types it.
@Suite struct AdoptCommandTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    /// An upload of which the store has part 1, and no ledger anything.
    private func lostUpload(parts: Int = 3) throws -> String {
        let file = try mule.file(parts: parts)
        for part in 2...parts { store.add(.on(.uploadPart, part: part, .stallAfter(bytes: 1 << 20))) }
        let running = try mule.uploadInParts(file).start()
        #expect(store.waitUntil { $0.storedParts.contains(1) && $0.partNumbers.contains(2) })
        running.signal(9)
        _ = running.wait()
        store.script([])
        return file
    }

    /// A user with a ledger of its own, which knows nothing.
    private func stranger() -> MuleRun { MuleRun(store) }

    @Test func `lost ledger costs no part`() throws {
        let file = try lostUpload()
        let other = stranger()
        let requestsBefore = store.requests.count
        let outcome = try other.run("adopt", file, "bucket/key")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(outcome.explains("adopted upload "), "\(outcome.err)")
        #expect(
            store.requests.dropFirst(requestsBefore).filter { $0.operation == .uploadPart }.compactMap(\.partNumber)
                .sorted()
                == [2, 3]
        )
        #expect(store.count(.create) == 1)
        #expect(try store.holdsOnly(file))
        #expect(try other.status().isEmpty)
        #expect(try other.run("upload", file, "bucket/key").out.contains("already"))
    }

    @Test func `prefix takes the files name and events have their keys`() throws {
        let file = try mule.file(parts: 3, "key")
        store.add(.on(.uploadPart, part: 2, times: 100, .status(403, code: "AccessDenied")))
        #expect(try mule.uploadInParts(file, "bucket/below/").run().exitCode == 4)
        store.script([])
        let outcome = try stranger().run("adopt", "--json", file, "bucket/below/")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        let event = try #require(outcome.event("adopted"))
        #expect(event["destination"]?.text == "bucket/below/key")
        #expect(event["source"]?.text == file)
        #expect(outcome.objects.compactMap { $0["event"]?.text } == ["adopted", "started", "resumed", "completed"])
        #expect(outcome.event("completed")?["id"]?.text == event["id"]?.text)
        #expect(try store.holdsOnly(file, at: "below/key"))
    }

    @Test func `no upload is 4`() throws {
        let outcome = try mule.run("adopt", try mule.file(parts: 2), "bucket/key")
        #expect(outcome.exitCode == 4)
        #expect(outcome.explains("no unfinished upload of bucket/key", "mule upload"), "\(outcome.err)")
    }

    @Test func `missing permission is 4`() throws {
        store.profile.denied = [.listUploads]
        let outcome = try mule.run("adopt", try mule.file(parts: 2), "bucket/key")
        #expect(outcome.exitCode == 4)
        #expect(outcome.explains("s3:ListBucketMultipartUploads"), "\(outcome.err)")
    }

    @Test func `parts of another file are 6`() throws {
        let file = try lostUpload()
        try Files.overwrite(file, at: 5, with: [1, 2, 3])
        let outcome = try stranger().run("adopt", "-q", file, "bucket/key")
        #expect(outcome.exitCode == 6)
        #expect(outcome.explains("part 1 that differs from the file"), "\(outcome.err)")
        #expect(store.uploads.count == 1)
    }

    @Test func `upload that the ledger knows is 2`() throws {
        let file = try lostUpload()
        let id = try #require(try mule.status().first?["id"]?.text)
        let outcome = try mule.run("adopt", file, "bucket/key")
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("mule resume \(id)"), "\(outcome.err)")
    }

    @Test func `missing file is 3`() throws {
        #expect(try mule.run("adopt", mule.home.path("missing"), "bucket/key").exitCode == 3)
        #expect(store.requests.isEmpty)
    }

    @Test(arguments: [["adopt"], ["adopt", "file"], ["adopt", "a", "b", "bucket/key"]])
    func `wrong operands are 2`(arguments: [String]) throws {
        #expect(try mule.run(arguments).exitCode == 2)
    }
}
