import MuleLedger
import MulePlan
import TestSupport
import Testing

@Suite struct UploadStepTests {
    private let directory = ScratchDirectory()
    private let clock = TestClock()

    private func reopened(_ record: UploadRecord) throws -> UploadRecord {
        try #require(try Ledger(directory).upload(id: record.id))
    }

    @Test func `every step is there when the ledger is opened again`() throws {
        let ledger = try Ledger(directory, clock: clock)
        var (record, lease) = try #require(try ledger.take())
        #expect(record.createdAt == clock.now)
        let begun = clock.now

        clock.advance(milliseconds: 10)
        record = try ledger.recordCreateAttempt(record)
        #expect(record.createAttemptedAt == clock.now)
        #expect(record.updatedAt == clock.now)
        #expect(record.createdAt == begun)
        #expect(record.mayHoldParts)
        #expect(try reopened(record) == record)

        record = try ledger.recordCreated(record, uploadID: "2~x/y+z", negotiated: "CRC32C", abortDate: "Fri, 21 Nov")
        #expect(record.uploadID == "2~x/y+z")
        #expect(record.negotiated == "CRC32C")
        #expect(record.abortDate == "Fri, 21 Nov")
        #expect(try reopened(record) == record)

        try ledger.recordNegotiated(record.number, "MD5")
        #expect(try reopened(record).negotiated == "MD5")

        record = try ledger.requestAbort(record)
        #expect(record.abortRequested)
        #expect(try reopened(record) == record)
        withExtendedLifetime(lease) {}
    }

    @Test func `an upload that was started elsewhere is taken over with its parts and without a token`() throws {
        let ledger = try Ledger(directory, clock: clock)
        let (claimed, _) = try #require(try ledger.take())
        let attempted = try ledger.recordCreateAttempt(claimed)
        let parts = [3, 1].map { PartRecord(number: $0, size: 10, eTag: "e\($0)", crc: [1, 2], digest: nil) }
        let record = try ledger.recordAdopted(
            attempted,
            uploadID: "theirs",
            negotiated: "MD5",
            abortDate: "Fri, 21 Nov",
            parts: parts
        )
        #expect(try reopened(record) == record)
        #expect(record.isAdopted && !claimed.isAdopted)
        #expect(record.uploadID == "theirs" && record.negotiated == "MD5" && record.abortDate == "Fri, 21 Nov")
        #expect(record.createAttemptedAt == nil)
        #expect(record.partsDone == 2 && record.bytesDone == 20 && record.bytesSent == 0)
        #expect(try ledger.parts(of: record.number) == parts.reversed())
        #expect(try !ledger.restart(record).isAdopted)
    }

    @Test func `the store's day of removal may be learned later`() throws {
        let ledger = try Ledger(directory, clock: clock)
        let (record, _) = try #require(try ledger.take())
        try ledger.recordAbortDate(record.number, "Fri, 27 Nov 2026 00:00:00 GMT")
        #expect(try reopened(record).abortDate == "Fri, 27 Nov 2026 00:00:00 GMT")
    }

    @Test func `a failure for the same reason as before does not make an upload young again`() throws {
        let ledger = try Ledger(directory, clock: clock)
        let (record, _) = try #require(try ledger.take())
        clock.advance(milliseconds: 10)
        try ledger.end(record, .stopped(.failed, error: "gone"))
        let failed = clock.now
        #expect(try reopened(record).updatedAt == failed)
        clock.advance(milliseconds: 10)
        try ledger.end(record, .stopped(.failed, error: "gone"))
        #expect(try reopened(record).updatedAt == failed)
        try ledger.end(record, .stopped(.failed, error: "other"))
        #expect(try reopened(record).updatedAt == clock.now)
        clock.advance(milliseconds: 10)
        try ledger.end(record, .stopped(.pending, error: nil))
        #expect(try reopened(record).updatedAt == clock.now)
        #expect(try reopened(record).lastError == nil && reopened(record).state == .pending)
    }

    @Test func `what could not be removed gets a row of its own`() throws {
        let ledger = try Ledger(directory, clock: clock)
        var (record, _) = try #require(try ledger.take())
        record = try ledger.recordCreated(record, uploadID: "u", negotiated: "MD5", abortDate: "d")
        try ledger.commit(.sample(1), of: record)
        record = try reopened(record)
        let (left, fresh) = try ledger.leaveBehind(record, "AccessDenied", andReplanAs: record.upload)
        #expect(try reopened(left) == left && reopened(fresh) == fresh)
        #expect(fresh.number == record.number && fresh.uploadID == nil && fresh.token != record.token)
        #expect(left.uploadID == "u" && left.abortRequested && left.state == .failed && left.isOpen)
        #expect(left.upload.source == nil && left.upload.destination == record.upload.destination)
        #expect(left.bytesDone == record.bytesDone && left.abortDate == "d")
        #expect(left.lastError?.contains("AccessDenied") == true)
        // The new beginning is what the next run of the same command finds.
        #expect(try ledger.unfinished(like: record.upload)?.number == fresh.number)
    }

    @Test func `the first attempt to create is the one that is kept`() throws {
        let ledger = try Ledger(directory, clock: clock)
        let (record, _) = try #require(try ledger.take())
        let first = try ledger.recordCreateAttempt(record)
        clock.advance(milliseconds: 5_000)
        #expect(try ledger.recordCreateAttempt(first).createAttemptedAt == first.createAttemptedAt)
    }

    @Test func `parts are counted and kept in the order of their numbers`() throws {
        let ledger = try Ledger(directory, clock: clock)
        let (record, _) = try #require(try ledger.take())
        let parts = [PartRecord.sample(3, digest: [9, 9]), .sample(1), .sample(10_000, size: 5)]
        clock.advance(milliseconds: 7)
        try ledger.commit(parts[0], parts[1], of: record, bytesSent: 10 * mebibyte)
        try ledger.commit(parts[2], of: record, bytesSent: 5)

        let after = try reopened(record)
        #expect(after.partsDone == 3)
        #expect(after.bytesDone == 16 * mebibyte + 5)
        #expect(after.bytesSent == 20 * mebibyte + 5)
        #expect(after.updatedAt == clock.now)
        #expect(try ledger.parts(of: record.number) == [parts[1], parts[0], parts[2]])
    }

    @Test func `a part that is committed again adds only the bytes that went out`() throws {
        let ledger = try Ledger(directory)
        let (record, _) = try #require(try ledger.take())
        try ledger.commit(.sample(1), of: record)
        var other = PartRecord.sample(1)
        other.eTag = "another"
        try ledger.commit(other, of: record)

        let after = try reopened(record)
        #expect(after.partsDone == 1)
        #expect(after.bytesDone == 8 * mebibyte)
        #expect(after.bytesSent == 16 * mebibyte)
        #expect(try ledger.parts(of: record.number) == [.sample(1)])
    }

    @Test func `forgotten parts are taken off the counts and may come again`() throws {
        let ledger = try Ledger(directory)
        let (record, _) = try #require(try ledger.take())
        let (neighbour, _) = try #require(try ledger.take(.sample(key: "other")))
        for target in [record, neighbour] { try ledger.commit(.sample(1), .sample(2), .sample(3), of: target) }

        try ledger.forgetParts([], of: record.number)
        #expect(try reopened(record).partsDone == 3)
        try ledger.forgetParts([1, 3, 77], of: record.number)
        #expect(try reopened(record).partsDone == 1)
        #expect(try reopened(record).bytesDone == 8 * mebibyte)
        #expect(try reopened(record).bytesSent == 24 * mebibyte, "what was sent stays sent")
        try ledger.forgetParts([2], of: record.number)
        #expect(try reopened(record).partsDone == 0)
        #expect(try reopened(record).bytesDone == 0)

        try ledger.commit(.sample(3), of: record)
        #expect(try ledger.parts(of: record.number) == [.sample(3)])
        #expect(try ledger.parts(of: neighbour.number).map(\.number) == [1, 2, 3])
    }

    @Test func `a restart forgets the store's side under another token`() throws {
        let ledger = try Ledger(directory)
        let (begun, _) = try #require(try ledger.take())
        var record = try ledger.recordCreateAttempt(begun)
        record = try ledger.recordCreated(record, uploadID: "u", negotiated: "MD5", abortDate: "d")
        record = try ledger.requestAbort(record)
        try ledger.commit(.sample(1), .sample(2), of: record)
        try ledger.end(record, .stopped(.failed, error: "AccessDenied"))

        record = try ledger.restart(record)
        #expect(record.token != begun.token)
        #expect(record.bytesSent == 16 * mebibyte)
        #expect(try ledger.parts(of: record.number).isEmpty)
        var expected = begun
        (expected.token, expected.bytesSent, expected.updatedAt) = (record.token, record.bytesSent, record.updatedAt)
        #expect(record == expected)
    }

    @Test func `a replanned upload has the new source and cut, and nothing at the store`() throws {
        let ledger = try Ledger(directory)
        let (begun, _) = try #require(try ledger.take())
        try ledger.commit(.sample(1), of: begun)
        var upload = begun.upload
        upload.source?.size = 33 * mebibyte
        upload.source?.inode = 4
        upload.partSize = 16 * mebibyte
        upload.store.profile = nil
        upload.attributes = ObjectAttributes()
        upload.onlyIfAbsent = false
        upload.integrity.checksum = "md5"

        let record = try ledger.replan(begun, as: upload)
        #expect(record.upload == upload)
        #expect(record.size == 33 * mebibyte)
        #expect(record.partCount == 3)
        #expect(record.partsDone == 0)
        #expect((record.number, record.id) == (begun.number, begun.id))
        #expect(record.token != begun.token)
        #expect(try ledger.parts(of: record.number).isEmpty)
        #expect(try reopened(record) == record)
    }

    @Test func `a finished upload keeps its proof and forgets its parts`() throws {
        let ledger = try Ledger(directory, clock: clock)
        let (begun, _) = try #require(try ledger.take())
        let (neighbour, _) = try #require(try ledger.take(.sample(key: "other")))
        try ledger.commit(.sample(1), of: begun)
        try ledger.commit(.sample(1), of: neighbour)
        try ledger.end(begun, .stopped(.pending, error: "the network"))
        clock.advance(milliseconds: 1)
        try ledger.end(begun, .sampleDone, bytesSent: 9)

        let record = try reopened(begun)
        #expect(record.state == .done)
        #expect(record.proof.eTag == "abc-8")
        #expect(record.proof.versionID == "v1")
        #expect(record.proof.checksumAlgorithm == "CRC64NVME")
        #expect(record.proof.checksumType == "FULL_OBJECT")
        #expect(record.proof.checksumValue == "rosUhgp5mIg=")
        #expect((record.partsDone, record.bytesDone) == (8, 64 * mebibyte))
        #expect(record.bytesSent == 8 * mebibyte + 9)
        #expect(record.lastError == nil)
        #expect(record.updatedAt == clock.now)
        #expect(try ledger.parts(of: begun.number).isEmpty)
        #expect(try ledger.parts(of: neighbour.number).count == 1)
    }

    @Test func `a stream learns its size and parts at the end`() throws {
        let ledger = try Ledger(directory)
        let (begun, _) = try #require(try ledger.take(.sampleStream))
        #expect(begun.size == nil)
        #expect(begun.partCount == nil)
        try ledger.end(begun, .done(ObjectProof(eTag: "e"), size: 12, partCount: nil))
        let record = try reopened(begun)
        #expect(record.size == 12)
        #expect(record.partCount == nil)
        #expect((record.partsDone, record.bytesDone) == (0, 12))
        #expect(record.upload.source == nil)
    }

    @Test(arguments: [UploadState.pending, .failed, .unknown])
    func `a stopped upload keeps its parts and the reason`(state: UploadState) throws {
        let ledger = try Ledger(directory)
        let (begun, _) = try #require(try ledger.take())
        try ledger.commit(.sample(1), of: begun)
        try ledger.end(begun, .stopped(state, error: "no route"), bytesSent: 3)
        let record = try reopened(begun)
        #expect((record.state, record.lastError) == (state, "no route"))
        #expect(record.bytesSent == 8 * mebibyte + 3)
        #expect(try ledger.parts(of: begun.number) == [.sample(1)])
    }

    @Test func `an aborted upload forgets its parts`() throws {
        let ledger = try Ledger(directory)
        let (begun, _) = try #require(try ledger.take())
        try ledger.commit(.sample(1), of: begun)
        try ledger.end(begun, .aborted)
        #expect(try reopened(begun).state == .aborted)
        #expect(try ledger.parts(of: begun.number).isEmpty)
    }

    @Test func `a step of an upload that is not there is an error`() throws {
        let ledger = try Ledger(directory)
        var (record, _) = try #require(try ledger.take())
        record.number += 1
        #expect(throws: LedgerError.failed("upload \(record.number) is no longer in the ledger")) {
            try ledger.restart(record)
        }
    }

    /// SQLite refuses the second row, as a disk that fails in the middle of a commit would.
    @Test func `a commit is there whole or not at all`() throws {
        let ledger = try Ledger(directory)
        let (record, _) = try #require(try ledger.take())
        let raw = try RawDatabase(directory.path("ledger.sqlite"))
        try raw.execute(
            """
            CREATE TRIGGER refusal BEFORE INSERT ON parts WHEN new.number = 2 BEGIN SELECT raise(ABORT, 'no'); END
            """
        )
        #expect(throws: LedgerError.self) { try ledger.commit(.sample(1), .sample(2), of: record) }
        #expect(try ledger.parts(of: record.number).isEmpty)
        #expect(try reopened(record).bytesSent == 0)
        try raw.execute("DROP TRIGGER refusal")
        try ledger.commit(.sample(1), .sample(2), of: record)
        #expect(try ledger.parts(of: record.number).count == 2)
    }
}
