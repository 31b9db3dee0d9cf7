import TestSupport
import Testing

/// The same command twice, and what makes it another command.
@Suite struct IdempotenceTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    @Test(arguments: [1, 3]) func `second run sends nothing and says so`(parts: Int) throws {
        let file = try mule.file(parts: parts)
        #expect(try mule.uploadInParts(file).run().exitCode == 0)
        let before = store.payloadBytesReceived
        let again = try mule.uploadInParts(file).run()
        #expect(again.exitCode == 0)
        #expect(again.out.contains("nothing was sent"))
        let event = try mule.uploadInParts(file, "bucket/key", "--json").run().event("completed")
        #expect(event?["bytesSent"]?.integer == 0)
        #expect(try event?["bytesSkipped"]?.integer == Files.size(file))
        #expect(store.payloadBytesReceived == before)
        #expect(store.count(.create) == (parts == 1 ? 0 : 1))
    }

    @Test func `object that is gone or replaced is sent again`() throws {
        let file = try mule.file(parts: 1)
        #expect(try mule.uploadInParts(file).run().exitCode == 0)
        store.edit { $0.buckets["bucket"]?.objects.removeAll() }
        #expect(try mule.uploadInParts(file).run().exitCode == 0)
        #expect(try store.holdsOnly(file))
        store.edit { $0.buckets["bucket"]?.objects[Array("key".utf8)] = FakeObject(content: [1]) }
        #expect(try mule.uploadInParts(file).run().exitCode == 0)
        #expect(try store.holdsOnly(file))
    }

    @Test func `changed file is sent again`() throws {
        let file = try mule.file(parts: 1)
        #expect(try mule.uploadInParts(file).run().exitCode == 0)
        try Files.overwrite(file, at: 0, with: [9, 9, 9])
        #expect(try mule.uploadInParts(file).run().exitCode == 0)
        #expect(try store.holdsOnly(file))
    }

    @Test func `force sends what is there`() throws {
        let file = try mule.file(parts: 3)
        #expect(try mule.uploadInParts(file).run().exitCode == 0)
        #expect(try mule.uploadInParts(file, "bucket/key", "--force").run().exitCode == 0)
        #expect(try store.payloadBytesReceived == 2 * Files.size(file))
        #expect(try store.holdsOnly(file))
    }

    // MARK: A pending upload

    /// Leaves an upload of three parts pending, of which the store has the first.
    private func leavePending(_ file: String) throws {
        for part in [2, 3] { store.add(.on(.uploadPart, part: part, .stallAfter(bytes: 1 << 20))) }
        let running = try mule.uploadInParts(file).start()
        #expect(store.waitUntil { $0.storedParts == [1] && Set($0.partNumbers) == [1, 2, 3] })
        running.signal(9)
        _ = running.wait()
    }

    @Test func `restart aborts the old upload and starts again`() throws {
        let file = try mule.file(parts: 3)
        try leavePending(file)
        let old = try #require(store.uploads.first?.id)
        #expect(try mule.uploadInParts(file, "bucket/key", "--restart").run().exitCode == 0)
        #expect(store.requests(.abort).map(\.uploadID) == [old])
        #expect(store.object(key: "key")?.uploadID != old)
        #expect(store.partNumbers.count { $0 == 1 } == 2)
        #expect(try store.holdsOnly(file))
        #expect(try mule.status().isEmpty)
    }

    @Test(arguments: ["upload", "resume"]) func `source that changed between the runs is refused`(command: String)
        throws
    {
        let file = try mule.file(parts: 3)
        try leavePending(file)
        try Files.truncate(file, to: try Files.size(file) + 1)
        let outcome =
            try command == "resume" ? mule.run("resume") : mule.uploadInParts(file).run()
        #expect(outcome.exitCode == 3)
        let size = try Files.size(file)
        #expect(
            outcome.explains("file changed", "its size was \(size - 1) and is \(size)", "--restart"),
            "\(outcome.err)"
        )
        #expect(store.storedParts == [1])
        #expect(store.keys().isEmpty)

        #expect(try mule.uploadInParts(file, "bucket/key", "--restart").run().exitCode == 0)
        #expect(try store.holdsOnly(file))
    }

    @Test func `source with another time but the same size is refused`() throws {
        let file = try mule.file(parts: 3)
        try leavePending(file)
        try Files.setModificationTime(file, seconds: 1_700_000_000)
        let outcome = try mule.uploadInParts(file).run()
        #expect(outcome.exitCode == 3)
        #expect(outcome.explains("modification time", "2023-11-14T22:13:20Z"), "\(outcome.err)")
    }

    @Test(
        arguments: [
            (["--part-size", "6MiB"], "a part size of 5"), (["--metadata", "a=b"], "metadata"),
            (["--no-overwrite"], "overwrite"), (["--checksum", "sha256"], "--checksum"),
        ] as [([String], String)]
    )
    func `other options for a pending upload are refused`(options: [String], word: String) throws {
        let file = try mule.file(parts: 3)
        try leavePending(file)
        let outcome = try mule.run(["upload"] + MuleRun.inParts + options + [file, "bucket/key"])
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains(word, "mule resume", "--restart"), "\(outcome.err)")
        #expect(store.storedParts == [1])
        #expect(try mule.run("resume").exitCode == 0)
        #expect(try store.holdsOnly(file))
    }
}
