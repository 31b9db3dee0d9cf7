// The ledger: records what has started, what is finished, and which process works on it. Guarantees that a step is on
// disk when its method returns (WAL with synchronous=FULL), and that it is recorded completely or not at all. Knows
// nothing about S3.

import Glibc
import MulePlan
import MuleSQLite
package import MuleSystem

package final class Ledger: Sendable {
    /// The path with links resolved.
    package let path: [UInt8]
    private let database: Monitor<Database>
    let leases: LockFile
    private let reserved: ReservedFiles
    let reserve: DiskReserve
    /// Milliseconds since 1970.
    package let now: @Sendable () -> Int64

    /// Prevents the files of a ledger that will be opened from being read as sources; the ledger need not exist.
    package static func reserve(path: [UInt8]) -> ReservedFiles {
        LedgerName.reserve((try? canonicalPath(path)) ?? path)
    }

    /// Opens the ledger, and creates it and its directory if needed. `now` returns milliseconds since 1970.
    package convenience init(
        path: [UInt8],
        now: @escaping @Sendable () -> Int64 = wallClockMilliseconds,
        busyTimeout: Double = 10
    ) throws(LedgerError) {
        try self.init(
            path: path,
            now: now,
            fileSystem: { path throws(SystemError) in try FileSystem.of(path: path) },
            busyTimeout: busyTimeout
        )
    }

    /// - Parameters:
    ///   - fileSystem: queries the ledger's file system.
    ///   - busyTimeout: seconds to wait for another process's lock.
    init(
        path given: [UInt8],
        now: @escaping @Sendable () -> Int64 = wallClockMilliseconds,
        fileSystem: @escaping DiskReserve.Look,
        busyTimeout: Double = 10
    ) throws(LedgerError) {
        self.now = now
        let path: [UInt8]
        let place: FileSystem
        let status: FileStatus
        do {
            path = try LedgerName.resolve(given, fileSystem: fileSystem)
            place = try fileSystem(path)
            status = try FileStatus.of(path: path)
        } catch {
            throw LedgerError(error)
        }
        self.path = path
        reserve = DiskReserve(path: path, fileSystem: fileSystem)
        // SQLite would read from a FIFO.
        guard status.kind == .regular else { throw LedgerError.cannotOpen("it is not a regular file") }
        try LedgerName.check(path, status)
        do {
            let hadLog = (try? FileStatus.of(path: path + Array("-wal".utf8))) != nil
            let database = try Database(path: path, busyTimeout: busyTimeout)
            let header = try Self.turnAwayOthers(database, path: path)
            if place.isShared, header.usesLog { try Self.leaveLog(database) }
            if place.copiesOnWrite, header.usesLog { Self.makeLogInPlace(path, status) }
            try Self.migrate(database, path: path, status, place: place, hadLog: hadLog, patience: busyTimeout)
            self.database = Monitor(database)
        } catch let error as SQLiteError {
            throw LedgerError(error, of: path)
        } catch let error as SystemError {
            throw LedgerError(error)
        } catch let error as LedgerError {
            throw error
        } catch {
            throw LedgerError.failed("\(error)")
        }
        do {
            leases = try LockFile(path: path + Array(".leases".utf8))
        } catch {
            throw LedgerError(error)
        }
        // All files that hold locks exist now.
        reserved = LedgerName.reserve(path)
        do {
            try leases.tryOut()
        } catch {
            throw .noLocks("\(place.name): \(error.reason)")
        }
        // Without it only the detection of hard links fails, and a full disk must not prevent reading the ledger.
        try? leases.write(LedgerName.record(of: path, status))
    }

    /// Refuses a file that is not a ledger before anything is written to it.
    private static func turnAwayOthers(_ database: Database, path: [UInt8]) throws -> FileHeader {
        if database.isReadOnly { throw LedgerError.readOnly }
        let status = try FileStatus.of(path: path)
        var header = FileHeader(bytes: try database.header())
        if status.size == 0 { return header }
        // A power cut during creation may have left the first page without its header. With the journal next to the
        // file, the first read lets SQLite roll that page back.
        if header.isBlank, (try? FileStatus.of(path: path + Array("-journal".utf8))) != nil {
            _ = try pragma("page_count", of: database)
            header = FileHeader(bytes: try database.header())
            if try FileStatus.of(path: path).size == 0 { return header }
        }
        guard header.isSQLite else { throw LedgerError.damaged("it is not an SQLite file") }
        guard header.applicationID == Schema.applicationID else {
            throw LedgerError.damaged("it belongs to another program")
        }
        guard header.userVersion <= Schema.version else { throw LedgerError.newerVersion(header.userVersion) }
        return header
    }

    /// Moves a write-ahead log into the file, under an exclusive lock and without shared memory, because neither works
    /// between machines (https://sqlite.org/wal.html, sections 2 and 8).
    private static func leaveLog(_ database: Database) throws(SQLiteError) {
        try database.execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE")
        // SQLite releases the lock at the end of the next statement that reads the file.
        try database.execute("PRAGMA locking_mode = NORMAL; SELECT count(*) FROM sqlite_schema")
    }

    /// Switches to a write-ahead log. If two processes create the ledger at once, SQLite does not wait here: a reader,
    /// which this change is, gets SQLITE_BUSY at once if another process writes, to avoid a deadlock
    /// (https://sqlite.org/c3ref/busy_handler.html).
    private static func beginLog(_ database: Database, patience: Double) throws(SQLiteError) {
        let end = Moment.now().adding(seconds: patience)
        while true {
            do throws(SQLiteError) {
                return try database.execute("PRAGMA journal_mode = WAL")
            } catch {
                guard error.kind == .busy, Moment.now() < end else { throw error }
                usleep(5000)
            }
        }
    }

    /// Creates the log and its index, empty, with copy-on-write turned off. SQLite maps the index into memory, and if a
    /// full disk has no room for the copy of a page, the kernel kills the process; and no room could be reserved in the
    /// log. Neither needs the file system's checksums: the log has its own, and the index lives no longer than its
    /// processes. Existing files are not touched, because closing a descriptor would drop SQLite's locks.
    ///
    /// Older kernels still need room for a mapped page of such a file; see `onBusError`.
    private static func makeLogInPlace(_ path: [UInt8], _ status: FileStatus) {
        for suffix in ["-wal", "-shm"] {
            let name = path + Array(suffix.utf8)
            // If this fails, SQLite creates the file, or fails with a message.
            let file = try? File.open(path: name, flags: O_RDWR | O_CREAT | O_EXCL, mode: status.mode & 0o666)
            try? file?.writeInPlace()
        }
    }

    private static func pragma(_ name: String, of database: Database) throws(SQLiteError) -> Int {
        Int(try database.run("PRAGMA \(name)", read: { $0.integer(0) }).first ?? 0)
    }

    /// Creates the tables in an empty file, or migrates them, and makes sure that later commits survive a power cut: the
    /// file's name and those of its directories are durable, at the latest with the first commit.
    ///
    /// - Parameters:
    ///   - hadLog: whether there was a log before this process opened the file.
    ///   - patience: seconds to wait for another process's lock.
    private static func migrate(
        _ database: Database,
        path: [UInt8],
        _ status: FileStatus,
        place: FileSystem,
        hadLog: Bool,
        patience: Double
    ) throws {
        func version() throws(SQLiteError) -> Int { try pragma("user_version", of: database) }
        guard try version() <= Schema.version else { throw LedgerError.newerVersion(try version()) }
        if try pragma("page_count", of: database) == 0 {
            try syncNames(leadingTo: path)
            // Before WAL mode, so that it is in the file itself and not in the log.
            try database.execute("PRAGMA application_id = \(Schema.applicationID)")
        }
        // A ledger created with a rollback journal keeps it: its disk may be exported to other machines.
        if try !place.isShared && version() == 0 {
            try beginLog(database, patience: patience)
            if place.copiesOnWrite { makeLogInPlace(path, status) }
        }
        let usesLog = FileHeader(bytes: try database.header()).usesLog
        try database.commitDurably(usesLog: usesLog)
        try database.execute("PRAGMA temp_store = MEMORY")
        if hadLog || !usesLog {
            // What a killed process has written to its log is relied on before the next commit.
            try syncDirectory(of: path)
        } else {
            // The name of a new log is durable with its first commit, unless SQLite cannot open the directory, which it
            // does not report.
            _ = try File.open(path: parentDirectory(of: path), flags: O_RDONLY | O_DIRECTORY)
        }
        guard try version() != Schema.version else { return }
        try database.transaction { () throws(SQLiteError) in
            // Read again inside the transaction: another process may have migrated first.
            let found = try version()
            if found == 0 { return try database.execute(Schema.script) }
            for step in Schema.steps.dropFirst(found) { try database.execute(step) }
            if found < Schema.version { try database.execute("PRAGMA user_version = \(Schema.version)") }
        }
        let found = try version()
        guard found == Schema.version else { throw LedgerError.newerVersion(found) }
    }

    func perform<Result: Sendable>(
        _ body: (Database) throws(SQLiteError) -> Result
    ) throws(LedgerError) -> Result {
        do {
            return try database.withLock { database in try body(database) }
        } catch let error as SQLiteError {
            throw LedgerError(error, of: path)
        } catch {
            throw .failed("\(error)")
        }
    }

    /// - Parameter isLast: whether this is probably the last transaction before the ledger is closed; saves a sync.
    func transaction<Result: Sendable>(
        isLast: Bool = false,
        _ body: (Database) throws(SQLiteError) -> Result
    ) throws(LedgerError) -> Result {
        let (result, isGone) = try perform { database throws(SQLiteError) in
            let whole = { () throws(SQLiteError) in try body(database) }
            let result = isLast ? try database.lastTransaction(whole) : try database.transaction(whole)
            return (result, try database.hasMoved())
        }
        // Checked afterwards: what was written to a file that has lost its name is lost when the process ends.
        if isGone || leases.isRemoved() || reserve.isRemoved() { throw .removed }
        return result
    }

    // MARK: Claiming

    /// The result of claiming an upload, for this process or another.
    package enum Claim: Sendable {
        /// A new row; nothing has been sent.
        case began(UploadRecord, Lease)
        /// The unfinished upload of the same source to the same object.
        case found(UploadRecord, Lease)
        case heldElsewhere(UploadRecord)
        /// The latest confirmed upload of the same source to the same object makes a new one unnecessary. There is no
        /// new row.
        case doneBefore(UploadRecord)
        /// Another source of the same job has this object; its path.
        case taken(by: [UInt8])
    }

    /// Finds or creates the rows of these uploads and takes their leases in one step: if two processes start the same
    /// upload at once, one gets it.
    ///
    /// - Parameters:
    ///   - items: the items of the archive job, if there is one.
    ///   - isDone: whether a confirmed upload makes a new one unnecessary; called with index and record if no upload is
    ///     unfinished.
    package func claim(
        _ uploads: [NewUpload],
        as items: NewItems? = nil,
        unless isDone: (Int, UploadRecord) -> Bool = { _, _ in false }
    ) throws(LedgerError) -> [Claim] {
        try transaction { database throws(SQLiteError) in
            var claims: [Claim?] = Array(repeating: nil, count: uploads.count)
            var new: [(place: Int, record: UploadRecord)] = []
            for (place, upload) in uploads.enumerated() {
                if let items, let other = try rival(of: items.items[place], for: upload, in: items.run, database) {
                    claims[place] = .taken(by: other)
                    continue
                }
                let known = try existingClaim(of: upload, in: database, before: new.first?.record.number) {
                    isDone(place, $0)
                }
                claims[place] = known
                let item: (record: UploadRecord, state: ItemState)
                switch known {
                case nil:
                    let record = try insert(upload, in: database)
                    new.append((place, record))
                    item = (record, .pending)
                case .began(let record, _), .found(let record, _): item = (record, .pending)
                case .doneBefore(let record): item = (record, .asked)
                case .heldElsewhere, .taken: continue
                }
                if let items {
                    try setItem(items.items[place], item.record, state: item.state, of: items.run, in: database)
                }
            }
            for ((place, record), lease) in zip(new, try lease(new.map(\.record.number))) {
                claims[place] = lease.map { .began(record, $0) } ?? .heldElsewhere(record)
            }
            return claims.map { claim in
                // Nil stands only for a new row, and each of these has just got one.
                guard let claim else { fatalError("every upload has its claim") }
                return claim
            }
        }
    }

    /// The claim of an upload that has a row, or needs none; nil if it needs a new one.
    ///
    /// - Parameter firstNew: the first row that this transaction has created; it has no lease yet.
    private func existingClaim(
        of upload: NewUpload,
        in database: Database,
        before firstNew: Int64?,
        unless isDone: (UploadRecord) -> Bool
    ) throws(SQLiteError) -> Claim? {
        if let record = try unfinished(like: upload, in: database) {
            if let firstNew, record.number >= firstNew { return .heldElsewhere(record) }
            return try lease(record).map { .found(record, $0) } ?? .heldElsewhere(record)
        }
        if let done = try lastDone(like: upload, in: database), isDone(done) { return .doneBefore(done) }
        return nil
    }

    /// Takes the lease of a known upload; nil if another process has it. The record is read under the lease.
    package func claim(_ number: Int64) throws(LedgerError) -> (UploadRecord, Lease)? {
        try transaction { database throws(SQLiteError) -> (UploadRecord, Lease)? in
            guard let record = try records(in: database, "WHERE number = ?", [.integer(number)]).first,
                let lease = try lease(record)
            else { return nil }
            return (record, lease)
        }
    }

    /// The records and leases of uploads whose leases were handed in, by number.
    package func takeUp(_ numbers: Range<Int64>) throws(LedgerError) -> [(UploadRecord, Lease)] {
        let found = try perform { database throws(SQLiteError) in
            try records(
                in: database,
                "WHERE number >= ? AND number < ? ORDER BY number",
                [.integer(numbers.lowerBound), .integer(numbers.upperBound)]
            )
        }
        return found.compactMap { record in
            Lease(handedInTo: leases, number: record.number).map { (record, $0) }
        }
    }

    func lease(_ record: UploadRecord) throws(SQLiteError) -> Lease? { try lease([record.number])[0] }

    /// The leases of these uploads, in order, nil for one that another process has. Consecutive ones need one lock.
    private func lease(_ numbers: [Int64]) throws(SQLiteError) -> [Lease?] {
        do {
            if let first = numbers.first, let last = numbers.last, last - first == numbers.count - 1,
                try leases.take(first..<last + 1)
            {
                return numbers.map { Lease(handedInTo: leases, number: $0) }
            }
            return try numbers.map { number throws(SystemError) in try Lease(leases, number: number) }
        } catch {
            throw SQLiteError(code: 10, message: error.description, statement: "lease")  // SQLITE_IOERR
        }
    }

    /// Whether another process is working on the upload.
    package func isActive(_ record: UploadRecord) -> Bool {
        isActive(record.number)
    }

    /// The processes that hold uploads now, by upload number.
    package func holders() -> LockHolders { leases.holders() }

    func isActive(_ number: Int64) -> Bool {
        (try? leases.isHeldElsewhere(number)) ?? false
    }

    func unfinished(like upload: NewUpload, in database: Database) throws(SQLiteError) -> UploadRecord? {
        guard let source = upload.source else { return nil }
        return try records(
            in: database,
            .unfinishedLike,
            [
                .blob(source.path), .text(upload.destination.bucket), .blob(upload.destination.key.utf8),
                .text(upload.store.endpoint),
            ]
        ).first
    }

    func insert(_ upload: NewUpload, in database: Database) throws(SQLiteError) -> UploadRecord {
        // Chooses the ID first: a row refused for its ID would leave a gap in the numbers and split ranges of leases.
        let id = try freeID(in: database)
        guard let record = try insert(upload, id: id, in: database) else {
            throw SQLiteError(code: 1, message: "the name \(id) is no longer free", statement: "insert")
        }
        return record
    }

    /// An unused ID.
    ///
    /// - Parameter name: makes an ID of so many letters. Five letters name 28 million uploads; after a collision, one
    ///   more is used.
    func freeID(
        in database: Database,
        name: (Int) -> String = RandomName.id
    ) throws(SQLiteError) -> String {
        for letters in RandomName.letters {
            let id = name(letters)
            let taken = try database.run("SELECT 1 FROM uploads WHERE id = ?", [.text(id)], read: { _ in }).count > 0
            if !taken { return id }
        }
        throw SQLiteError(code: 1, message: "no free name for an upload", statement: "insert")
    }

    /// Creates the row of a new upload; nil if another upload has its ID.
    func insert(_ upload: NewUpload, id: String, in database: Database) throws(SQLiteError) -> UploadRecord? {
        let moment = now()
        let token = RandomName.token()
        try database.run(
            """
            INSERT INTO uploads (state, source, device, inode, size, modified, change_time,
                id, endpoint, region, addressing, profile, ca_bundle, client_certificate, client_key, signer,
                signer_protocol, bucket, key, attributes, only_if_absent, checksum, payload_signing, part_size,
                part_count, changing, sse_c, if_match, token, created_at, updated_at)
            VALUES ('pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
                ?)
            ON CONFLICT (id) DO NOTHING
            """,
            Self.sourceValues(upload) + [
                .text(id), .text(upload.store.endpoint), .text(upload.store.region), .text(upload.store.addressing),
                SQLValue(upload.store.profile), SQLValue(upload.store.caBundle),
                SQLValue(upload.store.clientCertificate), SQLValue(upload.store.clientKey),
                SQLValue(upload.store.signer?.url), SQLValue(upload.store.signer?.protocolName),
                .text(upload.destination.bucket), .blob(upload.destination.key.utf8),
                .text(upload.headerText), .integer(upload.onlyIfAbsent ? 1 : 0),
                .text(upload.integrity.checksum), .text(upload.integrity.payloadSigning),
                SQLValue(upload.partSize), SQLValue(Self.partCount(upload)),
                .text(upload.changing.rawValue), SQLValue(upload.store.customerKey),
                SQLValue(upload.ifMatch), .text(token), .integer(moment), .integer(moment),
            ]
        )
        guard database.changes == 1 else { return nil }
        return UploadRecord(beginning: upload, number: database.lastNumber, id: id, token: token, at: moment)
    }

    static func sourceValues(_ upload: NewUpload) -> [SQLValue] {
        guard let source = upload.source else {
            return [upload.stream.map { .blob(Array($0.rawValue.utf8)) } ?? .null, .null, .null, .null, .null, .null]
        }
        return [
            .blob(source.path), .integer(Int64(bitPattern: source.device)), .integer(Int64(bitPattern: source.inode)),
            .integer(source.size), .integer(source.modificationTime), SQLValue(source.changeTime),
        ]
    }

    static func partCount(_ upload: NewUpload) -> Int64? {
        guard let partSize = upload.partSize, let size = upload.source?.size else { return nil }
        return Int64(PartPlan(objectSize: size, partSize: partSize).count)
    }
}
