import TestSupport
import Testing

/// SIGKILL at chosen points of the protocol; afterwards the same command finishes, and sends no part that the store
/// had.
@Suite struct CrashTests {
    private let store = FakeS3()
    private let mule: MuleRun
    private let killSwitch = KillSwitch()

    init() { mule = MuleRun(store) }

    /// Starts the upload and returns when the scripted fault has killed it.
    private func dieUploading(_ file: String) throws {
        let running = try mule.uploadInParts(file).start()
        killSwitch.arm(running)
        #expect(running.wait().end == .signal(9))
    }

    private var strike: Fault.Action { .run(.afterProcessing) { [killSwitch] _ in killSwitch.strike() } }

    /// Checks the end: the object is the file, nothing is left open, and the ledger has nothing pending.
    private func expectFinished(_ outcome: CommandOutcome, _ file: String) throws {
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        let event = outcome.event("completed")
        let size = try Files.size(file)
        #expect((event?["bytesSent"]?.integer ?? -1) + (event?["bytesSkipped"]?.integer ?? -1) == size)
        #expect(try store.holdsOnly(file))
        #expect(try mule.status().isEmpty)
    }

    @Test(arguments: [1, 3, 7], ["upload", "resume"])
    func `parts that the store has are not sent again`(firstStuck: Int, command: String) throws {
        let file = try mule.file(parts: 9)
        let stuck = [firstStuck, firstStuck + 1]
        for part in stuck { store.add(.on(.uploadPart, part: part, .stallAfter(bytes: 2 << 20))) }
        let running = try mule.uploadInParts(file).start()
        #expect(
            store.waitUntil { store in
                store.storedParts.count == firstStuck - 1
                    && store.requests(.uploadPart).count { $0.disturbed && $0.bodyBytes == 2 << 20 } == 2
            }
        )
        running.signal(9)
        #expect(running.wait().end == .signal(9))
        let held = store.storedParts
        let before = store.requests.count
        let pending = try mule.status().first
        #expect(pending?["state"]?.text == "pending")
        #expect(pending?["partsTotal"]?.integer == 9)
        #expect((pending?["partsDone"]?.integer ?? 99) <= held.count)

        let again = ["--json"] + (command == "resume" ? [] : MuleRun.inParts + [file, "bucket/key"])
        try expectFinished(mule.run([command] + again), file)
        let sentAgain = store.requests[before...].compactMap(\.partNumber)
        #expect(Set(sentAgain).isDisjoint(with: held))
        #expect(sentAgain.count == 9 - held.count)
        #expect(try store.payloadBytesReceived <= Files.size(file) + 2 * MuleRun.partSize)
        #expect(store.count(.create) == 1)
    }

    @Test func `part that was delivered but not recorded is adopted`() throws {
        let file = try mule.file(parts: 4)
        store.add(.on(.uploadPart, part: 3, strike))
        try dieUploading(file)
        #expect(store.storedParts.contains(3))
        try expectFinished(mule.uploadInParts(file, "bucket/key", "--json").run(), file)
        #expect(store.partNumbers.count { $0 == 3 } == 1)
    }

    @Test func `part at the store that is not the file's is sent again`() throws {
        let file = try mule.file(parts: 4)
        store.add(.on(.uploadPart, part: 3, strike))
        try dieUploading(file)
        let id = try #require(store.uploads.first?.id)
        store.edit(upload: id) { upload in
            upload.parts[3]?.checksum = nil
            upload.parts[3]?.eTag = "0123456789abcdef0123456789abcdef"
        }
        try expectFinished(mule.uploadInParts(file, "bucket/key", "--json").run(), file)
        #expect(store.partNumbers.count { $0 == 3 } == 2)
    }

    @Test func `upload whose Create was not answered leaves nothing behind`() throws {
        let file = try mule.file(parts: 3)
        store.add(.on(.create, strike))
        try dieUploading(file)
        #expect(store.uploads.count == 1)
        try expectFinished(mule.uploadInParts(file, "bucket/key", "--json").run(), file)
        #expect(store.count(.create) == 2)
        #expect(store.count(.abort) == 1)
    }

    @Test(arguments: ["upload", "resume"]) func `completed upload whose answer was lost is recognised`(command: String)
        throws
    {
        let file = try mule.file(parts: 3)
        store.add(.on(.complete, strike))
        try dieUploading(file)
        #expect(store.object(key: "key") != nil)
        let again = ["--json"] + (command == "resume" ? [] : MuleRun.inParts + [file, "bucket/key"])
        let outcome = try mule.run([command] + again)
        try expectFinished(outcome, file)
        #expect(outcome.event("completed")?["bytesSent"]?.integer == 0)
        #expect(store.partNumbers.count == 3)
    }

    @Test func `upload that died just before Complete only completes`() throws {
        let file = try mule.file(parts: 3)
        store.add(.on(.complete, .run(.headersRead) { [killSwitch] _ in killSwitch.strike() }, .closeBeforeProcessing))
        try dieUploading(file)
        #expect(store.object(key: "key") == nil)
        let outcome = try mule.uploadInParts(file, "bucket/key", "--json").run()
        try expectFinished(outcome, file)
        #expect(outcome.event("completed")?["bytesSent"]?.integer == 0)
        #expect(try outcome.event("completed")?["bytesSkipped"]?.integer == Files.size(file))
    }

    @Test func `small file that died in its only request is sent again`() throws {
        let file = try mule.home.writeRandom("small", count: 100_000)
        store.add(.on(.putObject, .run(.headersRead) { [killSwitch] _ in killSwitch.strike() }))
        try dieUploading(file)
        #expect(try mule.run("resume").exitCode == 0)
        #expect(try store.holdsOnly(file))
        #expect(try mule.status().isEmpty)
    }

    @Test func `every file of a run that died is pending`() throws {
        let files = try (1...3).map { try mule.file(parts: 2, "file\($0)", seed: UInt64($0)) }
        store.add(.on(.complete, key: "all/file1", strike))
        let running = try mule.command(["upload", "-j", "1"] + MuleRun.inParts + files + ["bucket/all/"]).start()
        killSwitch.arm(running)
        #expect(running.wait().end == .signal(9))
        #expect(try mule.status().count >= 1)
        #expect(try mule.run("resume").exitCode == 0)
        for (index, file) in files.enumerated() {
            #expect(try store.object(key: "all/file\(index + 1)")?.equals(file: file) == true)
        }
        #expect(store.uploads.isEmpty)
        #expect(try mule.status().isEmpty)
    }

    @Test func `upload that the store has forgotten restarts and says so`() throws {
        let file = try mule.file(parts: 3)
        store.add(.on(.uploadPart, part: 2, strike))
        try dieUploading(file)
        store.edit { $0.buckets["bucket"]?.uploads.removeAll() }
        let outcome = try mule.uploadInParts(file, "bucket/key", "--json").run()
        try expectFinished(outcome, file)
        #expect(outcome.explains("no longer exists", "restarting the upload"), "\(outcome.err)")
    }

    @Test func `abort removes the parts of a dead run`() throws {
        let file = try mule.file(parts: 3)
        store.add(.on(.uploadPart, part: 2, strike))
        try dieUploading(file)
        let id = try #require(try mule.status().first?["id"]?.text)
        let outcome = try mule.run("abort", id)
        #expect(outcome.exitCode == 0)
        #expect(outcome.out.contains(id))
        #expect(store.uploads.isEmpty)
        #expect(try mule.status().isEmpty)
        #expect(try mule.status("--all").first?["state"]?.text == "aborted")
    }

    @Test func `resume goes to the recorded store whatever the environment says`() throws {
        let file = try mule.file(parts: 3)
        store.add(.on(.uploadPart, part: 2, strike))
        try dieUploading(file)
        let other = FakeS3()
        var mule = mule
        mule.environment["AWS_ENDPOINT_URL"] = other.endpoint
        #expect(try mule.run("resume").exitCode == 0)
        #expect(other.requests.isEmpty)
        mule.environment["AWS_ENDPOINT_URL"] = nil
        #expect(try store.holdsOnly(file))
        #expect(try mule.status().isEmpty)
    }
}
