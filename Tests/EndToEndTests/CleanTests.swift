import TestSupport
import Testing

/// `mule clean` as it is typed.
@Suite struct CleanTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    /// Long before any of these tests.
    private static let longAgo: Int64 = 1_700_000_000

    /// An upload with two of its three parts.
    private func pending(_ key: String = "key") throws -> (file: String, id: String) {
        let file = try mule.file(parts: 3, key)
        store.add(.on(.uploadPart, part: 3, key: key, times: 1_000, .status(403, code: "AccessDenied")))
        #expect(try mule.uploadInParts(file, "bucket/\(key)").run().exitCode == 4)
        store.script([])
        return (file, try #require(try mule.status().last?["id"]?.text))
    }

    private func plant(_ id: String, key: String = "other", by initiator: String? = nil) {
        var upload = FakeUpload(id: id, key: Array(key.utf8), initiated: Self.longAgo)
        if let initiator { upload.initiatorID = initiator }
        upload.parts[1] = FakePart(number: 1, size: 1_000, eTag: "e", lastModified: Self.longAgo)
        let planted = upload
        store.edit { $0.buckets["bucket"]?.uploads[id] = planted }
    }

    @Test func `what is young stays and what is old goes`() throws {
        let (file, id) = try pending()
        let young = try mule.run("clean")
        #expect(young.exitCode == 0)
        #expect(young.out == "nothing to remove\n" && store.uploads.count == 1)
        let dry = try mule.run("clean", "--older-than", "0s", "--dry-run")
        #expect(dry.exitCode == 0 && store.uploads.count == 1)
        #expect(dry.out.contains("\(id)  would be removed: \(file) -> bucket/key, 2 parts, 10.0 MiB"), "\(dry.out)")
        #expect(dry.out.contains("would be removed: 1 upload, 10.0 MiB"))
        let outcome = try mule.run("clean", "--older-than", "0s")
        #expect(outcome.exitCode == 0 && store.uploads.isEmpty)
        #expect(outcome.out.contains("removed 1 upload, 10.0 MiB freed at the store"), "\(outcome.out)")
        #expect(try mule.status("--all").first?["state"]?.text == "aborted")
    }

    @Test func `events say what is removed`() throws {
        let (file, id) = try pending()
        plant("unknown")
        let list = try mule.run("clean", "--json", "--older-than", "0s", "--dry-run").objects
        #expect(list.map { $0["event"]?.text } == ["stale", "leftAlone", "summary"])
        let objects = try mule.run("clean", "--json", "--older-than", "0s").objects
        #expect(objects.map { $0["event"]?.text } == ["removed", "leftAlone", "summary"])
        let removed = try #require(objects.first)
        #expect(removed["id"]?.text == id && removed["source"]?.text == file)
        #expect(removed["bytes"]?.integer == 2 * MuleRun.partSize && removed["parts"]?.integer == 2)
        let last = try #require(objects.last)
        #expect(last["bytes"]?.integer == 2 * MuleRun.partSize && last["uploads"]?.integer == 1)
        #expect(last["removed"] == .bool(true) && last["leftAlone"]?.integer == 1)
    }

    @Test func `a failure has its event and status and is tried again`() throws {
        let (_, id) = try pending()
        store.profile.denied = [.abort]
        let outcome = try mule.run("clean", "--json", "--older-than", "0s")
        #expect(outcome.exitCode == 4)
        #expect(outcome.explains("s3:AbortMultipartUpload"), "\(outcome.err)")
        let failed = try #require(outcome.event("failed"))
        #expect(failed["bytes"]?.integer == 2 * MuleRun.partSize, "it is an upload, not a bucket")
        #expect(failed["error"]?["s3Code"]?.text == "AccessDenied" && failed["id"]?.text == id)
        #expect(outcome.event("summary")?["failures"]?.integer == 1)
        store.profile.denied = []
        #expect(try mule.run("clean", "--quiet").exitCode == 0)
        #expect(store.uploads.isEmpty)
    }

    @Test func `quiet says nothing unless something fails`() throws {
        _ = try pending()
        plant("unknown")
        let outcome = try mule.run("clean", "-q", "--older-than", "0s")
        #expect(outcome.exitCode == 0 && outcome.out.isEmpty && outcome.err.isEmpty)
    }

    @Test func `only the place that is named is cleaned`() throws {
        let (_, first) = try pending("a/1")
        _ = try pending("b/1")
        let outcome = try mule.run("clean", "--older-than", "0s", "s3://bucket/a/")
        #expect(outcome.exitCode == 0)
        #expect(outcome.out.contains(first))
        #expect(store.uploads.map(\.keyText) == ["b/1"])
    }

    @Test func `another endpoint leaves the ledgers uploads alone`() throws {
        _ = try pending()
        let other = FakeS3()
        let outcome = try mule.run("clean", "--older-than", "0s", "--endpoint-url", other.endpoint)
        #expect(outcome.exitCode == 0)
        #expect(store.uploads.count == 1 && other.requests.isEmpty)
    }

    /// Another store would answer NoSuchUpload, which is what a removed upload answers too.
    @Test(arguments: [["abort", "--all"], ["resume"]]) func `another endpoint is not asked for the ledgers uploads`(
        command: [String]
    ) throws {
        let (_, id) = try pending()
        let other = FakeS3()
        let outcome = try mule.run(command + ["--endpoint-url", other.endpoint])
        #expect(outcome.exitCode == 0)
        #expect(outcome.explains("skipped 1 of 1 upload at other stores"))
        #expect(store.uploads.count == 1 && other.requests.isEmpty)
        #expect(try mule.status().map { $0["id"]?.text } == [id])
        // Named one by one, an upload is looked for where its store has moved to.
        #expect(try mule.run(["abort", id, "--endpoint-url", store.endpoint]).exitCode == 0)
        #expect(store.uploads.isEmpty)
    }

    @Test func `history is not forgotten by a wrong clock`() throws {
        let file = try mule.file(parts: 1)
        #expect(try mule.run("upload", file, "bucket/key").exitCode == 0)
        store.profile.clockOffsetSeconds = -40 * 86_400
        let wrong = try mule.run("clean", "--history", "1ms")
        #expect(
            wrong.exitCode == 3 && wrong.explains("clock", "Nothing was moved or removed by age"),
            "\(wrong.err)"
        )
        store.profile.clockOffsetSeconds = 0
        #expect(try mule.run("clean", "--history", "1ms").exitCode == 0)
    }

    // MARK: What could not be sent

    /// Its store is gone, or its address was wrong: nothing that asks it can ever close the row.
    @Test func `an upload whose store is gone can be forgotten`() throws {
        let (_, id) = try pending()
        let requests = store.requests.count
        #expect(try mule.run("abort", "--forget", "--all").exitCode == 2)
        let outcome = try mule.run("abort", "--forget", id)
        #expect(outcome.exitCode == 0)
        #expect(outcome.explains("not contacted", "cost storage"), "\(outcome.err)")
        #expect(outcome.out.contains("forgot "))
        #expect(store.requests.count == requests)
        #expect(try mule.status().isEmpty)
        // What it may have is found where the store can be asked again.
        #expect(store.uploads.count == 1)
        #expect(try mule.run("clean", "bucket").exitCode == 0)
        #expect(store.uploads.isEmpty)
    }

    /// The next command finishes an Abort that did not reach the store.
    @Test(arguments: ["resume", "abort", "clean", "upload"]) func `an Abort that could not be sent is finished`(
        by next: String
    )
        throws
    {
        let (file, id) = try pending()
        let uploadID = try #require(store.uploads.first?.id)
        let patience = try mule.home.write(#"{"stallLimit": "1s"}"#, to: "impatient.json")
        store.add(.on(.abort, times: 1_000_000, .closeBeforeProcessing))
        let outcome = try mule.run("abort", id, "--config", patience)
        #expect(outcome.exitCode == 75)
        #expect(outcome.explains("not removed yet", "mule resume"), "\(outcome.err)")
        #expect(try mule.run("status").out.contains("abort pending"))
        #expect(store.uploads.count == 1)
        store.script([])
        switch next {
        case "abort": #expect(try mule.run("abort", id).exitCode == 0)
        case "upload": #expect(try mule.uploadInParts(file).run().exitCode == 0)
        default: #expect(try mule.run(next).exitCode == 0)
        }
        #expect(store.uploads.isEmpty)
        #expect(store.requests(.abort).last?.uploadID == uploadID)
        #expect(try mule.status().isEmpty)
        #expect((store.object(key: "key") != nil) == (next == "upload"))
    }

    // MARK: Initiators

    @Test func `all initiators need a bucket by name`() throws {
        let outcome = try mule.run("clean", "--all-initiators", "--yes")
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("--all-initiators", "BUCKET"))
        #expect(store.requests.isEmpty)
    }

    @Test func `what is too young for all initiators is said`() throws {
        plant("u1", by: "somebody")
        let outcome = try mule.run("clean", "--all-initiators", "--yes", "--older-than", "3000d", "bucket")
        #expect(outcome.exitCode == 0 && store.uploads.count == 1)
        #expect(outcome.explains("1 upload", "--older-than"), "\(outcome.err)")
    }

    @Test func `without a terminal all initiators are listed and nothing more`() throws {
        plant("u1", by: "somebody")
        for arguments in [["--json"], ["-q"], []] {
            let outcome = try mule.run(["clean", "--all-initiators", "bucket"] + arguments)
            #expect(outcome.exitCode == 2)
            #expect(outcome.explains("--yes", "1 upload (1000 B)"), "\(outcome.err)")
            #expect(outcome.out.contains("u1") && outcome.out.contains("somebody"), "\(outcome.out)")
        }
        #expect(store.uploads.count == 1 && store.count(.abort) == 0)
    }

    @Test func `with yes all initiators are removed after a list`() throws {
        plant("u1", by: "somebody")
        plant("u2", key: "p/2")
        let outcome = try mule.run("clean", "--all-initiators", "--yes", "bucket", "--json")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(
            outcome.objects.map { $0["event"]?.text } == ["stale", "stale", "summary", "removed", "removed", "summary"]
        )
        #expect(store.uploads.isEmpty)
    }

    @Test(arguments: ["yes", "no", "y"]) func `on a terminal a yes removes them`(answer: String) throws {
        plant("u1", by: "somebody")
        var command = mule.command(["clean", "--all-initiators", "bucket"])
        command.terminal = .init()
        command.input = .terminal
        let running = try command.start()
        #expect(running.waitForText("Type yes:"))
        #expect(store.count(.abort) == 0)
        running.writeInput(Array("\(answer)\n".utf8))
        let outcome = running.wait()
        #expect(outcome.exitCode == (answer == "yes" ? 0 : 2), "\(outcome.err)")
        #expect(store.uploads.isEmpty == (answer == "yes"))
    }

    @Test func `a signal at the question removes nothing`() throws {
        plant("u1", by: "somebody")
        var command = mule.command(["clean", "--all-initiators", "bucket"])
        command.terminal = .init()
        command.input = .terminal
        let running = try command.start()
        #expect(running.waitForText("Type yes:"))
        running.signal(2)
        #expect(running.wait().end == .signal(2))
        #expect(store.uploads.count == 1)
    }

    @Test func `a list of all initiators asks nothing`() throws {
        plant("u1", by: "somebody")
        let outcome = try mule.run("clean", "--all-initiators", "--dry-run", "bucket")
        #expect(outcome.exitCode == 0 && store.uploads.count == 1)
        #expect(
            outcome.out.contains(
                "bucket/other  would be removed, 1 part, 1000 B, started 2023-11-14 22:13:20 UTC by somebody"
            )
        )
    }
}
