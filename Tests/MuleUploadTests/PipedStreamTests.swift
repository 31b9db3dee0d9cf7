import Glibc
import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// Streams that a command prints: how it ends decides whether there is an object.
@Suite struct PipedStreamTests {
    private static let part = Int(EngineHarness.partSize)

    /// A file, and a command that prints it.
    private static func file(_ harness: EngineHarness, parts: Int, seed: UInt64 = 3) throws -> (String, String) {
        let path = try harness.file("bytes-\(seed)", size: Int64(parts * part + 7), seed: seed)
        return (path, "cat '\(path)'")
    }

    private static func isAlive(_ path: String) throws -> Bool {
        let pid = String(decoding: try Files.read(path).dropLast(), as: UTF8.self)
        guard let facts = try? Files.read("/proc/\(pid)/stat") else { return false }
        return !String(decoding: facts, as: UTF8.self).contains(") Z ")
    }

    @Test(arguments: [0, 1, 5])
    func `what a command prints arrives`(parts: Int) throws {
        let harness = try EngineHarness()
        let (path, command) = try Self.file(harness, parts: parts)
        let outcome = try harness.upload(command: command)
        try harness.expectDone(outcome, path)
        #expect(outcome.completed.first?.source == Array("stdin-command".utf8))
        #expect(try harness.record().upload.stream == .command)
        #expect(harness.server.count(.putObject) == (parts == 0 ? 1 : 0))
    }

    @Test func `a command that prints nothing makes an empty object`() throws {
        let harness = try EngineHarness()
        let empty = try harness.file("empty", size: 0)
        try harness.expectDone(try harness.upload(command: "true"), empty)
        try harness.expectDone(try harness.upload(command: ":", change: { $0.restart = true }), empty)
    }

    @Test(
        arguments: [
            ("exit 3", "status 3"), ("kill -9 $$", "signal 9"), ("kill -TERM $$", "signal 15"),
            ("exit 137", "signal 9"),
            ("no-such-command 2>/dev/null", "not found"),
        ],
        [0, 1, 5]
    )
    func `a command that fails at its end makes no object`(how: (String, String), parts: Int) throws {
        let harness = try EngineHarness()
        let (_, command) = try Self.file(harness, parts: parts)
        let outcome = try harness.upload(command: "\(command); \(how.0)")
        try harness.expectFailed(outcome, .source, state: .failed, openUploads: parts == 0 ? 0 : 1)
        #expect(outcome.failure?.message.contains(how.1) == true, "\(outcome.failure?.message ?? "")")
        // Messages contain neither the command nor its arguments: they may include passwords.
        #expect(outcome.failure?.message.contains("cat") == false)
        #expect(harness.server.keys().isEmpty)
        #expect(harness.server.count(.putObject) == 0 && harness.server.count(.complete) == 0)
    }

    @Test func `a command that fails in the middle leaves its parts`() throws {
        let harness = try EngineHarness()
        let (path, command) = try Self.file(harness, parts: 12)
        let broken = "head -c \(7 * Self.part + 9) '\(path)'; exit 1"
        try harness.expectFailed(try harness.upload(command: broken), .source, state: .failed, openUploads: 1)
        let there = Set(harness.server.uploads.flatMap { $0.parts.keys })
        #expect(there.isSuperset(of: [1, 2, 3]))
        let requestsBefore = harness.server.requests.count

        let outcome = try harness.upload(command: command)
        try harness.expectDone(outcome, path)
        // The last part of the broken stream was shorter than it is now.
        let kept = there.subtracting([8])
        #expect(Set(harness.partsSent(from: requestsBefore)).isDisjoint(with: kept))
        #expect(outcome.completed.first?.bytesSkipped == Int64(kept.count * Self.part))
        #expect(harness.server.count(.create) == 1)
        #expect(try harness.ledger.all().count == 1)
    }

    /// Its output has ended, but the command still runs; no object is created before its exit status is known.
    @Test(arguments: [0, 4], [0, 6])
    func `a command that lingers is waited for`(parts: Int, status: Int) throws {
        let harness = try EngineHarness()
        let (path, command) = try Self.file(harness, parts: parts)
        let gate = harness.scratch.path("gate")
        let opener = startedThread("gate") { [server = harness.server, scratch = harness.scratch] in
            // All parts but the end of it: with no parts, nothing is asked before the command has ended.
            server.waitUntil { $0.count(.uploadPart) == (parts == 0 ? 0 : parts + 1) }
            #expect(server.count(.complete) == 0 && server.count(.putObject) == 0)
            _ = try? scratch.write([UInt8](), to: "gate")
        }
        let outcome = try harness.upload(
            command: "\(command); exec >&-; while [ ! -e '\(gate)' ]; do sleep 0.01; done; exit \(status)"
        )
        opener.join()
        if status == 0 {
            try harness.expectDone(outcome, path)
        } else {
            try harness.expectFailed(outcome, .source, state: .failed, openUploads: parts == 0 ? 0 : 1)
            #expect(harness.server.keys().isEmpty)
        }
    }

    /// Something that it has left running holds its output open; its own failure is enough.
    @Test func `a failure is heard although the output stays open`() throws {
        let harness = try EngineHarness()
        let path = harness.scratch.path("pid")
        let outcome = try harness.upload(command: "sleep 1000 & echo $! > '\(path)'; printf x; exit 5")
        try harness.expectFailed(outcome, .source, state: .failed, openUploads: 0)
        let text = String(decoding: try Files.read(path).dropLast(), as: UTF8.self)
        kill(try #require(pid_t(text)), SIGKILL)
    }

    @Test func `many words on standard error stop no one`() throws {
        let harness = try EngineHarness()
        let (path, command) = try Self.file(harness, parts: 3)
        // Into a file of its own: this process's standard error is the test's.
        let noise = harness.scratch.path("noise")
        let outcome = try harness.upload(
            command: "exec 2>'\(noise)'; head -c 5000000 /dev/zero >&2; \(command); head -c 5000000 /dev/zero >&2"
        )
        try harness.expectDone(outcome, path)
        #expect(try Files.size(noise) == 10_000_000)
    }

    @Test func `a failure of the upload ends the command`() throws {
        let harness = try EngineHarness(faults: [.on(.uploadPart, part: 2, .status(403, code: "AccessDenied"))])
        let pid = harness.scratch.path("pid")
        let outcome = try harness.upload(command: "echo $$ > '\(pid)'; exec cat /dev/zero")
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: 1)
        #expect(try !Self.isAlive(pid))
    }

    @Test(arguments: ["printf x; exec sleep 1000", "head -c 200000 /dev/zero; exec sleep 1000"])
    func `a stop ends the command`(command: String) throws {
        let harness = try EngineHarness()
        let pid = harness.scratch.path("pid")
        let cancellation = Cancellation()
        let stopper = startedThread("stop") { [server = harness.server] in
            if command.hasPrefix("head") { server.waitUntil { $0.count(.uploadPart) >= 2 } }
            while (try? Files.read(pid).last) != UInt8(ascii: "\n") { usleep(5000) }
            cancellation.cancel()
        }
        let outcome = try harness.upload(command: "echo $$ > '\(pid)'; \(command)", cancellation: cancellation)
        stopper.join()
        #expect(outcome.failure?.kind == .interrupted)
        // Without parts there is nothing to wait for.
        #expect(try harness.record().state == (command.hasPrefix("head") ? .pending : .failed))
        #expect(try harness.record().isOpen == command.hasPrefix("head"))
        #expect(try !Self.isAlive(pid))
    }

    /// While the command is silent, the parts that it has printed must move: else the run would never end.
    @Test(arguments: ["exec sleep 1000", "exec >&-; exec sleep 1000"])
    func `a silent command hides no stall`(then rest: String) throws {
        let harness = try EngineHarness(
            stallLimit: 1.5,
            faults: [.on(.uploadPart, times: 100_000, .status(500, code: "InternalError"))]
        )
        let outcome = try harness.upload(command: "head -c \(2 * Self.part + 1) /dev/zero; \(rest)")
        #expect(outcome.failure?.kind == .network, "\(outcome.failure?.message ?? "")")
        #expect(outcome.failure?.isResumable == true)
    }

    /// Nothing is under way: the time of the command is its own.
    @Test func `a silent command is no stall`() throws {
        let harness = try EngineHarness(stallLimit: 1)
        let (path, command) = try Self.file(harness, parts: 1)
        try harness.expectDone(try harness.upload(command: "sleep 2; \(command); exec >&-; sleep 2"), path)
    }

    @Test func `a disk without room holds fewer parts`() throws {
        let spool = try Spool(slots: 9, available: 40 << 20)
        func slots(_ size: Int64) -> Int {
            var taken: [Spool.Slot] = []
            var tries = 0
            while let slot = spool.take(
                size: size,
                unless: {
                    tries += 1; return tries > 20 || taken.count == tries - 2
                }
            ) {
                taken.append(slot)
            }
            for slot in taken { spool.release(slot) }
            return taken.count
        }
        #expect(slots(1 << 20) == 9)
        #expect(slots(5 << 20) == 4)
        #expect(slots(1 << 30) == 2)
    }
}
