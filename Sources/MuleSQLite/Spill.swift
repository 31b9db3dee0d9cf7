/// Why something could not be held on disk for the moment; nothing of it was to last.
package struct SpillError: Error, Hashable, Sendable {
    /// Completes "... cannot be held: ".
    package let reason: String

    init(_ error: SQLiteError) {
        reason =
            error.kind == .diskFull
            ? "the disk is full, or a quota or file size limit is reached"
            : "\(error.message) (SQLite \(error.code))"
    }
}

/// A private temporary database: in memory while it is small, else in a nameless file in SQLITE_TMPDIR, TMPDIR or
/// /var/tmp, which is gone with the process. https://sqlite.org/inmemorydb.html#temp_db
private func spillDatabase(_ schema: String) throws(SpillError) -> Database {
    do {
        let database = try Database(path: [])
        // 4 MiB of pages, and of what a sort holds at a time. Nothing is ever rolled back.
        try database.execute("PRAGMA cache_size = -4096")
        try database.execute("PRAGMA journal_mode = OFF")
        try database.execute("PRAGMA temp_store = FILE")
        try database.execute(schema)
        try database.execute("BEGIN")
        return database
    } catch {
        throw SpillError(error)
    }
}

/// Sorts records by a number, as many as the disk holds: memory does not grow with them. For one thread.
package final class SpillSorter {
    private let database: Database
    package private(set) var count = 0
    private var isAtEnd = false

    package init() throws(SpillError) {
        database = try spillDatabase("CREATE TABLE record (number INTEGER PRIMARY KEY, rank INTEGER, bytes BLOB)")
    }

    package func add(rank: Int64, _ record: [UInt8]) throws(SpillError) {
        do {
            try database.run(
                "INSERT INTO record (rank, bytes) VALUES (?, ?)",
                [.integer(rank), .blob(record)]
            )
        } catch {
            throw SpillError(error)
        }
        count += 1
    }

    /// The next record in the order of ranks; of equal ranks the one that was added first. Nil when
    /// there are no more. After the first call nothing may be added.
    package func next() throws(SpillError) -> [UInt8]? {
        guard !isAtEnd else { return nil }
        do {
            let record = try database.next("SELECT bytes FROM record ORDER BY rank, number") { $0.blob(0) }
            isAtEnd = record == nil
            return record
        } catch {
            throw SpillError(error)
        }
    }
}

/// Remembers which name was first given to what, for as many names as the disk holds. For one thread.
package final class SpillNames {
    private let database: Database

    package init() throws(SpillError) {
        database = try spillDatabase("CREATE TABLE name (name BLOB PRIMARY KEY, owner BLOB) WITHOUT ROWID")
    }

    /// Gives the name to the owner, unless it has one.
    ///
    /// - Returns: the owner it had before; nil if it had none.
    package func take(_ name: [UInt8], for owner: [UInt8]) throws(SpillError) -> [UInt8]? {
        do {
            try database.run("INSERT OR IGNORE INTO name VALUES (?, ?)", [.blob(name), .blob(owner)])
            if database.changes > 0 { return nil }
            return try database.run("SELECT owner FROM name WHERE name = ?", [.blob(name)]) { $0.blob(0) }.first
        } catch {
            throw SpillError(error)
        }
    }
}
