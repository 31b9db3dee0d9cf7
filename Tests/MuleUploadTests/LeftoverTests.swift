import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// Uploads that a lost answer to Create has left, and those of others that must not be touched.
@Suite struct LeftoverTests {
    @Test(arguments: [Fault.Action.closeAfterProcessing, .closeInAnswer, .truncatedXML, .emptyBody200()])
    func `an upload whose answer was lost is removed`(lost: Fault.Action) throws {
        let harness = try EngineHarness(faults: [.on(.create, lost)])
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        #expect(harness.server.count(.create) == 2)
        #expect(harness.server.count(.abort) == 1)
    }

    /// The second abort of the same upload is answered by 404, which says nothing of the other ones.
    @Test func `a lost answer to one removal does not end the others`() throws {
        let harness = try EngineHarness(faults: [
            .on(.create, times: 3, .closeAfterProcessing), .on(.abort, .closeAfterProcessing),
        ])
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        #expect(harness.server.count(.create) == 4 && harness.server.count(.abort) == 4)
    }

    @Test func `several lost answers of one key leave nothing`() throws {
        let harness = try EngineHarness(faults: [.on(.create, times: 3, .closeAfterProcessing)])
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        #expect(harness.server.count(.create) == 4)
        #expect(harness.server.count(.abort) == 3)
    }

    /// Over a thousand uploads of the very key, so that a page ends among them; ours come last.
    @Test func `leftovers are found behind a thousand uploads of the same key`() throws {
        let harness = try EngineHarness(faults: [.on(.create, .closeAfterProcessing)])
        let old = wallClockMilliseconds() / 1000 - 86_400
        harness.server.edit { store in
            for number in 1...1_100 {
                let upload = FakeUpload(id: "old\(number)", key: Array("key".utf8), initiated: old)
                store.buckets["bucket"]?.uploads[upload.id] = upload
            }
        }
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path, openUploads: 1_100)
        #expect(harness.server.count(.listUploads) == 2)
        #expect(harness.server.count(.abort) == 1)
    }

    @Test func `uploads of others are left alone`() throws {
        let harness = try EngineHarness(faults: [.on(.create, .closeAfterProcessing)])
        harness.server.profile.listUploadsPageSize = 1
        let now = wallClockMilliseconds() / 1000
        harness.server.edit { store in
            var foreign = FakeUpload(id: "foreign", key: Array("key".utf8), initiated: now)
            foreign.initiatorID = "arn:aws:iam::123456789012:user/somebody"
            let old = FakeUpload(id: "old", key: Array("key".utf8), initiated: now - 3600)
            var holding = FakeUpload(id: "holding", key: Array("key".utf8), initiated: now)
            holding.parts[1] = FakePart(number: 1, size: 5, eTag: "x")
            let longer = FakeUpload(id: "longer", key: Array("key2".utf8), initiated: now)
            for upload in [foreign, old, holding, longer] { store.buckets["bucket"]?.uploads[upload.id] = upload }
        }
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path, openUploads: 4)
        #expect(Set(harness.server.uploads.map(\.id)) == ["foreign", "old", "holding", "longer"])
    }

    @Test func `a run that died in Create is tidied up by the next`() throws {
        let harness = try EngineHarness()
        let cancellation = Cancellation()
        harness.server.script([
            .on(.create, .run(.afterProcessing) { _ in cancellation.cancel() }, .closeAfterProcessing)
        ])
        let path = try harness.file()
        let outcome = try harness.upload(path, cancellation: cancellation)
        try harness.expectFailed(outcome, .interrupted, state: .pending, isResumable: true, openUploads: 1)
        #expect(try harness.record().uploadID == nil)
        try harness.expectDone(try harness.resume(), path)
    }

    @Test func `what a lost answer left outlives the upload that followed it`() throws {
        let harness = try EngineHarness(faults: [.on(.create, .closeAfterProcessing)])
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        let own = try harness.record().uploadID ?? ""
        // The store loses the known upload, and keeps the unknown one.
        harness.server.edit { $0.buckets["bucket"]?.uploads[own] = nil }
        #expect(harness.server.uploads.count == 1)
        try harness.expectDone(try harness.resume(), path)
    }

    @Test func `a lost answer on a warm connection leaves nothing`() throws {
        // libcurl sends a request again by itself when a connection that it used before closes without an answer
        // (Curl_retry_request); a POST must not be sent twice behind the engine's back.
        let harness = try EngineHarness(concurrency: 1, faults: [.on(.create, key: "second", .closeAfterProcessing)])
        let files = try ["first", "second"].map { name in
            (try harness.file(name), EngineHarness.Options(key: name))
        }
        let outcome = try harness.upload(files)
        for file in files { try harness.expectDone(outcome, file.0, key: file.1.key) }
    }

    @Test func `without leave to list uploads the upload continues`() throws {
        let harness = try EngineHarness(faults: [.on(.create, .closeAfterProcessing)])
        harness.server.profile.denied = [.listUploads]
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectDone(outcome, path, openUploads: 1)
        #expect(outcome.notices.count { $0.contains("s3:ListBucketMultipartUploads") } == 1, "\(outcome.notices)")
    }

    @Test func `a store that never answers Create right is not asked forever`() throws {
        let harness = try EngineHarness(faults: [.on(.create, times: 1000, .emptyBody200())])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: 5)
        // They are recorded: aborting the upload removes them all.
        harness.server.script([])
        try harness.abort(try harness.record())
        harness.expectClean()
    }
}
