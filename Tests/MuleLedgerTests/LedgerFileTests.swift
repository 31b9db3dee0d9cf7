import Glibc
import MuleSQLite
import MuleSystem
import TestSupport
import Testing

@testable import MuleLedger

@Suite struct LedgerFileTests {
    private let directory = ScratchDirectory()
    private var path: String { directory.path("ledger.sqlite") }

    private func mode(_ path: String) throws -> UInt32 {
        var facts = stat()
        try #require(lstat(path, &facts) == 0, "\(path)")
        return facts.st_mode & 0o7777
    }

    /// Closes everything before it returns, so that the file holds all there is.
    private func makeLedger(uploads: Int = 1) throws {
        let ledger = try Ledger(directory)
        for index in 0..<uploads {
            let (record, _) = try #require(try ledger.take(.sample(key: "key-\(index)")))
            try ledger.commit(.sample(1), .sample(2), of: record)
        }
    }

    // The child sets the umask, since it belongs to the whole process.
    @Test(arguments: ["0", "077", "022"])
    func `files are their owner's alone, under any umask`(umask: String) throws {
        let child = "\(TestCommand.productsDirectory)/ledger-child"
        let script = "umask \(umask); exec \"$0\" hold \"$1\""
        let ledger = directory.path("state/mule/ledger.sqlite")
        var command = TestCommand("/bin/sh", ["-c", script, child, ledger], home: directory.path)
        command.input = .pipe
        let running = try command.start()
        #expect(running.waitForText("holding\n"), "\(running.errorSoFar)")
        for suffix in ["", "-wal", "-shm", ".leases"] { #expect(try mode(ledger + suffix) == 0o600) }
        for name in ["state", "state/mule"] { #expect(try mode(directory.path(name)) == 0o700) }
        running.closeInput()
        #expect(running.wait().end == .exit(0))
    }

    @Test func `a directory that is there keeps its mode`() throws {
        try Files.setMode(directory.path, 0o755)
        try makeLedger()
        #expect(try mode(directory.path) == 0o755)
    }

    /// As a power cut leaves a ledger that is being made: its first page was to be written, and the journal was on disk
    /// before it (https://sqlite.org/fileformat.html, section 3).
    @Test func `a first page that was written in part is taken back`() throws {
        var journal: [UInt8] = [0xD9, 0xD5, 0x05, 0xF9, 0x20, 0xA1, 0x63, 0xD7]
        for number: UInt32 in [0, 0x5EED, 0, 512, 4096] {  // records, nonce, pages before, sector, page
            journal += [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
        }
        journal += [UInt8](repeating: 0, count: 512 - journal.count)
        let page = [UInt8](repeating: 0, count: 512) + [UInt8](repeating: 0x6D, count: 4096 - 512)
        try directory.write(page, to: "ledger.sqlite")
        #expect(errorOfOpening(path) == .damaged("it is not an SQLite file"), "without a journal nobody knows")
        try directory.write(journal, to: "ledger.sqlite-journal")
        try makeLedger()
        #expect(try Ledger(directory).unfinished().count == 1)
    }

    /// Both ways to create one: as a whole, and in a file that exists.
    @Test func `a ledger is the same whether its file existed or not`() throws {
        for name in ["new", "empty"] {
            if name == "empty" { try directory.write("", to: "empty.sqlite") }
            let ledger = try Ledger(path: Array(directory.path("\(name).sqlite").utf8))
            #expect(try ledger.take() != nil)
        }
        let asked = [
            "SELECT sql FROM sqlite_schema ORDER BY name", "PRAGMA user_version", "PRAGMA application_id",
            "PRAGMA journal_mode", "PRAGMA encoding", "PRAGMA page_size", "PRAGMA auto_vacuum",
            "PRAGMA integrity_check", "SELECT count(*) FROM uploads",
        ]
        let new = try RawDatabase(directory.path("new.sqlite"))
        let old = try RawDatabase(directory.path("empty.sqlite"))
        for question in asked { #expect(try new.column(question) == old.column(question), "\(question)") }
        #expect(try FileStatus.of(path: Array(directory.path("new.sqlite").utf8)).mode == 0o600)
    }

    /// A power cut may keep the name of the log and not that of the ledger.
    @Test(arguments: ["-wal", "-journal"])
    func `what is left of another ledger is not part of a new one`(suffix: String) throws {
        do {
            let other = try Ledger(path: Array(directory.path("other/ledger.sqlite").utf8))
            #expect(try other.take() != nil)
            let log = try Files.read(directory.path("other/ledger.sqlite-wal"))
            try directory.write(log, to: "ledger.sqlite" + suffix)
        }
        do { #expect(try Ledger(directory).all().isEmpty) }
        do { #expect(try Ledger(directory).take() != nil) }
        #expect(try RawDatabase(path).column("PRAGMA integrity_check") == ["ok"])
    }

    @Test func `no column is made for a secret`() throws {
        try makeLedger()
        let columns = try RawDatabase(path).column(
            "SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'"
        )
        #expect(columns.contains("uploads.token"))
        let words = ["secret", "password", "credential", "access_key", "session", "authorization", "customer_key"]
        #expect(columns.filter { column in words.contains { column.contains($0) } }.isEmpty)
    }

    @Test func `commits go through a write-ahead log`() throws {
        try makeLedger()
        #expect(try RawDatabase(path).column("PRAGMA journal_mode") == ["wal"])
    }

    @Test func `a ledger that was closed is one file and a file of leases`() throws {
        try makeLedger()
        #expect(Files.exists(path))
        #expect(Files.exists(path + ".leases"))
        #expect(!Files.exists(path + "-wal"))
        #expect(!Files.exists(path + "-shm"))
    }

    @Test func `many processes may make one ledger at once`() throws {
        for round in 0..<5 {
            let ledger = directory.path("\(round)/ledger.sqlite")
            let children = try (0..<8).map { _ in try child("open", ledger, home: directory).start() }
            for outcome in children.map({ $0.wait() }) { #expect(outcome.lines == ["opened"]) }
            #expect(errorOfOpening(ledger) == nil)
        }
    }

    /// It has made the file and is about to make it what this one would.
    @Test func `who meets another that makes the ledger waits for it`() throws {
        let path = Array(directory.path("ledger.sqlite").utf8)
        _ = try File.open(path: path, flags: O_RDWR | O_CREAT, mode: 0o600)
        let other = Monitor(try Database(path: path))
        try other.withLock { other throws(SQLiteError) in
            try other.execute("PRAGMA application_id = \(Schema.applicationID); CREATE TABLE t (a); DROP TABLE t")
            try other.execute("BEGIN IMMEDIATE")
        }
        let thread = startedThread("other") {
            usleep(300_000)
            other.withLock { other in #expect(throws: Never.self) { try other.execute("COMMIT") } }
        }
        let ledger = try Ledger(path: path)
        thread.join()
        #expect(try ledger.all().isEmpty)
    }

    /// A process that closes any descriptor of a file loses its POSIX locks on it (fcntl(2)), SQLite's among them; the
    /// next process to leave would then take itself for the last and remove the log under the others.
    @Test func `opening a ledger again takes no locks from the one that is open`() throws {
        let first = try Ledger(directory)
        let (record, lease) = try #require(try first.take())
        do {
            let second = try Ledger(directory)
            #expect(try second.unfinished().count == 1)
        }
        #expect(try child("open", path, home: directory).run().lines == ["opened"])
        #expect(Files.exists(path + "-wal"), "the child is not the last to leave")
        try first.commit(.sample(1), of: record)
        #expect(try Ledger(directory).parts(of: record.number) == [.sample(1)])
        withExtendedLifetime(lease) {}
    }

    // MARK: Files that are no ledger

    @Test(arguments: ["hello", String(repeating: "x", count: 8192), "SQLite format 3\u{0}", "\n"])
    func `a file that is no database is turned away untouched`(content: String) throws {
        try directory.write(content, to: "ledger.sqlite")
        guard case .damaged = errorOfOpening(path) else {
            Issue.record("\(String(describing: errorOfOpening(path)))")
            return
        }
        #expect(try directory.read("ledger.sqlite") == Array(content.utf8))
        #expect(!Files.exists(path + ".leases"))
    }

    @Test(arguments: ["DELETE", "WAL"])
    func `another program's database is turned away untouched`(journal: String) throws {
        do {
            let raw = try RawDatabase(path)
            try raw.execute(
                "PRAGMA journal_mode = \(journal); CREATE TABLE theirs (value TEXT); PRAGMA user_version = 3"
            )
        }
        let before = try directory.read("ledger.sqlite")
        #expect(errorOfOpening(path) == .damaged("it belongs to another program"))
        #expect(try directory.read("ledger.sqlite") == before)
        for suffix in ["-wal", "-shm", "-journal", ".leases"] { #expect(!Files.exists(path + suffix)) }
    }

    @Test(arguments: ["DELETE", "WAL"])
    func `a newer ledger is turned away untouched`(journal: String) throws {
        try makeLedger()
        do {
            try RawDatabase(path).execute("PRAGMA journal_mode = \(journal); PRAGMA user_version = 99")
        }
        let before = try directory.read("ledger.sqlite")
        #expect(errorOfOpening(path) == .newerVersion(99))
        #expect(try directory.read("ledger.sqlite") == before)
    }

    @Test func `an empty file becomes a ledger`() throws {
        try directory.write("", to: "ledger.sqlite")
        try makeLedger()
        #expect(try Ledger(directory).unfinished().count == 1)
    }

    @Test func `a directory instead of the ledger cannot be opened`() throws {
        try directory.makeDirectory("ledger.sqlite")
        guard case .cannotOpen = errorOfOpening(path) else {
            Issue.record("\(String(describing: errorOfOpening(path)))")
            return
        }
    }

    @Test func `a device instead of the ledger is left alone`() throws {
        #expect(symlink("/dev/null", path) == 0)
        #expect(errorOfOpening(path) == .cannotOpen("it is not a regular file"))
        for beside in ["/dev/null-journal", path + "-journal"] { #expect(!Files.exists(beside)) }
    }

    @Test func `a ledger's path may hold what means something in a URI`() throws {
        let odd = directory.path("a?mode=ro#b%20c d/ledger.sqlite")
        do {
            let ledger = try Ledger(path: Array(odd.utf8))
            #expect(try ledger.take() != nil)
        }
        #expect(Files.exists(odd))
        #expect(try Ledger(path: Array(odd.utf8)).unfinished().count == 1)
    }

    // MARK: Damage

    @Test func `overwritten pages are found out when they are used`() throws {
        try makeLedger(uploads: 200)
        let size = try Files.size(path)
        try #require(size > 20 * 4096)
        try Files.overwrite(path, at: 4096, with: Array(repeating: 0xA5, count: Int(size) - 4096))
        let damage = try directory.read("ledger.sqlite")

        func error(of body: (Ledger) throws -> Void) -> LedgerError? {
            do {
                try body(try Ledger(directory))
                return nil
            } catch {
                return error as? LedgerError
            }
        }
        let uses: [(Ledger) throws -> Void] = [
            { _ = try $0.unfinished() }, { _ = try $0.all() }, { _ = try $0.parts(of: 1) }, { _ = try $0.take() },
        ]
        for use in uses {
            guard case .damaged = error(of: use) else {
                Issue.record("\(String(describing: error(of: use)))")
                continue
            }
        }
        #expect(try directory.read("ledger.sqlite") == damage)
    }

    @Test func `a ledger cut short is found out`() throws {
        try makeLedger(uploads: 200)
        try Files.truncate(path, to: 3 * 4096 + 5)
        guard case .damaged = #expect(throws: LedgerError.self, performing: { try Ledger(directory).all() }) else {
            Issue.record("not found out")
            return
        }
    }

    // MARK: Disks

    /// Root may write anywhere, so the child drops its privileges first.
    @Test(arguments: ["directory", "file"])
    func `a ledger that may not be written is read-only`(what: String) throws {
        try makeLedger()
        let parent = directory.path
        if what == "directory" {
            for name in ["ledger.sqlite", "ledger.sqlite.leases"] { try Files.setMode(directory.path(name), 0o666) }
            try Files.setMode(parent, 0o555)
        } else {
            try Files.setMode(path, 0o444)
            try Files.setMode(parent, 0o777)
        }
        let before = try directory.read("ledger.sqlite")
        var arguments = ["hold", path]
        if geteuid() == 0 { arguments.append("--as-nobody") }
        let child = TestCommand("\(TestCommand.productsDirectory)/ledger-child", arguments, home: directory.path)
        #expect(try child.run().lines == ["error: readOnly"])
        #expect(try directory.read("ledger.sqlite") == before)
    }

    @Test func `a ledger cannot be made in a read-only directory`() throws {
        try Files.setMode(try directory.makeDirectory("locked"), 0o555)
        try Files.setMode(directory.path, 0o755)
        for name in ["locked/ledger.sqlite", "locked/deeper/ledger.sqlite"] {
            var arguments = ["open", directory.path(name)]
            if geteuid() == 0 { arguments.append("--as-nobody") }
            let child = TestCommand("\(TestCommand.productsDirectory)/ledger-child", arguments, home: directory.path)
            #expect(try child.run().lines == ["error: readOnly"])
        }
    }
}
