import Glibc
import TestSupport
import Testing

/// Directories and several files in one call.
@Suite struct RecursiveTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    @Test func `odd names go below the prefix`() throws {
        let names = ["-r", "a b", "deep/er/file", "new\nline", "plain", "ümlaut"]
        for name in names { try mule.home.write(name, to: "tree/\(name)") }
        let outcome = try mule.run("upload", "-r", "tree", "bucket/top/")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(store.keys() == HostileKeys.sorted(names.map { "top/" + $0 }))
        for name in names { #expect(store.object(key: "top/" + name)?.bytes == Array(name.utf8)) }
        #expect(outcome.lines.count == names.count + 1)
        #expect(store.violations.isEmpty)
    }

    @Test func `a run of several files ends with its summary`() throws {
        for number in 1...30 { try mule.home.write("file \(number)", to: "tree/\(number)") }
        store.add(.on(.putObject, key: "top/7", times: 100, .status(403, code: "AccessDenied")))
        let first = try mule.run("upload", "-r", "tree", "bucket/top/")
        #expect(first.exitCode == 4)
        // Not each of many files has its line.
        #expect(first.lines.count == 21)
        let last = try #require(first.lines.last)
        #expect(last.hasPrefix("30 files, ") && last.hasSuffix(": 29 uploaded, 0 unchanged, 1 failed"), "\(last)")

        store.script([])
        let again = try mule.run("upload", "-r", "tree", "bucket/top/", "-v")
        #expect(again.exitCode == 0 && again.lines.count == 31)
        #expect(again.lines.last?.hasSuffix(": 1 uploaded, 29 unchanged, 0 failed") == true)
        #expect(again.lines.contains { $0.contains("tree/7 -> ") && $0.contains("CRC64NVME") }, "\(again.out)")
        #expect(try mule.run("upload", "-r", "tree", "bucket/top/", "-q").out == "")

        let summary = try #require(try mule.run("upload", "--json", "-r", "tree", "bucket/top/").objects.last)
        #expect(summary["event"]?.text == "summary" && summary["unchanged"]?.integer == 30)
        #expect(try mule.run("upload", "tree/1", "bucket/top/").lines.count == 1)
    }

    @Test func `a dry run shows what would be sent and asks no store`() throws {
        let big = try mule.file(parts: 3, "tree/big")
        let fresh = try mule.run(["upload", "-n", "-r", "tree", "bucket/top/"] + MuleRun.inParts)
        #expect(fresh.exitCode == 0 && store.requests.isEmpty)
        #expect(!Files.exists(mule.home.path(".local/state/mule/ledger.sqlite")))
        #expect(
            fresh.lines == [
                "new: tree/big -> bucket/top/big, 10.0 MiB, 3 parts",
                "1 file to upload, 10.0 MiB: 1 new; nothing was sent",
            ]
        )

        // One is pending, one is done, one is new, and one cannot be sent.
        store.add(.on(.uploadPart, part: 3, times: 1_000, .status(403, code: "AccessDenied")))
        #expect(try mule.run(["upload", "-j", "1", big, "bucket/top/"] + MuleRun.inParts).exitCode == 4)
        try mule.home.write("done", to: "tree/done")
        #expect(try mule.run("upload", "tree/done", "bucket/top/").exitCode == 0)
        try mule.home.write("new", to: "tree/new")
        #expect(
            try TestCommand("/usr/bin/mkfifo", [mule.home.path("tree/pipe")], home: mule.home.path).run().exitCode == 0
        )
        let before = store.requests.count
        let plan = try mule.run("upload", "--json", "-n", "-r", "tree", "bucket/top/").objects
        #expect(store.requests.count == before)
        let kinds = plan.filter { $0["event"]?.text == "planned" }.compactMap { $0["kind"]?.text }
        #expect(kinds.sorted() == ["new", "pending", "unchanged"])
        #expect(plan.first { $0["kind"]?.text == "pending" }?["parts"]?.integer == 1)
        #expect(plan.last?["files"]?["problem"]?.integer == 1)
        #expect(try mule.run("upload", "-n", "-r", "tree", "bucket/top/").exitCode == 3)
        let restarted = try mule.run("upload", "-n", "--restart", "-r", "tree", "bucket/top/")
        #expect(
            restarted.lines.contains { $0.hasPrefix("restart: tree/big -> bucket/top/big, 10.0 MiB") },
            "\(restarted.out)"
        )
        #expect(try mule.run("upload", "-n", "-", "bucket/key").exitCode == 2)
    }

    @Test func `name that is not UTF-8 is percent-escaped`() throws {
        try mule.home.makeDirectory("tree")
        let path = Array(mule.home.path("tree/caf").utf8CString.dropLast()) + [CChar(bitPattern: 0xE9), 0]
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        try #require(descriptor >= 0)
        close(descriptor)
        let outcome = try mule.run("upload", "--recursive", "--json", "tree", "bucket")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(store.keys() == [Array("caf%E9".utf8)])
        #expect(outcome.event("completed")?["source"]?.text?.hasSuffix("tree/caf%E9") == true)
    }

    /// Closing any descriptor of a file drops all POSIX locks that the process holds on it, SQLite's too.
    @Test func `files of the ledger are not sent while it is in use`() throws {
        try mule.home.write("data", to: "tree/data")
        let ledger = mule.home.path("tree/ledger.sqlite")
        // The first run makes it, perhaps after the directory was listed.
        _ = try mule.run("upload", "-r", "--ledger", ledger, "tree", "bucket/top/")
        let outcome = try mule.run("upload", "-r", "--ledger", ledger, "tree", "bucket/top/")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(store.keys() == [Array("top/data".utf8)])
        #expect(outcome.messages.contains { $0.contains("ledger.sqlite skipped") }, "\(outcome.err)")

        #expect(link(ledger, mule.home.path("other-name")) == 0)
        for name in [ledger, mule.home.path("other-name")] {
            let named = try mule.run("upload", "--ledger", ledger, name, "bucket/named")
            // A second hard link to the ledger is refused by itself.
            #expect(named.exitCode == 3 || named.exitCode == 12, "\(named.err)")
        }
        #expect(store.object(key: "named") == nil)
    }

    /// More than are held in memory at once.
    @Test func `killed among thousands of files all arrive once`() throws {
        let count = 3000
        for number in 0..<count { try mule.home.write("\(number)", to: "tree/\(number % 7)/\(number)") }
        let process = try mule.start(["upload", "--recursive", "--quiet", "tree", "bucket/top/"])
        while store.keys().count < 200 { usleep(2000) }
        process.signal(SIGKILL)
        _ = process.wait()
        let atKill = store.requests.count
        #expect(atKill < count)
        let outcome = try mule.run("upload", "--recursive", "--quiet", "tree", "bucket/top/")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(store.keys().count == count)
        for number in [0, 1, 199, 200, 1024, 1500, 2999] {
            #expect(store.object(key: "top/\(number % 7)/\(number)")?.bytes == Array("\(number)".utf8))
        }
        // Sent again is what was in flight or waiting to be recorded; what was recorded is looked at.
        let sentAgain = store.requests.count { $0.operation == .putObject } - count
        #expect(sentAgain <= 64 + 16 + 64, "\(sentAgain)")
        let third = try mule.run("upload", "--recursive", "--quiet", "tree", "bucket/top/")
        #expect(third.exitCode == 0, "\(third.err)")
        #expect(store.requests.count { $0.operation == .putObject } - count == sentAgain)
        #expect(store.violations.isEmpty)
    }

    @Test func `link to a directory is skipped with a message`() throws {
        try mule.home.write("1", to: "tree/file")
        try mule.home.write("2", to: "elsewhere/hidden")
        try #require(symlink(mule.home.path("elsewhere"), mule.home.path("tree/link")) == 0)
        try #require(symlink(mule.home.path("elsewhere/hidden"), mule.home.path("tree/linked-file")) == 0)
        let outcome = try mule.run("upload", "-r", "tree", "bucket/")
        #expect(outcome.explains("tree/link", "symbolic link to a directory"))
        #expect(store.keys() == HostileKeys.sorted(["file", "linked-file"]))
        let json = try mule.run("upload", "--json", "-r", "tree", "bucket/")
        #expect(json.event("failed")?["source"]?.text == "tree/link")
        #expect(json.event("failed")?["destination"]?.text == "bucket/link")
    }

    @Test func `link that leads to itself is named and the rest is sent`() throws {
        try mule.home.write("1", to: "tree/file")
        try #require(symlink("loop", mule.home.path("tree/loop")) == 0)
        try #require(symlink("..", mule.home.path("tree/up")) == 0)
        let outcome = try mule.run("upload", "-r", "tree", "bucket/")
        #expect(outcome.exitCode == 3)
        #expect(outcome.explains("tree/loop", "symbolic links"), "\(outcome.err)")
        #expect(outcome.explains("tree/up", "symbolic link to a directory"))
        #expect(store.keys() == [Array("file".utf8)])
        let alone = try mule.run("upload", "tree/loop", "bucket/key")
        #expect(alone.exitCode == 3)
        #expect(alone.explains("tree/loop", "symbolic links"))
    }

    @Test func `several sources go below the prefix under their names`() throws {
        let files = try ["one", "sub/two", "-three"].map { try mule.home.write($0, to: $0) }
        let outcome = try mule.run("upload", "--json", files[0], files[1], "--", "-three", "s3://bucket/in/")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(store.keys() == HostileKeys.sorted(["in/one", "in/two", "in/-three"]))
        #expect(outcome.objects.count { $0["event"]?.text == "completed" } == 3)
    }

    @Test func `two sources of one name are not sent over each other`() throws {
        let files = try ["a/same", "b/same"].map { try mule.home.write($0, to: $0) }
        let outcome = try mule.run(["upload"] + files + ["bucket/"])
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("a/same", "b/same", "would both be uploaded as bucket/same"))
        #expect(store.object(key: "same")?.bytes == Array("a/same".utf8))
    }

    @Test func `files of one call share the pool`() throws {
        let files = try (1...4).map { try mule.file(parts: 2, "file\($0)", seed: UInt64($0)) }
        let outcome = try mule.run(["upload", "-j", "4"] + MuleRun.inParts + files + ["bucket/"])
        #expect(outcome.exitCode == 0)
        for (index, file) in files.enumerated() {
            #expect(try store.object(key: "file\(index + 1)")?.equals(file: file) == true)
        }
        #expect(store.connectionsAccepted <= 4)
        #expect(store.partNumbers.count == 8)
    }

    /// A file is closed when its upload has ended, not when the run has.
    @Test func `more files than may be open are sent`() throws {
        for number in 0..<200 { try mule.home.write("\(number)", to: "tree/\(number)") }
        var command = mule.command(["upload", "-j", "4", "-r", "tree", "bucket/"])
        command.limit("-n 64")
        let outcome = try command.run()
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(store.keys().count == 200)
    }

    @Test(arguments: [["-j", "40"], []]) func `requests stay within the limit of open files`(concurrency: [String])
        throws
    {
        store.profile.latencySeconds = 0.1
        for number in 0..<60 { try mule.home.write("\(number)", to: "tree/\(number)") }
        var command = mule.command(["upload", "-v"] + concurrency + ["-r", "tree", "bucket/"])
        command.limit("-n 64")
        let outcome = try command.run()
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(store.keys().count == 60)
        #expect(store.connectionsAccepted <= 6)
        #expect(outcome.explains("concurrency reduced to 6 requests", "64 open files"))
    }

    @Test func `empty directory is nothing to send`() throws {
        try mule.home.makeDirectory("empty")
        let outcome = try mule.run("upload", "-r", "empty", "bucket/")
        #expect(outcome.exitCode == 0)
        #expect(outcome.explains("nothing to upload"))
    }
}
