import Glibc
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// Sources that can be read once, from front to back.
@Suite struct StreamTests {
    private static let partSize = Int(EngineHarness.partSize)

    /// A stream of unknown length has growing parts, which R2 refuses at the end.
    @Test(arguments: [Provider.r2, nil]) func `the profile of a store decides how a stream is split`(kind: Provider?)
        throws
    {
        let harness = try EngineHarness(kind: kind)
        let outcome = try harness.upload(command: "head -c 9437184 /dev/zero") { intent in
            intent.partSize = nil
            intent.limits = kind?.profile.limits ?? .amazon
        }
        #expect(outcome.failures.isEmpty, "\(outcome.failures)")
        // 64 MiB instead of 8 MiB: one request is enough.
        #expect(harness.server.count(.putObject) == (kind == .r2 ? 1 : 0))
        #expect(harness.server.count(.uploadPart) == (kind == .r2 ? 0 : 2))
    }

    @Test(arguments: [0, 1, partSize - 1, partSize, partSize + 1, 3 * partSize, 3 * partSize + 5, 40 * partSize])
    func `a stream of any length arrives`(count: Int) throws {
        let harness = try EngineHarness()
        let outcome = try Self.upload(count, harness)
        let path = try harness.scratch.writeRandom("copy", count: Int64(count), seed: 3)
        try harness.expectDone(outcome, path)
        let parts = count < Self.partSize ? nil : (count + Self.partSize - 1) / Self.partSize
        #expect(outcome.completed.first?.parts == parts)
        #expect(harness.server.count(.putObject) == (parts == nil ? 1 : 0))
        #expect(harness.server.count(.complete) == (parts == nil ? 0 : 1))
        #expect(outcome.completed.first?.source == nil)
    }

    @Test(
        arguments: [
            .on(.uploadPart, times: 5, .resetAfter(bytes: 30_000)),
            .on(.uploadPart, times: 5, .status(500, code: "InternalError")), .on(.uploadPart, times: 2, .flipBit),
            .on(.complete, .closeAfterProcessing), .on(.create, .closeAfterProcessing),
        ] as [Fault]
    )
    func `a passing fault is survived`(fault: Fault) throws {
        let harness = try EngineHarness(faults: [fault])
        let outcome = try Self.upload(20 * Self.partSize, harness)
        let path = try harness.scratch.writeRandom("copy", count: Int64(20 * Self.partSize), seed: 3)
        try harness.expectDone(outcome, path)
    }

    @Test func `a failure ends the stream and keeps its parts`() throws {
        let harness = try EngineHarness(faults: [.on(.uploadPart, part: 5, .status(403, code: "AccessDenied"))])
        let outcome = try Self.upload(40 * Self.partSize, harness)
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: 1)
        try harness.abort(try harness.record())
        harness.expectClean()
    }

    @Test func `a stop is heard while the producer is silent`() throws {
        let harness = try EngineHarness()
        let pipe = try Pipe()
        let cancellation = Cancellation()
        let stopper = startedThread("stop") {
            harness.server.waitUntil { $0.count(.uploadPart) == 1 }
            cancellation.cancel()
        }
        pipe.write([UInt8](repeating: 7, count: Self.partSize))
        pipe.write([1])
        let outcome = try Self.run(pipe, harness, cancellation)
        stopper.join()
        try harness.expectFailed(outcome, .interrupted, state: .pending, openUploads: 1)
    }

    private static func upload(_ count: Int, _ harness: EngineHarness) throws -> Outcome {
        let pipe = try Pipe()
        var random = SeededRandom(seed: 3)
        let bytes = random.bytes(count)
        let producer = startedThread("producer") {
            // In pieces that match nothing.
            var offset = 0
            while offset < bytes.count, pipe.write(Array(bytes[offset..<min(offset + 10_007, bytes.count)])) {
                offset += 10_007
            }
            pipe.finish()
        }
        let outcome = try run(pipe, harness, Cancellation())
        pipe.closeReader()
        producer.join()
        return outcome
    }

    private static func run(_ pipe: Pipe, _ harness: EngineHarness, _ cancellation: Cancellation) throws -> Outcome {
        let intent = harness.stream(.standardInput, partSize: EngineHarness.partSize)
        return try harness.upload(intent, StreamInput(.descriptor(pipe.reader)), cancellation: cancellation)
    }
}

/// A pipe whose writer learns of a reader that has gone by an error, not by a signal.
private final class Pipe: Sendable {
    let reader: Int32
    private let writer: Int32
    private let open = Monitor((reader: true, writer: true))

    init() throws {
        var ends: [Int32] = [-1, -1]
        // A socket pair is written to with MSG_NOSIGNAL, which a pipe is not.
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
            throw HarnessFailure("socketpair")
        }
        (reader, writer) = (ends[0], ends[1])
    }

    deinit {
        closeReader()
        finish()
    }

    @discardableResult
    func write(_ bytes: [UInt8]) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { bytes in
                send(writer, bytes.baseAddress?.advanced(by: done), bytes.count - done, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }

    func finish() {
        open.withLock { open in
            if open.writer { close(writer) }
            open.writer = false
        }
    }

    func closeReader() {
        open.withLock { open in
            if open.reader { close(reader) }
            open.reader = false
        }
    }
}
