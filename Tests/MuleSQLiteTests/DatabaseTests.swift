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
