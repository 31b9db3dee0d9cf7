import Glibc
import TestSupport
import Testing

/// `mule archive` as cron runs it: statuses, what it says, and two at once.
@Suite struct ArchiveTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() throws {
        mule = MuleRun(store)
        try mule.home.makeDirectory("source")
    }

    private var source: String { mule.home.path("source") }

    @discardableResult
    private func file(_ name: String, _ content: String = "content") throws -> String {
        try mule.home.write(Array(content.utf8), to: "source/" + name)
    }

    private func archive(_ more: String...) -> [String] {
        ["archive", "--source", source, "--to", "bucket/"] + more
    }

    private var names: [String] {
        store.edit { $0.buckets["bucket"]?.objects.keys.map { String(decoding: $0, as: UTF8.self) } ?? [] }.sorted()
    }

    private func exists(_ name: String) -> Bool { access(mule.home.path(name), F_OK) == 0 }

    // MARK: What it says

    @Test func `silent when all is well`() throws {
        try file("a")
        let outcome = try mule.run(archive("-q", "--after", "move:" + mule.home.path("done")))
        #expect(outcome.exitCode == 0)
        #expect(outcome.standardOutput.isEmpty && outcome.standardError.isEmpty)
        #expect(exists("done/a"))
    }

    @Test func `last line of a job says what happened`() throws {
        try file("a")
        let outcome = try mule.run(archive("--after", "delete"))
        #expect(outcome.lines.last?.contains("1 file archived (7 B), 1 deleted") == true)
        try file("b")
        let events = try mule.run(archive("--after", "delete", "--json"))
        #expect(events.event("deleted")?["source"]?.text == source + "/b")
        let end = events.event("jobEnded")
        #expect(end?["archived"]?.integer == 1)
        #expect(end?["status"]?.integer == 0)
    }

    @Test func `jobs of the configuration run in the order of their names`() throws {
        try file("a")
        try mule.home.makeDirectory("config/mule")
        let configuration = """
            {"jobs": {"two": {"source": "\(source)", "destination": "bucket/two/"},
                      "one": {"source": "\(source)", "destination": "bucket/one/{date}/{relpath}", "after": "keep"}}}
            """
        let path = try mule.home.write(Array(configuration.utf8), to: "config.json")
        let outcome = try mule.run("archive", "--config", path, "--json")
        #expect(outcome.exitCode == 0)
        #expect(
            outcome.objects.filter { $0["event"]?.text == "jobEnded" }.compactMap { $0["job"]?.text } == ["one", "two"]
        )
        #expect(names.count == 2)
        #expect(try mule.run("archive", "--config", path, "tow").exitCode == 2)
        let one = try mule.run("archive", "--config", path, "one", "--json")
        #expect(one.event("jobEnded")?["unchanged"]?.integer == 1)
    }

    @Test func `a source that is missing is 3 and other jobs run`() throws {
        try file("a")
        let configuration = """
            {"jobs": {"one": {"source": "\(mule.home.path("nowhere"))", "destination": "bucket/one/"},
                      "two": {"source": "\(source)", "destination": "bucket/two/"}}}
            """
        let path = try mule.home.write(Array(configuration.utf8), to: "config.json")
        let outcome = try mule.run("archive", "--config", path)
        #expect(outcome.exitCode == 3)
        #expect(outcome.explains("nowhere", "cannot be read"))
        #expect(names == ["two/a"])
    }

    @Test func `a target within the source is 2`() throws {
        let outcome = try mule.run(archive("--after", "move:" + source + "/done"))
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("is inside the job's source"))
    }

    // MARK: Windows and locks

    @Test func `the second of two runs is 11 and silent`() throws {
        try file("a")
        store.add(.on(.putObject, .stall))
        let first = try mule.start(archive())
        #expect(store.waitUntil { !$0.requests(.putObject).isEmpty })
        let second = try mule.run(archive("-q"))
        #expect(second.exitCode == 11)
        #expect(second.standardError.isEmpty)
        let waiting = try mule.run(archive("--wait", "1s"))
        #expect(waiting.exitCode == 11)
        first.signal(SIGKILL)
        _ = first.wait()
        // A lock dies with its holder.
        #expect(try mule.run(archive("--after", "delete")).exitCode == 0)
        #expect(names == ["a"])
        #expect(!exists("source/a"))
    }

    @Test func `a run at its border is 10 and the next continues`() throws {
        for number in 0..<40 { try file("\(number)", String(repeating: "x", count: 1000)) }
        store.add(.on(.putObject, times: 1000, .delay(0.05)))
        let first = try mule.run(archive("-j", "2", "--max-bytes", "1000", "--after", "delete"))
        #expect(first.exitCode == 10)
        #expect(first.explains("maximum of bytes"))
        #expect(!names.isEmpty && names.count < 40)
        let second = try mule.run(archive("--after", "delete", "--json"))
        #expect(second.exitCode == 0)
        #expect(names.count == 40)
        #expect(store.count(.putObject) == 40)
    }

    /// From and to some minutes from now, in local time.
    private func window(_ from: Int, _ to: Int) -> String {
        [from, to].map { minutes in
            var seconds = time(nil) + minutes * 60
            var fields = tm()
            localtime_r(&seconds, &fields)
            return [fields.tm_hour, fields.tm_min].map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
        }.joined(separator: "-")
    }

    @Test func `a run outside its window is 10 and nothing begins`() throws {
        try file("a")
        let outcome = try mule.run(archive("--window", window(120, 180)))
        #expect(outcome.exitCode == 10)
        #expect(outcome.explains("not started, outside its window"), "\(outcome.err)")
        #expect(store.requests.isEmpty)
        #expect(try mule.run(archive("-q", "--window", window(120, 180))).err.isEmpty)
        #expect(try mule.run("report").out.contains("no runs") || mule.run("report", "--json").lines.isEmpty)
        #expect(
            try mule.run(archive("--dry-run", "--window", window(120, 180))).explains(
                "a run would not start, outside its window"
            )
        )
        #expect(try mule.run(archive("--window", window(-120, 120))).exitCode == 0)
        #expect(names == ["a"])
    }

    @Test func `an interrupted run is on record as that whatever failed before`() throws {
        try file("a")
        #expect(mkfifo(mule.home.path("source/fifo"), 0o600) == 0)
        store.add(.on(.putObject, .stall))
        let running = try mule.start(archive("-q"))
        #expect(store.waitUntil { !$0.requests(.putObject).isEmpty })
        #expect(running.waitForText("named pipe"))
        running.signal(SIGTERM)
        #expect(running.wait().end == .signal(SIGTERM))
        #expect(try mule.run("report", "--json").objects.first?["status"]?.integer == 143)
    }

    // MARK: File systems

    @Test(.enabled(if: TestCommand.canMount, "needs the right to mount in a namespace (unshare)"))
    func `a disk that is not mounted is 3 and no success`() throws {
        let outcome = try inNamespace(
            """
            source=$1; shift
            mount -t tmpfs mule-test "$source" && echo content > "$source/a" && touch -d @1700000000 "$source/a"
            "$0" "$@" || exit 50
            umount "$source"
            "$0" "$@"; echo "status $?"
            """,
            [source],
            archive("-q")
        )
        #expect(outcome.lines.last == "status 3", "\(outcome.err)")
        #expect(outcome.explains("another file system than in earlier runs", "Mount the disk"), "\(outcome.err)")
        #expect(names == ["a"])
    }

    @Test(.enabled(if: TestCommand.canMount, "needs the right to mount in a namespace (unshare)"))
    func `a file on a disk that is not mounted is not left alone for it`() throws {
        try mule.home.writeRandom("big", count: 6 << 20)
        let disk = try mule.home.makeDirectory("disk")
        try mule.home.makeDirectory("source/inner")
        store.add(.on(.uploadPart, .status(403, code: "AccessDenied")))
        let outcome = try inNamespace(
            """
            disk=$1 inner=$2 file=$3; shift 3
            mount -t tmpfs mule-test "$disk" && cp "$file" "$disk/big" && touch -d @1700000000 "$disk/big"
            mount --bind "$disk" "$inner" && "$0" "$@"; echo "status $?"
            umount "$inner"; "$0" "$@"; echo "status $?"
            mount --bind "$disk" "$inner" && "$0" "$@"; echo "status $?"
            """,
            [disk, source + "/inner", mule.home.path("big")],
            archive("-q", "-j", "1", "--part-size", "5MiB", "--quarantine-after", "2")
        )
        #expect(outcome.lines == ["status 4", "status 3", "status 0"], "\(outcome.err)")
        #expect(names == ["inner/big"])
    }

    @Test(.enabled(if: TestCommand.canMount, "needs the right to mount in a namespace (unshare)"))
    func `what has to be mounted is looked for before anything is done`() throws {
        try file("a")
        let done = try mule.home.makeDirectory("done")
        let configuration = try mule.home.write(
            Array(
                """
                {"jobs": {"j": {"source": "\(source)", "destination": "bucket/", "after": "move:\(done)",
                                "requireMount": "\(done)"}}}
                """.utf8
            ),
            to: "config.json"
        )
        let arguments = ["archive", "-q", "--config", configuration]
        let missing = try mule.run(arguments)
        #expect(missing.exitCode == 3 && missing.explains("requireMount", "not a mount point"), "\(missing.err)")
        #expect(store.requests.isEmpty && exists("source/a"))
        let outcome = try inNamespace("mount --bind \"$1\" \"$1\" && shift && exec \"$0\" \"$@\"", [done], arguments)
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(exists("done/a"))
    }

    @Test(.enabled(if: TestCommand.canMount, "needs the right to mount in a namespace (unshare)"))
    func `a target within the source is 2 by any name`() throws {
        try mule.home.makeDirectory("source/inner")
        let done = try mule.home.makeDirectory("done")
        let outcome = try inNamespace(
            "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$0\" \"$@\"",
            [source + "/inner", done],
            archive("--after", "move:" + done + "/x")
        )
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("is inside the job's source"), "\(outcome.err)")
        let job = #"{"jobs": {"j": {"source": "SOURCE", "destination": "bucket/", "after": "move:DONE/x"}}}"#
        let configuration = try mule.home.write(
            job.replacing("SOURCE", with: source).replacing("DONE", with: done),
            to: "c.json"
        )
        let check = try inNamespace(
            "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$0\" \"$@\"",
            [source + "/inner", done],
            ["config", "check", configuration]
        )
        #expect(check.exitCode == 2 && check.out.contains("is inside the job's source"), "\(check.out)")
    }

    @Test func `a target within the source that is excluded is one`() throws {
        try file("a")
        let place = source + "/sent"
        let outcome = try mule.run(archive("--after", "move:" + place, "--exclude", "/sent/"))
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(exists("source/sent/a"))
        #expect(try mule.run(archive("--after", "move:" + place, "--exclude", "/sent/")).exitCode == 0)
        #expect(store.count(.putObject) == 1)
    }

    @Test(.enabled(if: TestCommand.canMount, "needs the right to mount in a namespace (unshare)"))
    func `a read-only source is archived and its files stay with 3`() throws {
        try file("a")
        let outcome = try inNamespace(
            "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && exec \"$0\" \"$@\"",
            [source],
            archive("--after", "delete")
        )
        #expect(outcome.exitCode == 3, "\(outcome.err)")
        #expect(outcome.explains("is archived but was not deleted", "Read-only file system"))
        #expect(names == ["a"])
        let second = try mule.run(archive("--after", "delete"))
        #expect(second.exitCode == 0)
        #expect(!exists("source/a"))
        #expect(store.count(.putObject) == 1)
    }

    @Test(.enabled(if: TestCommand.canMount, "needs the right to mount in a namespace (unshare)"))
    func `a full target leaves the file where it is with 3`() throws {
        try mule.home.writeRandom("source/a", count: 500_000)
        let done = try mule.home.makeDirectory("done")
        let outcome = try inNamespace(
            "mount -t tmpfs -o size=256k mule-test \"$1\" && done=$1 && shift && \"$0\" \"$@\"; status=$?; ls -A "
                + "\"$done\"; exit $status",
            [done],
            archive("-q", "--after", "move:" + done)
        )
        #expect(outcome.exitCode == 3, "\(outcome.err)")
        #expect(outcome.explains("is archived but was not moved", "No space left on device"))
        #expect(outcome.standardOutput.isEmpty, "nothing half-way is left there")
        #expect(exists("source/a"))
        let second = try mule.run(archive("--after", "move:" + done))
        #expect(second.exitCode == 0)
        #expect(exists("done/a") && !exists("source/a"))
        #expect(store.count(.putObject) == 1)
    }

    @Test(.enabled(if: TestCommand.canMount, "needs the right to mount in a namespace (unshare)"))
    func `a move to another file system is a copy of all that the file is`() throws {
        let path = try mule.home.writeRandom("source/a", count: 300_000)
        #expect(chmod(path, 0o640) == 0)
        try Files.setModificationTime(path, seconds: 1_700_000_000)
        let done = try mule.home.makeDirectory("done")
        let outcome = try inNamespace(
            "mount -t tmpfs mule-test \"$1\" && done=$1 && shift && \"$0\" \"$@\" && stat -c '%a %Y %s %n' "
                + "\"$done\"/* && ls -A \"$done\"",
            [done],
            archive("-q", "--after", "move:" + done)
        )
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(outcome.lines == ["640 1700000000 300000 \(done)/a", "a"])
        #expect(!exists("source/a"))
    }

    private func inNamespace(_ script: String, _ words: [String], _ arguments: [String]) throws -> CommandOutcome {
        try mule.command(arguments).inMountNamespace(script, words).run()
    }
}
