import Glibc
import MuleSQLite
import TestSupport
import Testing

@Suite struct DatabaseTests {
    private let directory = ScratchDirectory()

    private func database(_ contents: String = "") throws -> Database {
        try directory.write(contents, to: "test.sqlite")
        return try Database(path: Array(directory.path("test.sqlite").utf8), busyTimeout: 0)
    }

    private func numbers(in database: Database) throws -> [Int64] {
        try database.run("SELECT number FROM t ORDER BY number") { $0.integer(0) }
    }

    @Test func `values are read as they were written, with empty and missing ones told apart`() throws {
        let database = try database()
        try database.execute("CREATE TABLE t (a, b, c)")
        try database.run("INSERT INTO t VALUES (?, ?, ?)", [.integer(.min), .text("é\0"), .blob([0, 0xFF])])
        try database.run("INSERT INTO t VALUES (?, ?, ?)", [SQLValue(0), .text(""), .blob([])])
        try database.run("INSERT INTO t VALUES (?, ?, ?)", [.null, .null, .null])
        let rows = try database.run("SELECT a, b, c FROM t ORDER BY rowid") {
            ($0.optionalInteger(0), $0.optionalText(1), $0.optionalBlob(2))
        }
        #expect(rows.map(\.0) == [.min, 0, nil])
        #expect(rows.map(\.1) == ["é\0", "", nil])
        #expect(rows.map(\.2) == [[0, 0xFF], [], nil])
    }

    @Test func `values of any length are written by one statement, in any order`() throws {
        let database = try database()
        try database.execute("CREATE TABLE t (a, b, c)")
        let lengths = [3, 5000, 0, 255, 100_000, 1]
        for length in lengths {
            let text = String(repeating: "é", count: length)
            try database.run("INSERT INTO t VALUES (?, ?, ?)", [.text(text), .integer(7), .blob(Array(text.utf8))])
        }
        let rows = try database.run("SELECT a, b, c FROM t ORDER BY rowid") { ($0.text(0), $0.integer(1), $0.blob(2)) }
        #expect(rows.map(\.0.count) == lengths)
        #expect(rows.allSatisfy { $0.1 == 7 && $0.2 == Array($0.0.utf8) })
    }

    @Test func `of a transaction that fails, nothing remains, and the next one succeeds`() throws {
        let database = try database()
        try database.execute("CREATE TABLE t (number INTEGER PRIMARY KEY)")
        #expect(throws: SQLiteError.self) {
            try database.transaction { () throws(SQLiteError) in
                try database.run("INSERT INTO t VALUES (?)", [.integer(1)])
                try database.run("INSERT INTO t VALUES (?)", [.integer(1)])
            }
        }
        #expect(try numbers(in: database) == [])
        try database.transaction { () throws(SQLiteError) in
            try database.run("INSERT INTO t VALUES (?)", [.integer(1)])
        }
        #expect(try numbers(in: database) == [1])
    }

    @Test func `after the last row, the next call starts again`() throws {
        let database = try database()
        try database.execute("CREATE TABLE t (number INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
        let found = try (0..<5).map { _ in
            try database.next("SELECT number FROM t ORDER BY number") { $0.integer(0) }
        }
        #expect(found == [1, 2, nil, 1, 2])
    }

    // MARK: Durability

    /// What commits wait for (`PRAGMA synchronous`); 3 is EXTRA.
    private func level(_ database: Database) throws -> [Int64] {
        try database.run("PRAGMA synchronous") { $0.integer(0) }
    }

    private func logged() throws -> Database {
        let database = try database()
        try database.execute("PRAGMA journal_mode = WAL; CREATE TABLE t (number INTEGER PRIMARY KEY, filler BLOB)")
        return database
    }

    private func insert(_ number: Int64, in database: Database) throws(SQLiteError) {
        try database.run("INSERT INTO t (number) VALUES (?)", [.integer(number)])
    }

    @Test func `every commit is durable again after one that need not be, whether it succeeds or not`() throws {
        let database = try logged()
        try database.commitDurably(usesLog: true)
        for number: Int64 in [1, 2, 2, 3] {
            let isRepeated = try numbers(in: database).contains(number)
            do {
                try database.withoutSync { () throws(SQLiteError) in
                    #expect(throws: Never.self) { try #expect(level(database) == [1]) }
                    try insert(number, in: database)
                }
                #expect(!isRepeated)
            } catch {
                #expect(isRepeated)
            }
            #expect(try level(database) == [3])
        }
        #expect(try numbers(in: database) == [1, 2, 3])
    }

    @Test func `a database without a log has no commit that need not be durable`() throws {
        let database = try database()
        try database.execute("CREATE TABLE t (number INTEGER PRIMARY KEY)")
        try database.commitDurably(usesLog: false)
        try database.withoutSync { () throws(SQLiteError) in
            #expect(throws: Never.self) { try #expect(level(database) == [3]) }
            try insert(1, in: database)
        }
        #expect(try numbers(in: database) == [1])
    }

    @Test(arguments: [false, true]) func `the first transaction of a log is like any other`(fails: Bool) throws {
        do { _ = try logged() }
        let database = try Database(path: Array(directory.path("test.sqlite").utf8), busyTimeout: 0)
        try database.commitDurably(usesLog: true)
        do {
            try database.transaction { () throws(SQLiteError) in
                #expect(throws: Never.self) { try #expect(level(database) == [0]) }
                try insert(1, in: database)
                if fails { try insert(1, in: database) }
            }
            #expect(!fails)
        } catch {
            #expect(fails)
        }
        #expect(try level(database) == [3])
        try database.transaction { () throws(SQLiteError) in
            #expect(throws: Never.self) { try #expect(level(database) == [3]) }
            try insert(2, in: database)
        }
        #expect(try numbers(in: database) == (fails ? [2] : [1, 2]))
    }

    @Test func `a log that another process has started is synced by SQLite alone`() throws {
        let other = try logged()
        let database = try Database(path: Array(directory.path("test.sqlite").utf8), busyTimeout: 0)
        try database.commitDurably(usesLog: true)
        try other.execute("INSERT INTO t (number) VALUES (1)")
        var levels: [[Int64]] = []
        try database.transaction { () throws(SQLiteError) in
            #expect(throws: Never.self) { levels.append(try level(database)) }
            try insert(2, in: database)
        }
        #expect(levels == [[3]])
        #expect(try numbers(in: other) == [1, 2])
    }

    /// A checkpoint without syncs would lose the file's content if the power failed.
    @Test func `nothing is moved out of a log that is not on disk`() throws {
        do { _ = try logged() }
        let path = directory.path("test.sqlite")
        let database = try Database(path: Array(path.utf8), busyTimeout: 0)
        try database.commitDurably(usesLog: true)
        let before = try Files.size(path)
        let filler = [UInt8](repeating: 1, count: 4000)
        try database.transaction { () throws(SQLiteError) in
            for number: Int64 in 1...1500 {
                try database.run("INSERT INTO t VALUES (?, ?)", [.integer(number), .blob(filler)])
            }
        }
        #expect(try Files.size(path) == before)
        try database.transaction { () throws(SQLiteError) in try insert(1501, in: database) }
        #expect(try Files.size(path) > before + 1000 * 4096)
        #expect(try numbers(in: database).count == 1501)
    }

    @Test func `a file made from a script is a database with a log`() throws {
        let bytes = try Database.file(after: "CREATE TABLE t (number INTEGER PRIMARY KEY);", applicationID: 7)
        let header = FileHeader(bytes: bytes)
        #expect(header.isSQLite && header.usesLog && header.applicationID == 7)
        try directory.write(bytes, to: "made.sqlite")
        let database = try Database(path: Array(directory.path("made.sqlite").utf8))
        #expect(try database.run("PRAGMA journal_mode") { $0.text(0) } == ["wal"])
        #expect(try database.run("PRAGMA integrity_check") { $0.text(0) } == ["ok"])
        try database.transaction { () throws(SQLiteError) in try insert(1, in: database) }
        #expect(try numbers(in: database) == [1])
        #expect(throws: SQLiteError.self) { try Database.file(after: "CREATE", applicationID: 7) }
    }

    @Test func `after the last transaction the file has everything`() throws {
        do { _ = try logged() }
        let path = directory.path("test.sqlite")
        let database = try Database(path: Array(path.utf8), busyTimeout: 0)
        try database.commitDurably(usesLog: true)
        try database.transaction { () throws(SQLiteError) in try insert(1, in: database) }
        let reader = try Database(path: Array(path.utf8), busyTimeout: 0)
        try reader.execute("BEGIN")
        #expect(try numbers(in: reader) == [1])
        // The reader's moment keeps later rows in the log.
        try database.lastTransaction { () throws(SQLiteError) in try insert(2, in: database) }
        #expect(try fileAlone() == [])
        try reader.execute("COMMIT")
        try database.lastTransaction { () throws(SQLiteError) in try insert(3, in: database) }
        #expect(try fileAlone() == [1, 2, 3])
        try database.transaction { () throws(SQLiteError) in try insert(4, in: database) }
        #expect(try numbers(in: reader) == [1, 2, 3, 4])
    }

    /// What the file holds without its log.
    private func fileAlone() throws -> [Int64] {
        try directory.write(Files.read(directory.path("test.sqlite")), to: "alone.sqlite")
        return try numbers(in: Database(path: Array(directory.path("alone.sqlite").utf8)))
    }

    // MARK: Errors

    @Test func `a file that is missing cannot be opened`() {
        let path = Array(directory.path("missing.sqlite").utf8)
        let error = #expect(throws: SQLiteError.self) { try Database(path: path) }
        #expect(error?.kind == .cannotOpen)
        #expect(error?.systemCode == ENOENT)
    }

    @Test func `a file of something else is damaged`() throws {
        let database = try database(String(repeating: "something else. ", count: 64))
        let error = #expect(throws: SQLiteError.self) { try database.execute("SELECT * FROM sqlite_schema") }
        #expect(error?.kind == .damaged)
    }

    @Test func `a lock that another connection holds is busy`() throws {
        let holder = try database()
        let other = try Database(path: Array(directory.path("test.sqlite").utf8), busyTimeout: 0)
        try holder.execute("BEGIN EXCLUSIVE")
        let error = #expect(throws: SQLiteError.self) { try other.execute("BEGIN IMMEDIATE") }
        #expect(error?.kind == .busy)
    }

    @Test func `a mistake in a statement is none of the kinds, and is named with the statement`() throws {
        let database = try database()
        let error = #expect(throws: SQLiteError.self) { try database.run("SELECT number FROM nowhere") }
        #expect(error?.kind == .other)
        #expect(error?.statement == "SELECT number FROM nowhere")
        #expect(error?.message == "no such table: nowhere")
    }

    /// SQLite's extended codes, such as SQLITE_IOERR_SHMSIZE: what the system says counts, where SQLite passes it on.
    @Test(
        arguments: [
            (13, 0, .diskFull), (10 | 19 << 8, ENOSPC, .diskFull), (10 | 3 << 8, EDQUOT, .diskFull),
            (14, EFBIG, .diskFull),
            (14, EACCES, .readOnly), (14, EMFILE, .tooManyFiles), (14, EISDIR, .cannotOpen), (8 | 4 << 8, 0, .readOnly),
            (11 | 1 << 8, 0, .damaged), (5 | 2 << 8, 0, .busy), (10 | 3 << 8, EIO, .other),
        ] as [(Int32, Int32, SQLiteError.Kind)]
    )
    func `a result code and the system's errno give the kind`(code: Int32, errno: Int32, kind: SQLiteError.Kind) {
        #expect(SQLiteError(code: code, message: "", statement: "", systemCode: errno).kind == kind)
    }
}
