import Glibc
import MuleSQLite
import MuleSystem

/// Reserves disk space for future rows, so that no part is sent that could not be recorded.
///
/// Extends the write-ahead log beyond its end: SQLite's later writes use blocks that the file already has and cannot
/// fail for lack of space. The next open takes the zeros after the last commit as the end of the log. Without such a
/// log, or if the file system cannot reserve blocks, its free space is checked instead.
final class DiskReserve: Sendable {
    /// Enough for about 500 rows, each touching its own page of three B-trees, or for completing an upload of 10,000
    /// parts. More than can be unrecorded: 256 requests, 64 completions and the recorder's queue.
    static let room: Int64 = 6 << 20
    private static let step: Int64 = 1 << 20

    private struct State {
        var log: File?
        var length: Int64 = 0
    }

    /// Queries the file system of a path.
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

    /// Makes sure that `room` bytes can be written after `end`.
    ///
    /// - Throws: `ENOSPC`, `EDQUOT` or `EFBIG` if they cannot.
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

    /// Whether the reserved log was removed or replaced.
    func isRemoved() -> Bool {
        guard let log = state.withLock({ $0.log }) else { return false }
        return !log.isAt(logPath)
    }
}

extension Ledger {
    /// The free bytes required before anything is sent.
    package static let roomForRows = DiskReserve.room

    /// Reserves space for what is in flight; called before sending and after each commit.
    ///
    /// - Throws: `diskFull` if there is none. What was already in flight still has the space reserved before.
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
