import Glibc
import TestSupport
import Testing

/// Which files of a directory are sent, and names from a list.
@Suite struct SelectionTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    private var keys: Set<String> { Set(store.keys().map { String(decoding: $0, as: UTF8.self) }) }

    @Test func `patterns choose among the files of a directory`() throws {
        for name in ["a.db", "b.txt", "tmp/c.db", "sub/d.db", "sub/keep.tmp", "sub/e.tmp", "odd\n.db", "-r.db"] {
            try mule.home.write(name, to: "tree/\(name)")
        }
        let outcome = try mule.run(
            ["upload", "-r", "-v", "--include", "*.db", "--include", "*.tmp", "--exclude", "tmp/"]
                + ["--exclude", "*.tmp", "--exclude", "!keep.tmp", "tree", "bucket/"]
        )
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(keys == ["a.db", "sub/d.db", "sub/keep.tmp", "odd\n.db", "-r.db"])
        #expect(outcome.explains("tree/tmp skipped: excluded"), "\(outcome.err)")
        #expect(outcome.explains("tree/b.txt skipped: not included"))
        #expect(store.violations.isEmpty)
    }

    @Test func `sizes and ages choose`() throws {
        for (name, size, age) in [("old", 10, 7200), ("new", 10, 0), ("empty", 0, 7200), ("large", 2000, 7200)] {
            let path = try mule.home.write([UInt8](repeating: 1, count: size), to: "tree/\(name)")
            try Files.setModificationTime(path, seconds: Int64(time(nil)) - Int64(age))
        }
        try mule.home.makeSparse("tree/sparse", size: 100 << 20)
        try Files.setModificationTime(mule.home.path("tree/sparse"), seconds: Int64(time(nil)) - 7200)
        let outcome = try mule.run(
            [
                "upload", "-r", "--min-age", "1h", "--max-age", "1d", "--min-size", "1", "--max-size", "1K", "tree",
                "bucket/",
            ]
        )
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(keys == ["old"])
    }

    @Test func `nothing left is said to be so`() throws {
        try mule.home.write("1", to: "tree/a")
        let outcome = try mule.run("upload", "-r", "--include", "*.db", "tree", "bucket/")
        #expect(outcome.exitCode == 0)
        #expect(outcome.explains("nothing to upload", "1 file found", "excluded"))
    }

    @Test(
        arguments: [
            ("files", 3, ["file", "links/one"]), ("follow", 3, ["file", "links/one", "links/other/deep"]),
            ("skip", 0, ["file"]), ("report", 3, ["file"]),
        ] as [(String, Int32, Set<String>)]
    ) func `links are treated as asked`(policy: String, status: Int32, sent: Set<String>) throws {
        try mule.home.write("1", to: "tree/file")
        try mule.home.write("2", to: "other/deep")
        try mule.home.makeDirectory("tree/links")
        try #require(symlink(mule.home.path("other/deep"), mule.home.path("tree/links/one")) == 0)
        try #require(symlink(mule.home.path("other"), mule.home.path("tree/links/other")) == 0)
        try #require(symlink(mule.home.path("tree"), mule.home.path("tree/links/up")) == 0)
        let outcome = try mule.run("upload", "-r", "--symlinks", policy, "tree", "bucket/")
        #expect(outcome.exitCode == status, "\(outcome.err)")
        #expect(keys == sent)
    }

    @Test(arguments: [("largest", ["c", "a", "b"]), ("oldest", ["b", "c", "a"]), ("newest", ["a", "c", "b"])])
    func `order is kept`(order: String, sent: [String]) throws {
        for (name, size, time) in [("a", 2, 30), ("b", 1, 10), ("c", 3, 20)] as [(String, Int, Int64)] {
            let path = try mule.home.write([UInt8](repeating: 1, count: size), to: "tree/\(name)")
            try Files.setModificationTime(path, seconds: time)
        }
        let outcome = try mule.run("upload", "-j", "1", "-r", "--order", order, "tree", "bucket/")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        let arrived = store.requests.filter { $0.operation == .putObject }.compactMap(\.key)
        #expect(arrived.map { String(decoding: $0, as: UTF8.self) } == sent)
    }

    // MARK: Lists

    @Test func `listed files keep their paths`() throws {
        let longest = String(repeating: "n", count: 255)
        for name in ["a", "sub/b", "-r", "new\nline", "empty\r", longest, "unlisted"] {
            try mule.home.write("", to: name)
        }
        let list = ["./a", "sub//b", "", "-r", "gone", "sub/../a", "empty\r", longest, "a", mule.home.path("a")]
        try mule.home.write(list.joined(separator: "\n"), to: "list")
        let outcome = try mule.run("upload", "--json", "--files-from", "list", "bucket/in/")
        #expect(outcome.exitCode == 3, "\(outcome.err)")
        let absolute = "in" + mule.home.path("a")
        #expect(keys == ["in/a", "in/sub/b", "in/-r", "in/empty\r", "in/" + longest, absolute])
        #expect(outcome.explains("gone cannot be read"))
        #expect(outcome.explains("sub/../a", "with .. in its path"))
        #expect(outcome.objects.count { $0["event"]?.text == "failed" } == 2)
        #expect(store.requests.count { $0.operation == .putObject } == 6)
        let names = ["new\nline", "a"].joined(separator: "\0")
        var command = mule.command(["upload", "--files-from0", "-", "bucket/nul/"])
        command.input = .bytes(Array(names.utf8))
        #expect(try command.run().exitCode == 0)
        #expect(keys.isSuperset(of: ["nul/new\nline", "nul/a"]))
    }

    @Test func `listed directory needs recursive`() throws {
        for name in ["dir/a", "dir/sub/b", "dir/c.tmp"] { try mule.home.write(name, to: name) }
        try mule.home.write("dir/\n", to: "list")
        let alone = try mule.run("upload", "--files-from", "list", "bucket/")
        #expect(alone.exitCode == 3)
        #expect(alone.explains("dir/ is a directory", "--recursive"))
        let all = try mule.run("upload", "-r", "--exclude", "/c.tmp", "--files-from", "list", "bucket/")
        #expect(all.exitCode == 0, "\(all.err)")
        #expect(keys == ["dir/a", "dir/sub/b"])
    }

    @Test func `two listed files of one key are not sent over each other`() throws {
        let path = mule.home.path("")
        try mule.home.write("outer", to: "a")
        try mule.home.write("inner", to: String(path.dropFirst()) + "a")
        try mule.home.write("\(path)a\n\(path.dropFirst())a\n", to: "list")
        let outcome = try mule.run("upload", "--files-from", "list", "bucket/")
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("would both be uploaded as"), "\(outcome.err)")
        #expect(store.requests.count { $0.operation == .putObject } == 1)
        #expect(store.keys().count == 1)
    }

    /// A program that finds files slowly does not keep those that it has found from being sent.
    @Test func `slow list is sent as it comes`() throws {
        for name in ["one", "two"] { try mule.home.write(name, to: name) }
        var command = mule.command(["upload", "--files-from", "-", "bucket/"])
        command.input = .pipe
        let process = try command.start()
        process.writeInput(Array("one\n".utf8))
        while store.keys().isEmpty, process.isRunning { usleep(2000) }
        #expect(keys == ["one"])
        process.writeInput(Array("two\n".utf8))
        while store.keys().count < 2, process.isRunning { usleep(2000) }
        #expect(process.isRunning)
        process.closeInput()
        #expect(process.wait().exitCode == 0)
        #expect(keys == ["one", "two"])
    }

    @Test func `stop is heard while a list is waited for`() throws {
        try mule.home.write("1", to: "one")
        try #require(mkfifo(mule.home.path("list"), 0o600) == 0)
        let process = try mule.start(["upload", "-v", "--files-from", "list", "bucket/"])
        let writer = open(mule.home.path("list"), O_WRONLY)
        defer { close(writer) }
        _ = write(writer, "one\n", 4)
        while store.keys().isEmpty, process.isRunning { usleep(2000) }
        process.signal(SIGTERM)
        let outcome = process.wait()
        #expect(outcome.end == .signal(SIGTERM))
        #expect(!outcome.err.contains("stopped. What the store"), "\(outcome.err)")
        #expect(outcome.explains("Not all files were found yet"), "\(outcome.err)")
    }

    @Test(
        arguments: [
            (["--files-from", "list", "a", "bucket/"], 2, "remove the SOURCE"),
            (["--files-from", "-", "-", "bucket/"], 2, "both the list of --files-from and a SOURCE"),
            (["--files-from", "list"], 2, "needs a DESTINATION"),
            (["--files-from", "list", "--files-from0", "list", "bucket/"], 2, "cannot be combined"),
            (["--files-from", "list", "bucket/key"], 2, "cannot all be uploaded as"),
            (["--files-from", "gone", "bucket/"], 3, "Cannot read the file list gone"),
            (["--files-from", ".", "bucket/"], 3, "Cannot read"),
            (["--include", "*", "a", "bucket/"], 2, "--include selects files below a directory"),
            (["-r", "--exclude", "[", "a", "bucket/"], 2, "--exclude: \"[\" has a [ without its ]"),
            (["-r", "--symlinks", "folow", "a", "bucket/"], 2, "did you mean follow?"),
            (["-r", "--min-size", "1X", "a", "bucket/"], 2, "--min-size: \"1X\""),
        ] as [([String], Int32, String)]
    )
    func `what makes no sense is refused`(arguments: [String], status: Int32, part: String) throws {
        try mule.home.write("a\n", to: "list")
        try mule.home.write("1", to: "a")
        let outcome = try mule.run(["upload"] + arguments)
        #expect(outcome.exitCode == status)
        #expect(outcome.explains(part), "\(outcome.err)")
        #expect(store.requests.isEmpty)
    }

    @Test func `variables leave nothing out`() throws {
        var mule = mule
        mule.environment["MULE_EXCLUDE"] = "*"
        mule.environment["MULE_MAX_SIZE"] = "0"
        try mule.home.write("1", to: "tree/a")
        #expect(try mule.run("upload", "-r", "tree", "bucket/").exitCode == 0)
        #expect(keys == ["a"])
    }

    /// What a backup meets in the wild, in one tree.
    @Test func `odd files are sent or reported`() throws {
        let home = mule.home
        for name in ["-leading", "new\nline", "sub/plain", String(repeating: "x", count: 255)] {
            try home.write(name, to: "tree/\(name)")
        }
        try home.write("", to: "tree/empty")
        try home.makeSparse("tree/sparse", size: 3 << 20)
        try #require(link(home.path("tree/sub/plain"), home.path("tree/hard")) == 0)
        try #require(symlink("loop", home.path("tree/loop")) == 0)
        try #require(mkfifo(home.path("tree/fifo"), 0o600) == 0)
        let latin = Array(home.path("tree/caf").utf8CString.dropLast()) + [CChar(bitPattern: 0xE9), 0]
        close(open(latin, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644))
        let outcome = try mule.run("upload", "--json", "-r", "--order", "smallest", "tree", "bucket/")
        #expect(outcome.exitCode == 3, "\(outcome.err)")
        #expect(
            keys == [
                "-leading", "new\nline", "sub/plain", String(repeating: "x", count: 255), "empty", "sparse", "hard",
                "caf%E9",
            ]
        )
        #expect(store.object(key: "hard")?.bytes == Array("sub/plain".utf8))
        #expect(store.object(key: "sparse")?.bytes == [UInt8](repeating: 0, count: 3 << 20))
        let failed = outcome.objects.filter { $0["event"]?.text == "failed" }.compactMap { $0["source"]?.text }
        #expect(Set(failed) == ["tree/loop", "tree/fifo"])
    }
}
