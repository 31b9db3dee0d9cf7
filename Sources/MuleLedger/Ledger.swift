// The ledger: what has been begun, what is finished, and who carries it. It promises that what a method has returned
// from is on disk (WAL with synchronous=FULL) and that a step is there whole or not at all. It knows nothing of S3.

import Glibc
import MulePlan
package import MuleSystem

package final class Ledger: Sendable {
    /// Without links, whatever it was opened by.
    package let path: [UInt8]
    private let database: Monitor<Database>
    let leases: LockFile
    private let reserved: ReservedFiles
    let reserve: DiskReserve
    /// Milliseconds since 1970.
    package let now: @Sendable () -> Int64

    /// Keeps the files of a ledger that is about to be opened from being read as sources; a path without a ledger is fine.
    package static func reserve(path: [UInt8]) -> ReservedFiles {
        LedgerName.reserve((try? canonicalPath(path)) ?? path)
    }

    /// Opens the ledger, and makes it with its directory when it is missing. `now` answers in milliseconds since 1970.
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
    ///   - fileSystem: looks at the disk that the ledger lies on.
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
            path = try LedgerName.resolve(given)
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
            let database = try Database(path: path, busyTimeout: busyTimeout)
            let header = try Self.turnAwayOthers(database, path: path)
            if place.isShared, header.usesLog { try Self.leaveLog(database) }
            if place.copiesOnWrite, header.usesLog { Self.makeLogInPlace(path, status) }
            try Self.migrate(database, path: path, status, place, patience: busyTimeout)
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
        // Now all of them exist that hold locks.
        reserved = LedgerName.reserve(path)
        do {
            try leases.tryOut()
        } catch {
            throw .noLocks("\(place.name): \(error.reason)")
        }
        // Only a hard link would miss it, and a full disk is no reason not to read the ledger.
        try? leases.write(LedgerName.record(of: path, status))
    }

    /// Turns away what is no ledger of ours before anything could be written to it.
    private static func turnAwayOthers(_ database: Database, path: [UInt8]) throws -> FileHeader {
        if database.isReadOnly { throw LedgerError.readOnly }
        let status = try FileStatus.of(path: path)
        var header = FileHeader(bytes: try database.header())
        if status.size == 0 { return header }
        // A power cut while the ledger was made may have left its first page without its beginning. The journal beside it
        // lets SQLite take that page back at the first read.
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

    /// Moves a write-ahead log into the file, under an exclusive lock and without shared memory, since neither of the two
    /// works between machines (https://sqlite.org/wal.html, sections 2 and 8).
    private static func leaveLog(_ database: Database) throws(SQLiteError) {
        try database.execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE")
        // The lock is given back at the end of the next statement that reads the file.
        try database.execute("PRAGMA locking_mode = NORMAL; SELECT count(*) FROM sqlite_schema")
    }

    /// Where two processes make one ledger at once, SQLite does not wait as it does elsewhere: who has begun to read, as this
    /// change does, and finds another writing is refused at once, or both would wait for each other
    /// (https://sqlite.org/c3ref/busy_handler.html).
    private static func beginLog(_ database: Database, patience: Double) throws(SQLiteError) {
        let end = Moment.now().adding(seconds: patience)
        while true {
            do throws(SQLiteError) {
                return try database.execute("PRAGMA journal_mode = WAL")
            } catch {
                guard LedgerError(error) == .busy, Moment.now() < end else { throw error }
                usleep(5000)
            }
        }
    }

    /// Makes the log and its index, empty, where what is written over takes new room. SQLite maps the index into memory, and
    /// where a full disk has no such room for a page of it, the kernel ends the process; and no room could be reserved in the
    /// log. Both have no use for the file system's checksums: the log has its own, and the index lasts no longer than its
    /// processes. Files that are there stay as they are: closing a descriptor of one would drop SQLite's locks.
    ///
    /// Older kernels ask for room for a mapped page of such a file all the same; see `onBusError`.
    private static func makeLogInPlace(_ path: [UInt8], _ status: FileStatus) {
        for suffix in ["-wal", "-shm"] {
            let name = path + Array(suffix.utf8)
            // One that can't be made is made by SQLite, or fails there with a message.
            let file = try? File.open(path: name, flags: O_RDWR | O_CREAT | O_EXCL, mode: status.mode & 0o666)
            try? file?.writeInPlace()
        }
    }

    private static func pragma(_ name: String, of database: Database) throws(SQLiteError) -> Int {
        Int(try database.run("PRAGMA \(name)", read: { $0.integer(0) }).first ?? 0)
    }

    /// Brings the tables up to date, and sees to it that what is committed from here on is found after a power cut: under
    /// its name, in directories that have theirs.
    ///
    /// - Parameter patience: seconds to wait for another process's lock.
    private static func migrate(
        _ database: Database,
        path: [UInt8],
        _ status: FileStatus,
        _ place: FileSystem,
        patience: Double
    ) throws {
        func version() throws(SQLiteError) -> Int { try pragma("user_version", of: database) }
        guard try version() <= Schema.version else { throw LedgerError.newerVersion(try version()) }
        if try pragma("page_count", of: database) == 0 {
            try syncNames(leadingTo: path)
            // Before WAL mode, so that it is in the file itself and not in the log beside it.
            try database.execute("PRAGMA application_id = \(Schema.applicationID)")
        }
        // One that was begun with a rollback journal keeps it: it may lie on a disk that this machine lends to others.
        if try !place.isShared && version() == 0 {
            try beginLog(database, patience: patience)
            if place.copiesOnWrite { makeLogInPlace(path, status) }
        }
        // EXTRA is FULL for a log; for a rollback journal it makes the journal's end durable too.
        try database.execute("PRAGMA synchronous = EXTRA; PRAGMA temp_store = MEMORY")
        // SQLite makes the name of its log durable when it has made the log itself. One that a process made which was
        // killed then is used as it is.
        try syncDirectory(of: path)
        guard try version() != Schema.version else { return }
        try database.transaction { () throws(SQLiteError) in
            // Read again inside the transaction: another process may have been here first.
            for step in Schema.steps.dropFirst(try version()) { try database.execute(step) }
            if try version() < Schema.version { try database.execute("PRAGMA user_version = \(Schema.version)") }
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

    func transaction<Result: Sendable>(
        _ body: (Database) throws(SQLiteError) -> Result
    ) throws(LedgerError) -> Result {
        let (result, isGone) = try perform { database throws(SQLiteError) in
            let result = try database.transaction { () throws(SQLiteError) in try body(database) }
            return (result, try database.hasMoved())
        }
        // Looked at afterwards: what went into a file that has lost its name is lost when the process ends.
        if isGone || leases.isRemoved() || reserve.isRemoved() { throw .removed }
        return result
    }

    // MARK: Claiming

    /// An upload that this process now carries, or that another one does.
    package enum Claim: Sendable {
        /// A row made for this upload; nothing of it has been sent.
        case began(UploadRecord, Lease)
        /// The unfinished upload of the same source to the same object.
        case found(UploadRecord, Lease)
        case heldElsewhere(UploadRecord)
        /// The latest confirmed upload of the same source to the same object, which was taken for this one. There is no row.
        case doneBefore(UploadRecord)
        /// Another source of the same job has this object: its path.
        case taken(by: [UInt8])
    }

    /// Finds or makes the rows of these uploads and takes their leases, in one step: of two processes that begin the same
    /// upload at once, one gets it.
    ///
    /// - Parameters:
    ///   - items: of the job that archives them, where one does.
    ///   - isDone: whether a confirmed upload, where none is unfinished, makes another one needless; the place in the list, and
    ///     the record.
    package func claim(
        _ uploads: [NewUpload],
        as items: NewItems? = nil,
        unless isDone: (Int, UploadRecord) -> Bool = { _, _ in false }
    ) throws(LedgerError) -> [Claim] {
        try transaction { database throws(SQLiteError) in
            var claims: [Claim] = []
            for (index, upload) in uploads.enumerated() {
                if let items, let other = try rival(of: items.items[index], for: upload, in: items.run, database) {
                    claims.append(.taken(by: other))
                    continue
                }
                let claim = try claim(upload, in: database) { isDone(index, $0) }
                if let items {
                    switch claim {
                    case .began(let record, _), .found(let record, _):
                        try setItem(items.items[index], record, .pending, of: items.run, in: database)
                    case .doneBefore(let record):
                        try setItem(items.items[index], record, .asked, of: items.run, in: database)
                    case .heldElsewhere, .taken: break
                    }
                }
                claims.append(claim)
            }
            return claims
        }
    }

    private func claim(
        _ upload: NewUpload,
        in database: Database,
        unless isDone: (UploadRecord) -> Bool
    ) throws(SQLiteError) -> Claim {
        if let record = try unfinished(like: upload, in: database) {
            return try lease(record).map { .found(record, $0) } ?? .heldElsewhere(record)
        }
        if let done = try lastDone(like: upload, in: database), isDone(done) { return .doneBefore(done) }
        let record = try insert(upload, in: database)
        return try lease(record).map { .began(record, $0) } ?? .heldElsewhere(record)
    }

    /// Takes the lease of a known upload; nil when another process has it. The record is read again under the lease.
    package func claim(_ number: Int64) throws(LedgerError) -> (UploadRecord, Lease)? {
        try transaction { database throws(SQLiteError) -> (UploadRecord, Lease)? in
            guard let record = try records(in: database, "WHERE number = ?", [.integer(number)]).first,
                let lease = try lease(record)
            else { return nil }
            return (record, lease)
        }
    }

    /// The records of uploads whose leases were handed in, in the order of their numbers, with their leases.
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

    func lease(_ record: UploadRecord) throws(SQLiteError) -> Lease? {
        do {
            return try Lease(leases, number: record.number)
        } catch {
            throw SQLiteError(code: 10, message: error.description, statement: "lease")  // SQLITE_IOERR
        }
    }

    /// Whether another process carries the upload.
    package func isActive(_ record: UploadRecord) -> Bool {
        isActive(record.number)
    }

    /// The processes that hold uploads now, by the uploads' numbers.
    package func holders() -> LockHolders { leases.holders() }

    func isActive(_ number: Int64) -> Bool {
        (try? leases.isHeldElsewhere(number)) ?? false
    }

    func unfinished(like upload: NewUpload, in database: Database) throws(SQLiteError) -> UploadRecord? {
        guard let source = upload.source else { return nil }
        return try records(
            in: database,
            """
            WHERE source = ? AND bucket = ? AND key = ? AND endpoint = ? AND state NOT IN ('done', 'aborted')
            ORDER BY number DESC LIMIT 1
            """,
            [
                .blob(source.path), .text(upload.destination.bucket), .blob(upload.destination.key.utf8),
                .text(upload.store.endpoint),
            ]
        ).first
    }

    func insert(_ upload: NewUpload, in database: Database) throws(SQLiteError) -> UploadRecord {
        // A row that is refused for its name would leave a hole in the numbers, and what is held of them in pieces.
        let id = try freeID(in: database)
        guard let record = try insert(upload, id: id, in: database) else {
            throw SQLiteError(code: 1, message: "the name \(id) is no longer free", statement: "insert")
        }
        return record
    }

    /// A name that no upload has.
    ///
    /// - Parameter name: makes one of so many letters. Five name 28 million uploads; where two meet, one more helps.
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

    /// Makes the row of an upload that has not begun; nil when another has its name.
    func insert(_ upload: NewUpload, id: String, in database: Database) throws(SQLiteError) -> UploadRecord? {
        let moment = now()
        let token = RandomName.token()
        try database.run(
            """
            INSERT INTO uploads (id, state, source, device, inode, size, modified, change_time,
                endpoint, region, addressing, profile, ca_bundle, signer, signer_protocol, bucket, key,
                attributes, only_if_absent,
                checksum, payload_signing, part_size, part_count, changing, token, created_at, updated_at)
            VALUES (?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO NOTHING
            """,
            [.text(id)] + Self.sourceValues(upload) + [
                .text(upload.store.endpoint), .text(upload.store.region), .text(upload.store.addressing),
                SQLValue(upload.store.profile), SQLValue(upload.store.caBundle),
                SQLValue(upload.store.signer?.url), SQLValue(upload.store.signer?.protocolName),
                .text(upload.destination.bucket), .blob(upload.destination.key.utf8),
                .text(upload.attributes.text), .integer(upload.onlyIfAbsent ? 1 : 0),
                .text(upload.integrity.checksum), .text(upload.integrity.payloadSigning),
                SQLValue(upload.partSize), SQLValue(Self.partCount(upload)),
                .text(upload.changing.rawValue), .text(token), .integer(moment), .integer(moment),
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
