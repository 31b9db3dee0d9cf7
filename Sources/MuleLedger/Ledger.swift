// The ledger: what has been begun, what is finished, and who carries it. It promises that what a method has returned
// from is on disk (WAL with synchronous=FULL) and that a step is there whole or not at all. It knows nothing of S3.

import Glibc
package import MulePlan
import MuleSystem

package final class Ledger: Sendable {
    package let path: [UInt8]
    private let database: Monitor<Database>
    private let leases: LeaseBook
    private let now: @Sendable () -> Int64

    /// Opens the ledger, and makes it with its directory when it is missing. `now` answers in milliseconds since 1970.
    package init(
        path: [UInt8],
        now: @escaping @Sendable () -> Int64 = wallClockMilliseconds
    ) throws(LedgerError) {
        self.path = path
        self.now = now
        try Self.prepareFile(path)
        do {
            let database = try Database(path: path)
            try Self.turnAwayOthers(database, path: path)
            try Self.migrate(database)
            self.database = Monitor(database)
        } catch let error as SQLiteError {
            throw LedgerError(error)
        } catch let error as LedgerError {
            throw error
        } catch {
            throw LedgerError.failed("\(error)")
        }
        do {
            leases = try LeaseBook(path: path + Array(".leases".utf8))
        } catch {
            throw LedgerError(error)
        }
    }

    /// Makes the file with the right mode before SQLite would make it with the wrong one.
    private static func prepareFile(_ path: [UInt8]) throws(LedgerError) {
        do {
            if let slash = path.lastIndex(of: UInt8(ascii: "/")), slash > 0 {
                try makeDirectories(path: Array(path[..<slash]), mode: 0o700)
            }
            _ = try File.open(path: path, flags: O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        } catch {
            if error.code != EEXIST { throw LedgerError(error) }
        }
    }

    /// Turns away what is no ledger of ours before anything could be written to it.
    private static func turnAwayOthers(_ database: Database, path: [UInt8]) throws {
        if database.isReadOnly { throw LedgerError.readOnly }
        let status = try FileStatus.of(path: path)
        guard status.kind == .regular else { throw LedgerError.cannotOpen("it is not a regular file") }
        if status.size == 0 { return }
        let header = try database.header()
        guard header.starts(with: Array("SQLite format 3\0".utf8)) else {
            throw LedgerError.damaged("it is not an SQLite file")
        }
        let applicationID = header[68..<72].reduce(Int32(0)) { $0 << 8 | Int32($1) }
        guard applicationID == Schema.applicationID else { throw LedgerError.damaged("it belongs to another program") }
    }

    private static func pragma(_ name: String, of database: Database) throws(SQLiteError) -> Int {
        Int(try database.run("PRAGMA \(name)", read: { $0.integer(0) }).first ?? 0)
    }

    private static func migrate(_ database: Database) throws {
        func version() throws(SQLiteError) -> Int { try pragma("user_version", of: database) }
        guard try version() <= Schema.version else { throw LedgerError.newerVersion(try version()) }
        if try pragma("page_count", of: database) == 0 {
            // Before WAL mode, so that it is in the file itself and not in the log beside it.
            try database.execute("PRAGMA application_id = \(Schema.applicationID)")
        }
        try database.execute(
            """
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = FULL;
            PRAGMA temp_store = MEMORY;
            """
        )
        guard try version() != Schema.version else { return }
        try database.transaction { () throws(SQLiteError) in
            // Read again inside the transaction: another process may have been here first.
            for step in Schema.steps.dropFirst(try version()) { try database.execute(step) }
            if try version() < Schema.version { try database.execute("PRAGMA user_version = \(Schema.version)") }
        }
        let found = try version()
        guard found == Schema.version else { throw LedgerError.newerVersion(found) }
    }

    private func perform<Result: Sendable>(
        _ body: (Database) throws(SQLiteError) -> Result
    ) throws(LedgerError) -> Result {
        do {
            return try database.withLock { database in try body(database) }
        } catch let error as SQLiteError {
            throw LedgerError(error)
        } catch {
            throw .failed("\(error)")
        }
    }

    private func transaction<Result: Sendable>(
        _ body: (Database) throws(SQLiteError) -> Result
    ) throws(LedgerError) -> Result {
        try perform { database throws(SQLiteError) in
            try database.transaction { () throws(SQLiteError) in try body(database) }
        }
    }

    // MARK: Claiming

    /// An upload that this process now carries, or that another one does.
    package enum Claim: Sendable {
        /// A row made for this upload; nothing of it has been sent.
        case began(UploadRecord, Lease)
        /// The unfinished upload of the same source to the same object.
        case found(UploadRecord, Lease)
        case heldElsewhere(UploadRecord)
    }

    /// Finds or makes the rows of these uploads and takes their leases, in one step: of two processes that begin the same
    /// upload at once, one gets it.
    package func claim(_ uploads: [NewUpload]) throws(LedgerError) -> [Claim] {
        try transaction { database throws(SQLiteError) in
            var claims: [Claim] = []
            for upload in uploads {
                if let record = try unfinished(like: upload, in: database) {
                    claims.append(try lease(record).map { .found(record, $0) } ?? .heldElsewhere(record))
                } else {
                    let record = try insert(upload, in: database)
                    claims.append(try lease(record).map { .began(record, $0) } ?? .heldElsewhere(record))
                }
            }
            return claims
        }
    }

    /// Takes the lease of a known upload; nil when another process has it. The record is read again under the lease.
    package func claim(_ number: Int64) throws(LedgerError) -> (UploadRecord, Lease)? {
        try transaction { database throws(SQLiteError) -> (UploadRecord, Lease)? in
            guard let record = try records(in: database, "WHERE number = ?", [.integer(number)]).first,
                let lease = try lease(record)
            else { return nil }
            return (record, lease)
        }
    }

    private func lease(_ record: UploadRecord) throws(SQLiteError) -> Lease? {
        do {
            return try Lease(leases, number: record.number)
        } catch {
            throw SQLiteError(code: 10, message: error.description, statement: "lease")  // SQLITE_IOERR
        }
    }

    /// Whether another process carries the upload.
    package func isActive(_ record: UploadRecord) -> Bool {
        (try? leases.isHeldElsewhere(record.number)) ?? false
    }

    private func unfinished(like upload: NewUpload, in database: Database) throws(SQLiteError) -> UploadRecord? {
        guard let source = upload.source else { return nil }
        return try records(
            in: database,
            """
            WHERE source = ? AND bucket = ? AND key = ? AND endpoint = ? AND state NOT IN ('done', 'aborted')
            ORDER BY number DESC LIMIT 1
            """,
            [
                .blob(source.path), .text(upload.destination.bucket), .blob(upload.destination.key.utf8),
                .text(upload.store.endpoint),
            ]
        ).first
    }

    private func insert(_ upload: NewUpload, in database: Database) throws(SQLiteError) -> UploadRecord {
        let moment = now()
        // Five letters name 28 million uploads; another try is as good should two meet.
        for _ in 0..<100 {
            let id = RandomName.id()
            let taken = try database.run("SELECT 1 FROM uploads WHERE id = ?", [.text(id)], read: { _ in }).count > 0
            if taken { continue }
            try database.run(
                """
                INSERT INTO uploads (id, state, source, device, inode, size, modified,
                    endpoint, region, addressing, profile, ca_bundle, bucket, key, attributes, only_if_absent,
                    checksum, payload_signing, part_size, part_count, token, created_at, updated_at)
                VALUES (?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [.text(id)] + Self.sourceValues(upload.source) + [
                    .text(upload.store.endpoint), .text(upload.store.region), .text(upload.store.addressing),
                    SQLValue(upload.store.profile), SQLValue(upload.store.caBundle),
                    .text(upload.destination.bucket), .blob(upload.destination.key.utf8),
                    .text(upload.attributes.text), .integer(upload.onlyIfAbsent ? 1 : 0),
                    .text(upload.integrity.checksum), .text(upload.integrity.payloadSigning),
                    SQLValue(upload.partSize), SQLValue(Self.partCount(upload)),
                    .text(RandomName.token()), .integer(moment), .integer(moment),
                ]
            )
            if let record = try records(in: database, "WHERE id = ?", [.text(id)]).first { return record }
        }
        throw SQLiteError(code: 1, message: "no free name for an upload", statement: "insert")
    }

    private static func sourceValues(_ source: SourceIdentity?) -> [SQLValue] {
        guard let source else { return [.null, .null, .null, .null, .null] }
        return [
            .blob(source.path), .integer(Int64(bitPattern: source.device)), .integer(Int64(bitPattern: source.inode)),
            .integer(source.size), .integer(source.modificationTime),
        ]
    }

    private static func partCount(_ upload: NewUpload) -> Int64? {
        guard let partSize = upload.partSize, let size = upload.source?.size else { return nil }
        return Int64(PartPlan(objectSize: size, partSize: partSize).count)
    }

    // MARK: Steps of an upload

    /// Gives an upload of which nothing lies at the store a new plan.
    package func replan(_ record: UploadRecord, as upload: NewUpload) throws(LedgerError) -> UploadRecord {
        try update(record.number) { database throws(SQLiteError) in
            try database.run(
                """
                UPDATE uploads SET source = ?, device = ?, inode = ?, size = ?, modified = ?,
                    region = ?, addressing = ?, profile = ?, ca_bundle = ?, attributes = ?, only_if_absent = ?,
                    checksum = ?, payload_signing = ?, part_size = ?, part_count = ?
                WHERE number = ?
                """,
                Self.sourceValues(upload.source) + [
                    .text(upload.store.region), .text(upload.store.addressing), SQLValue(upload.store.profile),
                    SQLValue(upload.store.caBundle), .text(upload.attributes.text),
                    .integer(upload.onlyIfAbsent ? 1 : 0), .text(upload.integrity.checksum),
                    .text(upload.integrity.payloadSigning), SQLValue(upload.partSize),
                    SQLValue(Self.partCount(upload)), .integer(record.number),
                ]
            )
            try restart(record.number, in: database)
        }
    }

    /// Forgets the upload ID and all parts, with a new token: the next run begins anew.
    package func restart(_ record: UploadRecord) throws(LedgerError) -> UploadRecord {
        try update(record.number) { database throws(SQLiteError) in try restart(record.number, in: database) }
    }

    private func restart(_ number: Int64, in database: Database) throws(SQLiteError) {
        try database.run(
            """
            UPDATE uploads SET state = 'pending', token = ?, create_attempted_at = NULL, upload_id = NULL,
                integrity = NULL, abort_date = NULL, abort_requested = 0, parts_done = 0, bytes_done = 0,
                last_error = NULL
            WHERE number = ?
            """,
            [.text(RandomName.token()), .integer(number)]
        )
        try database.run("DELETE FROM parts WHERE upload = ?", [.integer(number)])
    }

    /// To be called before CreateMultipartUpload is sent.
    package func recordCreateAttempt(_ record: UploadRecord) throws(LedgerError) -> UploadRecord {
        try update(record.number) { database throws(SQLiteError) in
            try database.run(
                "UPDATE uploads SET create_attempted_at = coalesce(create_attempted_at, ?) WHERE number = ?",
                [.integer(now()), .integer(record.number)]
            )
        }
    }

    /// To be called when no try of CreateMultipartUpload is unanswered any more: the store has refused it, or what it had
    /// left is removed.
    package func forgetCreateAttempt(_ record: UploadRecord) throws(LedgerError) -> UploadRecord {
        try update(record.number) { database throws(SQLiteError) in
            try database.run(
                "UPDATE uploads SET create_attempted_at = NULL WHERE number = ?",
                [.integer(record.number)]
            )
        }
    }

    /// To be called before the first part is sent.
    ///
    /// - Parameter mayHaveSiblings: whether another try of Create is unanswered; the attempt stays on record then.
    package func recordCreated(
        _ record: UploadRecord,
        uploadID: String,
        negotiated: String,
        abortDate: String?,
        mayHaveSiblings: Bool = false
    ) throws(LedgerError) -> UploadRecord {
        try update(record.number) { database throws(SQLiteError) in
            try database.run(
                """
                UPDATE uploads SET upload_id = ?1, integrity = ?2, abort_date = ?3,
                    create_attempted_at = CASE WHEN ?4 THEN create_attempted_at END
                WHERE number = ?5
                """,
                [
                    .text(uploadID), .text(negotiated), SQLValue(abortDate), .integer(mayHaveSiblings ? 1 : 0),
                    .integer(record.number),
                ]
            )
        }
    }

    package func recordNegotiated(_ number: Int64, _ negotiated: String) throws(LedgerError) {
        try perform { database throws(SQLiteError) in
            try database.run(
                "UPDATE uploads SET integrity = ? WHERE number = ?",
                [.text(negotiated), .integer(number)]
            )
        }
    }

    /// A part and the upload it belongs to, with the bytes that went out for it.
    package struct FinishedPart: Sendable {
        package var upload: Int64
        package var part: PartRecord
        package var bytesSent: Int64

        package init(upload: Int64, part: PartRecord, bytesSent: Int64) {
            self.upload = upload
            self.part = part
            self.bytesSent = bytesSent
        }
    }

    package func parts(of number: Int64) throws(LedgerError) -> [PartRecord] {
        try perform { database throws(SQLiteError) in
            try database.run(
                "SELECT number, size, etag, crc, digest FROM parts WHERE upload = ? ORDER BY number",
                [.integer(number)]
            ) { row in
                PartRecord(
                    number: Int(row.integer(0)),
                    size: row.integer(1),
                    eTag: row.text(2),
                    crc: row.blob(3),
                    digest: row.optionalBlob(4)
                )
            }
        }
    }

    /// Forgets the rows of parts that the store turned out not to hold.
    package func forgetParts(_ numbers: [Int], of upload: Int64) throws(LedgerError) {
        guard !numbers.isEmpty else { return }
        try transaction { database throws(SQLiteError) in
            for number in numbers {
                try database.run(
                    "DELETE FROM parts WHERE upload = ? AND number = ?",
                    [.integer(upload), .integer(Int64(number))]
                )
            }
            try database.run(
                """
                UPDATE uploads SET parts_done = (SELECT count(*) FROM parts WHERE upload = ?1),
                    bytes_done = (SELECT coalesce(sum(size), 0) FROM parts WHERE upload = ?1)
                WHERE number = ?1
                """,
                [.integer(upload)]
            )
        }
    }

    /// Ends of uploads.
    package enum Outcome: Sendable {
        case done(ObjectProof, size: Int64, partCount: Int?)
        /// Ended for now; the state it is left in, and why.
        case stopped(UploadState, error: String?)
        case aborted
    }

    package struct FinishedUpload: Sendable {
        package var upload: Int64
        package var outcome: Outcome
        package var bytesSent: Int64

        package init(upload: Int64, outcome: Outcome, bytesSent: Int64) {
            self.upload = upload
            self.outcome = outcome
            self.bytesSent = bytesSent
        }
    }

    /// Something that has happened and is to be kept.
    package enum Entry: Sendable {
        case part(FinishedPart)
        case upload(FinishedUpload)
    }

    /// Commits what has happened, all in one transaction. When this returns, parts are finished and uploads are done for
    /// good. The parts of a finished or aborted upload are forgotten.
    package func commit(_ entries: [Entry]) throws(LedgerError) {
        try transaction { database throws(SQLiteError) in
            for entry in entries {
                switch entry {
                case .part(let finished): try record(finished, in: database)
                case .upload(let finished): try record(finished, in: database)
                }
            }
        }
    }

    private func record(_ finished: FinishedPart, in database: Database) throws(SQLiteError) {
        let part = finished.part
        try database.run(
            "INSERT OR IGNORE INTO parts (upload, number, size, etag, crc, digest) VALUES (?, ?, ?, ?, ?, ?)",
            [
                .integer(finished.upload), .integer(Int64(part.number)), .integer(part.size),
                .text(part.eTag), .blob(part.crc), SQLValue(part.digest),
            ]
        )
        let isNew = database.changes > 0
        try database.run(
            """
            UPDATE uploads SET parts_done = parts_done + ?, bytes_done = bytes_done + ?,
                bytes_sent = bytes_sent + ?, updated_at = ?
            WHERE number = ?
            """,
            [
                .integer(isNew ? 1 : 0), .integer(isNew ? part.size : 0), .integer(finished.bytesSent),
                .integer(now()), .integer(finished.upload),
            ]
        )
    }

    private func record(_ finished: FinishedUpload, in database: Database) throws(SQLiteError) {
        let number = SQLValue.integer(finished.upload)
        let moment = SQLValue.integer(now())
        switch finished.outcome {
        case .done(let proof, let size, let partCount):
            try database.run(
                """
                UPDATE uploads SET state = 'done', etag = ?, version_id = ?, checksum_algorithm = ?,
                    checksum_type = ?, checksum_value = ?, size = ?, part_count = ?, parts_done = coalesce(?, 0),
                    bytes_done = ?, last_error = NULL, abort_requested = 0, updated_at = ?
                WHERE number = ?
                """,
                [
                    SQLValue(proof.eTag), SQLValue(proof.versionID), SQLValue(proof.checksumAlgorithm),
                    SQLValue(proof.checksumType), SQLValue(proof.checksumValue), .integer(size),
                    SQLValue(partCount.map(Int64.init)), SQLValue(partCount.map(Int64.init)), .integer(size),
                    moment, number,
                ]
            )
            try database.run("DELETE FROM parts WHERE upload = ?", [number])
        case .stopped(let state, let error):
            try database.run(
                "UPDATE uploads SET state = ?, last_error = ?, updated_at = ? WHERE number = ?",
                [.text(state.rawValue), SQLValue(error), moment, number]
            )
        case .aborted:
            try database.run(
                "UPDATE uploads SET state = 'aborted', last_error = NULL, updated_at = ? WHERE number = ?",
                [moment, number]
            )
            try database.run("DELETE FROM parts WHERE upload = ?", [number])
        }
        if finished.bytesSent > 0 {
            try database.run(
                "UPDATE uploads SET bytes_sent = bytes_sent + ? WHERE number = ?",
                [.integer(finished.bytesSent), number]
            )
        }
    }

    /// Marks an upload as one to be given up, before the store is told.
    package func requestAbort(_ record: UploadRecord) throws(LedgerError) -> UploadRecord {
        try update(record.number) { database throws(SQLiteError) in
            try database.run("UPDATE uploads SET abort_requested = 1 WHERE number = ?", [.integer(record.number)])
        }
    }

    private func update(
        _ number: Int64,
        _ body: (Database) throws(SQLiteError) -> Void
    ) throws(LedgerError) -> UploadRecord {
        let record = try transaction { database throws(SQLiteError) -> UploadRecord? in
            try body(database)
            try database.run(
                "UPDATE uploads SET updated_at = ? WHERE number = ?",
                [.integer(now()), .integer(number)]
            )
            return try records(in: database, "WHERE number = ?", [.integer(number)]).first
        }
        guard let record else { throw .failed("upload \(number) has gone from the ledger") }
        return record
    }

    // MARK: Looking

    /// Pending, failed and unknown uploads, the oldest first.
    package func unfinished() throws(LedgerError) -> [UploadRecord] {
        try perform { database throws(SQLiteError) in
            // The plus keeps SQLite from reading all rows for the sake of their order: the partial index knows the few.
            try records(in: database, "WHERE state NOT IN ('done', 'aborted') ORDER BY +number", [])
        }
    }

    package func all() throws(LedgerError) -> [UploadRecord] {
        try perform { database throws(SQLiteError) in try records(in: database, "ORDER BY number", []) }
    }

    package func upload(id: String) throws(LedgerError) -> UploadRecord? {
        try perform { database throws(SQLiteError) in
            try records(in: database, "WHERE id = ?", [.text(id)]).first
        }
    }

    /// The unfinished upload of the same source to the same object, without taking its lease.
    package func unfinished(like upload: NewUpload) throws(LedgerError) -> UploadRecord? {
        try perform { database throws(SQLiteError) in try unfinished(like: upload, in: database) }
    }

    /// The latest confirmed upload of this path to this object.
    package func lastDone(
        source: [UInt8],
        destination: ObjectAddress,
        endpoint: String
    ) throws(LedgerError) -> UploadRecord? {
        try perform { database throws(SQLiteError) in
            try records(
                in: database,
                """
                WHERE source = ? AND bucket = ? AND key = ? AND endpoint = ? AND state = 'done'
                ORDER BY number DESC LIMIT 1
                """,
                [
                    .blob(source), .text(destination.bucket), .blob(destination.key.utf8), .text(endpoint),
                ]
            ).first
        }
    }

    // MARK: Facts of endpoints

    /// What was learned of an endpoint; nil when it has expired.
    package func fact(_ name: String, of endpoint: String) throws(LedgerError) -> String? {
        try perform { database throws(SQLiteError) in
            try database.run(
                "SELECT value FROM facts WHERE endpoint = ? AND name = ? AND expires_at > ?",
                [.text(endpoint), .text(name), .integer(now())]
            ) { $0.text(0) }.first
        }
    }

    /// Keeps what was learned of an endpoint; after `lifetime` seconds it must be learned again.
    package func remember(
        _ name: String,
        _ value: String,
        of endpoint: String,
        lifetime: Int64
    ) throws(LedgerError) {
        try perform { database throws(SQLiteError) in
            try database.run(
                "INSERT OR REPLACE INTO facts (endpoint, name, value, expires_at) VALUES (?, ?, ?, ?)",
                [.text(endpoint), .text(name), .text(value), .integer(now() + lifetime * 1000)]
            )
        }
    }
}

// MARK: Rows

private func records(
    in database: Database,
    _ clause: String,
    _ values: [SQLValue]
) throws(SQLiteError) -> [UploadRecord] {
    try database.run(
        """
        SELECT number, id, state, source, device, inode, size, modified, endpoint, region, addressing, profile,
            ca_bundle, bucket, key, attributes, only_if_absent, checksum, payload_signing, part_size, part_count,
            token, create_attempted_at, upload_id, integrity, abort_date, abort_requested, parts_done, bytes_done,
            bytes_sent, etag, version_id, checksum_algorithm, checksum_type, checksum_value, last_error,
            created_at, updated_at
        FROM uploads \(clause)
        """,
        values,
        read: record
    )
}

private func record(_ row: SQLRow) -> UploadRecord {
    let source = row.optionalBlob(3).map { path in
        SourceIdentity(
            path: path,
            device: UInt64(bitPattern: row.integer(4)),
            inode: UInt64(bitPattern: row.integer(5)),
            size: row.integer(6),
            modificationTime: row.integer(7)
        )
    }
    return UploadRecord(
        number: row.integer(0),
        id: row.text(1),
        state: UploadState(rawValue: row.text(2)) ?? .unknown,
        upload: NewUpload(
            source: source,
            store: StoreAddress(
                endpoint: row.text(8),
                region: row.text(9),
                addressing: row.text(10),
                profile: row.optionalText(11),
                caBundle: row.optionalText(12)
            ),
            destination: ObjectAddress(bucket: row.text(13), key: ObjectKey(row.blob(14))),
            attributes: ObjectAttributes(text: row.text(15)),
            onlyIfAbsent: row.integer(16) != 0,
            integrity: IntegrityOptions(checksum: row.text(17), payloadSigning: row.text(18)),
            partSize: row.optionalInteger(19)
        ),
        size: row.optionalInteger(6),
        partCount: row.optionalInteger(20).map { Int($0) },
        token: row.text(21),
        createAttemptedAt: row.optionalInteger(22),
        uploadID: row.optionalText(23),
        negotiated: row.optionalText(24),
        abortDate: row.optionalText(25),
        abortRequested: row.integer(26) != 0,
        partsDone: Int(row.integer(27)),
        bytesDone: row.integer(28),
        bytesSent: row.integer(29),
        proof: ObjectProof(
            eTag: row.optionalText(30),
            versionID: row.optionalText(31),
            checksumAlgorithm: row.optionalText(32),
            checksumType: row.optionalText(33),
            checksumValue: row.optionalText(34)
        ),
        lastError: row.optionalText(35),
        createdAt: row.integer(36),
        updatedAt: row.integer(37)
    )
}

/// Random names.
enum RandomName {
    /// Letters and digits that are not taken for one another.
    private static let alphabet = Array("abcdefghjkmnpqrstuvwxyz23456789".utf8)

    static func id() -> String {
        String(decoding: (0..<5).map { _ in alphabet.randomElement() ?? alphabet[0] }, as: UTF8.self)
    }

    /// 128 bits as 32 hexadecimal digits, from the system's generator.
    static func token() -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: (0..<32).map { _ in digits.randomElement() ?? digits[0] }, as: UTF8.self)
    }
}
