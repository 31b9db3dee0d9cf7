// The items of archive jobs: a row for each source of a job, with its state.

package import MulePlan
import MuleSQLite

/// A run of a job, by job number and run number.
package struct JobRun: Hashable, Sendable {
    package var job: Int64
    package var run: Int64

    package init(job: Int64, run: Int64) {
        self.job = job
        self.run = run
    }
}

/// The state of an item. Whether its object is confirmed is the upload's state.
package enum ItemState: String, Sendable, CaseIterable {
    /// Not archived, or archived and not recorded yet.
    case pending
    /// Archived before the job knew it. The store must be asked whether it still has the object before anything is done
    /// with the file.
    case asked
    /// Archived; the file waits for its time.
    case proved
    /// Archived; the action on the file is in progress.
    case acting
    /// Nothing is left to do.
    case settled
}

/// What a job does with an archived file, as recorded in the item.
package struct ItemAction: Hashable, Sendable {
    /// `move`, `delete`, …, as in the job's configuration.
    package var name: String
    /// The file's path during the action, or after it.
    package var target: [UInt8]?
    /// Not before this time, in milliseconds since 1970.
    package var dueAt: Int64?

    package init(_ name: String, target: [UInt8]? = nil, dueAt: Int64? = nil) {
        self.name = name
        self.target = target
        self.dueAt = dueAt
    }
}

/// A source that a job knows.
package struct JobItem: Hashable, Sendable {
    /// Canonical path.
    package var source: [UInt8]
    package var state: ItemState
    package var action: ItemAction?
    /// Attempts, and consecutive permanent failures.
    package var attempts: Int
    package var failures: Int
    package var lastError: Receipt.Failure?
    /// The latest run that processed it.
    package var run: Int64
    /// Nil if no upload was started, or its row was removed.
    package var upload: ItemUpload?
}

/// What a job needs to know about an item's upload.
package struct ItemUpload: Hashable, Sendable {
    package var number: Int64
    /// The ID that users see.
    package var id: String
    package var state: UploadState
    /// The file when the upload was registered or its content was last compared with the record.
    package var source: SourceIdentity
    /// Milliseconds since 1970.
    package var createdAt: Int64
    package var updatedAt: Int64
    /// Whether the store may hold parts.
    package var mayHoldParts: Bool

    /// Same as `UploadRecord.isOpen`.
    package var isOpen: Bool { state.isOpen(mayHoldParts: mayHoldParts) }
}

extension Ledger {
    // MARK: Jobs

    /// The number of the job with this name; creates the job if it is new.
    package func job(named name: String) throws(LedgerError) -> Int64 {
        if let known = try knownJob(named: name) { return known }
        return try transaction { database throws(SQLiteError) in
            try database.run(
                "INSERT INTO jobs (name, created_at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
                [.text(name), .integer(now())]
            )
            return try Self.job(named: name, in: database) ?? 0
        }
    }

    /// Nil for a job that has never run.
    package func knownJob(named name: String) throws(LedgerError) -> Int64? {
        try perform { database throws(SQLiteError) in try Self.job(named: name, in: database) }
    }

    private static func job(named name: String, in database: Database) throws(SQLiteError) -> Int64? {
        try database.run("SELECT number FROM jobs WHERE name = ?", [.text(name)]) { $0.integer(0) }.first
    }

    /// The lease to run the job; nil if another process has it. The kernel releases it when the process ends in any
    /// way.
    package func claim(job: Int64) throws(LedgerError) -> Lease? {
        do {
            return try Lease(leases, number: Self.jobLease + job)
        } catch {
            throw LedgerError(error)
        }
    }

    /// Whether another process runs the job.
    package func isRunning(job: Int64) -> Bool { isActive(Self.jobLease + job) }

    /// Above all upload numbers.
    private static let jobLease: Int64 = 1 << 62

    // MARK: Items

    /// The job's items for these sources, in order; nil for new ones.
    package func items(of job: Int64, at sources: [[UInt8]]) throws(LedgerError) -> [JobItem?] {
        try perform { database throws(SQLiteError) in
            try database.reading { () throws(SQLiteError) in
                var items: [JobItem?] = []
                for source in sources {
                    items.append(
                        try Self.items(
                            in: database,
                            "WHERE items.job = ? AND items.source = ?",
                            [.integer(job), .blob(source)]
                        ).first
                    )
                }
                return items
            }
        }
    }

    /// A slice of the job's items that are not settled, by path, starting after `source`.
    package func openItems(
        of job: Int64,
        after source: [UInt8]?,
        limit: Int
    ) throws(LedgerError) -> [JobItem] {
        try perform { database throws(SQLiteError) in
            try Self.items(
                in: database,
                by: .open,
                // Any path is greater than the empty blob, which is no path.
                "WHERE items.job = ? AND items.source > ? AND items.state != 'settled' ORDER BY items.source LIMIT ?",
                [.integer(job), .blob(source ?? []), .integer(Int64(limit))]
            )
        }
    }

    /// The index for statements about many items. SQLite does not know how few rows match and would use the primary key
    /// (https://sqlite.org/lang_indexedby.html).
    enum ItemIndex: String {
        case primaryKey = ""
        /// Items that are not settled.
        case open = "INDEXED BY items_open"
        /// Items with permanent failures.
        case failed = "INDEXED BY items_failed"
        case upload = "INDEXED BY items_by_upload"
    }

    static func items(
        in database: Database,
        by index: ItemIndex = .primaryKey,
        _ clause: String,
        _ values: [SQLValue]
    ) throws(SQLiteError) -> [JobItem] {
        try database.run(
            """
            SELECT items.source, items.state, items.action, items.target, items.due_at, items.attempts, items.failures,
                items.error_kind, items.last_error, items.run, uploads.number, uploads.state, uploads.device, uploads.inode,
                uploads.size, uploads.modified, uploads.created_at, uploads.updated_at,
                uploads.upload_id IS NOT NULL OR uploads.create_attempted_at IS NOT NULL, uploads.id,
                uploads.change_time
            FROM items \(index.rawValue) LEFT JOIN uploads ON uploads.number = items.upload \(clause)
            """,
            values,
            read: item
        )
    }

    private static func item(_ row: SQLRow) -> JobItem {
        let source = row.blob(0)
        return JobItem(
            source: source,
            state: ItemState(rawValue: row.text(1)) ?? .pending,
            action: row.optionalText(2).map { name in
                ItemAction(name, target: row.optionalBlob(3), dueAt: row.optionalInteger(4))
            },
            attempts: Int(row.integer(5)),
            failures: Int(row.integer(6)),
            lastError: row.optionalText(7).map { Receipt.Failure(kind: $0, message: row.text(8)) },
            run: row.integer(9),
            upload: row.optionalInteger(10).map { number in
                ItemUpload(
                    number: number,
                    id: row.text(19),
                    state: UploadState(rawValue: row.text(11)) ?? .unknown,
                    source: SourceIdentity(
                        path: source,
                        device: UInt64(bitPattern: row.integer(12)),
                        inode: UInt64(bitPattern: row.integer(13)),
                        size: row.integer(14),
                        modificationTime: row.integer(15),
                        changeTime: row.optionalInteger(20)
                    ),
                    createdAt: row.integer(16),
                    updatedAt: row.integer(17),
                    mayHoldParts: row.integer(18) != 0
                )
            }
        )
    }

    /// Records that a run resumes items of earlier runs.
    package func takeUp(_ sources: [[UInt8]], for run: JobRun) throws(LedgerError) {
        try transaction { database throws(SQLiteError) in
            for source in sources {
                try database.run(
                    "UPDATE items SET run = ? WHERE job = ? AND source = ?",
                    [.integer(run.run), .integer(run.job), .blob(source)]
                )
            }
        }
    }

    /// The items of uploads that a run registers.
    package struct NewItems: Sendable {
        package var run: JobRun
        /// In the order of the uploads.
        package var items: [NewItem]

        package init(run: JobRun, items: [NewItem]) {
            self.run = run
            self.items = items
        }
    }

    package struct NewItem: Sendable {
        /// Where the file was found; may lead through links to the upload's source.
        package var source: [UInt8]
        /// Whether another file of the job may have the same key.
        package var sharesKey: Bool
        /// Whether the item's file is the same as before, so that its failures still count.
        package var isKnown: Bool

        package init(source: [UInt8], sharesKey: Bool, isKnown: Bool = false) {
            self.source = source
            self.sharesKey = sharesKey
            self.isKnown = isKnown
        }
    }

    /// Creates or updates the item of an upload.
    func setItem(
        _ item: NewItem,
        _ record: UploadRecord,
        state: ItemState,
        of run: JobRun,
        in database: Database
    ) throws(SQLiteError) {
        try database.run(
            """
            INSERT INTO items (job, source, upload, state, run, shared_key, updated_at)
            VALUES (?1, ?2, ?3, ?8, ?4, ?5, ?6)
            ON CONFLICT (job, source) DO UPDATE SET
                attempts = CASE WHEN ?7 THEN attempts ELSE 0 END,
                failures = CASE WHEN ?7 THEN failures ELSE 0 END,
                upload = ?3, state = ?8, action = NULL, target = NULL, due_at = NULL, run = ?4,
                shared_key = ?5, updated_at = ?6
            """,
            [
                .integer(run.job), .blob(item.source), .integer(record.number), .integer(run.run),
                SQLValue(item.sharesKey ? record.upload.destination.key.utf8 : nil), .integer(now()),
                .integer(item.isKnown ? 1 : 0), .text(state.rawValue),
            ]
        )
    }

    /// The other source with the same key that is unfinished or belongs to this run: one of the two would overwrite the
    /// other.
    func rival(
        of item: NewItem,
        for upload: NewUpload,
        in run: JobRun,
        _ database: Database
    ) throws(SQLiteError) -> [UInt8]? {
        guard item.sharesKey else { return nil }
        return try Self.rival(of: item.source, for: upload.destination.key, in: run, database)
    }

    /// All states but the last, as an SQL list: SQLite can look up each in an index, which it cannot do for `!=`.
    private static let openStates = ItemState.allCases.filter { $0 != .settled }.map { "'\($0.rawValue)'" }
        .joined(separator: ", ")

    /// - Parameter run: run numbers start at 1.
    private static func rival(
        of source: [UInt8],
        for key: ObjectKey,
        in run: JobRun,
        _ database: Database
    ) throws(SQLiteError) -> [UInt8]? {
        try database.run(
            """
            SELECT source FROM items INDEXED BY items_by_key
            WHERE job = ?1 AND shared_key = ?2 AND source != ?3 AND state IN (\(Self.openStates))
            UNION ALL
            SELECT source FROM items INDEXED BY items_by_key
            WHERE job = ?1 AND shared_key = ?2 AND source != ?3 AND state = 'settled' AND run = ?4
            LIMIT 1
            """,
            [.integer(run.job), .blob(key.utf8), .blob(source), .integer(run.run)]
        ) { $0.blob(0) }.first
    }

    /// The other source of a job with the same key that is not settled.
    package func rival(of source: [UInt8], for key: ObjectKey, in job: Int64) throws(LedgerError) -> [UInt8]? {
        try perform { database throws(SQLiteError) in
            try Self.rival(of: source, for: key, in: JobRun(job: job, run: 0), database)
        }
    }

    // MARK: Steps

    /// A result for a source in a run.
    package enum JobStep: Sendable {
        /// The object is confirmed. The state is the one before the action.
        case archived(ItemState, ItemAction?, Receipt)
        /// - Parameter isFinal: whether another attempt would fail the same way.
        case failed(isFinal: Bool, Receipt)
        /// The action is done, or has failed with a reason.
        ///
        /// - Parameter receipt: the number of this run's receipt for the archived file; nil if an earlier run archived
        ///   it, which adds a new receipt.
        case acted(ItemAction, failure: String?, receipt: Int64?, Receipt)
        /// A different action is due for an archived file than recorded. The state is the one before the action.
        case planned(ItemState, ItemAction?, source: [UInt8])
    }

    /// Commits all steps in one transaction.
    package func record(_ steps: [JobStep], of run: JobRun) throws(LedgerError) {
        guard !steps.isEmpty else { return }
        try transaction { database throws(SQLiteError) in
            for step in steps { try record(step, of: run, in: database) }
        }
    }

    private func record(_ step: JobStep, of run: JobRun, in database: Database) throws(SQLiteError) {
        let moment = SQLValue.integer(now())
        let job = SQLValue.integer(run.job)
        switch step {
        case .archived(let state, let action, let receipt):
            try insert(receipt, of: run, in: database)
            try database.run(
                """
                UPDATE items SET state = ?, upload = coalesce(?, upload), action = ?, target = ?, due_at = ?,
                    attempts = attempts + 1, failures = 0, error_kind = NULL, last_error = NULL, run = ?, updated_at = ?
                WHERE job = ? AND source = ?
                """,
                [
                    // If an object no longer existed, another upload sent it again.
                    .text(state.rawValue), SQLValue(receipt.upload), SQLValue(action?.name),
                    SQLValue(action?.target), SQLValue(action?.dueAt),
                    .integer(run.run), moment, job, .blob(receipt.source),
                ]
            )
        case .failed(let isFinal, let receipt):
            try insert(receipt, of: run, in: database)
            try database.run(
                """
                INSERT INTO items (job, source, state, attempts, failures, error_kind, last_error, run, updated_at)
                VALUES (?1, ?2, 'pending', 1, ?3, ?4, ?5, ?6, ?7)
                ON CONFLICT (job, source) DO UPDATE SET attempts = attempts + 1, failures = failures + ?3,
                    error_kind = ?4, last_error = ?5, run = ?6, updated_at = ?7
                """,
                [
                    job, .blob(receipt.source), .integer(isFinal ? 1 : 0), SQLValue(receipt.failure?.kind),
                    SQLValue(receipt.failure?.message), .integer(run.run), moment,
                ]
            )
        case .planned(let state, let action, let source):
            try database.run(
                """
                UPDATE items SET state = ?, action = ?, target = ?, due_at = ?, error_kind = NULL, last_error = NULL, run = ?,
                    updated_at = ?
                WHERE job = ? AND source = ?
                """,
                [
                    .text(state.rawValue), SQLValue(action?.name), SQLValue(action?.target), SQLValue(action?.dueAt),
                    .integer(run.run), moment, job, .blob(source),
                ]
            )
        case .acted(let action, let failure, let number, let receipt):
            try database.run(
                """
                UPDATE items SET state = CASE WHEN ?1 IS NULL THEN 'settled' ELSE state END, action = ?2, target = ?3,
                    due_at = NULL, error_kind = CASE WHEN ?1 IS NOT NULL THEN 'source' END, last_error = ?1,
                    run = ?4, updated_at = ?5
                WHERE job = ?6 AND source = ?7
                """,
                [
                    SQLValue(failure), .text(action.name), SQLValue(action.target), .integer(run.run), moment, job,
                    .blob(receipt.source),
                ]
            )
            guard let number else { return try insert(receipt, of: run, in: database) }
            try database.run(
                "UPDATE receipts SET action = ?, target = ?, action_error = ? WHERE run = ? AND number = ?",
                [
                    .text(action.name), SQLValue(action.target), SQLValue(failure), .integer(run.run),
                    .integer(number),
                ]
            )
        }
    }
}
