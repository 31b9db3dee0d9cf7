import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// Giving up: the wish is durable, and the row is closed only when the store holds nothing any more.
@Suite struct AbortTests {
    private static func pending(_ harness: EngineHarness) throws -> UploadRecord {
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        return try harness.record()
    }

    @Test func partsAreRemovedAndTheRowIsClosed() throws {
        let harness = try EngineHarness()
        let record = try Self.pending(harness)
        try harness.abort(record)
        #expect(try harness.record().state == .aborted)
        #expect(try harness.ledger.parts(of: record.number).isEmpty)
        harness.expectClean()
    }

    @Test(
        arguments: [
            .on(.abort, .status(500, code: "InternalError")), .on(.abort, .closeAfterProcessing),
            .on(.abort, .closeBeforeProcessing), .on(.abort, times: 3, .status(503, code: "SlowDown")),
        ] as [Fault]
    )
    func aPassingFaultIsBorne(fault: Fault) throws {
        let harness = try EngineHarness()
        let record = try Self.pending(harness)
        harness.server.script([fault])
        try harness.abort(record)
        #expect(try harness.record().state == .aborted)
        harness.expectClean()
    }

    @Test func anUploadThatIsGoneIsAborted() throws {
        let harness = try EngineHarness()
        let record = try Self.pending(harness)
        harness.server.edit { $0.buckets["bucket"]?.uploads = [:] }
        try harness.abort(record)
        #expect(try harness.record().state == .aborted)
    }

    @Test func aPartThatLandsAfterTheAbortIsRemovedToo() throws {
        let harness = try EngineHarness()
        let record = try Self.pending(harness)
        harness.server.script([Self.landing(in: harness, record, times: 1)])
        try harness.abort(record)
        #expect(harness.server.count(.abort) == 2)
        #expect(try harness.record().state == .aborted)
        harness.expectClean()
    }

    @Test func partsThatNeverStopLandingLeaveTheWishPending() throws {
        let harness = try EngineHarness()
        let record = try Self.pending(harness)
        harness.server.script([Self.landing(in: harness, record, times: 100)])
        #expect(throws: UploadFailure.self) { try harness.abort(record) }
        #expect(try harness.record().abortRequested)
        #expect(try harness.ledger.unfinished().count == 1)
        harness.server.script([])
        try harness.abort(try harness.record())
        harness.expectClean()
    }

    private static func landing(in harness: EngineHarness, _ record: UploadRecord, times: Int) -> Fault {
        let id = record.uploadID ?? ""
        return .on(
            .abort,
            times: times,
            .run(.afterProcessing) { request in
                var upload = FakeUpload(id: id, key: request.key, initiated: 1)
                upload.parts[4] = FakePart(number: 4, size: 5, eTag: "late")
                let late = upload
                harness.server.edit { $0.buckets["bucket"]?.uploads[id] = late }
            }
        )
    }

    @Test func withoutANetworkTheWishStaysAndIsFulfilledLater() throws {
        let harness = try EngineHarness()
        let record = try Self.pending(harness)
        harness.server.script([.on(.abort, times: 1_000_000, .closeBeforeProcessing)])
        let failure = #expect(throws: UploadFailure.self) { try harness.abort(record, stallLimit: 0.3) }
        #expect(failure?.kind == .network)
        #expect(failure?.isResumable == true)
        #expect(try harness.record().abortRequested)
        #expect(try harness.record().state == .pending)
        harness.server.script([])
        try harness.abort(try harness.record())
        #expect(try harness.record().state == .aborted)
        harness.expectClean()
    }

    @Test func withoutLeaveToAbortThePermissionIsNamed() throws {
        let harness = try EngineHarness()
        let record = try Self.pending(harness)
        harness.server.profile.denied = [.abort]
        let failure = #expect(throws: UploadFailure.self) { try harness.abort(record) }
        #expect(failure?.kind == .store)
        #expect(failure?.message.contains("s3:AbortMultipartUpload") == true)
        #expect(try harness.record().state != .aborted)
    }

    @Test func anUploadThatIsToBeAbortedIsNotGoneOnWith() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        let old = try harness.ledger.requestAbort(try harness.record())
        let entry = try harness.register(path)
        guard case .job(_, let restartsAs) = entry else {
            Issue.record("refused: \(entry)")
            return
        }
        #expect(restartsAs != nil)
        let outcome = try harness.run(entry, path: path)
        try harness.expectDone(outcome, path)
        #expect(harness.server.requests(.abort).map(\.uploadID) == [old.uploadID])
    }

    @Test func anUploadOfWhichNothingWasSentNeedsNoRequest() throws {
        let harness = try EngineHarness()
        _ = try harness.ledger.claim([try harness.newUpload(try harness.file())])
        try harness.abort(try harness.record())
        #expect(harness.server.requests.isEmpty)
        #expect(try harness.record().state == .aborted)
    }
}
