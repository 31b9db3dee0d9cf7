// A thin owner of one SQLite connection. https://sqlite.org/c3ref/intro.html

internal import CSQLite

package enum SQLValue {
    case null
    case integer(Int64)
    case text(String)
    case blob([UInt8])

    package init(_ value: Int64?) { self = value.map { .integer($0) } ?? .null }
    package init(_ value: String?) { self = value.map { .text($0) } ?? .null }
    package init(_ value: [UInt8]?) { self = value.map { .blob($0) } ?? .null }

    fileprivate var byteCount: Int {
        switch self {
        case .null, .integer: 0
        case .text(let text): text.utf8.count
        case .blob(let bytes): bytes.count
        }
    }
}

/// One connection, opened without SQLite's own mutexes: for one thread at a time.
package final class Database {
    private let connection: OpaquePointer
    private var statements: [Text: Statement] = [:]

    /// Opens a file that exists. Nothing of it is read or changed before the first statement, and no lock is taken.
    ///
    /// - Parameter busyTimeout: seconds to wait for another process's lock.
    package init(path: [UInt8], busyTimeout: Double = 10) throws(SQLiteError) {
        Self.configureOnce
        var handle: OpaquePointer?
        let name = path.map { CChar(bitPattern: $0) } + [0]
        let status = sqlite3_open_v2(name, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nil)
        guard status == SQLITE_OK, let handle else {
            let message = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            let systemCode = handle.map { sqlite3_system_errno($0) } ?? 0
            sqlite3_close_v2(handle)
            throw SQLiteError(code: status, message: message, statement: "open", systemCode: systemCode)
        }
        connection = handle
        // An initializer that throws runs no deinit: what it allocates before is lost.
        log = .allocate(capacity: 1)
        log.initialize(to: LogState())
        sqlite3_extended_result_codes(connection, 1)
        sqlite3_busy_timeout(connection, Int32(busyTimeout * 1000))
        // Replaces SQLite's own hook, which moves the log into the file too and does not say how long the log is.
        sqlite3_wal_hook(
            connection,
            { context, connection, name, frames in
                guard let log = context?.assumingMemoryBound(to: LogState.self) else { return SQLITE_OK }
                log.pointee.frames = frames
                // What cannot be moved now is moved later; the commit that called the hook is durable. The sync of
                // another commit must not fail here, where its error is lost.
                if frames >= Database.checkpointFrames, log.pointee.durability == .full {
                    sqlite3_wal_checkpoint(connection, name)
                }
                return SQLITE_OK
            },
            log
        )
    }

    deinit {
        statements = [:]
        sqlite3_close_v2(connection)
        log.deallocate()
    }

    /// `PRAGMA synchronous`: what a commit waits for.
    private enum Durability: String {
        case none = "OFF"
        /// If there is a log, only that what is moved from it into the file is on disk.
        case ordered = "NORMAL"
        case full = "EXTRA"
    }

    private struct LogState {
        /// Frames in the log after the last commit of this connection.
        var frames: Int32 = 0
        var durability = Durability.full
        /// Whether this connection may be the first to write to the log.
        var mayBeNew = false
    }

    private let log: UnsafeMutablePointer<LogState>
    private static let checkpointFrames: Int32 = 1000

    /// Where the log ends, in bytes: a header of 32 and frames of a page with 24 more each.
    /// https://sqlite.org/fileformat2.html#walformat
    package var logLength: Int64 { 32 + Int64(log.pointee.frames) * (4096 + 24) }

    /// Learns where the log ends when this connection has not written to it yet, and moves into the file what can be.
    package func measureLog() {
        var length: Int32 = 0
        sqlite3_wal_checkpoint_v2(connection, "main", SQLITE_CHECKPOINT_PASSIVE, &length, nil)
        log.pointee.frames = max(length, 0)
    }

    /// Whether the path no longer leads to the file that was opened.
    package func hasMoved() throws(SQLiteError) -> Bool {
        var answer: Int32 = 0
        try check(sqlite3_file_control(connection, "main", SQLITE_FCNTL_HAS_MOVED, &answer), "has moved")
        return answer != 0
    }

    /// SQLite falls back to reading alone where it may not write.
    package var isReadOnly: Bool { sqlite3_db_readonly(connection, "main") == 1 }

    /// The first 100 bytes of the file as it is, without a statement; zeros where it is shorter.
    ///
    /// Through SQLite's descriptor: one of our own would drop, when closed, the locks that another connection of this
    /// process has on the file. https://sqlite.org/howtocorrupt.html, section 2.2
    package func header() throws(SQLiteError) -> [UInt8] {
        var file: UnsafeMutablePointer<sqlite3_file>?
        try check(sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file), "header")
        guard let file else { throw SQLiteError(code: SQLITE_CANTOPEN, message: "no file", statement: "header") }
        return try bytes(of: file, count: 100)
    }

    /// The first bytes of a file that SQLite has open; zeros where it is shorter.
    private func bytes(
        of file: UnsafeMutablePointer<sqlite3_file>,
        count: Int
    ) throws(SQLiteError) -> [UInt8] {
        guard let read = file.pointee.pMethods?.pointee.xRead else {
            throw SQLiteError(code: SQLITE_CANTOPEN, message: "no file", statement: "header")
        }
        var bytes = [UInt8](repeating: 0, count: count)
        let status = read(file, &bytes, Int32(count), 0)
        // SQLITE_IOERR_SHORT_READ, a macro that Swift does not import.
        try check(status == SQLITE_IOERR | 2 << 8 ? SQLITE_OK : status, "header")
        return bytes
    }

    /// The file of a database with a write-ahead log after this script.
    ///
    /// - Parameter applicationID: SQLite's field by which programs recognize their files.
    package static func file(after script: String, applicationID: Int32) throws(SQLiteError) -> [UInt8] {
        let database = try Database(path: Array(":memory:".utf8))
        try database.execute("BEGIN; PRAGMA application_id = \(applicationID); \(script) COMMIT")
        var size: Int64 = 0
        guard let image = sqlite3_serialize(database.connection, "main", &size, 0) else {
            throw SQLiteError(code: SQLITE_NOMEM, message: "out of memory", statement: "serialize")
        }
        defer { sqlite3_free(image) }
        var bytes = Array(UnsafeBufferPointer(start: image, count: Int(size)))
        // https://sqlite.org/fileformat2.html#file_format_version_numbers
        bytes[18] = 2
        bytes[19] = 2
        return bytes
    }

    /// Runs statements that take and give no values; for pragmas and migrations.
    package func execute(_ sql: String) throws(SQLiteError) {
        try check(sqlite3_exec(connection, sql, nil, nil, nil), sql)
    }

    /// Runs one statement; each row of its result goes through `read`.
    @discardableResult
    package func run<Row>(_ sql: String, _ values: [SQLValue] = [], read: (SQLRow) -> Row) throws(SQLiteError) -> [Row]
    {
        let statement = try prepared(sql)
        defer { statement.reset() }
        try check(statement.bind(values), sql)
        var rows: [Row] = []
        while true {
            let status = sqlite3_step(statement.handle)
            if status == SQLITE_DONE { return rows }
            guard status == SQLITE_ROW else { throw error(status, sql) }
            rows.append(read(SQLRow(statement: statement.handle)))
        }
    }

    package func run(_ sql: String, _ values: [SQLValue] = []) throws(SQLiteError) {
        try run(sql, values) { _ in }
    }

    /// The next row of a statement without values that gives its rows one by one; nil behind the last, and the call
    /// after that starts again.
    package func next<Row>(_ sql: String, read: (SQLRow) -> Row) throws(SQLiteError) -> Row? {
        let statement = try prepared(sql).handle
        let status = sqlite3_step(statement)
        if status == SQLITE_ROW { return read(SQLRow(statement: statement)) }
        sqlite3_reset(statement)
        guard status == SQLITE_DONE else { throw error(status, sql) }
        return nil
    }

    /// The texts of all statements that were run with `run` and `next`, for tests of how SQLite answers them.
    package var texts: [String] { statements.keys.map(\.sql) }

    /// Of the row that was inserted last.
    package var lastNumber: Int64 { sqlite3_last_insert_rowid(connection) }

    package var changes: Int { Int(sqlite3_changes(connection)) }

    /// Makes each commit durable before it returns. With a log, `EXTRA` equals `FULL`; with a rollback journal, it also
    /// makes the journal's removal durable.
    package func commitDurably(usesLog: Bool) throws(SQLiteError) {
        log.pointee.mayBeNew = usesLog
        self.usesLog = usesLog
        try execute("PRAGMA synchronous = \(Durability.full.rawValue)")
        log.pointee.durability = .full
    }

    private var usesLog = false

    private func wait(for durability: Durability) throws(SQLiteError) {
        guard durability != log.pointee.durability else { return }
        try execute("PRAGMA synchronous = \(durability.rawValue)")
        log.pointee.durability = durability
    }

    /// All of the body's changes or none. The write lock is taken at once, so that what the body reads stays true.
    package func transaction<Result>(_ body: () throws(SQLiteError) -> Result) throws(SQLiteError) -> Result {
        if log.pointee.mayBeNew {
            log.pointee.mayBeNew = false
            if let result = try firstTransaction(body) { return result }
        }
        try wait(for: .full)
        return try transaction("BEGIN IMMEDIATE", body)
    }

    /// A transaction after which this connection will be closed. It checkpoints at once, as closing would; the
    /// checkpoint's sync of the log also makes this transaction durable before this returns.
    package func lastTransaction<Result>(_ body: () throws(SQLiteError) -> Result) throws(SQLiteError) -> Result {
        guard usesLog, !log.pointee.mayBeNew else { return try transaction(body) }
        let result = try withoutSync { () throws(SQLiteError) in try transaction("BEGIN IMMEDIATE", body) }
        var frames: Int32 = 0
        var moved: Int32 = 0
        let status = sqlite3_wal_checkpoint_v2(connection, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &moved)
        // The kernel reports a failed sync once: another one would succeed, without the bytes.
        if status == Self.failedSync { throw error(status, "checkpoint") }
        // Another process may have prevented a full checkpoint, and with it the sync.
        if status != SQLITE_OK || moved < frames { try syncLog() }
        return result
    }

    /// `SQLITE_IOERR_FSYNC`, which Swift does not import.
    private static let failedSync = SQLITE_IOERR | 4 << 8

    /// A transaction that starts a new log, with one sync of it. SQLite syncs the log's header before the first frame:
    /// if a log is started over, frames of the old one would otherwise count behind the old header
    /// (https://sqlite.org/src/info/ff5be73dee). A new log has none: whatever a power cut leaves of it ends before the
    /// first frame that is incomplete.
    ///
    /// - Returns: nil if the log is not new; then nothing was done.
    private func firstTransaction<Result>(_ body: () throws(SQLiteError) -> Result) throws(SQLiteError) -> Result? {
        try wait(for: .none)
        var result: Result?
        do {
            result = try transaction("BEGIN IMMEDIATE") { () throws(SQLiteError) -> Result? in
                // Under the write lock, so no other process starts it.
                guard try isLogEmpty() else { return nil }
                return try body()
            }
        } catch {
            try wait(for: .full)
            throw error
        }
        try wait(for: .full)
        if result != nil { try syncLog() }
        return result
    }

    private func logFile() throws(SQLiteError) -> UnsafeMutablePointer<sqlite3_file>? {
        var file: UnsafeMutablePointer<sqlite3_file>?
        try check(sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file), "log")
        return file
    }

    /// Whether the log has no header yet.
    private func isLogEmpty() throws(SQLiteError) -> Bool {
        guard let file = try logFile(), file.pointee.pMethods != nil else { return false }
        return try bytes(of: file, count: 32).allSatisfy { $0 == 0 }
    }

    /// Makes the log and its name durable: SQLite syncs the directory at the first sync of each log that it opens.
    private func syncLog() throws(SQLiteError) {
        guard let file = try logFile(), let sync = file.pointee.pMethods?.pointee.xSync else { return }
        try check(sync(file, SQLITE_SYNC_NORMAL), "sync")
    }

    /// Changes that a power cut may undo as long as no transaction follows. They cost no sync if there is a log; the
    /// order of commits is kept.
    package func withoutSync<Result>(_ body: () throws(SQLiteError) -> Result) throws(SQLiteError) -> Result {
        guard usesLog else { return try body() }
        try wait(for: .ordered)
        let result: Result
        do {
            result = try body()
        } catch {
            try wait(for: .full)
            throw error
        }
        try wait(for: .full)
        return result
    }

    /// All that is read shows one moment, and the file is locked once for it.
    package func reading<Result>(_ body: () throws(SQLiteError) -> Result) throws(SQLiteError) -> Result {
        try transaction("BEGIN", body)
    }

    private func transaction<Result>(
        _ beginning: String,
        _ body: () throws(SQLiteError) -> Result
    ) throws(SQLiteError) -> Result {
        try execute(beginning)
        do {
            let result = try body()
            try execute("COMMIT")
            return result
        } catch {
            try? execute("ROLLBACK")
            throw error
        }
    }

    private func prepared(_ sql: String) throws(SQLiteError) -> Statement {
        if let statement = statements[Text(sql: sql)] { return statement }
        var handle: OpaquePointer?
        try check(sqlite3_prepare_v3(connection, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &handle, nil), sql)
        guard let handle else { throw SQLiteError(code: SQLITE_MISUSE, message: "no statement", statement: sql) }
        let statement = Statement(handle)
        statements[Text(sql: sql)] = statement
        return statement
    }

    /// By default SQLite keeps memory statistics, under a lock for each allocation. mule does not use them.
    private static let configureOnce: Void = { _ = mule_disable_memory_statistics() }()

    private func check(_ status: Int32, _ sql: String) throws(SQLiteError) {
        if status != SQLITE_OK { throw error(status, sql) }
    }

    private func error(_ status: Int32, _ sql: String) -> SQLiteError {
        SQLiteError(
            code: status,
            message: String(cString: sqlite3_errmsg(connection)),
            statement: sql,
            systemCode: sqlite3_system_errno(connection)
        )
    }
}

/// The text of a statement as a key. A thousand bytes take long to hash, and few texts have the same length.
private struct Text: Hashable {
    let sql: String

    func hash(into hasher: inout Hasher) { hasher.combine(sql.utf8.count) }
}

/// A prepared statement, and the bytes that are bound to it: SQLite would allocate memory for each value that it
/// copies.
private final class Statement {
    let handle: OpaquePointer
    // Never empty: a null pointer would bind NULL.
    private var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 1)

    init(_ handle: OpaquePointer) {
        self.handle = handle
    }

    deinit {
        sqlite3_finalize(handle)
        buffer.deallocate()
    }

    /// - Returns: SQLite's status.
    func bind(_ values: [SQLValue]) -> Int32 {
        precondition(sqlite3_stmt_busy(handle) == 0, "rows of this statement are still read from these bytes")
        precondition(
            Int(sqlite3_bind_parameter_count(handle)) == values.count,
            "values for: \(String(cString: sqlite3_sql(handle)))"
        )
        let length = values.reduce(0) { $0 + $1.byteCount }
        if length > buffer.count {
            buffer.deallocate()
            buffer = .allocate(byteCount: 2 * length, alignment: 1)
        }
        guard var place = buffer.baseAddress else { return SQLITE_NOMEM }
        for (index, value) in values.enumerated() {
            let status = bind(value, Int32(index + 1), at: &place)
            if status != SQLITE_OK { return status }
        }
        return SQLITE_OK
    }

    /// Without a destructor, SQLite relies on the bytes until others are bound (sqlite3_bind_blob(3), SQLITE_STATIC).
    private func bind(_ value: SQLValue, _ index: Int32, at place: inout UnsafeMutableRawPointer) -> Int32 {
        let start = place
        switch value {
        case .null: return sqlite3_bind_null(handle, index)
        case .integer(let number): return sqlite3_bind_int64(handle, index, number)
        case .text(var text):
            text.withUTF8 { Self.append(UnsafeRawBufferPointer($0), at: &place) }
            return sqlite3_bind_text(handle, index, start, Int32(place - start), nil)
        case .blob(let bytes):
            bytes.withUnsafeBytes { Self.append($0, at: &place) }
            return sqlite3_bind_blob(handle, index, start, Int32(place - start), nil)
        }
    }

    private static func append(_ bytes: UnsafeRawBufferPointer, at place: inout UnsafeMutableRawPointer) {
        guard let first = bytes.baseAddress else { return }
        place.copyMemory(from: first, byteCount: bytes.count)
        place += bytes.count
    }

    func reset() {
        sqlite3_reset(handle)
        sqlite3_clear_bindings(handle)
    }
}

/// What the first 100 bytes of a database say. https://sqlite.org/fileformat2.html#the_database_header
package struct FileHeader {
    private let bytes: [UInt8]

    package init(bytes: [UInt8]) { self.bytes = bytes }

    package var isSQLite: Bool { bytes.starts(with: Array("SQLite format 3\0".utf8)) }
    package var isBlank: Bool { bytes.allSatisfy { $0 == 0 } }
    /// Whether it is read through a write-ahead log.
    package var usesLog: Bool { bytes[18] == 2 || bytes[19] == 2 }
    package var userVersion: Int { Int(word(60)) }
    package var applicationID: Int32 { word(68) }

    private func word(_ offset: Int) -> Int32 {
        Int32(bitPattern: bytes[offset..<offset + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
    }
}

/// The current row of a statement; valid inside `read` only.
package struct SQLRow {
    fileprivate let statement: OpaquePointer

    package func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }

    package func optionalInteger(_ column: Int32) -> Int64? { isNull(column) ? nil : integer(column) }

    package func text(_ column: Int32) -> String { String(decoding: bytes(column), as: UTF8.self) }

    package func optionalText(_ column: Int32) -> String? { isNull(column) ? nil : text(column) }

    package func blob(_ column: Int32) -> [UInt8] { Array(bytes(column)) }

    private func bytes(_ column: Int32) -> UnsafeRawBufferPointer {
        let start = sqlite3_column_blob(statement, column)
        return UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column)))
    }

    package func optionalBlob(_ column: Int32) -> [UInt8]? { isNull(column) ? nil : blob(column) }

    private func isNull(_ column: Int32) -> Bool { sqlite3_column_type(statement, column) == SQLITE_NULL }
}
