import MulePlan
import MuleSQLite

/// The index for statements about many uploads. SQLite does not know how few rows match, and would scan all rows to get
/// them in order (https://sqlite.org/lang_indexedby.html).
enum UploadIndex: String {
    /// SQLite's choice, for a statement about one upload.
    case any = ""
    /// Uploads that are neither done nor aborted, by number.
    case unfinished = "INDEXED BY uploads_unfinished"
    case uploadID = "INDEXED BY uploads_by_upload_id"
    case token = "INDEXED BY uploads_by_token"
}

/// The uploads that the clause selects; `record` reads the columns in the same order.
func records(
    in database: Database,
    by index: UploadIndex = .any,
    _ clause: String,
    _ values: [SQLValue]
) throws(SQLiteError) -> [UploadRecord] {
    try records(in: database, UploadQuery(by: index, clause), values)
}

func records(
    in database: Database,
    _ selection: UploadQuery,
    _ values: [SQLValue]
) throws(SQLiteError) -> [UploadRecord] {
    try database.run(selection.sql, values, read: record)
}

/// A statement for `records`. Those that run for each file are made once.
struct UploadQuery: Sendable {
    fileprivate let sql: String

    init(by index: UploadIndex = .any, _ clause: String) {
        sql = """
            SELECT number, id, state, source, device, inode, size, modified, endpoint, region, addressing, profile,
                ca_bundle, bucket, key, attributes, only_if_absent, checksum, payload_signing, part_size, part_count,
                token, create_attempted_at, upload_id, integrity, abort_date, abort_requested, parts_done, bytes_done,
                bytes_sent, etag, version_id, checksum_algorithm, checksum_type, checksum_value, last_error,
                created_at, updated_at, changing, change_time, client_certificate, client_key, signer, signer_protocol,
                sse_c, if_match, complete_attempted_at
            FROM uploads \(index.rawValue) \(clause)
            """
    }

    static let unfinishedLike = UploadQuery(
        """
        WHERE source = ? AND bucket = ? AND key = ? AND endpoint = ? AND state NOT IN ('done', 'aborted')
        ORDER BY number DESC LIMIT 1
        """
    )

    static let lastDone = UploadQuery(
        """
        WHERE source = ? AND bucket = ? AND key = ? AND endpoint = ? AND state = 'done'
        ORDER BY number DESC LIMIT 1
        """
    )
}

/// Writes everything but the plan into the row that was created for the upload; the counterpart of `record`.
func store(_ record: UploadRecord, as number: Int64, in database: Database) throws(SQLiteError) {
    try database.run(
        """
        UPDATE uploads SET state = ?, size = ?, part_count = ?, token = ?, create_attempted_at = ?, upload_id = ?,
            complete_attempted_at = ?, integrity = ?, abort_date = ?, abort_requested = ?, parts_done = ?, bytes_done = ?, bytes_sent = ?,
            etag = ?, version_id = ?, checksum_algorithm = ?, checksum_type = ?, checksum_value = ?, last_error = ?,
            created_at = ?, updated_at = ?
        WHERE number = ?
        """,
        [
            .text(record.state.rawValue), SQLValue(record.size), SQLValue(record.partCount.map(Int64.init)),
            .text(record.token), SQLValue(record.createAttemptedAt), SQLValue(record.uploadID),
            SQLValue(record.completeAttemptedAt), SQLValue(record.negotiated), SQLValue(record.abortDate),
            .integer(record.abortRequested ? 1 : 0),
            .integer(Int64(record.partsDone)), .integer(record.bytesDone), .integer(record.bytesSent),
            SQLValue(record.proof.eTag), SQLValue(record.proof.versionID), SQLValue(record.proof.checksumAlgorithm),
            SQLValue(record.proof.checksumType), SQLValue(record.proof.checksumValue), SQLValue(record.lastError),
            .integer(record.createdAt), .integer(record.updatedAt), .integer(number),
        ]
    )
}

/// The signer of two columns, the first of which has the number.
func signer(_ row: SQLRow, _ column: Int32) -> SignerPlace? {
    row.optionalText(column).map { SignerPlace(url: $0, protocolName: row.optionalText(column + 1) ?? "server") }
}

private func record(_ row: SQLRow) -> UploadRecord {
    // A file has a device; without one, the path column holds a stream's name.
    let path = row.optionalBlob(3)
    let source = row.optionalInteger(4).map { device in
        SourceIdentity(
            path: path ?? [],
            device: UInt64(bitPattern: device),
            inode: UInt64(bitPattern: row.integer(5)),
            size: row.integer(6),
            modificationTime: row.integer(7),
            changeTime: row.optionalInteger(39)
        )
    }
    let headers = ObjectAttributes(text: row.text(15)).parted
    let stream = source == nil ? path.flatMap { StreamSource(rawValue: String(decoding: $0, as: UTF8.self)) } : nil
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
                caBundle: row.optionalText(12),
                clientCertificate: row.optionalText(40),
                clientKey: row.optionalText(41),
                signer: signer(row, 42),
                requestHeaders: headers.requests,
                customerKey: row.optionalText(44)
            ),
            destination: ObjectAddress(bucket: row.text(13), key: ObjectKey(row.blob(14))),
            attributes: headers.object,
            onlyIfAbsent: row.integer(16) != 0,
            integrity: IntegrityOptions(checksum: row.text(17), payloadSigning: row.text(18)),
            partSize: row.optionalInteger(19),
            changing: ChangingSource(rawValue: row.text(38)) ?? .refuse,
            stream: stream,
            ifMatch: row.optionalText(45)
        ),
        size: row.optionalInteger(6),
        partCount: row.optionalInteger(20).map { Int($0) },
        token: row.text(21),
        createAttemptedAt: row.optionalInteger(22),
        uploadID: row.optionalText(23),
        completeAttemptedAt: row.optionalInteger(46),
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
