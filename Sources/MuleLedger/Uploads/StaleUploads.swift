// What the ledger knows of uploads that may lie at a store for longer than they should.

import MulePlan

extension Ledger {
    /// Unfinished uploads without progress since a time (milliseconds since 1970), and those that are to be given up; in the
    /// order of their numbers, from the one behind `number` on. In slices, so that a million of them fit.
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

    /// Uploads of a bucket, of whatever state, that the store knows by these IDs; the oldest first.
    package func uploads(withUploadIDs ids: [String], in bucket: String) throws(LedgerError) -> [UploadRecord] {
        // One statement whatever the count: the places that are left over hold null, which equals nothing.
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

    /// Unfinished uploads that a store has created in a bucket.
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

    /// Whether any upload was ever begun there.
    package func knows(endpoint: String) throws(LedgerError) -> Bool {
        try perform { database throws(SQLiteError) in
            try !database.run("SELECT 1 FROM uploads WHERE endpoint = ? LIMIT 1", [.text(endpoint)], read: { _ in })
                .isEmpty
        }
    }

    /// The stores and buckets, for each user once, in which uploads are unfinished, and those in which one has ended since a
    /// time (milliseconds since 1970; nil for none of them).
    package func places(endedSince time: Int64?) throws(LedgerError) -> [(store: StoreAddress, bucket: String)] {
        let begun = "SELECT * FROM uploads WHERE (upload_id IS NOT NULL OR create_attempted_at IS NOT NULL)"
        // Two questions, so that the first is answered from the index.
        let ended = time == nil ? "" : "UNION ALL \(begun) AND updated_at >= ?"
        return try places(
            """
            (\(begun) AND state NOT IN ('done', 'aborted') \(ended))
            GROUP BY endpoint, bucket, profile, signer ORDER BY endpoint, bucket, profile, signer
            """,
            time.map { [.integer($0)] } ?? []
        )
    }

    /// The stores and buckets that any upload went to, for each user once, those of the latest ones first.
    package func places() throws(LedgerError) -> [(store: StoreAddress, bucket: String)] {
        try places("uploads GROUP BY endpoint, bucket, profile, signer ORDER BY max(number) DESC", [])
    }

    private func places(
        _ origin: String,
        _ values: [SQLValue]
    ) throws(LedgerError) -> [(store: StoreAddress, bucket: String)] {
        try perform { database throws(SQLiteError) in
            try database.run(
                "SELECT endpoint, region, addressing, profile, ca_bundle, bucket, signer, signer_protocol FROM \(origin)",
                values
            ) { row in
                Place(
                    store: StoreAddress(
                        endpoint: row.text(0),
                        region: row.text(1),
                        addressing: row.text(2),
                        profile: row.optionalText(3),
                        caBundle: row.optionalText(4),
                        signer: signer(row, 6)
                    ),
                    bucket: row.text(5)
                )
            }
        }.map { ($0.store, $0.bucket) }
    }
}

private struct Place: Sendable {
    var store: StoreAddress
    var bucket: String
}
