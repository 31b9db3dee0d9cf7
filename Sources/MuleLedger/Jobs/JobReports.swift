// What reports, metrics and hooks need to know about jobs: problems, totals, and delivery states.

import MuleSQLite

/// A job that has run at least once.
package struct KnownJob: Hashable, Sendable {
    package var number: Int64
    package var name: String
    /// Consecutive permanent failures after which a file is quarantined.
    package var quarantineAfter: Int

    package init(number: Int64, name: String, quarantineAfter: Int) {
        self.number = number
        self.name = name
        self.quarantineAfter = quarantineAfter
    }
}

/// A file that is quarantined because it failed too often.
package struct QuarantinedFile: Hashable, Sendable {
    package var job: KnownJob
    package var item: JobItem
}

/// Totals of a job over all runs, and its current state.
package struct JobTotals: Hashable, Sendable {
    /// Over all runs, including removed ones.
    package var archived: Int64 = 0
    package var bytes: Int64 = 0
    /// Failed files and failed actions.
    package var failures: Int64 = 0
    /// When a run last ended with exit status 0, in milliseconds since 1970.
    package var lastSuccess: Int64?
    package var quarantined: Int64 = 0
    /// Unfinished uploads.
    package var pending: Int64 = 0
    /// When the oldest unfinished upload started.
    package var oldestPending: Int64?
    /// Bytes at the store that will not be completed.
    package var orphanBytes: Int64 = 0

    package init() {}
}

extension Ledger {
    /// All jobs that have run, by name.
    package func jobs() throws(LedgerError) -> [KnownJob] {
        try perform { database throws(SQLiteError) in
            try database.run("SELECT number, name, quarantine_after FROM jobs ORDER BY name") { row in
                KnownJob(number: row.integer(0), name: row.text(1), quarantineAfter: Int(row.integer(2)))
            }
        }
    }

    /// Records a job setting that reports need, if it changed.
    package func setQuarantine(after runs: Int, of job: Int64) throws(LedgerError) {
        let known = try perform { database throws(SQLiteError) in
            try database.run("SELECT quarantine_after FROM jobs WHERE number = ?", [.integer(job)]) { $0.integer(0) }
                .first
        }
        guard known != Int64(runs) else { return }
        try transaction { database throws(SQLiteError) in
            try database.run(
                "UPDATE jobs SET quarantine_after = ? WHERE number = ?",
                [.integer(Int64(runs)), .integer(job)]
            )
        }
    }

    /// Items of a job that may need attention: their last attempt failed, or their upload started before a time
    /// (milliseconds since 1970) and is not done. Sorted by path, starting after `source`.
    package func troubledItems(
        of job: Int64,
        startedBefore time: Int64,
        after source: [UInt8]?,
        limit: Int
    ) throws(LedgerError) -> [JobItem] {
        try perform { database throws(SQLiteError) in
            try Self.items(
                in: database,
                by: .open,
                """
                WHERE items.job = ? AND items.source > ? AND items.state != 'settled'
                    AND (items.last_error IS NOT NULL
                        OR (items.state = 'pending' AND uploads.state NOT IN ('done', 'aborted') AND uploads.created_at < ?))
                ORDER BY items.source LIMIT ?
                """,
                [.integer(job), .blob(source ?? []), .integer(time), .integer(Int64(limit))]
            )
        }
    }

    /// Selects quarantined items; for statements with `ItemIndex.failed`.
    private static let isQuarantined = """
        items.failures > 0 AND items.failures >= ? AND items.state != 'settled' AND items.state != 'acting'
        """

    /// The job's quarantined files by path, starting after `source`.
    package func quarantinedFiles(
        of job: KnownJob,
        after source: [UInt8]?,
        limit: Int
    ) throws(LedgerError) -> [QuarantinedFile] {
        try perform { database throws(SQLiteError) in
            try Self.items(
                in: database,
                by: .failed,
                "WHERE \(Self.isQuarantined) AND items.job = ? AND items.source > ? ORDER BY items.source LIMIT ?",
                [
                    .integer(Int64(job.quarantineAfter)), .integer(job.number), .blob(source ?? []),
                    .integer(Int64(limit)),
                ]
            )
        }.map { QuarantinedFile(job: job, item: $0) }
    }

    /// Of these uploads, those whose files are quarantined by a job, by upload number.
    package func quarantinedFiles(
        of uploads: [Int64],
        in jobs: [KnownJob]
    ) throws(LedgerError) -> [Int64: QuarantinedFile] {
        try perform { database throws(SQLiteError) in
            var found: [Int64: QuarantinedFile] = [:]
            for job in jobs where try Self.hasQuarantined(job, in: database) {
                for number in uploads where found[number] == nil {
                    let item = try Self.items(
                        in: database,
                        by: .upload,
                        "WHERE \(Self.isQuarantined) AND items.job = ? AND items.upload = ? LIMIT 1",
                        [.integer(Int64(job.quarantineAfter)), .integer(job.number), .integer(number)]
                    ).first
                    if let item { found[number] = QuarantinedFile(job: job, item: item) }
                }
            }
            return found
        }
    }

    private static func hasQuarantined(_ job: KnownJob, in database: Database) throws(SQLiteError) -> Bool {
        try !database.run(
            "SELECT 1 FROM items INDEXED BY items_failed WHERE \(isQuarantined) AND items.job = ? LIMIT 1",
            [.integer(Int64(job.quarantineAfter)), .integer(job.number)],
            read: { _ in }
        ).isEmpty
    }

    /// The sums of a run's receipts: all that is known of a run that did not finish.
    package func countsByReceipts(of run: Int64) throws(LedgerError) -> RunCounts {
        try perform { database throws(SQLiteError) in
            try database.run(
                """
                SELECT count(*) FILTER (WHERE result = 'archived'), total(uploads.size) FILTER (WHERE result = 'archived'),
                    total(receipts.bytes_sent), total(receipts.bytes_skipped), count(*) FILTER (WHERE result = 'failed'),
                    count(*) FILTER (WHERE action IS NOT NULL AND action_error IS NULL), count(action_error)
                FROM receipts LEFT JOIN uploads ON uploads.number = receipts.upload WHERE run = ?
                """,
                [.integer(run)]
            ) { row in
                var counts = RunCounts()
                counts.archived = Int(row.integer(0))
                counts.bytes = row.integer(1)
                counts.bytesSent = row.integer(2)
                counts.bytesSkipped = row.integer(3)
                counts.failed = Int(row.integer(4))
                counts.acted = Int(row.integer(5))
                counts.actionsFailed = Int(row.integer(6))
                return counts
            }
        }.first ?? RunCounts()
    }

    /// Whether this is the latest run of its job.
    package func isLastRun(_ run: RunRecord) throws(LedgerError) -> Bool {
        try perform { database throws(SQLiteError) in
            try database.run(
                "SELECT 1 FROM runs WHERE job = ? AND number > ? LIMIT 1",
                [.integer(run.job), .integer(run.number)],
                read: { _ in }
            ).isEmpty
        }
    }

    // MARK: Totals

    package func totals(of job: KnownJob) throws(LedgerError) -> JobTotals {
        try perform { database throws(SQLiteError) in
            try database.reading { () throws(SQLiteError) in
                var totals = JobTotals()
                let number = SQLValue.integer(job.number)
                try database.run(
                    """
                    SELECT past_archived + total(archived), past_bytes + total(bytes),
                        past_failures + total(failed) + total(actions_failed),
                        coalesce(max(CASE WHEN status = 0 THEN ended_at END), past_success)
                    FROM jobs LEFT JOIN runs ON runs.job = jobs.number WHERE jobs.number = ?
                    """,
                    [number]
                ) { row in
                    totals.archived = row.integer(0)
                    totals.bytes = row.integer(1)
                    totals.failures = row.integer(2)
                    totals.lastSuccess = row.optionalInteger(3)
                }
                try database.run(
                    "SELECT count(*) FROM items INDEXED BY items_failed WHERE \(Self.isQuarantined) AND items.job = ?",
                    [.integer(Int64(job.quarantineAfter)), number]
                ) { totals.quarantined = $0.integer(0) }
                // Starts from the uploads, because there may be many more items that wait for their files to be
                // deleted.
                try database.run(
                    """
                    SELECT count(*), min(uploads.created_at)
                    FROM uploads INDEXED BY uploads_unfinished
                        CROSS JOIN items INDEXED BY items_by_upload ON items.upload = uploads.number
                    WHERE uploads.state NOT IN ('done', 'aborted') AND items.job = ?
                        AND items.state != 'settled' AND items.state != 'acting'
                    """,
                    [number]
                ) { row in
                    totals.pending = row.integer(0)
                    totals.oldestPending = row.optionalInteger(1)
                }
                // By source, because the item refers to the newer upload that replaced this one.
                try database.run(
                    """
                    SELECT total(bytes_done) FROM uploads INDEXED BY uploads_unwanted
                    WHERE state NOT IN ('done', 'aborted') AND (abort_requested OR state = 'failed')
                        AND (upload_id IS NOT NULL OR create_attempted_at IS NOT NULL)
                        AND EXISTS (SELECT 1 FROM items WHERE items.job = ? AND items.source = uploads.source)
                    """,
                    [number]
                ) { totals.orphanBytes = $0.integer(0) }
                return totals
            }
        }
    }

    /// The first receipts of a run with a failed upload or action.
    package func failures(of run: Int64, limit: Int) throws(LedgerError) -> [Receipt] {
        try perform { database throws(SQLiteError) in
            try Self.receipts(
                "run = ? AND (result = 'failed' OR action_error IS NOT NULL) ORDER BY number LIMIT ?",
                [.integer(run), .integer(Int64(limit))],
                in: database
            )
        }
    }

    // MARK: Pending receipts

    /// What was done with a run's receipt.
    package enum ReceiptStage: Int64, Sendable {
        case none = 0
        /// Written as a file.
        case written = 1
        /// Also uploaded as an object.
        case sent = 2
    }

    /// The job's runs with results, other than unchanged files, whose receipts have not reached `stage`, oldest first.
    ///
    /// - Parameter time: only runs that started at this time (milliseconds since 1970) or later.
    package func runs(
        of job: Int64,
        since time: Int64,
        receiptBefore stage: ReceiptStage
    ) throws(LedgerError) -> [(run: RunRecord, stage: ReceiptStage)] {
        try perform { database throws(SQLiteError) in
            let stages = try database.run(
                """
                SELECT number, receipted FROM runs
                WHERE job = ? AND started_at >= ? AND receipted < ?
                    AND CASE WHEN ended_at IS NULL THEN EXISTS (SELECT 1 FROM receipts WHERE run = runs.number)
                        ELSE archived + failed + acted + actions_failed > 0 END
                ORDER BY number
                """,
                [.integer(job), .integer(time), .integer(stage.rawValue)]
            ) { ($0.integer(0), ReceiptStage(rawValue: $0.integer(1)) ?? .none) }
            var found: [StagedRun] = []
            for (number, stage) in stages {
                guard let run = try Self.runs("WHERE runs.number = ?", [.integer(number)], in: database).first else {
                    continue
                }
                found.append(StagedRun(run: run, stage: stage))
            }
            return found
        }.map { ($0.run, $0.stage) }
    }

    package func setReceipt(_ stage: ReceiptStage, of run: Int64) throws(LedgerError) {
        try transaction { database throws(SQLiteError) in
            try database.run(
                "UPDATE runs SET receipted = ? WHERE number = ?",
                [.integer(stage.rawValue), .integer(run)]
            )
        }
    }
}

private struct StagedRun: Sendable {
    var run: RunRecord
    var stage: Ledger.ReceiptStage
}
