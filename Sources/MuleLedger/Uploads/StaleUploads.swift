// Finds uploads that may be at a store for longer than they should.

import MulePlan
import MuleSQLite

extension Ledger {
    /// A slice of the unfinished uploads without progress since a time (milliseconds since 1970), and of those with a
    /// requested abort, by number, starting after `number`.
    package func stale(before time: Int64, after number: Int64, limit: Int) throws(LedgerError) -> [UploadRecord] {
        try perform { database throws(SQLiteError) in
            try records(
                in: database,
                by: .unfinished,
                """
                WHERE state NOT IN ('done', 'aborted') AND number > ? AND (abort_requested OR updated_at < ?)
                ORDER BY number LIMIT ?
                """,
                [.integer(number), .integer(time), .integer(Int64(limit))]
            )
        }
    }

    /// Uploads of a bucket with these upload IDs, in any state, oldest first.
    package func uploads(withUploadIDs ids: [String], in bucket: String) throws(LedgerError) -> [UploadRecord] {
        // One statement for any count: unused parameters are null, which equals nothing.
        let width = 500
        let marks = Array(repeating: "?", count: width).joined(separator: ", ")
        var found: [UploadRecord] = []
        var rest = ids[...]
        while !rest.isEmpty {
            let slice = rest.prefix(width)
            rest = rest.dropFirst(width)
            let values = slice.map { SQLValue.text($0) } + Array(repeating: .null, count: width - slice.count)
            found += try perform { database throws(SQLiteError) in
                try records(
                    in: database,
                    by: .uploadID,
                    "WHERE bucket = ? AND upload_id IN (\(marks))",
                    [.text(bucket)] + values
                )
            }
        }
        return found.sorted { $0.number < $1.number }
    }

    /// Unfinished uploads that were created at a store in a bucket.
    package func created(
        in bucket: String,
        at store: StoreAddress,
        limit: Int
    ) throws(LedgerError) -> [UploadRecord] {
        try perform { database throws(SQLiteError) in
            try records(
                in: database,
                by: .unfinished,
                """
                WHERE state NOT IN ('done', 'aborted') AND upload_id IS NOT NULL AND bucket = ? AND endpoint = ?
                    AND profile IS ? AND signer IS ?
                ORDER BY number DESC LIMIT ?
                """,
                [
                    .text(bucket), .text(store.endpoint), SQLValue(store.profile), SQLValue(store.signer?.url),
                    .integer(Int64(limit)),
                ]
            )
        }
    }

    /// Whether any upload to the endpoint is recorded.
    package func knows(endpoint: String) throws(LedgerError) -> Bool {
        try perform { database throws(SQLiteError) in
            try !database.run("SELECT 1 FROM uploads WHERE endpoint = ? LIMIT 1", [.text(endpoint)], read: { _ in })
                .isEmpty
        }
    }

    /// The stores and buckets, per profile, with unfinished uploads, and those where an upload ended since a time
    /// (milliseconds since 1970; nil for none). `max(number)` makes SQLite take the other columns from the newest row:
    /// https://sqlite.org/lang_select.html#bareagg
    package func places(endedSince time: Int64?) throws(LedgerError) -> [(store: StoreAddress, bucket: String)] {
        let begun = "SELECT * FROM uploads WHERE (upload_id IS NOT NULL OR create_attempted_at IS NOT NULL)"
        // Two queries, so that the first uses the index.
        let ended = time == nil ? "" : "UNION ALL \(begun) AND updated_at >= ?"
        return try places(
            """
            (\(begun) AND state NOT IN ('done', 'aborted') \(ended))
            GROUP BY endpoint, bucket, profile, signer ORDER BY endpoint, bucket, profile, signer,
                max(number)
            """,
            time.map { [.integer($0)] } ?? []
        )
    }

    /// The stores and buckets of all uploads, per profile, most recent first.
    package func places() throws(LedgerError) -> [(store: StoreAddress, bucket: String)] {
        try places("uploads GROUP BY endpoint, bucket, profile, signer ORDER BY max(number) DESC", [])
    }

    private static let placeColumns =
        "endpoint, region, addressing, profile, ca_bundle, client_certificate, client_key, bucket, signer, "
        + "signer_protocol, attributes"

    private func places(
        _ origin: String,
        _ values: [SQLValue]
    ) throws(LedgerError) -> [(store: StoreAddress, bucket: String)] {
        try perform { database throws(SQLiteError) in
            try database.run(
                "SELECT \(Self.placeColumns) FROM \(origin)",
                values
            ) { row in
                Place(
                    store: StoreAddress(
                        endpoint: row.text(0),
                        region: row.text(1),
                        addressing: row.text(2),
                        profile: row.optionalText(3),
                        caBundle: row.optionalText(4),
                        clientCertificate: row.optionalText(5),
                        clientKey: row.optionalText(6),
                        signer: signer(row, 8),
                        requestHeaders: ObjectAttributes(text: row.text(10)).parted.requests
                    ),
                    bucket: row.text(7)
                )
            }
        }.map { ($0.store, $0.bucket) }
    }
}

private struct Place: Sendable {
    var store: StoreAddress
    var bucket: String
}
