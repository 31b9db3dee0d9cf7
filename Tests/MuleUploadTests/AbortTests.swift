import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// Aborting: the request is durable, and the row is closed only when the store has nothing left.
@Suite struct AbortTests {
    private static func pending(_ harness: EngineHarness) throws -> UploadRecord {
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        return try harness.record()
    }

    @Test func `parts are removed and the row is closed`() throws {
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
    func `parts are removed through passing faults`(fault: Fault) throws {
        let harness = try EngineHarness()
        let record = try Self.pending(harness)
        harness.server.script([fault])
        try harness.abort(record)
        #expect(try harness.record().state == .aborted)
        harness.expectClean()
    }

    @Test func `an upload that is gone is aborted`() throws {
        let harness = try EngineHarness()
        let record = try Self.pending(harness)
        harness.server.edit { $0.buckets["bucket"]?.uploads = [:] }
        try harness.abort(record)
        #expect(try harness.record().state == .aborted)
    }

    @Test func `a part that lands after the Abort is removed too`() throws {
        let harness = try EngineHarness()
        let record = try Self.pending(harness)
        harness.server.script([Self.landing(in: harness, record, times: 1)])
        try harness.abort(record)
        #expect(harness.server.count(.abort) == 2)
        #expect(try harness.record().state == .aborted)
        harness.expectClean()
    }

    @Test func `parts that never stop landing leave the wish pending`() throws {
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

    @Test func `without a network the wish stays and is fulfilled later`() throws {
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

    @Test func `a store that swallows requests is aborted`() throws {
        // Longer than a pause that would count as the process having been stopped.
        let harness = try EngineHarness(stallLimit: 6)
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        harness.server.script([.on(.abort, times: 100, .stall)])
        let failure = #expect(throws: UploadFailure.self) {
            try harness.abort(try harness.record(), stallLimit: 6)
        }
        #expect(failure?.kind == .network)
        // Each wait is a third of the limit.
        #expect((2...4).contains(harness.server.count(.abort)))
    }

    @Test func `without leave to Abort the permission is named`() throws {
        let harness = try EngineHarness()
        let record = try Self.pending(harness)
        harness.server.profile.denied = [.abort]
        let failure = #expect(throws: UploadFailure.self) { try harness.abort(record) }
        #expect(failure?.kind == .store)
        #expect(failure?.message.contains("s3:AbortMultipartUpload") == true)
        #expect(try harness.record().state != .aborted)
    }

    @Test func `without leave to list parts the answer has to do and that is said`() throws {
        let harness = try EngineHarness()
        let record = try Self.pending(harness)
        harness.server.profile.denied = [.listParts]
        let notices = try harness.abort(record)
        #expect(notices.count == 1 && notices[0].contains("s3:ListMultipartUploadParts"), "\(notices)")
        #expect(try harness.record().state == .aborted)
        harness.expectClean()
    }

    @Test func `a list that is refused for another reason proves nothing`() throws {
        let harness = try EngineHarness()
        let record = try Self.pending(harness)
        harness.server.script([.on(.listParts, .status(400, code: "ExpiredToken"))])
        let failure = #expect(throws: UploadFailure.self) { try harness.abort(record) }
        #expect(failure?.kind == .credentials)
        #expect(try harness.record().abortRequested)
        harness.server.script([])
        #expect(try harness.abort(try harness.record()).isEmpty)
        #expect(try harness.record().state == .aborted)
        harness.expectClean()
    }

    @Test func `what an unanswered Create may have left does not keep the parts from going`() throws {
        let harness = try EngineHarness(faults: [.on(.create, .closeAfterProcessing)])
        let path = try harness.file()
        let cancellation = Cancellation()
        harness.server.add(
            .on(.uploadPart, occurrence: 2, .run(.headersRead) { _ in cancellation.cancel() }, .closeBeforeProcessing)
        )
        _ = try harness.upload(path, settings: EngineHarness.settings(concurrency: 1), cancellation: cancellation)
        harness.server.script([])
        harness.server.profile.denied = [.listUploads]
        let record = try harness.record()
        #expect(record.createAttemptedAt != nil && record.uploadID != nil)
        let notices = try harness.abort(record)
        #expect(notices.count == 1 && notices[0].contains("s3:ListBucketMultipartUploads"), "\(notices)")
        #expect(try harness.record().state == .aborted)
        // The empty upload remains, because listing is denied.
        #expect(harness.server.uploads.map(\.parts.count) == [0])
    }

    @Test func `what could not be removed is not forgotten when its upload restarts`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        let old = try harness.record()
        harness.server.profile.denied = [.abort]
        let entry = try harness.register(path, change: { $0.restart = true })
        let outcome = try harness.run(entry, path: path)
        try harness.expectDone(outcome, path, openUploads: 1)
        let left = try #require(try harness.ledger.unfinished().first)
        #expect(left.uploadID == old.uploadID && left.abortRequested && left.isOpen && left.upload.source == nil)
        #expect(left.bytesDone == old.bytesDone && left.id != old.id)
        #expect(outcome.notices.contains { $0.contains("mule abort \(left.id)") })
        // It does not block the next upload of the same file, and is removed once that is permitted.
        guard case .job(.doneBefore, _) = try harness.register(path) else {
            Issue.record("the file is done")
            return
        }
        harness.server.profile.denied = []
        try harness.abort(left)
        harness.expectClean()
        #expect(try harness.ledger.unfinished().isEmpty)
    }

    @Test func `an upload that is to be aborted is not resumed`() throws {
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

    @Test func `an upload of which nothing was sent needs no request`() throws {
        let harness = try EngineHarness()
        _ = try harness.ledger.claim([try harness.newUpload(try harness.file())])
        try harness.abort(try harness.record())
        #expect(harness.server.requests.isEmpty)
        #expect(try harness.record().state == .aborted)
    }
}
