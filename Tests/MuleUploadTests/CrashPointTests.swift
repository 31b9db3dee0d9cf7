import MuleLedger
import MuleSystem
import Synchronization
import TestSupport
import Testing

@testable import MuleUpload

/// A crash at every request of an upload: the next run starts with the ledger as it was on disk at that moment.
@Suite struct CrashPointTests {
    private static let partSize: Int64 = 16 << 10
    private static let partCount = 20

    @Test(arguments: [(Fault.Stage.headersRead, 1), (.afterProcessing, 1), (.afterProcessing, 3)])
    func `every crash is gone on from`(stage: Fault.Stage, concurrency: Int) throws {
        var number = 1
        while try crash(at: number, stage, concurrency: concurrency) { number += 1 }
        // Create, the parts, Complete, and the look at the object.
        #expect(number == Self.partCount + 4)
    }

    /// - Returns: whether the upload was still under way at its n-th request.
    private func crash(at number: Int, _ stage: Fault.Stage, concurrency: Int) throws -> Bool {
        let harness = try EngineHarness()
        let path = try harness.file(size: Int64(Self.partCount) * Self.partSize - 77)
        let cancellation = Cancellation()
        let wreck = Mutex(false)
        harness.server.script([
            .on(
                nil,
                occurrence: number,
                .run(stage) { _ in
                    wreck.withLock { $0 = true }
                    do { try Self.copyLedger(in: harness.scratch) } catch { Issue.record(error) }
                    cancellation.cancel()
                }
            )
        ])
        let first = try harness.upload(
            path,
            .init(partSize: Self.partSize),
            settings: EngineHarness.settings(concurrency: concurrency),
            cancellation: cancellation
        )
        guard wreck.withLock({ $0 }) else {
            try harness.expectDone(first, path)
            return false
        }
        harness.server.script([])
        // What was on the wire when the process died still reaches the store.
        harness.server.waitUntil { server in
            server.requests.allSatisfy { request in
                request.status != nil || request.bodyBytes < Int64(request.header("content-length") ?? "0") ?? 0
            }
        }
        let ledger = try Ledger(path: Array(harness.scratch.path("wreck/ledger.sqlite").utf8))
        let row = try #require(try ledger.all().first)
        let recorded = Set(try ledger.parts(of: row.number).map(\.number))
        let delivered = Set(harness.server.uploads.flatMap(\.parts.keys))
        let outcome = try harness.resume(ledger)
        let comment = Comment("crash at request \(number), \(stage)")
        #expect(outcome.failures.isEmpty, comment)
        #expect(outcome.ends == 1, comment)
        #expect(try harness.server.object(key: "key")?.equals(file: path) == true, comment)
        #expect(harness.server.uploads.isEmpty, comment)
        #expect(harness.server.violations == [], comment)
        #expect(try ledger.all().map(\.state) == [.done], comment)
        #expect(recorded.isSubset(of: delivered) || delivered.isEmpty, comment)
        // Requests of the first run may still arrive; their user agent differs.
        let sent = harness.server.requests(.uploadPart).filter { $0.header("user-agent") == EngineHarness.resumeAgent }
            .compactMap(\.partNumber)
        #expect(recorded.isDisjoint(with: sent), comment)
        // Delivered parts without a row are adopted.
        #expect(delivered.isDisjoint(with: sent), comment)
        #expect(sent.count == Set(sent).count, comment)
        return true
    }

    private static func copyLedger(in scratch: ScratchDirectory) throws {
        // The log last: a row that is in it may be missing from the copy, never the other way round.
        for name in ["ledger.sqlite", "ledger.sqlite-wal"] where Files.exists(scratch.path("state/" + name)) {
            try scratch.write(try scratch.read("state/" + name), to: "wreck/" + name)
        }
        try Files.setMode(scratch.path("wreck/ledger.sqlite"), 0o600)
    }
}
