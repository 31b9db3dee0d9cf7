// The steps of an upload: each method returns when its step is on disk, unless its description says otherwise.

package import MulePlan
import MuleSQLite

extension Ledger {
    /// Gives an upload without parts at the store a new plan.
    package func replan(_ record: UploadRecord, as upload: NewUpload) throws(LedgerError) -> UploadRecord {
        try update(record.number) { database throws(SQLiteError) in
            try replan(record.number, as: upload, in: database)
        }
    }

    private func replan(_ number: Int64, as upload: NewUpload, in database: Database) throws(SQLiteError) {
        try database.run(
            """
            UPDATE uploads SET source = ?, device = ?, inode = ?, size = ?, modified = ?, change_time = ?,
                region = ?, addressing = ?, profile = ?, ca_bundle = ?, client_certificate = ?, client_key = ?,
                signer = ?, signer_protocol = ?, attributes = ?, only_if_absent = ?, checksum = ?,
                payload_signing = ?, part_size = ?, part_count = ?, changing = ?, sse_c = ?, if_match = ?
            WHERE number = ?
            """,
            Self.sourceValues(upload) + [
                .text(upload.store.region), .text(upload.store.addressing), SQLValue(upload.store.profile),
                SQLValue(upload.store.caBundle), SQLValue(upload.store.clientCertificate),
                SQLValue(upload.store.clientKey), SQLValue(upload.store.signer?.url),
                SQLValue(upload.store.signer?.protocolName), .text(upload.headerText),
                .integer(upload.onlyIfAbsent ? 1 : 0), .text(upload.integrity.checksum),
                .text(upload.integrity.payloadSigning), SQLValue(upload.partSize),
                SQLValue(Self.partCount(upload)), .text(upload.changing.rawValue),
                SQLValue(upload.store.customerKey), SQLValue(upload.ifMatch), .integer(number),
            ]
        )
        try restart(number, in: database)
    }

    /// The same if the store refused to remove the parts: these move to a new row without a source, with an abort
    /// request.
    package func leaveBehind(
        _ record: UploadRecord,
        _ reason: String,
        andReplanAs upload: NewUpload
    ) throws(LedgerError) -> (left: UploadRecord, replanned: UploadRecord) {
        let records = try transaction { database throws(SQLiteError) in
            let id = try freeID(in: database)
            try database.run(
                """
                INSERT INTO uploads (id, state, size, endpoint, region, addressing, profile, ca_bundle,
                    client_certificate, client_key, signer, signer_protocol, bucket, key, attributes, only_if_absent,
                    checksum, payload_signing, part_size, part_count, token,
                    create_attempted_at, complete_attempted_at, upload_id, integrity, abort_date, abort_requested,
                    parts_done, bytes_done,
                    sse_c, last_error, created_at, updated_at)
                SELECT ?1, 'failed', size, endpoint, region, addressing, profile, ca_bundle,
                    client_certificate, client_key, signer, signer_protocol, bucket, key, attributes, only_if_absent,
                    checksum, payload_signing, part_size, part_count, token,
                    create_attempted_at, complete_attempted_at, upload_id, integrity, abort_date, 1,
                    parts_done, bytes_done,
                    sse_c, ?2, created_at, ?3
                FROM uploads WHERE number = ?4
                """,
                [
                    .text(id), .text("left behind when \(record.id) restarted: \(reason)"), .integer(now()),
                    .integer(record.number),
                ]
            )
            try replan(record.number, as: upload, in: database)
            return try MuleLedger.records(in: database, "WHERE id = ?", [.text(id)])
                + MuleLedger.records(in: database, "WHERE number = ?", [.integer(record.number)])
        }
        guard records.count == 2 else { throw .failed("upload \(record.number) is no longer in the ledger") }
        return (records[0], records[1])
    }

    /// Records the current identity of a file whose content matches the record, so that it is not compared again. The
    /// upload's state and times stay unchanged.
    package func note(_ source: SourceIdentity, of record: UploadRecord) throws(LedgerError) -> UploadRecord {
        let found = try transaction { database throws(SQLiteError) in
            try database.run(
                "UPDATE uploads SET device = ?, inode = ?, modified = ?, change_time = ? WHERE number = ? AND size = ?",
                [
                    .integer(Int64(bitPattern: source.device)), .integer(Int64(bitPattern: source.inode)),
                    .integer(source.modificationTime), SQLValue(source.changeTime), .integer(record.number),
                    .integer(source.size),
                ]
            )
            return try records(in: database, "WHERE number = ?", [.integer(record.number)]).first
        }
        guard let found else { throw .failed("upload \(record.number) is no longer in the ledger") }
        return found
    }

    /// Changes which changes of the source are allowed.
    package func bear(_ changing: ChangingSource, in record: UploadRecord) throws(LedgerError) -> UploadRecord {
        try update(record.number) { database throws(SQLiteError) in
            try database.run(
                "UPDATE uploads SET changing = ? WHERE number = ?",
                [.text(changing.rawValue), .integer(record.number)]
            )
        }
    }

    /// Removes the upload ID, which the store no longer knows, and all parts, and sets a new token: the next run starts
    /// over.
    ///
    /// An unanswered attempt of CreateMultipartUpload stays recorded: what it left is still at the store.
    package func restart(_ record: UploadRecord) throws(LedgerError) -> UploadRecord {
        try update(record.number) { database throws(SQLiteError) in
            try restart(record.number, in: database)
            guard let attempted = record.createAttemptedAt else { return }
            try database.run(
                "UPDATE uploads SET create_attempted_at = ? WHERE number = ?",
                [.integer(attempted), .integer(record.number)]
            )
        }
    }

    private func restart(_ number: Int64, in database: Database) throws(SQLiteError) {
        let token = try database.run("SELECT token FROM uploads WHERE number = ?", [.integer(number)]) { $0.text(0) }
            .first
        guard let token else { return }
        try database.run(
            """
            UPDATE uploads SET state = 'pending', token = ?, create_attempted_at = NULL, upload_id = NULL,
                complete_attempted_at = NULL, integrity = NULL, abort_date = NULL, abort_requested = 0, parts_done = 0, bytes_done = 0,
                last_error = NULL
            WHERE number = ?
            """,
            [.text(RandomName.token(after: token)), .integer(number)]
        )
        try database.run("DELETE FROM parts WHERE upload = ?", [.integer(number)])
    }

    /// Call before CreateMultipartUpload is sent.
    package func recordCreateAttempt(_ record: UploadRecord) throws(LedgerError) -> UploadRecord {
        try update(record.number) { database throws(SQLiteError) in
            try database.run(
                "UPDATE uploads SET create_attempted_at = coalesce(create_attempted_at, ?) WHERE number = ?",
                [.integer(now()), .integer(record.number)]
            )
        }
    }

    /// Call when no attempt of CreateMultipartUpload is unanswered: the store has refused it, or its remains are
    /// removed.
    package func forgetCreateAttempt(_ record: UploadRecord) throws(LedgerError) -> UploadRecord {
        try update(record.number) { database throws(SQLiteError) in
            try database.run(
                "UPDATE uploads SET create_attempted_at = NULL WHERE number = ?",
                [.integer(record.number)]
            )
        }
    }

    /// Call before the first part is sent.
    ///
    /// - Parameter mayHaveSiblings: whether another attempt of Create is unanswered; then the attempt stays recorded.
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

    /// Adopts an upload that was started elsewhere, with the parts that match the file, in one transaction: an adopted
    /// row is never without its parts.
    package func recordAdopted(
        _ record: UploadRecord,
        uploadID: String,
        negotiated: String,
        abortDate: String?,
        parts: [PartRecord]
    ) throws(LedgerError) -> UploadRecord {
        try update(record.number) { database throws(SQLiteError) in
            try database.run(
                """
                UPDATE uploads SET upload_id = ?, integrity = ?, abort_date = ?, token = '', create_attempted_at = NULL
                WHERE number = ?
                """,
                [.text(uploadID), .text(negotiated), SQLValue(abortDate), .integer(record.number)]
            )
            for part in parts {
                let finished = FinishedPart(upload: record.number, part: part, bytesSent: 0)
                try self.record(finished, in: database)
            }
        }
    }

    /// Records how an upload is checked. Durable with the next part or upload that is recorded, so that no part is on
    /// record without it. If a power cut comes before that, the store's next answer shows it again.
    package func recordNegotiated(_ number: Int64, _ negotiated: String) throws(LedgerError) {
        try perform { database throws(SQLiteError) in
            try database.withoutSync { () throws(SQLiteError) in
                try database.run(
                    "UPDATE uploads SET integrity = ? WHERE number = ?",
                    [.text(negotiated), .integer(number)]
                )
            }
        }
    }

    package func recordAbortDate(_ number: Int64, _ abortDate: String) throws(LedgerError) {
        try perform { database throws(SQLiteError) in
            try database.run(
                "UPDATE uploads SET abort_date = ? WHERE number = ?",
                [.text(abortDate), .integer(number)]
            )
        }
    }

    /// A part with its upload, and the bytes sent for it.
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
        try perform { database throws(SQLiteError) in try parts(of: number, in: database) }
    }

    func parts(of upload: Int64, in database: Database) throws(SQLiteError) -> [PartRecord] {
        try parts(in: database, "WHERE upload = ? ORDER BY number", [.integer(upload)])
    }

    func part(_ number: Int, of upload: Int64, in database: Database) throws(SQLiteError) -> PartRecord? {
        try parts(in: database, "WHERE upload = ? AND number = ?", [.integer(upload), .integer(Int64(number))]).first
    }

    private func parts(
        in database: Database,
        _ clause: String,
        _ values: [SQLValue]
    ) throws(SQLiteError) -> [PartRecord] {
        try database.run("SELECT number, size, etag, crc, digest FROM parts \(clause)", values) { row in
            PartRecord(
                number: Int(row.integer(0)),
                size: row.integer(1),
                eTag: row.text(2),
                crc: row.blob(3),
                digest: row.optionalBlob(4)
            )
        }
    }

    /// Creates the row of a part unless it exists.
    func insert(_ part: PartRecord, of upload: Int64, in database: Database) throws(SQLiteError) {
        try database.run(
            "INSERT OR IGNORE INTO parts (upload, number, size, etag, crc, digest) VALUES (?, ?, ?, ?, ?, ?)",
            [
                .integer(upload), .integer(Int64(part.number)), .integer(part.size), .text(part.eTag),
                .blob(part.crc), SQLValue(part.digest),
            ]
        )
    }

    /// Deletes the rows of parts that the store does not have.
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

    /// How an upload ended.
    package enum Outcome: Sendable {
        case done(ObjectProof, size: Int64, partCount: Int?)
        /// The object already existed and is proven to equal the file. Its token identifies it later, or its ETag if
        /// the token is empty.
        case found(ObjectProof, size: Int64, token: String)
        /// Stopped for now, in this state and for this reason.
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

    /// A result to record.
    package enum Entry: Sendable {
        case part(FinishedPart)
        case upload(FinishedUpload)
        /// CompleteMultipartUpload is about to be sent, at this time in milliseconds since 1970; nil once it is
        /// answered. No progress, so `updatedAt` stays.
        case completing(upload: Int64, since: Int64?)
    }

    /// Commits all entries in one transaction. When this returns, parts are finished and uploads are done, durably. The
    /// parts of a finished or aborted upload are deleted.
    ///
    /// - Parameter isLast: whether this is probably the last transaction before the ledger is closed; saves a sync.
    package func commit(_ entries: [Entry], isLast: Bool = false) throws(LedgerError) {
        try transaction(isLast: isLast) { database throws(SQLiteError) in
            for entry in entries {
                switch entry {
                case .part(let finished): try record(finished, in: database)
                case .upload(let finished): try record(finished, in: database)
                case .completing(let upload, let moment):
                    try database.run(
                        "UPDATE uploads SET complete_attempted_at = ? WHERE number = ?",
                        [SQLValue(moment), .integer(upload)]
                    )
                }
            }
        }
    }

    private func record(_ finished: FinishedPart, in database: Database) throws(SQLiteError) {
        let part = finished.part
        try insert(part, of: finished.upload, in: database)
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
            return try recordDone(finished, proof, size: size, partCount: partCount, in: database)
        case .found(let proof, let size, let token):
            try recordDone(finished, proof, size: size, partCount: nil, in: database)
            return try database.run("UPDATE uploads SET token = ? WHERE number = ?", [.text(token), number])
        case .stopped(let state, let error):
            // A repeated failure for the same reason is no progress: an upload that always fails must become stale.
            try database.run(
                """
                UPDATE uploads SET updated_at = CASE WHEN state = ?1 AND last_error IS ?2 THEN updated_at ELSE ?3 END,
                    state = ?1, last_error = ?2
                WHERE number = ?4
                """,
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

    /// One UPDATE, because every UPDATE rewrites the whole row.
    private func recordDone(
        _ finished: FinishedUpload,
        _ proof: ObjectProof,
        size: Int64,
        partCount: Int?,
        in database: Database
    ) throws(SQLiteError) {
        try database.run(
            """
            UPDATE uploads SET state = 'done', etag = ?, version_id = ?, checksum_algorithm = ?,
                checksum_type = ?, checksum_value = ?, size = ?, part_count = ?, parts_done = coalesce(?, 0),
                bytes_done = ?, last_error = NULL, abort_requested = 0, bytes_sent = bytes_sent + ?, updated_at = ?
            WHERE number = ?
            """,
            [
                SQLValue(proof.eTag), SQLValue(proof.versionID), SQLValue(proof.checksumAlgorithm),
                SQLValue(proof.checksumType), SQLValue(proof.checksumValue), .integer(size),
                SQLValue(partCount.map(Int64.init)), SQLValue(partCount.map(Int64.init)), .integer(size),
                .integer(finished.bytesSent), .integer(now()), .integer(finished.upload),
            ]
        )
        try database.run("DELETE FROM parts WHERE upload = ?", [.integer(finished.upload)])
    }

    /// Records an abort request before the store receives it.
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
        guard let record else { throw .failed("upload \(number) is no longer in the ledger") }
        return record
    }
}
