import Glibc
import Testing

@testable import TestSupport

@Suite struct CommandTests {
    private let home = ScratchDirectory()

    private func shell(_ script: String, _ change: (inout TestCommand) -> Void = { _ in }) -> TestCommand {
        var command = TestCommand("/bin/sh", ["-c", script], home: home.path)
        change(&command)
        return command
    }

    @Test func `outcome holds streams and status`() throws {
        let outcome = try shell("echo out; echo err >&2; exit 7").run()
        #expect(outcome.out == "out\n")
        #expect(outcome.err == "err\n")
        #expect(outcome.exitCode == 7)
        #expect(outcome.lines == ["out"])
        #expect(outcome.peakMemory > 100_000)
        #expect(outcome.seconds > 0 && outcome.seconds < 30)
        #expect(!outcome.timedOut)
    }

    @Test func `much output on both streams does not block`() throws {
        let outcome = try shell("head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero").run()
        #expect(outcome.standardOutput.count == 3_000_000)
        #expect(outcome.standardError.count == 3_000_000)
    }

    @Test func `environment is the tests own`() throws {
        setenv("AWS_ACCESS_KEY_ID", "leaked", 1)
        setenv("MULE_LEDGER", "leaked", 1)
        let outcome = try shell("env") { $0.environment["EXTRA"] = "1" }.run()
        #expect(!outcome.out.contains("leaked"))
        #expect(outcome.lines.contains("HOME=\(home.path)"))
        #expect(outcome.lines.contains("EXTRA=1"))
        unsetenv("AWS_ACCESS_KEY_ID")
        unsetenv("MULE_LEDGER")
    }

    @Test func `no descriptor leaks into the child`() throws {
        let leak = dup(1)
        defer { close(leak) }
        let outcome = try TestCommand("/bin/ls", ["/proc/self/fd"], home: home.path).run()
        // The fourth is the directory that `ls` itself reads.
        #expect(outcome.lines == ["0", "1", "2", "3"])
    }

    @Test func `arguments are bytes and the directory is set`() throws {
        var command = TestCommand("/usr/bin/printf", ["%s"], home: home.path)
        command.arguments.append([0xFF, 0x20, 0xC3])
        #expect(try command.run().standardOutput == [0xFF, 0x20, 0xC3])
        #expect(try shell("pwd") { $0.workingDirectory = "/usr" }.run().out == "/usr\n")
    }

    @Test func `input comes from bytes or a pipe`() throws {
        let bytes = [UInt8](repeating: 65, count: 500_000)
        #expect(try shell("wc -c") { $0.input = .bytes(bytes) }.run().out == "500000\n")
        let running = try shell("read line; echo got $line; cat >/dev/null") { $0.input = .pipe }.start()
        running.writeInput(Array("word\n".utf8))
        #expect(running.waitForText("got word"))
        running.closeInput()
        #expect(running.wait().exitCode == 0)
        #expect(try shell("cat").run().exitCode == 0)
    }

    @Test func `input that no one reads is no trouble`() throws {
        let bytes = [UInt8](repeating: 65, count: 500_000)
        #expect(try shell("exit 3") { $0.input = .bytes(bytes) }.run().exitCode == 3)
        let running = try shell("exec 0<&-; echo closed; sleep 60") { $0.input = .pipe }.start()
        #expect(running.waitForText("closed"))
        #expect(!running.writeInput(bytes))
    }

    @Test func `signals end a program and show`() throws {
        let running = try shell("echo ready; exec sleep 60").start()
        #expect(running.waitForText("ready"))
        #expect(running.isRunning)
        #expect(running.signal(SIGTERM))
        let outcome = running.wait()
        #expect(outcome.end == .signal(SIGTERM))
        #expect(outcome.exitCode == nil)
        #expect(!running.signal(SIGTERM))
    }

    @Test func `timeout kills`() throws {
        let outcome = try shell("exec sleep 60").run(timeoutSeconds: 0.05)
        #expect(outcome.timedOut)
        #expect(outcome.end == .signal(SIGKILL))
    }

    @Test func `terminal has a size and is a terminal`() throws {
        let script = "test -t 2 && echo yes; test -t 1 || echo no; stty size <&2; printf 'a\\rb\\n' >&2"
        let outcome = try shell(script) { $0.terminal = .init(columns: 61, rows: 17) }.run()
        #expect(outcome.lines == ["yes", "no", "17 61"])
        #expect(outcome.err == "a\rb\n")
        let both = try shell("test -t 1 && echo yes") {
            $0.terminal = .init()
            $0.outputGoesToTerminal = true
        }.run()
        #expect(both.err == "yes\n")
        #expect(both.out.isEmpty)
    }

    @Test func `missing program is an error`() {
        #expect(throws: CommandFailure.self) { try TestCommand("/nowhere/x", [], home: home.path).run() }
    }

    @Test func `abandoned program is killed`() throws {
        let pid = try shell("exec sleep 60").start().pid
        #expect(kill(pid, 0) != 0 && errno == ESRCH)
    }

    @Test func `products are next to the test runner`() {
        #expect(Files.exists("\(TestCommand.productsDirectory)/mulePackageTests.xctest"))
    }

    @Test func `terminal can be resized while the program runs`() throws {
        let running = try shell("trap 'stty size <&2; exit 4' WINCH; echo ready; while :; do sleep 0.01; done") {
            $0.terminal = .init(columns: 80, rows: 24)
        }.start()
        #expect(running.waitForText("ready"))
        running.resizeTerminal(.init(columns: 40, rows: 10))
        let outcome = running.wait()
        #expect(outcome.exitCode == 4)
        #expect(outcome.lines.last == "10 40")
    }

    @Test func `server facts are parsed`() {
        let facts = RealServer.parse(
            "ENDPOINT=http://127.0.0.1:1 ACCESS_KEY=a SECRET_KEY=b=c/d REGION=us-east-1 BUCKET="
        )
        #expect(facts["SECRET_KEY"] == "b=c/d")
        #expect(facts["BUCKET"] == "")
    }
}
