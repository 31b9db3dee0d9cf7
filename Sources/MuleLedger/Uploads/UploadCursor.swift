// Lists uploads in slices, so that memory does not grow with their number.

import MuleSQLite

/// Which uploads to list.
package enum UploadSelection: String, Sendable {
    case all = "TRUE"
    /// Neither done nor aborted.
    case unfinished = "state NOT IN ('done', 'aborted')"
    /// Needing attention (`UploadRecord.isOpen`).
    case open = """
        state NOT IN ('done', 'aborted')
            AND (state != 'failed' OR upload_id IS NOT NULL OR create_attempted_at IS NOT NULL)
        """

    fileprivate var index: UploadIndex { self == .all ? .any : .unfinished }
}

/// Iterates over uploads by number, oldest first. Uploads registered after the cursor was created are not included, so
/// the iteration ends even while a run adds more.
package struct UploadCursor: Sendable {
    private let ledger: Ledger
    private let selection: UploadSelection
    private let endpoint: String?
    private let limit: Int
    private var position: Int64 = 0
    /// The highest upload number to include.
    private let last: Int64

    /// - Parameters:
    ///   - endpoint: only uploads to this endpoint; nil for all.
    ///   - limit: the maximum number of uploads in a slice.
    package init(
        _ ledger: Ledger,
        _ selection: UploadSelection,
        at endpoint: String? = nil,
        limit: Int = 500
    ) throws(LedgerError) {
        self.ledger = ledger
        self.selection = selection
        self.endpoint = endpoint
        self.limit = limit
        last = try ledger.highestUpload()
    }

    /// Whether the list includes the upload, or did when the cursor was created.
    package func covers(_ record: UploadRecord) -> Bool {
        record.number <= last && (endpoint ?? record.upload.store.endpoint) == record.upload.store.endpoint
    }

    /// The next uploads; empty at the end.
    package mutating func next() throws(LedgerError) -> [UploadRecord] {
        let slice = try ledger.uploads(selection, at: endpoint, after: position, through: last, limit: limit)
        position = slice.last?.number ?? last
        return slice
    }
}

extension Ledger {
    fileprivate func highestUpload() throws(LedgerError) -> Int64 {
        try perform { database throws(SQLiteError) in
            try database.run("SELECT max(number) FROM uploads") { $0.integer(0) }.first ?? 0
        }
    }

    fileprivate func uploads(
        _ selection: UploadSelection,
        at endpoint: String?,
        after number: Int64,
        through last: Int64,
        limit: Int
    ) throws(LedgerError) -> [UploadRecord] {
        try perform { database throws(SQLiteError) in
            try records(
                in: database,
                by: selection.index,
                """
                WHERE \(selection.rawValue) AND number > ?1 AND number <= ?2 AND (?3 IS NULL OR endpoint = ?3)
                ORDER BY number LIMIT ?4
                """,
                [.integer(number), .integer(last), SQLValue(endpoint), .integer(Int64(limit))]
            )
        }
    }

    /// How many uploads there are, in total and at an endpoint.
    package func count(
        _ selection: UploadSelection,
        at endpoint: String
    ) throws(LedgerError) -> (all: Int, here: Int) {
        try perform { database throws(SQLiteError) in
            try database.run(
                """
                SELECT count(*), count(*) FILTER (WHERE endpoint = ?)
                FROM uploads \(selection.index.rawValue) WHERE \(selection.rawValue)
                """,
                [.text(endpoint)]
            ) { (all: Int($0.integer(0)), here: Int($0.integer(1))) }.first ?? (0, 0)
        }
    }
}
