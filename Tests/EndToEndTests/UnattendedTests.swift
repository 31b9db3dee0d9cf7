import Glibc
import MuleSystem
import TestSupport
import Testing

/// Unattended runs: the log file, the journal, and the service manager.
@Suite struct UnattendedTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() throws {
        mule = MuleRun(store)
        try mule.home.makeDirectory("source")
    }

    private func file(_ name: String) throws { try mule.home.write(Array("content".utf8), to: "source/" + name) }

    private func archive(_ more: String...) -> [String] {
        ["archive", "--source", mule.home.path("source"), "--to", "bucket/"] + more
    }

    private func lines(_ name: String) throws -> [String] {
        String(decoding: try File.contents(path: Array(mule.home.path(name).utf8), limit: 1 << 20), as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }

    // MARK: The log

    @Test func `notes go to the log and errors to both`() throws {
        try file("a\n\u{1B}[31m")
        #expect(mkfifo(mule.home.path("source/fifo"), 0o600) == 0)
        let log = mule.home.path("log")
        let first = try mule.run(archive("-q", "--log-file", log))
        #expect(first.exitCode == 3)
        #expect(first.messages.count == 1)
        #expect(first.explains("named pipe"))
        let pattern = #/2[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z (info|warning|error) .+/#
        let written = try lines("log")
        for line in written { #expect(line.wholeMatch(of: pattern) != nil, "\(line)") }
        #expect(written.count == 3, "the file, the pipe, the job")
        #expect(written.contains { $0.contains(" info ") && $0.contains("bucket/a\\n\\x1B[31m: 7 B") })
        #expect(written.contains { $0.contains(" error ") && $0.contains("named pipe") })
        #expect(written.last?.contains(" error ") == true && written.last?.hasSuffix("status 3") == true)
        #expect(!written.joined().utf8.contains(0x1B))
        let status = try FileStatus.of(path: Array(log.utf8))
        #expect(status.mode & 0o777 & ~0o640 == 0)

        // The log keeps its content. Without -q, results go to standard output, notes only to the log.
        let second = try mule.run(archive("--log-file", log))
        #expect(second.messages.count == 1)
        #expect(second.lines.count == 1)
        #expect(try lines("log").prefix(3).elementsEqual(written))
        #expect(try lines("log").count > 3)
    }

    @Test func `the configuration names the log of commands that fail`() throws {
        let log = mule.home.path("log")
        let configuration = try mule.home.write(
            Array(#"{"logFile": "\#(log)", "jobs": {}}"#.utf8),
            to: "config.json"
        )
        let outcome = try mule.run("archive", "--config", configuration)
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("has no jobs"))
        #expect(try lines("log").contains { $0.contains(" error The configuration has no jobs") })
    }

    @Test func `hangup opens the log again and the run continues`() throws {
        let gate = Gate()
        store.add(.on(.putObject, key: "b", .run(.beforeProcessing) { _ in gate.wait() }))
        defer { gate.open() }
        try file("a")
        try file("b")
        let log = mule.home.path("log")
        let running = try mule.start(archive("-q", "-j", "1", "--log-file", log))
        #expect(store.waitUntil { $0.count(.putObject) == 2 })
        #expect(rename(log, log + ".1") == 0)
        running.signal(SIGHUP)
        let end = Moment.now().adding(seconds: 20)
        while access(log, F_OK) != 0, Moment.now() < end { usleep(10_000) }
        gate.open()
        #expect(running.wait().exitCode == 0)
        #expect(try lines("log.1").allSatisfy { $0.contains("bucket/a") })
        #expect(try lines("log").contains { $0.contains("bucket/b") })
    }

    @Test func `a log that cannot be opened is 2 before anything is sent`() throws {
        try file("a")
        for log in [mule.home.path("nowhere/log"), mule.home.path("source")] {
            let outcome = try mule.run(archive("--log-file", log))
            #expect(outcome.exitCode == 2)
            #expect(outcome.explains("Cannot open the log file", "Nothing was sent"))
        }
        #expect(mkfifo(mule.home.path("fifo"), 0o600) == 0)
        #expect(try mule.run(archive("--log-file", mule.home.path("fifo"))).exitCode == 2)
        #expect(store.requests.isEmpty)
    }

    @Test func `a log that cannot be written is told once and stops nothing`() throws {
        for name in ["a", "b", "c"] { try file(name) }
        let outcome = try mule.run(archive("-q", "--log-file", "/dev/full"))
        #expect(outcome.exitCode == 0)
        #expect(outcome.messages.count == 1)
        #expect(outcome.explains("cannot be written", "No space left on device", "The run continues"))
    }

    // MARK: The journal

    private func inJournal(_ stream: String, _ arguments: [String]) throws -> CommandOutcome {
        var command = mule.command(arguments)
        let words = [command.executable] + command.arguments.map { String(decoding: $0, as: UTF8.self) }
        command.executable = "/bin/sh"
        command.arguments = (["-c", "JOURNAL_STREAM=\(stream) exec \"$@\"", "sh"] + words).map { Array($0.utf8) }
        return try command.run()
    }

    @Test func `lines in the journal have their priority and no name`() throws {
        try file("a")
        #expect(mkfifo(mule.home.path("source/fifo"), 0o600) == 0)
        let here = "$(stat -Lc %d:%i /proc/self/fd/2)"
        let outcome = try inJournal(here, archive("-v", "--after", "move:" + mule.home.path("done")))
        #expect(outcome.exitCode == 3)
        let messages = outcome.messages
        #expect(messages.contains { $0.hasPrefix("<3>") && $0.contains("named pipe") })
        #expect(messages.contains { $0.hasPrefix("<6>") && $0.contains("moved ") })
        #expect(messages.allSatisfy { !$0.contains("mule: ") && $0.first == "<" }, "\(outcome.err)")
        let usage = try inJournal(here, ["upload", "--nonsense"])
        #expect(usage.messages.allSatisfy { $0.hasPrefix("<3>") } && !usage.messages.isEmpty)
        // Of a stream that goes elsewhere the variable says nothing.
        let elsewhere = try inJournal("1:1", archive())
        #expect(elsewhere.explains("named pipe"))
    }

    // MARK: The service manager

    @Test(arguments: [false, true])
    func `the service manager hears how it goes`(isAbstract: Bool) throws {
        let gate = Gate()
        store.add(.on(.putObject, key: "a", .run(.beforeProcessing) { _ in gate.wait() }))
        defer { gate.open() }
        try file("a")
        let name = (isAbstract ? "@" : "") + mule.home.path("notify")
        let manager = try FakeManager(name)
        let configuration = """
            {"jobs": {"nightly": {"source": "\(mule.home.path("source"))", "destination": "bucket/"}}}
            """
        let path = try mule.home.write(Array(configuration.utf8), to: "config.json")
        var command = mule.command(["archive", "-q", "--config", path])
        command.environment["NOTIFY_SOCKET"] = name
        command.environment["WATCHDOG_USEC"] = "400000"
        let running = try command.start()
        #expect(manager.hears { $0.contains { $0.hasPrefix("STATUS=nightly: ") } })
        let before = manager.words.count { $0 == "WATCHDOG=1" }
        // A store that lets it wait, within the stall limit, is no hang.
        #expect(manager.hears { $0.count { $0 == "WATCHDOG=1" } >= before + 3 })
        #expect(manager.words.first == "READY=1")
        #expect(!manager.words.contains("STOPPING=1"))
        gate.open()
        #expect(running.wait().exitCode == 0)
        #expect(manager.hears { $0.last == "STOPPING=1" })
        let known = ["READY=1", "WATCHDOG=1", "STOPPING=1"]
        #expect(manager.words.allSatisfy { known.contains($0) || $0.hasPrefix("STATUS=nightly: ") })
        #expect(manager.words.contains { $0.contains("a ") && $0.contains("7 B") || $0.contains("of 1") })
    }

    @Test func `a stop is told at once and another processs watchdog is left alone`() throws {
        store.add(.on(.putObject, .stall))
        try file("a")
        let manager = try FakeManager(mule.home.path("notify"))
        var command = mule.command(archive())
        command.environment["NOTIFY_SOCKET"] = mule.home.path("notify")
        command.environment["WATCHDOG_USEC"] = "100000"
        command.environment["WATCHDOG_PID"] = "1"
        let running = try command.start()
        #expect(store.waitUntil { $0.count(.putObject) == 1 })
        running.signal(SIGTERM)
        #expect(running.wait().end == .signal(SIGTERM))
        #expect(manager.hears { $0.contains("STOPPING=1") })
        #expect(!manager.words.contains("WATCHDOG=1"))
    }

    @Test func `a manager that is not there is no reason to fail`() throws {
        try file("a")
        for name in [
            mule.home.path("nobody"), "@nobody-\(getpid())", "nonsense", "/" + String(repeating: "x", count: 200),
        ] {
            var command = mule.command(archive("-q"))
            command.environment["NOTIFY_SOCKET"] = name
            let outcome = try command.run()
            #expect(outcome.exitCode == 0 && outcome.standardError.isEmpty)
        }
    }

    // MARK: Dry runs

    @Test func `a dry run says what the run would do and leaves nothing behind`() throws {
        try file("a")
        let ledger = mule.home.path("fresh/ledger.sqlite")
        let plan = try mule.run(archive("-n", "-v", "--limit-rate", "1", "--ledger", ledger))
        #expect(plan.exitCode == 0)
        #expect(plan.lines.first?.hasSuffix("source/a -> bucket/a, 7 B, 2 requests") == true)
        #expect(plan.lines.last?.contains("7s at the rate limit; nothing was sent") == true)
        #expect(access(mule.home.path("fresh"), F_OK) != 0)
        #expect(store.requests.isEmpty)
        #expect(try mule.run(archive("-q", "--ledger", ledger)).exitCode == 0)
        #expect(mkfifo(mule.home.path("source/fifo"), 0o600) == 0)
        let again = try mule.run(archive("--dry-run", "--json", "--ledger", ledger))
        #expect(again.exitCode == 3)
        #expect(again.objects.compactMap { $0["kind"]?.text }.sorted() == ["problem", "unchanged"])
        #expect(again.event("plan")?["status"]?.integer == 3)
        #expect(again.event("plan")?["requests"]?.integer == 0)
        #expect(again.explains("named pipe"))
    }

    @Test func `a dry run counts small files that are sent in addition`() throws {
        for number in 0..<100 { try file("file\(number)") }
        let adaptive = try mule.run(archive("--dry-run", "--json")).event("plan")
        #expect(adaptive?["requestsAtOnce"]?.integer == 100)
        #expect(adaptive?["memory"]?.integer == 49 << 20)
        let fixed = try mule.run(archive("--dry-run", "--json", "--concurrency", "8")).event("plan")
        #expect(fixed?["requestsAtOnce"]?.integer == 8)
        #expect(fixed?["memory"]?.integer == 26 << 20)
    }

    // MARK: Units

    private static let package = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    private static var hasAnalyze: Bool {
        ["/usr/bin", "/bin"].contains { access($0 + "/systemd-analyze", X_OK) == 0 }
            && access("/usr/bin/make", X_OK) == 0
    }

    @Test(.enabled(if: hasAnalyze, "needs systemd-analyze and make"))
    func `the units that are installed are in order`() throws {
        let place = try mule.home.makeDirectory("installed")
        let binary = mule.command([]).executable
        let install = TestCommand(
            "/usr/bin/make",
            ["-s", "-C", Self.package, "install", "MULE=" + binary, "PREFIX=" + place],
            home: mule.home.path
        )
        #expect(try install.run().exitCode == 0)
        let units = ["mule-archive@.service", "mule-archive@.timer", "mule-clean.service", "mule-clean.timer"]
        for unit in units { #expect(access("\(place)/lib/systemd/system/\(unit)", R_OK) == 0, "\(unit)") }
        let instances = units.map { $0.replacing("@", with: "@dumps") }
        var analyze = TestCommand(
            "/usr/bin/systemd-analyze",
            ["verify", "--man=no"] + instances,
            home: mule.home.path
        )
        analyze.environment["SYSTEMD_UNIT_PATH"] = "\(place)/lib/systemd/system:"
        let outcome = try analyze.run()
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(!outcome.err.contains("mule-"), "\(outcome.err)")
    }
}

/// A service manager that listens, sd_notify(3).
private final class FakeManager: Sendable {
    private let descriptor: Int32
    private let heard = Monitor<[String]>([])
    private let listener: Thread

    struct Failure: Error { let code: Int32 }

    /// - Parameter name: a path, or a name behind `@`.
    init(_ name: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = withUnsafeBytes(of: sa_family_t(AF_UNIX)) { Array($0) }
        address += name.hasPrefix("@") ? [0] + name.utf8.dropFirst() : Array(name.utf8) + [0]
        let (descriptor, heard) = (self.descriptor, self.heard)
        let status = address.withUnsafeBytes { bytes in
            bytes.baseAddress.map {
                bind(descriptor, $0.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
            }
        }
        guard status == 0 else { throw Failure(code: errno) }
        listener = startedThread("manager") {
            var room = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = recv(descriptor, &room, room.count, 0)
                // Only the end of the test sends an empty message.
                guard count > 0 else { return }
                let words = String(decoding: room[..<count], as: UTF8.self)
                heard.update { $0 += words.split(separator: "\n").map(String.init) }
            }
        }
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
        listener.join()
        close(descriptor)
    }

    var words: [String] { heard.withLock { $0 } }

    func hears(_ isEnough: ([String]) -> Bool) -> Bool {
        heard.wait(until: .now().adding(seconds: 20)) { isEnough($0) ? true : nil } ?? isEnough(words)
    }
}
