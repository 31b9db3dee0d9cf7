// The history of archive jobs: their runs, and the result of every file.

package import MulePlan
import MuleSQLite

/// Totals of a run.
package struct RunCounts: Hashable, Sendable {
    /// Selected files.
    package var found = 0
    /// Confirmed before and unchanged since.
    package var unchanged = 0
    /// Confirmed by the store in this run.
    package var archived = 0
    /// Bytes of the archived files.
    package var bytes: Int64 = 0
    /// Payload bytes sent, including retries.
    package var bytesSent: Int64 = 0
    /// Bytes that earlier runs had uploaded.
    package var bytesSkipped: Int64 = 0
    package var failed = 0
    /// Quarantined, because they failed permanently too often.
    package var quarantined = 0
    /// Left for the next run: stopped, resumable, held by another process, or not acted on.
    package var unfinished = 0
    /// Files moved or removed.
    package var acted = 0
    package var actionsFailed = 0

    package init() {}
}

/// A run of a job.
package struct RunRecord: Hashable, Sendable {
    package var number: Int64
    package var job: Int64
    package var jobName: String
    /// Milliseconds since 1970.
    package var startedAt: Int64
    /// Nil while the run is active, and if it was killed.
    package var endedAt: Int64?
    /// Its exit status.
    package var status: Int?
    /// What stopped the whole run.
    package var error: String?
    package var counts: RunCounts
}

/// The result of one file in one run.
package struct Receipt: Hashable, Sendable {
    package enum Result: String, Sendable {
        /// Confirmed by the store.
        case archived
        case failed
        /// Archived by an earlier run; this run acted on the file.
        case settled
    }

    package struct Failure: Hashable, Sendable {
        package var kind: String
        package var message: String

        package init(kind: String, message: String) {
            self.kind = kind
            self.message = message
        }
    }

    /// Starts at 1 in each run.
    package var number: Int64
    /// Nil if no upload was started.
    package var upload: Int64?
    /// Canonical path.
    package var source: [UInt8]
    /// Nil if unknown, for example for a file that could not be read.
    package var destination: ObjectAddress?
    package var result: Result
    package var failure: Failure?
    /// Attempts including this run. Counted by the ledger, and ignored when a receipt is recorded.
    package internal(set) var attempts = 0
    package var bytesSent: Int64
    package var bytesSkipped: Int64
    /// When this run started the file, in milliseconds since 1970.
    package var startedAt: Int64?
    package var endedAt: Int64
    package var action: ItemAction?
    package var actionError: String?

    package init(
        number: Int64,
        upload: Int64?,
        source: [UInt8],
        destination: ObjectAddress?,
        result: Result,
        failure: Failure? = nil,
        bytesSent: Int64 = 0,
        bytesSkipped: Int64 = 0,
        startedAt: Int64? = nil,
        endedAt: Int64,
        action: ItemAction? = nil,
        actionError: String? = nil
    ) {
        self.number = number
        self.upload = upload
        self.source = source
        self.destination = destination
        self.result = result
        self.failure = failure
        self.bytesSent = bytesSent
        self.bytesSkipped = bytesSkipped
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.action = action
        self.actionError = actionError
    }
}

extension Ledger {
    /// - Returns: the run's number, never used twice.
    package func beginRun(of job: Int64) throws(LedgerError) -> Int64 {
        try transaction { database throws(SQLiteError) in
            try database.run(
                "INSERT INTO runs (job, started_at) VALUES (?, ?)",
                [.integer(job), .integer(now())]
            )
            return database.lastNumber
        }
    }

    /// - Parameter status: the exit status; nil while the run is active.
    package func note(
        _ counts: RunCounts,
        of run: Int64,
        status: Int?,
        error: String?
    ) throws(LedgerError) {
        try transaction { database throws(SQLiteError) in
            try database.run(
                """
                UPDATE runs SET ended_at = ?, status = ?, error = ?, found = ?, unchanged = ?, archived = ?, bytes = ?,
                    bytes_sent = ?, bytes_skipped = ?, failed = ?, quarantined = ?, unfinished = ?, acted = ?,
                    actions_failed = ?
                WHERE number = ?
                """,
                [
                    status == nil ? .null : .integer(now()), SQLValue(status.map(Int64.init)), SQLValue(error),
                    .integer(Int64(counts.found)), .integer(Int64(counts.unchanged)),
                    .integer(Int64(counts.archived)), .integer(counts.bytes), .integer(counts.bytesSent),
                    .integer(counts.bytesSkipped), .integer(Int64(counts.failed)),
                    .integer(Int64(counts.quarantined)), .integer(Int64(counts.unfinished)),
                    .integer(Int64(counts.acted)), .integer(Int64(counts.actionsFailed)), .integer(run),
                ]
            )
        }
    }

    /// A slice of the runs that started at a time (milliseconds since 1970) or later, oldest first, starting after
    /// `number`.
    ///
    /// - Parameter job: only runs of this job; nil for all.
    package func runs(
        since time: Int64,
        of job: Int64? = nil,
        after number: Int64 = 0,
        limit: Int = .max
    ) throws(LedgerError) -> [RunRecord] {
        try runs(
            "WHERE runs.number > ?1 AND runs.started_at >= ?2 AND (?3 IS NULL OR runs.job = ?3) ORDER BY runs.number "
                + "LIMIT ?4",
            [.integer(number), .integer(time), SQLValue(job), .integer(Int64(clamping: limit))]
        )
    }

    package func run(number: Int64) throws(LedgerError) -> RunRecord? {
        try runs("WHERE runs.number = ?", [.integer(number)]).first
    }

    private func runs(_ clause: String, _ values: [SQLValue]) throws(LedgerError) -> [RunRecord] {
        try perform { database throws(SQLiteError) in try Self.runs(clause, values, in: database) }
    }

    static func runs(
        _ clause: String,
        _ values: [SQLValue],
        in database: Database
    ) throws(SQLiteError) -> [RunRecord] {
        try database.run(
            """
            SELECT runs.number, job, name, started_at, ended_at, status, error, found, unchanged, archived, bytes,
                bytes_sent, bytes_skipped, failed, quarantined, unfinished, acted, actions_failed
            FROM runs JOIN jobs ON jobs.number = runs.job \(clause)
            """,
            values
        ) { row in
            var counts = RunCounts()
            counts.found = Int(row.integer(7))
            counts.unchanged = Int(row.integer(8))
            counts.archived = Int(row.integer(9))
            counts.bytes = row.integer(10)
            counts.bytesSent = row.integer(11)
            counts.bytesSkipped = row.integer(12)
            counts.failed = Int(row.integer(13))
            counts.quarantined = Int(row.integer(14))
            counts.unfinished = Int(row.integer(15))
            counts.acted = Int(row.integer(16))
            counts.actionsFailed = Int(row.integer(17))
            return RunRecord(
                number: row.integer(0),
                job: row.integer(1),
                jobName: row.text(2),
                startedAt: row.integer(3),
                endedAt: row.optionalInteger(4),
                status: row.optionalInteger(5).map { Int($0) },
                error: row.optionalText(6),
                counts: counts
            )
        }
    }

    func insert(_ receipt: Receipt, of run: JobRun, in database: Database) throws(SQLiteError) {
        try database.run(
            """
            INSERT INTO receipts (run, number, upload, source, bucket, key, result, kind, message, attempts, bytes_sent,
                bytes_skipped, started_at, ended_at, action, target, action_error)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?,
                coalesce((SELECT attempts FROM items WHERE job = ? AND source = ?), 0) + ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                .integer(run.run), .integer(receipt.number), SQLValue(receipt.upload), .blob(receipt.source),
                SQLValue(receipt.destination?.bucket), SQLValue(receipt.destination?.key.utf8),
                .text(receipt.result.rawValue), SQLValue(receipt.failure?.kind), SQLValue(receipt.failure?.message),
                .integer(run.job), .blob(receipt.source), .integer(receipt.result == .settled ? 0 : 1),
                .integer(receipt.bytesSent), .integer(receipt.bytesSkipped),
                SQLValue(receipt.startedAt), .integer(receipt.endedAt), SQLValue(receipt.action?.name),
                SQLValue(receipt.action?.target), SQLValue(receipt.actionError),
            ]
        )
    }

    /// The number of receipts of a run.
    package func receiptCount(of run: Int64) throws(LedgerError) -> Int64 {
        try perform { database throws(SQLiteError) in
            try database.run("SELECT count(*) FROM receipts WHERE run = ?", [.integer(run)]) { $0.integer(0) }.first
                ?? 0
        }
    }

    /// A slice of a run's receipts by number, starting after `number`, each with its upload if that is still recorded.
    package func receipts(
        of run: Int64,
        after number: Int64,
        limit: Int
    ) throws(LedgerError) -> [(receipt: Receipt, upload: UploadRecord?)] {
        try perform { database throws(SQLiteError) in
            let receipts = try Self.receipts(
                "run = ? AND number > ? ORDER BY number LIMIT ?",
                [.integer(run), .integer(number), .integer(Int64(limit))],
                in: database
            )
            var found: [KnownReceipt] = []
            for receipt in receipts {
                let upload = try receipt.upload.flatMap { number throws(SQLiteError) in
                    try records(in: database, "WHERE number = ?", [.integer(number)]).first
                }
                found.append(KnownReceipt(receipt: receipt, upload: upload))
            }
            return found
        }.map { ($0.receipt, $0.upload) }
    }

    static func receipts(
        _ clause: String,
        _ values: [SQLValue],
        in database: Database
    ) throws(SQLiteError) -> [Receipt] {
        try database.run(
            """
            SELECT number, upload, source, bucket, key, result, kind, message, attempts, bytes_sent, bytes_skipped,
                started_at, ended_at, action, target, action_error
            FROM receipts WHERE \(clause)
            """,
            values,
            read: receipt
        )
    }

    private static func receipt(_ row: SQLRow) -> Receipt {
        var receipt = Receipt(
            number: row.integer(0),
            upload: row.optionalInteger(1),
            source: row.blob(2),
            destination: row.optionalText(3).map { bucket in
                ObjectAddress(bucket: bucket, key: ObjectKey(row.blob(4)))
            },
            result: Receipt.Result(rawValue: row.text(5)) ?? .failed,
            failure: row.optionalText(6).map { Receipt.Failure(kind: $0, message: row.text(7)) },
            bytesSent: row.integer(9),
            bytesSkipped: row.integer(10),
            startedAt: row.optionalInteger(11),
            endedAt: row.integer(12),
            action: row.optionalText(13).map { ItemAction($0, target: row.optionalBlob(14)) },
            actionError: row.optionalText(15)
        )
        receipt.attempts = Int(row.integer(8))
        return receipt
    }
}

private struct KnownReceipt: Sendable {
    var receipt: Receipt
    var upload: UploadRecord?
}
