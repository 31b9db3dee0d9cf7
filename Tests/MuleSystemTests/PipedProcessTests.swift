import Glibc
import TestSupport
import Testing

@testable import MuleSystem

/// A program whose output is read as a stream.
@Suite struct PipedProcessTests {
    private let scratch = ScratchDirectory("mule-producer")

    private static func shell(_ command: String) throws -> PipedProcess {
        try PipedProcess(words: ["/bin/sh", "-c", command].map { Array($0.utf8) })
    }

    /// All that it prints.
    private static func read(_ producer: PipedProcess) -> [UInt8] {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            var request = pollfd(fd: producer.output, events: Int16(POLLIN), revents: 0)
            guard poll(&request, 1, 10_000) == 1 else { return all }
            let count = Glibc.read(producer.output, &buffer, buffer.count)
            guard count > 0 else { return all }
            all += buffer.prefix(count)
        }
    }

    private static func end(of producer: PipedProcess) -> ChildProcess.End? {
        for _ in 0..<2000 {
            if let end = producer.end() { return end }
            usleep(5000)
        }
        return nil
    }

    /// A zombie counts as dead.
    private static func isAlive(_ pid: pid_t) -> Bool {
        guard let facts = try? Files.read("/proc/\(pid)/stat") else { return false }
        return !String(decoding: facts, as: UTF8.self).contains(") Z ")
    }

    /// The number that a command has written into a file.
    private func pid(in name: String) throws -> pid_t {
        for _ in 0..<2000 {
            if let text = try? Files.read(scratch.path(name)), text.last == UInt8(ascii: "\n"),
                let pid = pid_t(String(decoding: text.dropLast(), as: UTF8.self))
            {
                return pid
            }
            usleep(5000)
        }
        throw ProducerTestFailure()
    }

    private struct ProducerTestFailure: Error {}

    @Test(
        arguments: [
            ("printf hello", "hello", .exit(0)), ("printf hello; exit 3", "hello", .exit(3)), ("exit 0", "", .exit(0)),
            ("printf x; kill -9 $$", "x", .signal(SIGKILL)), ("no-such-command-here 2>/dev/null", "", .exit(127)),
            ("cat", "", .exit(0)), ("printf ä | od -An -tx1 | tr -d ' \n'", "c3a4", .exit(0)),
        ] as [(String, String, ChildProcess.End)]
    )
    func `output and end are told apart`(command: String, output: String, end: ChildProcess.End) throws {
        let producer = try Self.shell(command)
        #expect(Self.read(producer) == Array(output.utf8))
        #expect(Self.end(of: producer) == end)
        // Asked again, and after a stop that comes too late.
        producer.stop()
        #expect(producer.end() == end)
    }

    @Test func `a program that is missing is an error`() {
        #expect(throws: SystemError.self) { try PipedProcess(words: [Array("/no/such/program".utf8)]) }
    }

    @Test func `a stop ends the whole group`() throws {
        let path = scratch.path("child")
        let producer = try Self.shell("sleep 1000 & echo $! > '\(path)'; wait")
        let child = try pid(in: "child")
        #expect(Self.isAlive(child))
        producer.stop()
        #expect(producer.end() == .signal(SIGTERM))
        #expect(!Self.isAlive(child))
    }

    @Test func `who ignores the request is killed`() throws {
        let path = scratch.path("self")
        let producer = try Self.shell("trap '' TERM; echo $$ > '\(path)'; while :; do sleep 0.01; done")
        let pid = try pid(in: "self")
        producer.stop()
        #expect(producer.end() == .signal(SIGKILL))
        #expect(!Self.isAlive(pid))
    }

    @Test func `one that is stopped hears it too`() throws {
        let path = scratch.path("self")
        let producer = try Self.shell("echo $$ > '\(path)'; kill -STOP $$; sleep 1000")
        _ = try pid(in: "self")
        producer.stop()
        #expect(producer.end() == .signal(SIGTERM))
    }

    @Test func `no one is left when it is forgotten`() throws {
        let path = scratch.path("self")
        var producer: PipedProcess? = try Self.shell("echo $$ > '\(path)'; exec sleep 1000")
        let pid = try pid(in: "self")
        #expect(producer?.end() == nil)
        producer = nil
        #expect(!Self.isAlive(pid))
    }

    /// This process ignores SIGPIPE; a program that inherited this would print forever.
    @Test func `a program dies of a pipe that no one reads`() throws {
        signal(SIGPIPE, SIG_IGN)
        let path = scratch.path("status")
        let producer = try Self.shell("(yes; echo $? > '\(path)') | head -c 1")
        #expect(Self.read(producer) == Array("y".utf8))
        #expect(try pid(in: "status") == 128 + SIGPIPE)
    }
}
