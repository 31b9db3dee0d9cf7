import MuleLedger
import MulePlan
import TestSupport
import Testing

/// Ledgers of every released schema, as text: `Fixtures/vN.sql` makes the database a mule of schema N left behind.
@Suite struct MigrationTests {
    private let directory = ScratchDirectory()

    private func openFixture(_ name: String) throws -> Ledger {
        let fixtures = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
            separator: "/"
        )
        let sql = String(decoding: try Files.read("\(fixtures)/Fixtures/\(name).sql"), as: UTF8.self)
        do {
            try RawDatabase(directory.path("ledger.sqlite")).execute(sql)
        }
        return try Ledger(directory)
    }

    @Test(arguments: ["v1", "v2", "v3"])
    func `an old ledger opens with all it held`(version: String) throws {
        let ledger = try openFixture(version)
        let records = try ledger.all()
        #expect(records.map(\.id) == ["k3v9p", "a2b3c", "t7u8w", "m4n5q", "x9y2z"])
        #expect(records.map(\.state) == [.pending, .done, .pending, .failed, .aborted])
        #expect(try ledger.unfinished().map(\.number) == [1, 3, 4])

        let pending = try #require(records.first)
        #expect(pending.upload.source?.path == Array("/data/db.dump".utf8))
        #expect(pending.upload.source?.device == .max)
        #expect(pending.upload.source?.modificationTime == 1_763_683_200_123_456_789)
        #expect(pending.upload.attributes["x-amz-meta-colour"] == "blue")
        #expect(pending.upload.partSize == 8 * mebibyte)
        #expect((pending.partCount, pending.partsDone) == (128, 3))
        #expect((pending.bytesDone, pending.bytesSent) == (24 * mebibyte, 32 * mebibyte))
        #expect((pending.uploadID, pending.negotiated) == ("2~abc", "CRC64NVME"))
        let parts = try ledger.parts(of: 1)
        #expect(parts.map(\.number) == [1, 2, 4])
        #expect(parts.last?.crc == [0xAE, 0x8B, 0x14, 0x86, 0x0A, 0x79, 0x98, 0x88])
        #expect(parts.map { $0.digest?.count } == [nil, nil, 16])

        #expect(records[1].proof.checksumValue == "rosUhgp5mIg=")
        #expect(records[1].upload.onlyIfAbsent)
        #expect(records[2].upload.source == nil)
        #expect(records.map(\.upload.changing)[2] == (version == "v1" ? .refuse : .snapshotSize))
        #expect(records[3].upload.source?.path == [0x2F, 0x64, 0xFF])
        #expect(records[3].upload.destination.key.utf8 == Array("u\u{308}".utf8))
        #expect(records[3].lastError == "AccessDenied")
        #expect(try ledger.fact("checksum", of: "https://s3.example.org") == "CRC64NVME")
    }

    @Test(arguments: ["v1", "v2", "v3"])
    func `an old ledger continues from where it was`(version: String) throws {
        let ledger = try openFixture(version)
        let pending = try #require(try ledger.upload(id: "k3v9p"))
        guard case .found(let record, let lease) = try ledger.claim([pending.upload]).first else {
            Issue.record("not found")
            return
        }
        #expect(record == pending)
        try ledger.commit(.sample(3), of: record)
        #expect(try ledger.parts(of: 1).map(\.number) == [1, 2, 3, 4])
        #expect(try ledger.upload(id: "k3v9p")?.partsDone == 4)
        #expect(
            try ledger.take(.sample(key: "next"))?.record.number == 8,
            "numbers that were given are not given again"
        )
        withExtendedLifetime(lease) {}
    }

    @Test func `a ledger with jobs keeps their items`() throws {
        let ledger = try openFixture("v3")
        let job = try #require(try ledger.jobs().first)
        #expect(job == KnownJob(number: 1, name: "logs", quarantineAfter: 2))
        #expect(try ledger.quarantinedFiles(of: job, after: nil, limit: 9).map(\.item.source) == [[0x2F, 0x64, 0xFF]])
        #expect(try ledger.quarantinedFiles(of: [1, 4, 7], in: [job]).keys.sorted() == [4])
        let wanted = ObjectKey([0x75, 0xCC, 0x88])
        #expect(try ledger.rival(of: Array("/other".utf8), for: wanted, in: 1) == [0x2F, 0x64, 0xFF])
        #expect(try ledger.totals(of: job).quarantined == 1)
        let checkup = try ledger.checkup()
        #expect(checkup.missingObjects.isEmpty && checkup.foreignObjects.isEmpty, "\(checkup)")
    }

    /// A new ledger is created by one script and an old one by steps; the text of a table that was altered is spaced
    /// differently.
    @Test(arguments: ["v1", "v2", "v3"])
    func `a migrated ledger has the tables, columns and indexes of a new one`(version: String) throws {
        do { _ = try openFixture(version) }
        do { _ = try Ledger(path: Array(directory.path("new.sqlite").utf8)) }
        let old = try RawDatabase(directory.path("ledger.sqlite"))
        let new = try RawDatabase(directory.path("new.sqlite"))
        func objects(of database: RawDatabase) throws -> [String] {
            try database.column(
                "SELECT type || ' ' || name || ' ' || tbl_name || ': ' || coalesce(sql, '') FROM sqlite_schema ORDER BY name"
            ).map { $0.filter { !$0.isWhitespace } }
        }
        let columns = """
            SELECT t.name || '.' || c.name || ' ' || c.type || ' ' || c."notnull" || ' ' || c.pk || ' '
                || coalesce(c.dflt_value, '')
            FROM sqlite_schema t, pragma_table_xinfo(t.name) c WHERE t.type = 'table' ORDER BY t.name, c.cid
            """
        #expect(try objects(of: new).count > 20)
        #expect(try objects(of: old) == objects(of: new))
        #expect(try old.column(columns) == new.column(columns))
        for pragma in ["PRAGMA user_version", "PRAGMA application_id", "PRAGMA journal_mode", "PRAGMA page_size"] {
            #expect(try old.column(pragma) == new.column(pragma), "\(pragma)")
        }
    }

    @Test func `opening a ledger again changes nothing in it`() throws {
        var content: [[UInt8]] = []
        for _ in 0..<2 {
            do { _ = try content.isEmpty ? openFixture("v2") : Ledger(directory) }
            content.append(try directory.read("ledger.sqlite"))
        }
        #expect(content[0] == content[1])
    }
}
