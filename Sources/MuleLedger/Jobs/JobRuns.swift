// The history of archive jobs: their runs, and in each what became of every file.

package import MulePlan
import MuleSQLite

/// What a run has come to, in numbers.
package struct RunCounts: Hashable, Sendable {
    /// Files that were selected.
    package var found = 0
    /// Confirmed before and not changed since.
    package var unchanged = 0
    /// Confirmed by the store in this run.
    package var archived = 0
    /// Sizes of those, in bytes.
    package var bytes: Int64 = 0
    /// Payload bytes that went out, retries included.
    package var bytesSent: Int64 = 0
    /// Bytes that earlier runs had delivered.
    package var bytesSkipped: Int64 = 0
    package var failed = 0
    /// Left alone, since they have failed for good too often.
    package var quarantined = 0
    /// Known to be archived and not done yet.
    package var unfinished = 0
    /// Files that were moved or removed.
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
    /// Nil while it goes on, and for one that was killed.
    package var endedAt: Int64?
    /// The exit status that it ended with.
    package var status: Int?
    /// What kept the whole run from its end.
    package var error: String?
    package var counts: RunCounts
}

/// What became of one file in one run.
package struct Receipt: Hashable, Sendable {
    package enum Result: String, Sendable {
        /// Confirmed by the store.
        case archived
        case failed
        /// Archived by an earlier run; its file has been dealt with in this one.
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

    /// Counts from 1 in each run.
    package var number: Int64
    /// Nil for a file of which no upload was begun.
    package var upload: Int64?
    /// Canonical path.
    package var source: [UInt8]
    /// Nil where it is not known: for a file that could not be read.
    package var destination: ObjectAddress?
    package var result: Result
    package var failure: Failure?
    /// Runs that have tried, this one included. Counted by the ledger; what is recorded here is not asked for.
    package internal(set) var attempts = 0
    package var bytesSent: Int64
    package var bytesSkipped: Int64
    /// When this run took it up; milliseconds since 1970.
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
    /// - Returns: the number of the run, never used twice.
    package func beginRun(of job: Int64) throws(LedgerError) -> Int64 {
        try transaction { database throws(SQLiteError) in
            try database.run(
                "INSERT INTO runs (job, started_at) VALUES (?, ?)",
                [.integer(job), .integer(now())]
            )
            return database.lastNumber
        }
    }

    /// - Parameter status: the exit status; nil while the run goes on.
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

    /// Runs that began at a time (milliseconds since 1970) or later, the oldest first, those behind `number`. In slices, so
    /// that those of many years fit.
    ///
    /// - Parameter job: only those of this one.
    package func runs(
        since time: Int64,
        of job: Int64? = nil,
        after number: Int64 = 0,
        limit: Int = .max
    ) throws(LedgerError) -> [RunRecord] {
        try runs(
            "WHERE runs.number > ?1 AND runs.started_at >= ?2 AND (?3 IS NULL OR runs.job = ?3) ORDER BY runs.number LIMIT ?4",
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

    /// How many receipts a run has.
    package func receiptCount(of run: Int64) throws(LedgerError) -> Int64 {
        try perform { database throws(SQLiteError) in
            try database.run("SELECT count(*) FROM receipts WHERE run = ?", [.integer(run)]) { $0.integer(0) }.first
                ?? 0
        }
    }

    /// The receipts of a run in the order of their numbers, those behind `number`, each with its upload where that is still on
    /// record. In slices, so that a million of them fit.
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
