import Glibc
import TestSupport
import Testing

/// Every status of the published table, each with a sentence on standard error that says what to do.
@Suite struct ExitStatusTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    private func small() throws -> String { try mule.home.write("hello", to: "small") }

    @Test func `done is 0`() throws {
        let file = try small()
        let outcome = try mule.run("upload", file, "bucket/key")
        #expect(outcome.exitCode == 0)
        #expect(outcome.err.isEmpty)
        #expect(outcome.out.contains("bucket/key"))
        #expect(try store.holdsOnly(file))
    }

    // MARK: 1 and 3: sources

    @Test func `several reasons are 1`() throws {
        store.edit { $0.buckets["bucket"]?.objects[Array("there/small".utf8)] = FakeObject(content: [1]) }
        let outcome = try mule.run("upload", "--no-overwrite", try small(), mule.home.path("missing"), "bucket/there/")
        #expect(outcome.exitCode == 1)
        #expect(outcome.explains("missing") && outcome.explains("there/small"))
    }

    @Test func `missing file is 3`() throws {
        let outcome = try mule.run("upload", mule.home.path("missing"), "bucket/key")
        #expect(outcome.exitCode == 3)
        #expect(outcome.explains("missing", "cannot be read"))
        #expect(store.requests.isEmpty)
    }

    @Test func `directory without recursive is 3`() throws {
        let outcome = try mule.run("upload", mule.home.path, "bucket/dir/")
        #expect(outcome.exitCode == 3)
        #expect(outcome.explains("is a directory", "--recursive"))
    }

    @Test func `named pipe is 3`() throws {
        let pipe = mule.home.path("pipe")
        try #require(mkfifo(pipe, 0o600) == 0)
        let outcome = try mule.run("upload", pipe, "bucket/key")
        #expect(outcome.exitCode == 3)
        #expect(outcome.explains("named pipe", "mule upload -"))
    }

    @Test(.enabled(if: geteuid() != 0, "root can read everything"))
    func `unreadable file is 3`() throws {
        let file = try small()
        try Files.setMode(file, 0)
        let outcome = try mule.run("upload", file, "bucket/key")
        #expect(outcome.exitCode == 3)
        #expect(outcome.explains("small", "cannot be read"))
    }

    @Test func `source that changes while it is sent is 3`() throws {
        let file = try mule.file(parts: 3)
        store.onBodyBytes(.uploadPart, part: 2, after: 1 << 20) { _ in
            try? Files.overwrite(file, at: 11 << 19, with: [0, 1, 2, 3])
        }
        let outcome = try mule.uploadInParts(file).run()
        #expect(outcome.exitCode == 3)
        #expect(outcome.explains("file changed while it was sent", "--restart"), "\(outcome.err)")
        #expect(store.keys().isEmpty)
    }

    // MARK: 4, 5, 6, 7: the store

    @Test func `missing bucket is 4`() throws {
        let outcome = try mule.run("upload", try small(), "nosuchbucket/key")
        #expect(outcome.exitCode == 4)
        #expect(outcome.explains("NoSuchBucket", "The bucket nosuchbucket does not exist"))
    }

    @Test(arguments: [(1, "s3:PutObject"), (2, "s3:PutObject")])
    func `missing permission is 4`(parts: Int, permission: String) throws {
        store.profile.denied = [.putObject, .create]
        let outcome = try mule.uploadInParts(try mule.file(parts: parts)).run()
        #expect(outcome.exitCode == 4)
        #expect(outcome.explains("AccessDenied", permission, "bucket/key"), "\(outcome.err)")
    }

    @Test func `no credentials are 5`() throws {
        var mule = mule
        mule.environment = ["AWS_ENDPOINT_URL": store.endpoint, "AWS_EC2_METADATA_DISABLED": "true"]
        let outcome = try mule.run("upload", try small(), "bucket/key")
        #expect(outcome.exitCode == 5)
        #expect(outcome.explains("credentials", "AWS_ACCESS_KEY_ID"), "\(outcome.err)")
        #expect(store.requests.isEmpty)
    }

    @Test func `wrong secret is 5`() throws {
        var mule = mule
        mule.environment["AWS_SECRET_ACCESS_KEY"] = "not-the-secret"
        let outcome = try mule.run("upload", try small(), "bucket/key")
        #expect(outcome.exitCode == 5)
        #expect(outcome.explains("SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"), "\(outcome.err)")
        #expect(!outcome.err.contains("not-the-secret"))
    }

    @Test func `unknown access key is 5`() throws {
        var mule = mule
        mule.environment["AWS_ACCESS_KEY_ID"] = "AKIDNOBODY"
        let outcome = try mule.run("upload", try small(), "bucket/key")
        #expect(outcome.exitCode == 5)
        #expect(outcome.explains("InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"), "\(outcome.err)")
    }

    @Test func `empty answer to Complete that nothing proves is 6`() throws {
        store.profile.denied = [.headObject]
        store.add(.on(.complete, times: 100, .emptyBody200()))
        let outcome = try mule.uploadInParts(try mule.file(parts: 2)).run()
        #expect(outcome.exitCode == 6)
        #expect(outcome.explains("Cannot tell", "aws s3api head-object --bucket bucket --key"), "\(outcome.err)")
        #expect(try mule.status().first?["state"]?.text == "unknown")
    }

    @Test(arguments: [1, 2]) func `existing object that may not be replaced is 7`(parts: Int) throws {
        store.edit { $0.buckets["bucket"]?.objects[Array("key".utf8)] = FakeObject(content: [1, 2, 3]) }
        let outcome = try mule.uploadInParts(try mule.file(parts: parts), "bucket/key", "--no-overwrite").run()
        #expect(outcome.exitCode == 7)
        #expect(outcome.explains("bucket/key already exists", "--no-overwrite"))
        #expect(store.object(key: "key")?.bytes == [1, 2, 3])
        #expect(store.payloadBytesReceived == 0)
        #expect(store.uploads.isEmpty)
    }

    @Test(arguments: [1, 2]) func `object that appears meanwhile is not replaced`(parts: Int) throws {
        let operation: FakeOperation = parts == 1 ? .putObject : .complete
        store.add(
            .on(
                operation,
                .run(.headersRead) { [store] _ in
                    store.edit { $0.buckets["bucket"]?.objects[Array("key".utf8)] = FakeObject(content: [1, 2, 3]) }
                }
            )
        )
        let outcome = try mule.uploadInParts(try mule.file(parts: parts), "bucket/key", "--no-overwrite").run()
        #expect(outcome.exitCode == 7)
        #expect(store.object(key: "key")?.bytes == [1, 2, 3])
    }

    // MARK: 11 and 12: the ledger

    /// Simulates a full btrfs, where overwriting a page of the log's index, which SQLite maps, needs new space.
    @Test func `a mapped file that fails is 12`() throws {
        let gate = Gate()
        store.script([.on(.uploadPart, .run(.headersRead) { _ in gate.wait() })])
        let ledger = mule.home.path("ledger.sqlite")
        let running = try mule.uploadInParts(try mule.file(parts: 3), "bucket/key", "--ledger", ledger).start()
        #expect(store.waitUntil { $0.count(.uploadPart) > 0 })
        try Files.truncate(ledger + "-shm", to: 0)
        gate.open()
        let outcome = running.wait(timeoutSeconds: 300)
        #expect(outcome.exitCode == 12, "\(outcome.end)")
        #expect(outcome.explains("cannot be written", "Free some space"), "\(outcome.err)")
    }

    @Test func `second run of the same upload is 11`() throws {
        let gate = Gate()
        store.add(.on(.uploadPart, part: 2, .run(.beforeProcessing) { _ in gate.wait() }))
        defer { gate.open() }
        let file = try mule.file(parts: 3)
        let first = try mule.uploadInParts(file).start()
        #expect(store.waitUntil { $0.partNumbers.contains(2) })

        let second = try mule.uploadInParts(file).run()
        #expect(second.exitCode == 11)
        #expect(second.explains("Another mule", "bucket/key"), "\(second.err)")
        #expect(try mule.run("resume").exitCode == 11)
        let status = try mule.status()
        #expect(status.map { $0["state"]?.text } == ["active"])
        let abort = try mule.run("abort", "--all")
        #expect(abort.exitCode == 11)
        #expect(abort.explains("Another mule", "process \(first.pid)", "Stop that one first"), "\(abort.err)")

        gate.open()
        #expect(first.wait().exitCode == 0)
        #expect(store.partNumbers.sorted() == [1, 2, 3])
        #expect(store.count(.create) == 1)
        #expect(try store.holdsOnly(file))
    }

    @Test(arguments: ["text", "SQLite format 3"]) func `damaged ledger is 12 and left untouched`(beginning: String)
        throws
    {
        var random = SeededRandom(seed: 7)
        let damaged = Array(beginning.utf8) + (beginning == "text" ? [] : [0]) + random.bytes(9_000)
        let ledger = try mule.home.write(damaged, to: "ledger.sqlite")
        for arguments in [["status"], ["resume"], ["abort", "--all"], ["upload", try small(), "bucket/key"]] {
            let outcome = try mule.run(arguments + ["--ledger", ledger])
            #expect(outcome.exitCode == 12)
            #expect(outcome.explains(ledger, "damaged", "mule doctor"), "\(outcome.err)")
            #expect(try Files.read(ledger) == damaged)
        }
        #expect(store.requests.isEmpty)
    }

    @Test func `database of another program is 12 and left untouched`() throws {
        let ledger = mule.home.path("other.sqlite")
        let script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('create table songs (name text)')"
        _ = try TestCommand("/usr/bin/env", ["python3", "-c", script, ledger], home: mule.home.path).run()
        let before = try Files.read(ledger)
        try #require(!before.isEmpty)
        let outcome = try mule.run("upload", "--ledger", ledger, try small(), "bucket/key")
        #expect(outcome.exitCode == 12)
        #expect(outcome.explains(ledger, "--ledger") || outcome.explains(ledger, "mule doctor"), "\(outcome.err)")
        #expect(try Files.read(ledger) == before)
        #expect(store.requests.isEmpty)
    }

    @Test func `ledger that cannot be made is 12`() throws {
        // Not even root can make a file there.
        let outcome = try mule.run("upload", "--ledger", "/proc/self/ledger.sqlite", try small(), "bucket/key")
        #expect(outcome.exitCode == 12)
        #expect(outcome.explains("/proc/self/ledger.sqlite", "--ledger"), "\(outcome.err)")
        #expect(store.requests.isEmpty)
    }

    @Test func `ledger is its owners alone`() throws {
        _ = try mule.run("upload", try small(), "bucket/key")
        var facts = stat()
        #expect(stat(mule.home.path(".local/state/mule/ledger.sqlite"), &facts) == 0)
        #expect(facts.st_mode & 0o777 == 0o600)
        #expect(stat(mule.home.path(".local/state/mule"), &facts) == 0)
        #expect(facts.st_mode & 0o777 == 0o700)
    }

    // MARK: 75: the way to the store

    @Test func `store that is down is 75 when the stall limit is over`() throws {
        let file = try mule.file(parts: 2)
        store.stop()
        let outcome = try mule.uploadInParts(file, "bucket/key", "--stall-limit", "1s").run()
        #expect(outcome.exitCode == 75)
        #expect(
            outcome.explains("No progress at 127.0.0.1", "for 1 s", "the connection was refused", "same command"),
            "\(outcome.err)"
        )
        #expect(outcome.seconds >= 1 && outcome.seconds < 10)
        #expect(try mule.status().first?["state"]?.text == "pending")
    }

    @Test func `store that keeps throttling is 75 and is resumed later`() throws {
        let file = try mule.file(parts: 3)
        store.add(.on(.uploadPart, part: 2, times: 1_000, .status(503, code: "SlowDown")))
        let outcome = try mule.uploadInParts(file, "bucket/key", "--stall-limit", "1s").run()
        #expect(outcome.exitCode == 75)
        #expect(outcome.explains("SlowDown") && outcome.explains("mule resume"), "\(outcome.err)")
        store.script([])
        #expect(try mule.run("resume").exitCode == 0)
        #expect(try store.holdsOnly(file))
    }
}
