import Glibc
import TestSupport
import Testing

/// `--stdin-command`: what a command prints, if it ends well.
@Suite struct StdinCommandTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    private static let part = Int(MuleRun.partSize)

    private func upload(_ command: String, _ more: String...) -> TestCommand {
        mule.command(
            ["upload", "-j", "2"] + MuleRun.inParts + more + ["--stdin-command", command, "bucket/key"]
        )
    }

    /// A zombie counts as dead.
    private static func isAlive(_ pid: String) -> Bool {
        guard let facts = try? Files.read("/proc/\(pid)/stat") else { return false }
        return !String(decoding: facts, as: UTF8.self).contains(") Z ")
    }

    /// The first line that a command has written into a file.
    private func line(of name: String) throws -> String {
        for _ in 0..<2000 {
            if let text = try? Files.read(mule.home.path(name)), text.last == UInt8(ascii: "\n") {
                return String(decoding: text.dropLast(), as: UTF8.self)
            }
            usleep(5000)
        }
        Issue.record("nothing was written to \(name)")
        return ""
    }

    @Test(arguments: [1, 2, 4])
    func `what the command prints arrives`(parts: Int) throws {
        let file = try mule.file(parts: parts)
        let outcome = try upload("cat \(file)", "--json").run()
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(try store.holdsOnly(file))
        #expect(outcome.event("completed")?["source"]?.text == "stdin-command")
        #expect(outcome.event("completed")?["size"]?.integer == (try Files.size(file)))
        #expect(try mule.status().isEmpty)
        #expect(try mule.status("--all").first?["source"]?.text == "stdin-command")
    }

    @Test func `the command has the environment and the directory of mule`() throws {
        var command = upload("printf '%s %s' \"$WORD\" \"$PWD\"; cat")
        command.environment["WORD"] = "ä"
        command.input = .bytes(Array("not for it".utf8))
        let outcome = try command.run()
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(store.object(key: "key")?.bytes == Array("ä \(mule.home.path)".utf8))
        #expect(outcome.out.hasPrefix("stdin-command -> bucket/key"))
    }

    @Test(arguments: [1, 4])
    func `a command that fails makes no object`(parts: Int) throws {
        let file = try mule.file(parts: parts)
        let outcome = try upload("cat \(file); echo its own words >&2; exit 9", "--json").run()
        #expect(outcome.exitCode == 3)
        #expect(outcome.err.contains("its own words"))
        #expect(outcome.err.contains("status 9") && outcome.err.contains("run the same command again"))
        #expect(outcome.event("failed")?["source"]?.text == "stdin-command")
        #expect(store.keys().isEmpty)
        #expect(store.count(.complete) == 0 && store.count(.putObject) == 0)
    }

    /// There may be a password in it.
    @Test func `the command is written nowhere`() throws {
        let file = try mule.file(parts: 3)
        let running = try upload("cat \(file); PASSWORD=hunter2 sleep 1000", "--verbose").start()
        #expect(store.waitUntil { $0.storedParts == [1, 2] })
        running.signal(SIGTERM)
        let outcome = running.wait()
        #expect(outcome.end == .signal(SIGTERM))
        let said =
            try [outcome.out, outcome.err, mule.run("status").out, mule.run("status", "--json").out]
            + [mule.run("doctor", "--export", "-").out]
        #expect(said.allSatisfy { !$0.contains("hunter2") })
        for name in try Files.names(in: mule.home.path(".local/state/mule")) {
            let bytes = try Files.read(mule.home.path(".local/state/mule/\(name)"))
            #expect(!String(decoding: bytes, as: UTF8.self).contains("hunter2"), "\(name)")
        }
    }

    /// Killed in mid-stream; the command is run again, and the upload resumes.
    @Test(arguments: [1, 3, 5])
    func `the same command resumes after a kill`(killedAfter: Int) throws {
        let file = try mule.file(parts: 6)
        let gate = mule.home.path("gate")
        // Prints the rest only when a file appears.
        let command =
            "head -c \(killedAfter * Self.part + 1) \(file); while [ ! -e \(gate) ]; do sleep 0.02; done; "
            + "tail -c +\(killedAfter * Self.part + 2) \(file)"
        let running = try upload(command).start()
        #expect(store.waitUntil { $0.storedParts == Set(1...killedAfter) })
        running.signal(9)
        #expect(running.wait().end == .signal(9))
        let before = store.requests.count
        let pending = try #require(try mule.status().first)
        #expect(pending["state"]?.text == "pending" && pending["source"]?.text == "stdin-command")

        try mule.home.write("", to: "gate")
        let again = try upload(command, "--json").run()
        #expect(again.exitCode == 0, "\(again.err)")
        #expect(try store.holdsOnly(file))
        #expect(again.event("completed")?["bytesSkipped"]?.integer == Int64(killedAfter * Self.part))
        #expect(store.requests[before...].compactMap(\.partNumber).sorted() == Array(killedAfter + 1...6))
        #expect(try mule.status().isEmpty)
    }

    /// The command ends with the test's directory: if mule is killed, nothing ends it, and it prints nothing more.
    @Test func `another Content after a kill is the object`() throws {
        let first = try mule.file(parts: 5)
        let second = try mule.file(parts: 4, "second", seed: 2)
        let running = try upload("cat \(first); while [ -e \(first) ]; do sleep 0.05; done").start()
        #expect(store.waitUntil { $0.storedParts.count >= 3 })
        running.signal(9)
        _ = running.wait()
        let again = try upload("cat \(second)", "--json").run()
        #expect(again.exitCode == 0, "\(again.err)")
        #expect(try store.holdsOnly(second))
        #expect(again.event("completed")?["bytesSkipped"]?.integer == 0)
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
    func `an interruption leaves no child behind`(signal: Int32) throws {
        let running = try upload("echo $$ > pid; head -c 11000000 /dev/zero; sleep 1000 & echo $! > child; wait")
            .start()
        let pids = try [line(of: "pid"), line(of: "child")]
        #expect(pids.allSatisfy(Self.isAlive))
        running.signal(signal)
        let outcome = running.wait()
        #expect(outcome.end == .signal(signal))
        #expect(outcome.explains("Stopped. ", "the same command", "from the start"), "\(outcome.err)")
        #expect(!pids.contains(where: Self.isAlive))
    }

    /// Who asks twice does not wait for a command that will not hear.
    @Test func `a second interruption kills the command`() throws {
        let running = try upload("trap '' TERM INT; echo $$ > pid; while :; do sleep 0.01; done").start()
        let pid = try line(of: "pid")
        running.signal(SIGINT)
        usleep(100_000)
        running.signal(SIGINT)
        #expect(running.wait().end == .signal(SIGINT))
        for _ in 0..<400 where Self.isAlive(pid) { usleep(5000) }
        #expect(!Self.isAlive(pid))
    }

    /// The parent of mule may ignore SIGCHLD.
    @Test(arguments: [(0, 0), (6, 3)])
    func `the status is heard where children are ignored`(status: Int, exit: Int32) throws {
        var command = upload("printf hello; exit \(status)")
        command.arguments =
            ["-c", "trap '' CHLD; exec \"$0\" \"$@\"", command.executable].map { Array($0.utf8) }
            + command.arguments
        // Not every shell can ignore this signal.
        command.executable = "/bin/bash"
        let outcome = try command.run()
        #expect(outcome.exitCode == exit, "\(outcome.err)")
        #expect(store.keys().count == (status == 0 ? 1 : 0))
    }

    @Test func `resume says that the command is not on record`() throws {
        let file = try mule.file(parts: 3)
        #expect(try upload("cat \(file); exit 1").run().exitCode == 3)
        let id = try #require(try mule.status().first?["id"]?.text)
        let resumed = try mule.run("resume", id)
        #expect(resumed.exitCode == 3)
        #expect(resumed.explains("--stdin-command", "never stored", "original command", "mule abort"), "\(resumed.err)")
        #expect(try mule.run("resume").exitCode == 0)
        #expect(try upload("cat \(file)").run().exitCode == 0)
        #expect(try store.holdsOnly(file))
    }

    @Test(
        arguments: [
            (["--stdin-command", "true"], "DESTINATION"), (["--stdin-command", "true", "-", "bucket/key"], "SOURCE"),
            (["--stdin-command", "true", "a", "b", "bucket/key"], "SOURCE"),
            (["--stdin-command", "true", "bucket/prefix/"], "complete key"),
            (["--stdin-command", "", "bucket/key"], "empty"),
            (["--expected-size", "1GiB", "file", "bucket/key"], "--expected-size"),
            (["--expected-size", "60TiB", "-", "bucket/key"], "too large"),
            (["--expected-size", "0", "-", "bucket/key"], "more than 0"),
        ]
    )
    func `mistakes are told before anything is done`(arguments: [String], word: String) throws {
        let outcome = try mule.run(["upload"] + arguments)
        #expect(outcome.exitCode == 2)
        #expect(outcome.err.contains(word), "\(outcome.err)")
        #expect(store.requests.isEmpty)
        #expect(!Files.exists(mule.home.path(".local/state/mule")))
    }

    /// They belong to one command line; in the environment they would reach every other.
    @Test func `the environment is not asked for them`() throws {
        let file = try mule.file(parts: 1)
        var command = mule.command(["upload", file, "bucket/key"])
        command.environment["MULE_STDIN_COMMAND"] = "echo other"
        command.environment["MULE_EXPECTED_SIZE"] = "1GiB"
        let outcome = try command.run()
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(try store.holdsOnly(file))
    }

    @Test(arguments: ["1MiB", "11000003", "1GiB"])
    func `an expected size is a hint`(size: String) throws {
        let file = try mule.file(parts: 3)
        let outcome = try upload("cat \(file)", "--expected-size", size, "--json").run()
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(try store.holdsOnly(file))
        #expect(outcome.event("completed")?["size"]?.integer == (try Files.size(file)))
    }
}
