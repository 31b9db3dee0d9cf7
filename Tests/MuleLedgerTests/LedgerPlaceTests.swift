import Glibc
import MuleSQLite
import MuleSystem
import Synchronization
import TestSupport
import Testing

@testable import MuleLedger

/// Disks of other machines, disks that fill up, files that go away, and locks that others hold.
@Suite struct LedgerPlaceTests {
    private let directory = ScratchDirectory()
    private var path: String { directory.path("ledger.sqlite") }

    private func ledger(
        isShared: Bool = false,
        copiesOnWrite: Bool = false,
        available: Int64 = .max,
        busyTimeout: Double = 10
    ) throws(LedgerError) -> Ledger {
        let place = FileSystem(
            name: isShared ? "nfs" : "local",
            isShared: isShared,
            available: available,
            copiesOnWrite: copiesOnWrite
        )
        return try Ledger(path: Array(path.utf8), fileSystem: { _ in place }, busyTimeout: busyTimeout)
    }

    // MARK: File systems of other machines

    @Test func `a ledger that other machines may open has no log and no shared memory`() throws {
        let ledger = try ledger(isShared: true)
        let (record, lease) = try #require(try ledger.take())
        try ledger.commit(.sample(1), of: record)
        for suffix in ["-wal", "-shm"] { #expect(!Files.exists(path + suffix)) }
        #expect(try RawDatabase(path).column("PRAGMA journal_mode") == ["delete"])
        withExtendedLifetime(lease) {}
    }

    @Test func `a log is moved into the file before other machines may open it`() throws {
        let taken: (record: UploadRecord, lease: Lease)?
        do {
            let local = try ledger()
            taken = try local.take()
            try local.commit(.sample(1), .sample(2), of: try #require(taken?.record))
            #expect(Files.exists(path + "-wal"))
            // As after a kill: the log stays.
            for suffix in ["", "-wal"] {
                try directory.write(try Files.read(path + suffix), to: "copy/ledger.sqlite" + suffix)
            }
        }
        let place = FileSystem(name: "nfs", isShared: true, available: .max)
        let shared = try Ledger(path: Array(directory.path("copy/ledger.sqlite").utf8), fileSystem: { _ in place })
        let record = try #require(try shared.unfinished().first)
        #expect(try shared.parts(of: record.number) == [.sample(1), .sample(2)])
        #expect(!Files.exists(directory.path("copy/ledger.sqlite-wal")))
        // The lock of the move is released.
        try shared.commit(.sample(3), of: record)
        let again = try Ledger(path: shared.path, fileSystem: { _ in place })
        try again.commit(.sample(4), of: record)
        #expect(try shared.parts(of: record.number).count == 4)
    }

    @Test func `a log that a living process writes to is not taken from it`() throws {
        let local = try ledger()
        let (record, lease) = try #require(try local.take())
        #expect(throws: LedgerError.busy) { _ = try self.ledger(isShared: true, busyTimeout: 0.05) }
        try local.commit(.sample(1), of: record)
        #expect(try local.parts(of: record.number) == [.sample(1)])
        withExtendedLifetime(lease) {}
    }

    @Test func `a ledger without a log keeps to it on a local disk`() throws {
        do { _ = try ledger(isShared: true).take() }
        let local = try ledger()
        #expect(try local.unfinished().count == 1)
        #expect(try RawDatabase(path).column("PRAGMA journal_mode") == ["delete"])
    }

    @Test func `this machine's temporary directory is no network`() throws {
        let place = try FileSystem.of(path: Array(directory.path.utf8))
        #expect(place.available > 0)
        #expect(throws: SystemError(code: ENOENT, call: "statfs")) {
            _ = try FileSystem.of(path: Array(directory.path("missing").utf8))
        }
    }

    // MARK: Room

    @Test func `room is made in the log, and no more than is needed`() throws {
        let ledger = try ledger()
        let (record, lease) = try #require(try ledger.take())
        try ledger.makeRoom()
        let first = try Files.size(path + "-wal")
        #expect(first >= DiskReserve.room && first < DiskReserve.room + 2 * mebibyte)
        for number in 1...50 {
            try ledger.commit(.sample(number), of: record)
            try ledger.makeRoom()
        }
        #expect(try Files.size(path + "-wal") <= first + 2 * mebibyte)
        #expect(try ledger.parts(of: record.number).count == 50)
        withExtendedLifetime(lease) {}
    }

    @Test func `room is made where a symbolic link leads to`() throws {
        try directory.makeDirectory("there")
        #expect(symlink(directory.path("there/real.sqlite"), path) == 0)
        try directory.write("", to: "there/real.sqlite")
        let ledger = try ledger()
        let (record, lease) = try #require(try ledger.take())
        try ledger.makeRoom()
        #expect(try Files.size(directory.path("there/real.sqlite-wal")) >= DiskReserve.room)
        try ledger.commit(.sample(1), of: record)
        withExtendedLifetime(lease) {}
    }

    @Test func `where what is written over takes new room, the log and its index are made before SQLite makes them`()
        throws
    {
        for _ in 0..<2 {
            let ledger = try ledger(copiesOnWrite: true)
            let (record, lease) = try #require(try ledger.take(.sample(key: "\(try ledger.all().count)")))
            try ledger.commit(.sample(1), of: record)
            for suffix in ["-wal", "-shm"] {
                let status = try FileStatus.of(path: Array((path + suffix).utf8))
                #expect(status.mode == 0o600 && status.size > 0, "\(suffix): \(status)")
            }
            withExtendedLifetime(lease) {}
        }
        #expect(try RawDatabase(path).column("PRAGMA journal_mode") == ["wal"])
        #expect(try ledger(copiesOnWrite: true).all().map(\.partsDone) == [1, 1])
    }

    /// SQLite says only that it can't open a file: its second try, for reading alone, meets another error.
    @Test(.enabled(if: TestCommand.canMount))
    func `no room for a new file is told as a full disk, and not as a file that cannot be opened`() throws {
        // Three files: the directory, the ledger and its leases.
        let script = """
            mount -t tmpfs -o size=1m,nr_inodes=3 mule-test "$1" && cp "$1.sqlite" "$1/l.sqlite" && : > "$1/l.sqlite.leases"
            shift && exec "$0" "$@"
            """
        do { _ = try Ledger(path: Array(directory.path("full.sqlite").utf8)) }
        try directory.makeDirectory("full")
        let outcome = try child("open", directory.path("full/l.sqlite"), home: directory)
            .inMountNamespace(script, [directory.path("full")]).run()
        #expect(outcome.lines == ["error: diskFull"], "\(outcome.err)")
        #expect(outcome.exitCode == 12)
    }

    @Test func `a file that cannot be opened for another reason is told as that`() {
        let error = SQLiteError(
            code: 14,
            message: "unable to open database file",
            statement: "open",
            systemCode: ENOENT
        )
        let path = Array(self.path.utf8)
        #expect(LedgerError(error, of: path) == .cannotOpen("unable to open database file"))
        #expect(LedgerError(error, of: Array(directory.path("missing/ledger.sqlite").utf8)) != .diskFull)
    }

    @Test func `without a log, the free space is looked at`() throws {
        #expect(throws: LedgerError.diskFull) { try self.ledger(isShared: true, available: 1 << 20).makeRoom() }
        try ledger(isShared: true, available: DiskReserve.room).makeRoom()
    }

    // MARK: Files that go away

    @Test(arguments: ["", "-wal", ".leases"], [false, true])
    func `what is recorded in a file that was removed is not taken for recorded`(suffix: String, hasLink: Bool) throws {
        let ledger = try ledger()
        let (record, lease) = try #require(try ledger.take())
        try ledger.makeRoom()
        try ledger.commit(.sample(1), of: record)
        if hasLink { #expect(link(path + suffix, directory.path("link")) == 0) }
        try Files.remove(path + suffix)
        #expect(throws: LedgerError.removed) { try ledger.commit(.sample(2), of: record) }
        withExtendedLifetime(lease) {}
    }

    /// As `cp -al` and rsnapshot make them.
    @Test(arguments: ["", "-wal", "-shm", ".leases"])
    func `a hard link to a file of the ledger changes nothing for a run`(suffix: String) throws {
        let ledger = try ledger()
        let (record, lease) = try #require(try ledger.take())
        try ledger.makeRoom()
        #expect(link(path + suffix, directory.path("link")) == 0)
        try ledger.commit(.sample(1), of: record)
        try ledger.makeRoom()
        try ledger.commit(.sample(2), of: record)
        #expect(try Ledger(path: Array(path.utf8)).parts(of: record.number) == [.sample(1), .sample(2)])
        withExtendedLifetime(lease) {}
    }

    @Test func `a ledger that another one was put in the place of is found out`() throws {
        let ledger = try ledger()
        let (record, lease) = try #require(try ledger.take())
        #expect(rename(path, directory.path("aside")) == 0)
        do { _ = try Ledger(path: Array(directory.path("other.sqlite").utf8)).take() }
        #expect(rename(directory.path("other.sqlite"), path) == 0)
        #expect(throws: LedgerError.removed) { try ledger.commit(.sample(1), of: record) }
        withExtendedLifetime(lease) {}
    }

    // MARK: Locks

    @Test func `a writer that takes long is waited for, and not forever`() throws {
        let ledger = try ledger(busyTimeout: 0.05)
        let (record, lease) = try #require(try ledger.take())
        let other = try RawDatabase(path)
        try other.execute("BEGIN IMMEDIATE")
        #expect(throws: LedgerError.busy) { try ledger.commit(.sample(1), of: record) }
        #expect(try ledger.parts(of: record.number).isEmpty, "reading goes on")
        try other.execute("COMMIT")
        try ledger.commit(.sample(1), of: record)
        withExtendedLifetime(lease) {}
    }

    // MARK: What is no ledger

    @Test(arguments: ["ledger.sqlite", "ledger.sqlite.leases"])
    func `a FIFO in a file's place is turned away and not waited for`(name: String) throws {
        if name != "ledger.sqlite" { do { _ = try ledger() }; try Files.remove(directory.path(name)) }
        #expect(mkfifo(directory.path(name), 0o600) == 0)
        // Locks work on a FIFO; what matters is that nothing hangs and that a ledger is a file.
        if name == "ledger.sqlite" {
            #expect(errorOfOpening(path) == .cannotOpen("it is not a regular file"))
        } else {
            #expect(errorOfOpening(path) == nil)
        }
    }

    @Test func `a directory instead of the leases is turned away`() throws {
        try directory.makeDirectory("ledger.sqlite.leases")
        guard case .cannotOpen = errorOfOpening(path) else {
            Issue.record("\(String(describing: errorOfOpening(path)))")
            return
        }
    }
}
