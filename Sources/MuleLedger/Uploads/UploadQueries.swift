// Queries about uploads and endpoints.

package import MulePlan
import MuleSQLite

extension Ledger {
    package func upload(id: String) throws(LedgerError) -> UploadRecord? {
        try perform { database throws(SQLiteError) in
            try records(in: database, "WHERE id = ?", [.text(id)]).first
        }
    }

    package func upload(number: Int64) throws(LedgerError) -> UploadRecord? {
        try perform { database throws(SQLiteError) in
            try records(in: database, "WHERE number = ?", [.integer(number)]).first
        }
    }

    /// The unfinished upload of the same source to the same object, without taking its lease.
    package func unfinished(like upload: NewUpload) throws(LedgerError) -> UploadRecord? {
        try perform { database throws(SQLiteError) in try unfinished(like: upload, in: database) }
    }

    /// The latest upload of this path to the bucket by a signer that is neither aborted nor failed without parts.
    package func last(source: [UInt8], bucket: String, signer: String) throws(LedgerError) -> UploadRecord? {
        try perform { database throws(SQLiteError) in
            try records(
                in: database,
                """
                WHERE source = ? AND bucket = ? AND signer = ? AND state != 'aborted'
                ORDER BY number DESC LIMIT 1
                """,
                [.blob(source), .text(bucket), .text(signer)]
            ).first
        }
    }

    /// The latest confirmed upload of this path to this object.
    package func lastDone(
        source: [UInt8],
        destination: ObjectAddress,
        endpoint: String
    ) throws(LedgerError) -> UploadRecord? {
        try perform { database throws(SQLiteError) in
            try lastDone(source, destination, endpoint: endpoint, in: database)
        }
    }

    private func lastDone(
        _ source: [UInt8],
        _ destination: ObjectAddress,
        endpoint: String,
        in database: Database
    ) throws(SQLiteError) -> UploadRecord? {
        try records(
            in: database,
            .lastDone,
            [.blob(source), .text(destination.bucket), .blob(destination.key.utf8), .text(endpoint)]
        ).first
    }

    /// Whether an upload that was done before `record` was registered made an object with this token.
    package func hasMade(token: String, before record: UploadRecord) throws(LedgerError) -> Bool {
        try perform { database throws(SQLiteError) in
            try !records(
                in: database,
                by: .token,
                "WHERE token = ? AND state = 'done' AND bucket = ? AND key = ? AND updated_at <= ? LIMIT 1",
                [
                    .text(token), .text(record.upload.destination.bucket), .blob(record.upload.destination.key.utf8),
                    .integer(record.createdAt),
                ]
            ).isEmpty
        }
    }

    func lastDone(like upload: NewUpload, in database: Database) throws(SQLiteError) -> UploadRecord? {
        guard let source = upload.source?.path else { return nil }
        return try lastDone(source, upload.destination, endpoint: upload.store.endpoint, in: database)
    }

    // MARK: Facts about endpoints

    /// A fact about an endpoint; nil if unknown or expired.
    package func fact(_ name: String, of endpoint: String) throws(LedgerError) -> String? {
        try perform { database throws(SQLiteError) in
            try database.run(
                "SELECT value FROM facts WHERE endpoint = ? AND name = ? AND expires_at > ?",
                [.text(endpoint), .text(name), .integer(now())]
            ) { $0.text(0) }.first
        }
    }

    /// Stores a fact about an endpoint for `lifetime` seconds. A power cut may undo it: a run learns it again.
    package func remember(
        _ name: String,
        _ value: String,
        of endpoint: String,
        lifetime: Int64
    ) throws(LedgerError) {
        try perform { database throws(SQLiteError) in
            try database.withoutSync { () throws(SQLiteError) in
                try database.run(
                    "INSERT OR REPLACE INTO facts (endpoint, name, value, expires_at) VALUES (?, ?, ?, ?)",
                    [.text(endpoint), .text(name), .text(value), .integer(now() + lifetime * 1000)]
                )
            }
        }
    }
}
