import Glibc
import MuleSQLite
import MuleSystem

/// Room on the disk for rows that are still to come, so that no part is sent which could not be recorded.
///
/// The write-ahead log is made longer than it need be: what SQLite writes there later takes blocks that the file has
/// already, and can't fail for want of space. The next open takes the zeros behind the last commit for the end of the log.
/// Where there is no such log, or the file system can't reserve, a look at its free space has to do.
final class DiskReserve: Sendable {
    /// For some 300 rows, each of which may touch its own page of three B-trees, or the end of an upload of 10,000 parts.
    static let room: Int64 = 4 << 20
    private static let step: Int64 = 1 << 20

    private struct State {
        var log: File?
        var length: Int64 = 0
    }

    /// Looks at the file system of a path.
    typealias Look = @Sendable ([UInt8]) throws(SystemError) -> FileSystem

    private let path: [UInt8]
    private let logPath: [UInt8]
    private let fileSystem: Look
    private let state = Monitor(State())

    init(path: [UInt8], fileSystem: @escaping Look) {
        self.path = path
        logPath = path + Array("-wal".utf8)
        self.fileSystem = fileSystem
    }

    /// Sees to it that `room` bytes may be written behind `end`.
    ///
    /// - Throws: `ENOSPC`, `EDQUOT` or `EFBIG` where they may not.
    func extend(behind end: Int64) throws(SystemError) {
        try state.withLock { state throws(SystemError) in
            if state.log == nil {
                do throws(SystemError) {
                    state.log = try File.open(path: logPath, flags: O_RDWR)
                } catch {
                    guard error.code == ENOENT else { throw error }
                }
            }
            let wanted = (end + Self.room + Self.step - 1) / Self.step * Self.step
            guard let log = state.log else { return try look() }
            guard wanted > state.length else { return }
            do throws(SystemError) {
                try log.allocate(wanted)
                state.length = wanted
            } catch {
                guard error.code == EOPNOTSUPP || error.code == ENOSYS else { throw error }
                try look()
            }
        }
    }

    private func look() throws(SystemError) {
        if try fileSystem(path).available < Self.room { throw SystemError(code: ENOSPC, call: "statfs") }
    }

    var isNew: Bool { state.withLock { $0.length == 0 } }

    /// Whether the log that room was reserved in is no longer where others look for it.
    func isRemoved() -> Bool {
        guard let log = state.withLock({ $0.log }) else { return false }
        return !log.isAt(logPath)
    }
}

extension Ledger {
    /// Free space without which nothing is sent, in bytes.
    package static let roomForRows = DiskReserve.room

    /// Makes room for what is under way, before it is sent and after each commit.
    ///
    /// - Throws: `diskFull` when there is none. What was under way until then still finds the room made before.
    package func makeRoom() throws(LedgerError) {
        let end = try perform { database throws(SQLiteError) in
            if reserve.isNew { database.measureLog() }
            return database.logLength
        }
        do {
            try reserve.extend(behind: end)
        } catch {
            throw LedgerError(error)
        }
    }
}
