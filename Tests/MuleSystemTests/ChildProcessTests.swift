import Glibc
import MuleSystem
import TestSupport
import Testing

@Suite("A child that is run for what it prints")
struct ChildProcessTests {
    private let directory = ScratchDirectory()

    private func run(
        _ script: String,
        timeout: Double = 60,
        cancellation: Cancellation = Cancellation()
    ) throws -> ChildProcess.Outcome {
        try ChildProcess(
            words: ["sh", "-c", script],
            environment: ["PATH": "/usr/bin:/bin", "NAME": "värld"],
            timeout: timeout
        ).run(cancellation)
    }

    private func text(_ script: String) throws -> String { String(decoding: try run(script).output, as: UTF8.self) }

    @Test
    func `is given its words and variables, and its output, error and status come back`() throws {
        let outcome = try run("echo hello $NAME; echo oh >&2; exit 7")
        #expect(outcome.end == .exit(7))
        #expect(String(decoding: outcome.output, as: UTF8.self) == "hello värld\n")
        #expect(String(decoding: outcome.lastError, as: UTF8.self) == "oh\n")
    }

    @Test
    func `reads nothing, and has no descriptor, no blocked or ignored signal and no terminal of ours`() throws {
        var blocked = sigset_t()
        sigemptyset(&blocked)
        sigaddset(&blocked, SIGTERM)
        var before = sigset_t()
        pthread_sigmask(SIG_BLOCK, &blocked, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let open = Glibc.open("/dev/null", O_RDONLY)
        defer { close(open) }
        #expect(try text("wc -c; ls -l /proc/self/fd | grep -c ' -> '") == "0\n4\n")  // The fourth is ls's own.
        #expect(try text("grep SigBlk /proc/self/status") == "SigBlk:\t0000000000000000\n")
        #expect(try text("ps -o tty= -p $$ | tr -d ' '; test $(ps -o sid= -p $$) = $$ && echo alone") == "?\nalone\n")
    }

    @Test
    func `is killed with all it has started when its time is up`() throws {
        let outcome = try run("sleep 600 & echo $! > \(directory.path("pid")); sync; wait", timeout: 1)
        #expect(outcome.end == .timeout)
        // A loaded machine may not have come as far as the file.
        guard let number = try? directory.read("pid"),
            let pid = Int32(String(decoding: number, as: UTF8.self).dropLast())
        else { return }
        // Killed, and taken in by init in a moment.
        let deadline = Moment.now().adding(seconds: 30)
        while kill(pid, 0) == 0, !isZombie(pid), Moment.now() < deadline { usleep(10_000) }
        #expect(kill(pid, 0) != 0 || isZombie(pid))
    }

    private func isZombie(_ pid: Int32) -> Bool {
        let status = (try? File.contents(path: Array("/proc/\(pid)/stat".utf8), limit: 4096)) ?? []
        return String(decoding: status, as: UTF8.self).contains(") Z ")
    }

    @Test
    func `ends when it ends, whatever holds its output open`() throws {
        let outcome = try run("sleep 600 & echo $!", timeout: 300)
        #expect(outcome.end == .exit(0))
        let pid = try #require(Int32(String(decoding: outcome.output, as: UTF8.self).dropLast()))
        #expect(kill(pid, SIGKILL) == 0)
    }

    @Test
    func `is stopped with the run, and when it prints too much`() throws {
        let cancellation = Cancellation()
        cancellation.cancel()
        #expect(try run("sleep 600", cancellation: cancellation).end == .cancelled)
        let outcome = try run("cat /dev/zero")
        #expect(outcome.end == .tooMuchOutput)
        #expect(outcome.output.count < 128 << 10)
    }

    @Test
    func `whose output fills pipes many times over is read to its end`() throws {
        let outcome = try ChildProcess(
            words: [
                "/bin/sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; head -c 300000 /dev/zero >&2; echo end >&2",
            ],
            environment: ["PATH": "/usr/bin:/bin"],
            timeout: 300,
            outputLimit: 4 << 20
        ).run(Cancellation())
        #expect(outcome.end == .exit(0))
        #expect(outcome.output.count == 3_000_000)
        #expect(outcome.lastError.count == ChildProcess.errorLimit)
        #expect(outcome.lastError.suffix(4).elementsEqual("end\n".utf8))
    }

    @Test
    func `that is not there is an error of the start`() {
        #expect(throws: SystemError.self) {
            try ChildProcess(words: ["/no/such"], environment: [:], timeout: 1).run(Cancellation())
        }
    }
}
