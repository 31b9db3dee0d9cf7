import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

private func replaceUploadBySomebodyElsesObject(_ store: inout FakeStore) {
    var object = FakeObject(content: Array("theirs".utf8))
    object.lastModified = wallClockMilliseconds() / 1000 + 60
    store.buckets["bucket"]?.objects[Array("key".utf8)] = object
    store.buckets["bucket"]?.uploads = [:]
}

/// The upload ID is gone when a run comes back to it.
@Suite struct VanishedUploadTests {
    @Test(arguments: [false, true])
    func `an aborted upload is started again with a notice`(saysNoSuchKey: Bool) throws {
        let harness = try EngineHarness()
        harness.server.profile.saysNoSuchKeyForUploads = saysNoSuchKey
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        let before = try harness.record()
        harness.server.edit { $0.buckets["bucket"]?.uploads = [:] }
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.resume()
        try harness.expectDone(outcome, path)
        #expect(outcome.notices.count { $0.contains("restarting the upload") } == 1)
        #expect(harness.partsSent(from: requestsBefore).sorted() == Array(1...6))
        #expect(outcome.completed.first?.bytesSkipped == 0)
        // A late Complete of the old upload must not pass for the new one's.
        #expect(try harness.record().token != before.token)
    }

    @Test func `a completed upload is recognised by its token`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        let cancellation = Cancellation()
        harness.server.script([
            .on(.complete, .run(.afterProcessing) { _ in cancellation.cancel() }, .closeAfterProcessing)
        ])
        let first = try harness.upload(path, cancellation: cancellation)
        try harness.expectFailed(first, .interrupted, state: .pending, isResumable: true, openUploads: 0)
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.resume()
        try harness.expectDone(outcome, path)
        #expect(harness.partsSent(from: requestsBefore) == [])
        #expect(outcome.completed.first?.bytesSkipped == outcome.completed.first?.size)
        #expect(outcome.completed.first?.proof.checksumValue == harness.server.object(key: "key")?.checksum?.value)
        #expect(outcome.notices.count == 1)
    }

    /// Completed with a lost answer, restarted with --restart, and expired: the object is from before the restart.
    @Test func `an object of an earlier start belongs to another program`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        let cancellation = Cancellation()
        harness.server.script([
            .on(.complete, .run(.afterProcessing) { _ in cancellation.cancel() }, .closeAfterProcessing)
        ])
        _ = try harness.upload(path, cancellation: cancellation)
        #expect(harness.server.object(key: "key") != nil)
        let first = try harness.record()
        #expect(try harness.ledger.restart(first).token != first.token)
        harness.server.script([.on(.uploadPart, part: 2, times: 2, .status(404, code: "NoSuchUpload"))])
        #expect(try harness.resume().failure?.kind == .store)
        harness.server.edit { $0.buckets["bucket"]?.uploads = [:] }
        try harness.expectDone(try harness.resume(), path)
    }

    @Test func `an object of someone else that is newer is not replaced`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        harness.server.edit(replaceUploadBySomebodyElsesObject)
        let outcome = try harness.resume()
        try harness.expectFailed(outcome, .verification, state: .unknown, openUploads: 0)
        #expect(outcome.failure?.message.contains("--restart") == true)
        #expect(harness.server.object(key: "key")?.bytes == Array("theirs".utf8))
    }

    /// Store times are whole seconds: an object completed in the second in which this upload started looks newer.
    @Test func `an object of the upload before belongs to another program`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        try Files.overwrite(path, at: 0, with: [0])
        harness.server.add(.on(.uploadPart, part: 3, .status(403, code: "AccessDenied")))
        let outcome = try harness.upload(path)
        #expect(outcome.failure?.kind == .store)
        harness.server.edit { store in
            let key = Array("key".utf8)
            store.buckets["bucket"]?.objects[key]?.lastModified = wallClockMilliseconds() / 1000 + 1
            store.buckets["bucket"]?.uploads = [:]
        }
        try harness.expectDone(try harness.resume(), path)
    }

    @Test func `an older object is replaced as it would have been`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        harness.server.edit { store in
            store.buckets["bucket"]?.objects[Array("key".utf8)] = FakeObject(content: Array("older".utf8))
            store.buckets["bucket"]?.uploads = [:]
        }
        try harness.expectDone(try harness.resume(), path)
    }

    @Test func `our token on an object of another size is no proof`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        let record = try harness.record()
        harness.server.edit { store in
            var attributes = FakeAttributes()
            attributes.metadata["mule-upload"] = record.token
            var object = FakeObject(content: Array("short".utf8), attributes: attributes)
            object.lastModified = wallClockMilliseconds() / 1000 + 60
            store.buckets["bucket"]?.objects[Array("key".utf8)] = object
            store.buckets["bucket"]?.uploads = [:]
        }
        let outcome = try harness.resume()
        try harness.expectFailed(outcome, .verification, state: .unknown, openUploads: 0)
        #expect(outcome.failure?.message.contains("the store has 5 bytes") == true)
        #expect(outcome.failure?.message.contains("another program") == false)
    }

    @Test func `a source that has changed is not taken for the completed object`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        let cancellation = Cancellation()
        harness.server.script([
            .on(.complete, .run(.afterProcessing) { _ in cancellation.cancel() }, .closeAfterProcessing)
        ])
        _ = try harness.upload(path, cancellation: cancellation)
        try Files.overwrite(path, at: 0, with: [0])
        let outcome = try harness.resume()
        try harness.expectFailed(outcome, .source, state: .failed, openUploads: 0)
    }
}

/// The upload ID vanishes while parts are sent: the same run checks, and continues with what it finds.
@Suite struct VanishingUploadTests {
    private static let noSuchUpload = Fault.Action.status(404, code: "NoSuchUpload")

    /// - Parameter mayList: without, the part's own answer has to do.
    @Test(arguments: [true, false])
    func `is started again in the same run`(mayList: Bool) throws {
        let harness = try EngineHarness()
        harness.server.script([
            .on(
                .uploadPart,
                occurrence: 4,
                .run(.headersRead) { _ in harness.server.edit { $0.buckets["bucket"]?.uploads = [:] } }
            )
        ])
        if !mayList { harness.server.add(.on(.listParts, times: 100, .status(403, code: "AccessDenied"))) }
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectDone(outcome, path)
        #expect(harness.server.count(.create) == 2)
        #expect(outcome.notices.count { $0.contains("restarting the upload") } == 1)
        #expect(outcome.completed.first?.bytesSkipped == 0)
    }

    @Test func `a store that was mistaken is sent only what it does not have`() throws {
        let harness = try EngineHarness(faults: [.on(.uploadPart, part: 3, Self.noSuchUpload)])
        let path = try harness.file()
        let outcome = try harness.upload(path, settings: EngineHarness.settings(concurrency: 1))
        try harness.expectDone(outcome, path)
        #expect(harness.partsSent() == [1, 2, 3, 3, 4, 5, 6])
        #expect(harness.server.count(.create) == 1)
        #expect(outcome.notices == [])
        #expect(outcome.completed.first?.bytesSkipped == 0)
        #expect(outcome.completed.first.map { $0.bytesSent - $0.size } == EngineHarness.partSize)
    }

    @Test func `a store that insists ends the run`() throws {
        let harness = try EngineHarness(faults: [.on(.uploadPart, part: 3, times: 100, Self.noSuchUpload)])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .store, state: .failed, isResumable: true, openUploads: 1)
        #expect(harness.partsSent().count { $0 == 3 } == 2)
        #expect(outcome.failure?.message.contains("no longer exists") == true)
    }

    @Test func `an object that someone else made of it is not replaced`() throws {
        let harness = try EngineHarness()
        harness.server.script([
            .on(
                .uploadPart,
                occurrence: 4,
                .run(.headersRead) { _ in
                    harness.server.edit(replaceUploadBySomebodyElsesObject)
                }
            )
        ])
        let outcome = try harness.upload(try harness.file())
        try harness.expectFailed(outcome, .verification, state: .unknown, openUploads: 0)
        #expect(harness.server.object(key: "key")?.bytes == Array("theirs".utf8))
    }

    @Test func `an interruption in the middle of it is one`() throws {
        let harness = try EngineHarness()
        let cancellation = Cancellation()
        harness.server.script([
            .on(.uploadPart, part: 3, Self.noSuchUpload),
            .on(.listParts, .run(.headersRead) { _ in cancellation.cancel() }, .closeBeforeProcessing),
        ])
        let path = try harness.file()
        let outcome = try harness.upload(path, cancellation: cancellation)
        try harness.expectFailed(outcome, .interrupted, state: .pending, isResumable: true, openUploads: 1)
        try harness.expectDone(try harness.resume(), path)
    }
}
