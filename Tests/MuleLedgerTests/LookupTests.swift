import MulePlan
import MuleSQLite
import TestSupport
import Testing

@testable import MuleLedger

@Suite struct LookupTests {
    private let directory = ScratchDirectory()

    @Test func `unfinished uploads are all but those done and aborted, the oldest first`() throws {
        let ledger = try Ledger(directory)
        let outcomes: [(key: String, outcome: Ledger.Outcome?)] = [
            ("unknown", .stopped(.unknown, error: nil)), ("done", .sampleDone), ("new", nil),
            ("failed", .stopped(.failed, error: "why")), ("aborted", .aborted),
            ("pending", .stopped(.pending, error: nil)),
        ]
        for (key, outcome) in outcomes {
            let (record, _) = try #require(try ledger.take(.sample(key: key)))
            if let outcome { try ledger.end(record, outcome) }
        }
        let keys = try ledger.unfinished().map(\.upload.destination.key.string)
        #expect(keys == ["unknown", "new", "failed", "pending"])
        #expect(try ledger.all().map(\.upload.destination.key.string) == outcomes.map(\.key))
    }

    @Test func `where two names would be the same, the second gets one more letter`() throws {
        let ledger = try Ledger(directory)
        let (first, _) = try #require(try ledger.take())
        #expect(first.id.utf8.count == 5)
        let second = try ledger.perform { database throws(SQLiteError) in
            try ledger.freeID(in: database) { $0 == 5 ? first.id : RandomName.id(letters: $0) }
        }
        #expect(second.utf8.count == 6)
    }

    @Test func `an upload is found by path, bucket, key and endpoint, whatever else has changed`() throws {
        let ledger = try Ledger(directory)
        let (record, _) = try #require(try ledger.take())
        var changed = NewUpload.sample(partSize: 16 * mebibyte)
        changed.source?.size = 1
        changed.source?.inode = 1
        changed.store.region = "us-east-1"
        changed.attributes = ObjectAttributes()
        #expect(try ledger.unfinished(like: changed) == record)

        let others: [NewUpload] = [
            .sample(source: "/data/file2"), .sample(key: "Key"), .sample(bucket: "bucket2"),
            .sample(endpoint: "http://s3.example.org"), .sampleStream,
        ]
        for other in others { #expect(try ledger.unfinished(like: other) == nil) }
    }

    @Test func `a finished upload is not found as unfinished, and the next claim begins another`() throws {
        let ledger = try Ledger(directory)
        for outcome in [Ledger.Outcome.sampleDone, .aborted] {
            let (record, _) = try #require(try ledger.take())
            try ledger.end(record, outcome)
            #expect(try ledger.unfinished(like: .sample()) == nil)
            let (next, _) = try #require(try ledger.take())
            #expect(next.number > record.number)
            #expect(next.token != record.token)
            try ledger.end(next, .aborted)
        }
    }

    @Test func `the last confirmed upload of a path to an object is the one remembered`() throws {
        let ledger = try Ledger(directory)
        let upload = NewUpload.sample()
        func lastDone(_ wanted: NewUpload) throws -> UploadRecord? {
            try ledger.lastDone(
                source: wanted.source?.path ?? [],
                destination: wanted.destination,
                endpoint: wanted.store.endpoint
            )
        }
        #expect(try lastDone(upload) == nil)
        var numbers: [Int64] = []
        for eTag in ["first", "second"] {
            let (record, _) = try #require(try ledger.take())
            try ledger.end(record, .done(ObjectProof(eTag: eTag), size: 1, partCount: 1))
            numbers.append(record.number)
        }
        let (aborted, _) = try #require(try ledger.take())
        try ledger.end(aborted, .aborted)
        let (pending, lease) = try #require(try ledger.take())
        // An unfinished upload is resumed.
        let claim = try ledger.claim([upload]) { _, _ in true }
        guard case .heldElsewhere(pending)? = claim.first else { return #expect(Bool(false), "\(claim)") }
        try ledger.end(pending, .aborted)
        withExtendedLifetime(lease) {}

        let last = try #require(try lastDone(upload))
        var asked: [Int: UploadRecord] = [:]
        let claims = try ledger.claim([upload, .sample(key: "x"), upload]) { place, done in
            asked[place] = done
            return true
        }
        #expect(asked == [0: last, 2: last])
        guard case .doneBefore(last) = claims[0], case .began = claims[1], case .doneBefore(last) = claims[2] else {
            return #expect(Bool(false), "\(claims)")
        }
        #expect(last.number == numbers[1])
        #expect(last.proof.eTag == "second")
        for other in [NewUpload.sample(source: "/x"), .sample(key: "x"), .sample(bucket: "x"), .sample(endpoint: "x")] {
            #expect(try lastDone(other) == nil)
        }
    }

    @Test func `an accent composed and decomposed names two keys and two files`() throws {
        let ledger = try Ledger(directory)
        let (composed, decomposed) = ("\u{FC}", "u\u{308}")
        let uploads: [NewUpload] = [
            .sample(key: composed), .sample(key: decomposed), .sample(source: "/data/" + composed),
            .sample(source: "/data/" + decomposed),
        ]
        let claims = try ledger.claim(uploads)
        let numbers = claims.compactMap { if case .began(let record, _) = $0 { record.number } else { nil } }
        #expect(Set(numbers).count == 4)
        for (upload, number) in zip(uploads, numbers) {
            let found = try #require(try ledger.unfinished(like: upload))
            #expect(found.number == number)
            #expect(found.upload == upload)
        }
    }

    @Test(
        arguments: [
            [0xFF], [0x2F, 0xC3, 0x28], [0x2F, 0x0A, 0x27, 0x22], Array(1...255), [0xED, 0xA0, 0x80],
        ] as [[UInt8]]
    )
    func `any bytes of a path come back as they were`(path: [UInt8]) throws {
        let upload = NewUpload.sample(sourceBytes: path)
        let (record, _) = try #require(try Ledger(directory).take(upload))
        let again = try Ledger(directory)
        #expect(try again.unfinished(like: upload)?.upload.source?.path == path)
        #expect(try again.upload(id: record.id)?.upload == upload)
    }

    @Test func `texts are values, never SQL`() throws {
        let ledger = try Ledger(directory)
        let nasty = "'); DROP TABLE uploads; --\u{0}\"?1"
        let (record, _) = try #require(try ledger.take(.sample(key: nasty)))
        #expect(record.upload.destination.key == ObjectKey(nasty))
        let created = try ledger.recordCreated(record, uploadID: nasty, negotiated: nasty, abortDate: nasty)
        #expect(created.uploadID == nasty)
        #expect(try ledger.upload(id: nasty) == nil)
    }

    @Test func `an id no one has is no one's`() throws {
        let ledger = try Ledger(directory)
        _ = try ledger.take()
        #expect(try ledger.upload(id: "") == nil)
        #expect(try ledger.upload(id: "zzzzzz") == nil)
        #expect(try ledger.parts(of: 99).isEmpty)
    }
}

@Suite struct FactTests {
    private let directory = ScratchDirectory()
    private let clock = TestClock()

    @Test func `a fact is known until its lifetime has passed`() throws {
        let ledger = try Ledger(directory, clock: clock)
        try ledger.remember("checksum", "CRC64NVME", of: "https://a", lifetime: 60)
        #expect(try ledger.fact("checksum", of: "https://a") == "CRC64NVME")
        clock.advance(milliseconds: 59_999)
        #expect(try Ledger(directory, clock: clock).fact("checksum", of: "https://a") == "CRC64NVME")
        clock.advance(milliseconds: 1)
        #expect(try ledger.fact("checksum", of: "https://a") == nil)
    }

    @Test func `a fact learned again replaces the old one and lives again`() throws {
        let ledger = try Ledger(directory, clock: clock)
        try ledger.remember("checksum", "CRC64NVME", of: "https://a", lifetime: 1)
        clock.advance(milliseconds: 999)
        try ledger.remember("checksum", "MD5", of: "https://a", lifetime: 1)
        clock.advance(milliseconds: 999)
        #expect(try ledger.fact("checksum", of: "https://a") == "MD5")
    }

    @Test func `facts belong to an endpoint and a name`() throws {
        let ledger = try Ledger(directory, clock: clock)
        try ledger.remember("checksum", "MD5", of: "https://a", lifetime: 1)
        #expect(try ledger.fact("checksum", of: "https://b") == nil)
        #expect(try ledger.fact("Checksum", of: "https://a") == nil)
    }
}
