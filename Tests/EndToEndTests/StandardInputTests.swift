import Glibc
import TestSupport
import Testing

/// What comes through a pipe: sent in parts as it comes, in bounded memory, once.
@Suite struct StandardInputTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    private static let part = Int(MuleRun.partSize)

    @Test(
        arguments: [
            (0, 0), (1, 0), (part - 1, 0), (part, 0), (part + 1, 2), (2 * part, 2), (2 * part + 1, 3), (13_000_000, 3),
        ]
    )
    func `stream arrives whole`(count: Int, parts: Int) throws {
        var random = SeededRandom(seed: UInt64(count))
        let bytes = random.bytes(count)
        var command = mule.uploadInParts("-", "bucket/key", "--json")
        command.input = .bytes(bytes)
        let outcome = try command.run()
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(store.object(key: "key")?.bytes == bytes)
        #expect(outcome.event("completed")?["source"]?.text == "-")
        #expect(outcome.event("completed")?["size"]?.integer == Int64(count))
        // A stream that ends with its first part may have been read to its end before or after that was known.
        if count != Self.part { #expect(store.partNumbers.count == parts) }
        #expect(store.uploads.isEmpty && store.violations.isEmpty)
        #expect(try mule.status().isEmpty)
    }

    @Test func `nothing is said of a stream that arrives`() throws {
        var command = mule.uploadInParts("-")
        command.input = .bytes([1, 2, 3])
        let outcome = try command.run()
        #expect(outcome.messages.isEmpty)
        #expect(outcome.out.contains("standard input -> bucket/key"))
    }

    @Test func `interrupted stream continues with the same command only`() throws {
        var command = mule.uploadInParts("-", "bucket/key", "--json")
        command.input = .pipe
        let running = try command.start()
        running.writeInput([UInt8](repeating: 7, count: 2 * Self.part + 5))
        #expect(store.waitUntil { $0.storedParts == [1, 2] })
        running.signal(SIGINT)
        let outcome = running.wait()
        #expect(outcome.end == .signal(SIGINT))
        #expect(outcome.explains("Stopped. ", "the same command", "from the start"), "\(outcome.err)")
        #expect(store.keys().isEmpty)

        let status = try #require(try mule.status().first)
        #expect(status["state"]?.text == "pending" && status["source"]?.text == "-")
        #expect(try mule.run("status").out.contains("a stream: run the same command again"))
        let reminded = try mule.run("resume")
        #expect(reminded.exitCode == 0)
        #expect(reminded.explains("its source is standard input", "original command", "mule abort"), "\(reminded.err)")
        let id = try #require(status["id"]?.text)
        let resumed = try mule.run("resume", id)
        #expect(resumed.exitCode == 3)
        #expect(resumed.explains("its source is standard input", "original command", "mule abort"), "\(resumed.err)")

        command.input = .bytes([UInt8](repeating: 7, count: 2 * Self.part + 5))
        let again = try command.run()
        #expect(again.exitCode == 0, "\(again.err)")
        #expect(again.event("completed")?["bytesSkipped"]?.integer == Int64(2 * Self.part))
        #expect(store.object(key: "key")?.size == Int64(2 * Self.part + 5))
        #expect(store.uploads.isEmpty && store.violations.isEmpty)
        #expect(try mule.status().isEmpty)
    }

    @Test func `interrupted stream can be aborted`() throws {
        var command = mule.uploadInParts("-")
        command.input = .pipe
        let running = try command.start()
        running.writeInput([UInt8](repeating: 7, count: 2 * Self.part + 5))
        #expect(store.waitUntil { $0.storedParts == [1, 2] })
        running.signal(9)
        _ = running.wait()
        let id = try #require(try mule.status().first?["id"]?.text)
        #expect(try mule.run("abort", id).exitCode == 0)
        #expect(store.uploads.isEmpty && store.keys().isEmpty)
        #expect(try mule.status().isEmpty)
    }

    /// Largest resident set of a running process, in bytes. wait4's value for a child of this process starts with the
    /// size that this process had when it started the child.
    private static func peakMemory(of pid: Int32) throws -> Int64 {
        let facts = String(decoding: try Files.read("/proc/\(pid)/status"), as: UTF8.self)
        let line = facts.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return line.flatMap { Int64($0.split(separator: " ").dropLast().last ?? "") }.map { $0 << 10 } ?? 0
    }

    @Test func `memory does not grow with the stream`() throws {
        let store = FakeS3(.sink)
        let mule = MuleRun(store)
        var command = mule.command(["upload", "--json", "-", "bucket/key"])
        command.input = .pipe
        let running = try command.start()
        let block = [UInt8](repeating: 42, count: 1_000_000)
        for _ in 0..<150 { running.writeInput(block) }
        #expect(store.waitUntil { $0.payloadBytesReceived > 130_000_000 })
        let peakHalfWay = try Self.peakMemory(of: running.pid)
        for _ in 0..<150 { running.writeInput(block) }
        #expect(store.waitUntil { $0.payloadBytesReceived > 280_000_000 })
        let peak = try Self.peakMemory(of: running.pid)
        running.closeInput()
        let outcome = running.wait()
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(store.object(key: "key")?.size == 300_000_000)
        #expect(peakHalfWay > 1 << 20)
        // A sanitizer's own memory is many times the program's, and grows: it keeps what was freed.
        if !TestCommand.isSanitized {
            #expect(peak - peakHalfWay < 16 << 20, "\(peakHalfWay), then \(peak)")
            #expect(peak < 80 << 20, "\(peak)")
        }
    }
}
