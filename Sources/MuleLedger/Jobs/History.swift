// Removes old history from the ledger in small transactions, so that active runs are not blocked, and the next call
// continues after a kill.

import MuleSQLite

/// How many rows were removed, or would be.
package struct HistoryCounts: Hashable, Sendable {
    package var runs = 0
    package var receipts = 0
    package var notices = 0
    package var items = 0
    package var uploads = 0

    package init() {}

    package var isEmpty: Bool { self == HistoryCounts() }
}

/// An item with its job.
package struct OwnedItem: Hashable, Sendable {
    package var job: Int64
    package var item: JobItem
}

extension Ledger {
    /// Runs that ended before a time and are not the last of their job, which shows its current state.
    private static let oldRuns = """
        coalesce(ended_at, started_at) < ?1
            AND EXISTS (SELECT 1 FROM runs AS later WHERE later.job = runs.job AND later.number > runs.number)
        """

    /// Counts runs, receipts and notices older than a time (milliseconds since 1970).
    package func oldHistory(before time: Int64) throws(LedgerError) -> HistoryCounts {
        try perform { database throws(SQLiteError) in
            var counts = HistoryCounts()
            func count(_ sql: String) throws(SQLiteError) -> Int {
                try database.run(sql, [.integer(time)]) { Int($0.integer(0)) }.first ?? 0
            }
            counts.runs = try count("SELECT count(*) FROM runs WHERE \(Self.oldRuns)")
            counts.receipts = try count(
                "SELECT count(*) FROM receipts WHERE run IN (SELECT number FROM runs WHERE \(Self.oldRuns))"
            )
            counts.notices = try count("SELECT count(*) FROM notices WHERE created_at < ?")
            return counts
        }
    }

    /// Removes the oldest of them, a few thousand rows at a time. Totals stay with the job.
    ///
    /// - Returns: what was removed; empty when nothing is left.
    package func removeHistory(before time: Int64) throws(LedgerError) -> HistoryCounts {
        try transaction { database throws(SQLiteError) in
            var counts = HistoryCounts()
            try database.run("DELETE FROM notices WHERE created_at < ?", [.integer(time)])
            counts.notices = database.changes
            let runs = try database.run(
                "SELECT number FROM runs WHERE \(Self.oldRuns) ORDER BY number LIMIT 500",
                [.integer(time)]
            ) { $0.integer(0) }
            for run in runs {
                let room = Self.rowsAtOnce - counts.receipts
                try database.run(
                    """
                    DELETE FROM receipts WHERE run = ?1
                        AND number IN (SELECT number FROM receipts WHERE run = ?1 ORDER BY number LIMIT ?2)
                    """,
                    [.integer(run), .integer(Int64(room))]
                )
                counts.receipts += database.changes
                // The run may have more receipts.
                if counts.receipts == Self.rowsAtOnce { break }
                try database.run(
                    """
                    UPDATE jobs SET past_archived = past_archived + old.archived, past_bytes = past_bytes + old.bytes,
                        past_failures = past_failures + old.failed + old.actions_failed,
                        past_success = CASE WHEN old.status = 0 THEN max(coalesce(past_success, 0), old.ended_at)
                            ELSE past_success END
                    FROM runs AS old WHERE old.number = ? AND jobs.number = old.job
                    """,
                    [.integer(run)]
                )
                try database.run("DELETE FROM runs WHERE number = ?", [.integer(run)])
                counts.runs += 1
            }
            return counts
        }
    }

    private static let rowsAtOnce = 5000

    /// Items unchanged since a time with nothing left to do: settled ones, and those without an upload. Sorted by job
    /// and path, starting after `last`.
    package func oldItems(
        before time: Int64,
        after last: OwnedItem?,
        limit: Int
    ) throws(LedgerError) -> [OwnedItem] {
        try perform { database throws(SQLiteError) in
            let places = try database.run(
                """
                SELECT items.job, items.source FROM items LEFT JOIN uploads ON uploads.number = items.upload
                WHERE (items.job, items.source) > (?, ?) AND items.updated_at < ?
                    AND (items.state = 'settled'
                        OR (items.state = 'pending' AND (uploads.number IS NULL OR uploads.state = 'aborted')))
                ORDER BY items.job, items.source LIMIT ?
                """,
                [.integer(last?.job ?? 0), .blob(last?.item.source ?? []), .integer(time), .integer(Int64(limit))]
            ) { ($0.integer(0), $0.blob(1)) }
            var found: [OwnedItem] = []
            for (job, source) in places {
                let item = try Self.items(
                    in: database,
                    "WHERE items.job = ? AND items.source = ?",
                    [.integer(job), .blob(source)]
                ).first
                if let item { found.append(OwnedItem(job: job, item: item)) }
            }
            return found
        }
    }

    /// Removes items unchanged since a time.
    ///
    /// - Returns: how many were removed.
    package func remove(_ items: [OwnedItem], before time: Int64) throws(LedgerError) -> Int {
        try transaction { database throws(SQLiteError) in
            var count = 0
            for owned in items {
                try database.run(
                    "DELETE FROM items WHERE job = ? AND source = ? AND updated_at < ? AND state IN ('settled', "
                        + "'pending')",
                    [.integer(owned.job), .blob(owned.item.source), .integer(time)]
                )
                count += database.changes
            }
            return count
        }
    }

    /// Uploads done or aborted before a time that no item refers to, by number, starting after `number`.
    package func overUploads(
        before time: Int64,
        after number: Int64,
        limit: Int
    ) throws(LedgerError) -> [UploadRecord] {
        try perform { database throws(SQLiteError) in
            try records(
                in: database,
                """
                WHERE number > ? AND state IN ('done', 'aborted') AND updated_at < ?
                    AND NOT EXISTS (SELECT 1 FROM items WHERE items.upload = uploads.number)
                ORDER BY number LIMIT ?
                """,
                [.integer(number), .integer(time), .integer(Int64(limit))]
            )
        }
    }

    /// Removes uploads that are done or aborted and that no item refers to.
    ///
    /// - Returns: how many were removed.
    package func removeOver(_ numbers: [Int64]) throws(LedgerError) -> Int {
        try transaction { database throws(SQLiteError) in
            var count = 0
            for number in numbers {
                try database.run(
                    """
                    DELETE FROM uploads WHERE number = ? AND state IN ('done', 'aborted')
                        AND NOT EXISTS (SELECT 1 FROM items WHERE items.upload = uploads.number)
                    """,
                    [.integer(number)]
                )
                guard database.changes > 0 else { continue }
                count += 1
                try database.run("DELETE FROM parts WHERE upload = ?", [.integer(number)])
            }
            return count
        }
    }
}
