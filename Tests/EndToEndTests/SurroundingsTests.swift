import Glibc
import MuleSystem
import TestSupport
import Testing

/// What a program inherits: descriptors, signals, limits, and a system that lacks something.
@Suite struct SurroundingsTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    /// The command started by a shell that has prepared its descriptors or signals.
    private func run(_ script: String, _ arguments: String...) throws -> CommandOutcome {
        try command(script, arguments).run()
    }

    private func command(_ script: String, _ arguments: [String]) -> TestCommand {
        mule.command(arguments).inShell(script)
    }

    // MARK: Closed descriptors

    @Test(arguments: ["exec \"$0\" \"$@\" <&-", "exec \"$0\" \"$@\" 0>>file"])
    func `a standard input that cannot be read is no empty stream`(script: String) throws {
        #expect(try mule.run("upload", try mule.home.write("old", to: "old"), "bucket/key").exitCode == 0)
        let outcome = try run(script, "upload", "-", "bucket/key")
        #expect(outcome.exitCode == 3)
        #expect(outcome.explains("Cannot read standard input"), "\(outcome.err)")
        #expect(store.object(key: "key")?.bytes == Array("old".utf8))
        let list = try run(script, "upload", "--files-from", "-", "bucket/below/")
        #expect(list.exitCode == 3, "\(list.err)")
        let records = try run(script, "doctor", "--import", "-")
        #expect(records.exitCode == 2, "\(records.err)")
    }

    @Test func `a closed standard output is a failure where it is needed`() throws {
        let script = "exec \"$0\" \"$@\" >&-"
        let file = try mule.home.write("text", to: "file")
        #expect(try run(script, "upload", file, "bucket/key").exitCode == 0)
        for arguments in [
            ["upload", "--json", file, "bucket/other"], ["status", "--all"], ["status", "--all", "--json"],
        ] {
            let outcome = try command(script, arguments).run()
            #expect(outcome.exitCode == 1, "\(arguments)")
            #expect(outcome.explains("Cannot write to standard output"), "\(outcome.err)")
        }
        #expect(store.keys().count == 2)
    }

    @Test func `closed descriptors are given to no file`() throws {
        let file = try mule.file(parts: 2)
        let script = "exec \"$0\" \"$@\" <&- >&- 2>&-"
        #expect(try command(script, ["upload", "-v"] + MuleRun.inParts + [file, "bucket/key"]).run().exitCode == 0)
        #expect(try store.holdsOnly(file))
        #expect(try mule.run("doctor", "--ledger").exitCode == 0)
    }

    // MARK: Output that can't be written

    @Test(
        arguments: [
            ["--help"], ["--version"], ["upload", "--json", "file", "bucket/key"], ["upload", "file", "bucket/key"],
            ["upload", "--json", "--dry-run-not", "file"], ["verify", "--json", "file", "bucket/there"],
            ["status", "--all"], ["status", "--all", "--json"], ["config", "check", "--json", "config.json"],
            ["doctor", "--ledger", "--json"], ["doctor", "--export", "-"], ["report", "--json"], ["report"],
            ["archive", "--json", "--source", "source", "--to", "bucket/archive/"],
        ]
    )
    func `a full disk behind standard output is never a success`(arguments: [String]) throws {
        try mule.home.write("{}", to: "config.json")
        let file = try mule.home.write("text", to: "file")
        try mule.home.write("text", to: "source/file")
        #expect(try mule.run("upload", file, "bucket/there").exitCode == 0)
        #expect(try mule.run("archive", "--source", "source", "--to", "bucket/first/").exitCode == 0)
        let isMistake = arguments.contains("--dry-run-not")
        let outcome = try command("exec \"$0\" \"$@\" > /dev/full", arguments).run()
        #expect(outcome.exitCode == (isMistake ? 2 : 1), "\(outcome.err)")
        if !isMistake { #expect(outcome.explains("No space left on device"), "\(outcome.err)") }
        #expect(outcome.messages.count { $0.contains("No space left") } <= 1)
    }

    @Test func `a reader that leaves is no failure`() throws {
        let file = try mule.home.write("text", to: "file")
        let script = "{ \"$0\" \"$@\"; echo $? >&2; } | true"
        let outcome = try run("sleep 0.2; " + script, "upload", "--json", file, "bucket/key")
        #expect(outcome.err == "0\n")
        #expect(store.keys().count == 1)
    }

    // MARK: Signals

    @Test(arguments: [SIGTERM, SIGINT])
    func `a full standard error holds up no signal`(signal: Int32) throws {
        store.add(.on(.uploadPart, times: 100, .status(503, code: "SlowDown")))
        let file = try mule.file(parts: 2)
        // A pipe that this process alone has open, and that is full.
        let script =
            "mkfifo full; exec 3<>full; dd if=/dev/zero of=/dev/fd/3 bs=4096 count=64 oflag=nonblock 2>&-; "
            + "exec \"$0\" \"$@\" 2>&3 3>&-"
        let running = try command(script, ["upload", "-v", "-j", "1"] + MuleRun.inParts + [file, "bucket/key"]).start()
        #expect(store.waitUntil { $0.count(.create) >= 1 })
        running.signal(signal)
        let outcome = running.wait(timeoutSeconds: 30)
        #expect(outcome.end == .signal(signal) && !outcome.timedOut)
    }

    @Test func `children are heard where the parent ignored their ends`() throws {
        let script = "trap '' CHLD; exec \"$0\" \"$@\""
        let source = try mule.home.write("text", to: "source/file")
        try mule.home.write(
            #"{"jobs": {"night": {"source": "~/source", "destination": "bucket/", "onSuccess": ["/bin/false"]}}}"#,
            to: "config.json"
        )
        let hook = try run(script, "archive", "--config", "config.json")
        #expect(hook.explains("false", "exited with 1"), "\(hook.err)")
        // The last word tells whether the child ignores the ends of its own children.
        let stream = try run(script, "upload", "--stdin-command", "false", "bucket/stream")
        #expect(stream.exitCode == 3, "\(stream.err)")
        try mule.home.write("[default]\ncredential_process = sh -c 'false; exit 7'\nregion = x\n", to: "aws")
        var command = command(script, ["upload", source, "bucket/other"])
        command.environment["AWS_CONFIG_FILE"] = mule.home.path("aws")
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] { command.environment[name] = nil }
        let process = try command.run()
        #expect(process.exitCode == 5)
        #expect(process.explains("exit status 7"), "\(process.err)")
    }

    // MARK: What the system lacks

    @Test(.enabled(if: TestCommand.canMount && !TestCommand.isSanitized, "the leak sanitizer needs /proc"))
    func `arguments are read without proc`() throws {
        let file = try mule.file(parts: 2)
        let script = "mount -t tmpfs none /proc && exec \"$0\" \"$@\""
        let outcome = try mule.command(["upload"] + MuleRun.inParts + [file, "bucket/key"])
            .inMountNamespace(script, []).run()
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(try store.holdsOnly(file))
    }

    @Test(.enabled(if: geteuid() == 0, "it takes two users"))
    func `a ledger of another user is said to be so`() throws {
        #expect(try mule.run("upload", try mule.home.write("text", to: "file"), "bucket/key").exitCode == 0)
        // The file is root's, in a directory that all may look into.
        let script =
            "chmod 755 . .local .local/state .local/state/mule && exec setpriv --reuid 1 --regid 1 --clear-groups "
            + "\"$0\" \"$@\""
        let outcome = try run(script, "status")
        #expect(outcome.exitCode == 12)
        #expect(outcome.explains("belongs to root", "sudo -u root"), "\(outcome.err)")
    }

    @Test(.enabled(if: geteuid() == 0, "needs another user"))
    func `a configuration of another user is said to be so`() throws {
        try mule.home.write("{}", to: "etc/c.json")
        let script = "chmod 755 . && chmod 750 etc && exec setpriv --reuid 1 --regid 1 --clear-groups \"$0\" \"$@\""
        let outcome = try run(script, "status", "--config", mule.home.path("etc/c.json"))
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("Permission denied; it belongs to root", "chgrp"), "\(outcome.err)")
    }

    /// Thread limits for a user without other processes. mule needs some threads; more make it faster.
    @Test(
        .enabled(if: !TestCommand.isSanitized, "the leak sanitizer has a thread of its own"),
        arguments: [1, 2, 3, 4, 6, 9, 14],
        [["upload"], ["archive"]]
    )
    func `a limit of threads is no crash`(threads: Int, words: [String]) throws {
        let file = try mule.file(parts: 3, "source/file")
        let arguments =
            words == ["upload"]
            ? ["upload", "-j", "8"] + MuleRun.inParts + [file, "bucket/file"]
            : ["archive"] + MuleRun.inParts + ["--source", "source", "--to", "bucket/", "--max-duration", "1h"]
        let limited = mule.command(arguments).asUser(1_000_000 + UInt32.random(in: 0..<1_000_000), ofFiles: mule.home)
        let outcome = try limited.inShell("exec prlimit --nproc=\(threads) \"$0\" \"$@\"").run()
        // The resolver of names has threads of its own, and none is needed for an address.
        if outcome.exitCode == 0 {
            #expect(try store.holdsOnly(file, at: "file"))
        } else {
            #expect(outcome.exitCode == 75 && outcome.explains("Cannot start a thread"), "\(outcome.err)")
            #expect(threads < 9)
        }
    }
}

extension SurroundingsTests {
    @Test func `a shortage of open files is no fault of a file`() throws {
        let file = try mule.file(parts: 2)
        var said: Set<Int32> = []
        for limit in 4...24 {
            let ledger = mule.home.path("l\(limit).sqlite")
            let command = mule.command(
                ["upload", "--ledger", ledger, "--stall-limit", "1s"] + MuleRun.inParts + [file, "bucket/key"]
            )
            let outcome = try command.inShell("exec prlimit --nofile=\(limit) \"$0\" \"$@\"").run()
            said.insert(outcome.exitCode ?? -1)
            guard outcome.exitCode != 0 else { continue }
            #expect([12, 75].contains(outcome.exitCode), "\(limit): \(outcome.err)")
            #expect(outcome.explains("ulimit -n"), "\(limit): \(outcome.err)")
        }
        #expect(said.contains(75) && said.contains(0))
    }
}

extension TestCommand {
    /// The command as the last word of a shell script, in which it is `"$0" "$@"`.
    fileprivate func inShell(_ script: String) -> TestCommand {
        var command = self
        command.arguments = ["-c", script, executable].map { Array($0.utf8) } + arguments
        command.executable = "/bin/sh"
        return command
    }

    /// Where the tests run as root, to whom no limit of processes applies, another user's, who gets the files.
    fileprivate func asUser(_ number: UInt32, ofFiles directory: ScratchDirectory) -> TestCommand {
        guard geteuid() == 0 else { return self }
        return inShell(
            "chown -R \(number) \(directory.path) && exec setpriv --reuid \(number) --regid \(number) --clear-groups "
                + "\"$0\" \"$@\""
        )
    }
}
