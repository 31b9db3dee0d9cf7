import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// Cleaning: stale uploads are removed, active ones of all users stay.
@Suite struct CleanTests {
    private static let hour: Int64 = 3_600
    private static let mine = FakeUpload(id: "", key: [], initiated: 0).initiatorID
    private static let others = "arn:aws:iam::123456789012:user/somebody"
    private static var now: Int64 { wallClockMilliseconds() / 1000 }
    /// Everything is older than that, even on a slow machine.
    private static let tomorrow = wallClockMilliseconds() + 86_400_000

    private struct Cleaned {
        var removed: [String] = []
        var stale: [String] = []
        var skipped: [String] = []
        var failed: [String] = []
        var notices: [String] = []
        var unreachable: [UploadFailure] = []
        var summary = CleanSummary()
    }

    private func clean(
        _ harness: EngineHarness,
        cutoff: Int64 = tomorrow,
        takesAll: Bool = false,
        removes: Bool = true,
        prefix: String = "",
        named: Bool = false,
        stallLimit: Double = 30,
        ledger: Ledger? = nil
    ) throws -> Cleaned {
        var cleaned = Cleaned()
        let cancellation = Cancellation()
        let service = try harness.service(cancellation)
        let notices = EventLog()
        let run = CleanRun(
            ledger: ledger ?? harness.ledger,
            settings: EngineHarness.settings(stallLimit: stallLimit),
            rules: CleanRun.Rules(cutoff: cutoff, takesAll: takesAll, removes: removes),
            cancellation: cancellation,
            onNotice: { notices.add($0) },
            onEvent: { event in
                switch event {
                case .removed(let upload): cleaned.removed.append(upload.uploadID ?? "-")
                case .stale(let upload): cleaned.stale.append(upload.uploadID ?? "-")
                case .skipped(let upload): cleaned.skipped.append(upload.uploadID ?? "-")
                case .failed(let upload, _): cleaned.failed.append(upload.uploadID ?? "-")
                case .unreachable(_, let failure): cleaned.unreachable.append(failure)
                case .notice(let text): cleaned.notices.append(text)
                }
            }
        )
        try run.sweepLedger({ _ in true }, service: { _ in service })
        run.sweep(
            StorePlace(address: harness.store, service: service, bucket: "bucket", prefix: ObjectKey(prefix)),
            isNamed: named
        )
        cleaned.summary = run.summary
        cleaned.notices += notices.notices
        return cleaned
    }

    private func pending(_ harness: EngineHarness, key: String = "key", parts: Int = 3) throws -> UploadRecord {
        var options = EngineHarness.Options()
        options.key = key
        let path = try harness.file(key.split(separator: "/").joined(), size: 6 * EngineHarness.partSize - 100)
        let cancellation = Cancellation()
        harness.server.add(
            .on(
                .uploadPart,
                key: key,
                occurrence: parts + 1,
                .run(.headersRead) { _ in cancellation.cancel() },
                .closeBeforeProcessing
            )
        )
        _ = try harness.upload(
            path,
            options,
            settings: EngineHarness.settings(concurrency: 1),
            cancellation: cancellation
        )
        harness.server.script([])
        return try #require(try harness.ledger.unfinished().first { $0.upload.destination.key == ObjectKey(key) })
    }

    @Test func `a bucket that fails keeps no other bucket of its store from being cleaned`() throws {
        let harness = try EngineHarness()
        var elsewhere = try harness.newUpload(try harness.file("other"))
        elsewhere.destination = ObjectAddress(bucket: "other", key: ObjectKey("elsewhere"))
        do {
            guard case .began(let record, let lease)? = try harness.ledger.claim([elsewhere]).first else {
                throw HarnessFailure("no row")
            }
            _ = try harness.ledger.recordCreated(record, uploadID: "u", negotiated: "MD5", abortDate: nil)
            withExtendedLifetime(lease) {}
        }
        let mine = try pending(harness)
        harness.server.edit { $0.buckets["other"] = FakeStore.Bucket() }
        harness.server.script([.on(nil, times: .max, where: { $0.bucket == "other" }, .redirect(status: 301))])
        let cleaned = try clean(harness)
        #expect(cleaned.failed == ["u"])
        #expect(cleaned.removed == [mine.uploadID])
    }

    // MARK: Clocks

    @Test(arguments: [-40 * 86_400, 3_600]) func `nothing is stale where the clocks are far apart`(offset: Int) throws {
        let harness = try EngineHarness()
        _ = try pending(harness)
        plant(harness, "unknown")
        harness.server.profile.clockOffsetSeconds = offset
        let cleaned = try clean(harness, takesAll: true, named: true)
        #expect(cleaned.removed.isEmpty && cleaned.failed.count == 1)
        #expect(Set(cleaned.summary.failures.map(\.kind)) == [.source])
        #expect(harness.server.uploads.count == 2)
        harness.server.profile.clockOffsetSeconds = 0
        #expect(try clean(harness, takesAll: true, named: true).removed.count == 2)
    }

    @Test func `a row that a wrong clock wrote is not stale while its parts are young at the store`() throws {
        let harness = try EngineHarness()
        let record = try pending(harness)
        let uploadID = try #require(record.uploadID)
        harness.server.edit { server in
            for number in 1...3 { server.buckets["bucket"]?.uploads[uploadID]?.parts[number]?.lastModified += 600 }
        }
        let cleaned = try clean(harness, cutoff: wallClockMilliseconds() + 300_000)
        #expect(cleaned.removed.isEmpty && cleaned.summary.failures.isEmpty)
        #expect(harness.server.uploads.count == 1)
        #expect(try harness.ledger.upload(number: record.number)?.abortRequested == false)
    }

    private func plant(
        _ harness: EngineHarness,
        _ id: String,
        key: String = "other",
        startedAt: Int64 = now - hour,
        by initiator: String = mine,
        parts: [(size: Int64, age: Int64)] = []
    ) {
        var upload = FakeUpload(id: id, key: Array(key.utf8), initiated: startedAt)
        upload.initiatorID = initiator
        for (index, part) in parts.enumerated() {
            let number = index + 1
            upload.parts[number] = FakePart(
                number: number,
                size: part.size,
                eTag: "e",
                lastModified: Self.now - part.age
            )
        }
        let planted = upload
        harness.server.edit { $0.buckets["bucket"]?.uploads[id] = planted }
    }

    private func ids(_ harness: EngineHarness) -> Set<String> { Set(harness.server.uploads.map(\.id)) }

    // MARK: Of this ledger

    @Test func `what is stale is removed and its row closed`() throws {
        let harness = try EngineHarness()
        let record = try pending(harness)
        let cleaned = try clean(harness)
        #expect(cleaned.removed == [record.uploadID])
        #expect(cleaned.summary.uploads == 1)
        #expect(cleaned.summary.bytes == 3 * EngineHarness.partSize)
        #expect(cleaned.summary.failures.isEmpty)
        #expect(try harness.record().state == .aborted)
        harness.expectClean()
    }

    @Test func `what has made progress since stays`() throws {
        let harness = try EngineHarness()
        let record = try pending(harness)
        let cleaned = try clean(harness, cutoff: record.updatedAt, takesAll: true)
        #expect(cleaned.summary.uploads == 0)
        #expect(try harness.record() == record)
        harness.expectClean(openUploads: 1)
    }

    @Test func `a list removes nothing`() throws {
        let harness = try EngineHarness()
        let record = try pending(harness)
        plant(harness, "foreign", by: Self.others, parts: [(7, Self.hour)])
        let cleaned = try clean(harness, takesAll: true, removes: false)
        #expect(cleaned.stale == [record.uploadID, "foreign"])
        #expect(cleaned.summary.bytes == 3 * EngineHarness.partSize + 7)
        #expect(harness.server.count(.abort) == 0)
        #expect(try harness.record() == record)
    }

    @Test(arguments: [false, true]) func `what a process uploads stays`(removes: Bool) throws {
        let harness = try EngineHarness()
        let record = try pending(harness)
        // As another process does: through a ledger of its own.
        let other = try Ledger(path: harness.ledger.path)
        let lease = try #require(try other.claim(record.number))
        let cleaned = try clean(harness, takesAll: true, removes: removes)
        #expect(cleaned.summary.uploads == 0 && cleaned.summary.failures.isEmpty)
        harness.expectClean(openUploads: 1)
        withExtendedLifetime(lease) {}
    }

    @Test func `what was to be aborted is finished whatever its age`() throws {
        let harness = try EngineHarness()
        let record = try harness.ledger.requestAbort(try pending(harness))
        let cleaned = try clean(harness, cutoff: 0)
        #expect(cleaned.removed == [record.uploadID])
        #expect(try harness.record().state == .aborted)
        harness.expectClean()
    }

    @Test func `without a network the store is aborted once and the wish stays`() throws {
        let harness = try EngineHarness()
        for key in ["a", "b", "c"] { _ = try pending(harness, key: key) }
        harness.server.script([.on(nil, times: 1_000_000, .closeBeforeProcessing)])
        let cleaned = try clean(harness, stallLimit: 0.2)
        #expect(cleaned.failed.count == 1)
        #expect(cleaned.summary.failures.map(\.kind) == [.network])
        harness.server.script([.on(.abort, times: 1_000_000, .closeBeforeProcessing)])
        let first = try clean(harness, stallLimit: 0.2)
        #expect(first.failed.count == 1)
        #expect(try harness.ledger.unfinished().filter(\.abortRequested).count == 1)
        harness.server.script([])
        // What is remembered needs no age; the others do.
        #expect(try clean(harness, cutoff: 0).removed.count == 1)
        #expect(try clean(harness).removed.count == 2)
        harness.expectClean()
    }

    @Test func `a refusal is one failure and the rest continues`() throws {
        let harness = try EngineHarness()
        for key in ["a", "b"] { _ = try pending(harness, key: key) }
        harness.server.script([.on(.abort, key: "a", .status(403, code: "AccessDenied"))])
        let cleaned = try clean(harness)
        #expect(cleaned.failed.count == 1 && cleaned.removed.count == 1)
        #expect(cleaned.summary.failures.first?.message.contains("s3:AbortMultipartUpload") == true)
        let left = try harness.ledger.unfinished()
        #expect(left.map(\.upload.destination.key) == [ObjectKey("a")] && left[0].abortRequested)
        #expect(try clean(harness, cutoff: 0).removed.count == 1)
        harness.expectClean()
    }

    // MARK: Over here, but not at the store

    @Test func `what landed after an Abort is removed`() throws {
        let harness = try EngineHarness()
        let record = try pending(harness)
        try harness.abort(record)
        let id = try #require(record.uploadID)
        plant(harness, id, key: "key", startedAt: Self.now, parts: [(11, 0)])
        let cleaned = try clean(harness, cutoff: 0)
        #expect(cleaned.removed == [id])
        #expect(cleaned.summary.bytes == 11)
        harness.expectClean()
    }

    @Test(arguments: [-hour, hour]) func `another upload of the same ID is not taken for ours`(difference: Int64) throws
    {
        let harness = try EngineHarness()
        let record = try pending(harness)
        try harness.abort(record)
        let id = try #require(record.uploadID)
        plant(harness, id, key: "key", startedAt: Self.now + difference)
        let cleaned = try clean(harness)
        #expect(cleaned.removed.isEmpty && cleaned.skipped == [id])
        harness.expectClean(openUploads: 1)
    }

    // MARK: Not of this ledger

    @Test func `what this ledger does not know is shown and left alone`() throws {
        let harness = try EngineHarness()
        let record = try pending(harness)
        plant(harness, "own")
        plant(harness, "young", startedAt: Self.now + 3 * 86_400)
        plant(harness, "foreign", by: Self.others)
        let cleaned = try clean(harness)
        #expect(cleaned.removed == [record.uploadID])
        #expect(cleaned.skipped == ["own"])
        #expect(cleaned.summary.skipped == 1 && cleaned.summary.ofOthers == 1)
        #expect(ids(harness) == ["own", "young", "foreign"])
    }

    @Test func `without an upload of its own a ledger cannot tell whose they are`() throws {
        let harness = try EngineHarness()
        plant(harness, "own")
        plant(harness, "foreign", by: Self.others)
        let cleaned = try clean(harness)
        #expect(Set(cleaned.skipped) == ["own", "foreign"])
        #expect(cleaned.summary.ofOthers == 0)
        #expect(ids(harness) == ["own", "foreign"])
    }

    @Test func `all of a prefix are removed over all pages`() throws {
        let harness = try EngineHarness()
        harness.server.profile.listUploadsPageSize = 2
        // IDs fall while times rise: a list that continues from a removed upload would skip the rest of the key.
        for number in 0..<9 {
            plant(harness, "\(9 - number)", key: "pre/fix", startedAt: Self.now - 9 * Self.hour + Int64(number))
        }
        plant(harness, "a", key: "pre/", by: Self.others, parts: [(5, Self.hour), (6, Self.hour)])
        plant(harness, "b", key: "pre", by: Self.others)
        plant(harness, "c", key: "prf")
        let cleaned = try clean(harness, takesAll: true, prefix: "pre/", named: true)
        #expect(Set(cleaned.removed) == Set((1...9).map(String.init) + ["a"]))
        #expect(cleaned.summary.uploads == 10 && cleaned.summary.bytes == 11)
        #expect(ids(harness) == ["b", "c"])
    }

    @Test func `what is still given parts is not stale however long ago it was started`() throws {
        let harness = try EngineHarness()
        plant(harness, "busy", startedAt: Self.now - 100 * Self.hour, parts: [(5, 90 * Self.hour), (5, 0)])
        plant(harness, "idle", startedAt: Self.now - 100 * Self.hour, parts: [(5, 90 * Self.hour)])
        let cutoff = (Self.now - 2 * Self.hour) * 1000
        for removes in [false, true] {
            let cleaned = try clean(harness, cutoff: cutoff, takesAll: true, removes: removes)
            #expect((removes ? cleaned.removed : cleaned.stale) == ["idle"])
        }
        #expect(ids(harness) == ["busy"])
    }

    // MARK: What may not be asked

    @Test func `without leave to list the ledgers own are removed all the same`() throws {
        let harness = try EngineHarness()
        let record = try pending(harness)
        harness.server.profile.denied = [.listUploads, .listParts]
        let cleaned = try clean(harness)
        #expect(cleaned.removed == [record.uploadID])
        #expect(cleaned.summary.failures.isEmpty)
        #expect(cleaned.notices.contains { $0.contains("s3:ListBucketMultipartUploads") })
        #expect(cleaned.notices.contains { $0.contains("s3:ListMultipartUploadParts") })
        harness.expectClean()
    }

    @Test func `without leave to list a place that was named is a failure`() throws {
        let harness = try EngineHarness()
        harness.server.profile.denied = [.listUploads]
        let cleaned = try clean(harness, takesAll: true, named: true)
        #expect(cleaned.unreachable.map(\.kind) == [.store])
        #expect(cleaned.summary.failures.count == 1)
    }

    @Test func `a bucket that is gone holds nothing`() throws {
        let harness = try EngineHarness()
        _ = try pending(harness)
        harness.server.edit { $0.buckets = [:] }
        let cleaned = try clean(harness)
        #expect(cleaned.summary.uploads == 1 && cleaned.summary.failures.isEmpty)
        #expect(try harness.record().state == .aborted)
    }
}
