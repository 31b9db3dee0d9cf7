import MuleLedger
import MulePlan
import TestSupport
import Testing

@Suite struct StalenessTests {
    private let directory = ScratchDirectory()
    private let clock = TestClock()

    private func take(_ ledger: Ledger, _ key: String, uploadID: String? = nil) throws -> UploadRecord {
        var upload = NewUpload.sample()
        upload.destination = ObjectAddress(bucket: "bucket", key: ObjectKey(key))
        let (record, _) = try #require(try ledger.take(upload))
        guard let uploadID else { return record }
        return try ledger.recordCreated(record, uploadID: uploadID, negotiated: "MD5", abortDate: nil)
    }

    @Test func `old and unwanted uploads come in slices, each once`() throws {
        let ledger = try Ledger(directory, clock: clock)
        let old = try (0..<5).map { try take(ledger, "old\($0)") }
        let done = try take(ledger, "done")
        try ledger.end(done, .done(ObjectProof(), size: 1, partCount: nil))
        clock.advance(milliseconds: 1_000)
        let cutoff = clock.now
        let young = try take(ledger, "young")
        let unwanted = try ledger.requestAbort(try take(ledger, "unwanted"))
        var found: [Int64] = []
        while true {
            let slice = try ledger.stale(before: cutoff, after: found.last ?? 0, limit: 2)
            if slice.isEmpty { break }
            #expect(slice.count <= 2)
            found += slice.map(\.number)
        }
        #expect(found == old.map(\.number) + [unwanted.number])
        #expect(!found.contains(young.number))
    }

    @Test func `uploads are found by the store's IDs, in their bucket, in whatever state`() throws {
        let ledger = try Ledger(directory, clock: clock)
        let records = try (0..<3).map { try take(ledger, "k\($0)", uploadID: "u\($0)") }
        try ledger.end(records[1], .aborted)
        // More than one statement takes.
        let ids = (0..<1_200).map { "u\($0)" }
        #expect(try ledger.uploads(withUploadIDs: ids, in: "bucket").map(\.number) == records.map(\.number))
        #expect(try ledger.uploads(withUploadIDs: ids.reversed(), in: "bucket").count == 3)
        #expect(try ledger.uploads(withUploadIDs: ids, in: "other").isEmpty)
        #expect(try ledger.uploads(withUploadIDs: [], in: "bucket").isEmpty)
        #expect(try ledger.created(in: "bucket", at: records[0].upload.store, limit: 9).count == 2)
        #expect(try ledger.created(in: "other", at: records[0].upload.store, limit: 9).isEmpty)
    }

    @Test func `places are where something is open, or was until lately`() throws {
        let ledger = try Ledger(directory, clock: clock)
        func upload(_ bucket: String, _ uploadID: String?) throws -> UploadRecord {
            var upload = NewUpload.sample()
            upload.destination = ObjectAddress(bucket: bucket, key: ObjectKey("k"))
            let (record, _) = try #require(try ledger.take(upload))
            guard let uploadID else { return record }
            return try ledger.recordCreated(record, uploadID: uploadID, negotiated: "MD5", abortDate: nil)
        }
        try ledger.end(try upload("long-over", "1"), .aborted)
        clock.advance(milliseconds: 1_000)
        let since = clock.now
        try ledger.end(try upload("over", "2"), .aborted)
        _ = try upload("open", "3")
        _ = try upload("nothing-sent", nil)
        #expect(try ledger.places(endedSince: nil).map(\.bucket) == ["open"])
        #expect(try ledger.places(endedSince: since).map(\.bucket) == ["open", "over"])
        #expect(try ledger.places(endedSince: 0).map(\.bucket) == ["long-over", "open", "over"])
    }
}
