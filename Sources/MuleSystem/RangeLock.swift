import Glibc

/// Locks on single bytes of a file, by which processes know of one another.
///
/// They are Linux's open file description locks (fcntl(2), `F_OFD_SETLK`): the kernel drops them when the process ends
/// in any way, so a lock is never stale; and two `RangeLock`s on one file exclude each other inside one process too.
package final class RangeLock: Sendable {
    // <fcntl.h> shows these three with _GNU_SOURCE only; the values are the kernel's ABI on every architecture.
    private static let get: Int32 = 36
    private static let set: Int32 = 37

    private let file: File
    private let path: [UInt8]

    /// Opens the lock file, and makes it with the mode when it is missing.
    package init(path: [UInt8], mode: UInt32) throws(SystemError) {
        self.path = path
        file = try File.open(path: path, flags: O_RDWR | O_CREAT, mode: mode)
    }

    /// Locks the byte at `position`; false when another holder has it.
    package func tryLock(_ position: Int64) throws(SystemError) -> Bool {
        var range = Self.range(position, type: F_WRLCK)
        do {
            try retryingInterrupts("fcntl") { fcntl(file.descriptor, Self.set, &range) }
            return true
        } catch {
            if error.code == EAGAIN || error.code == EACCES { return false }
            throw error
        }
    }

    /// Whether the lock file has lost its name: who opens the path now locks another one.
    package func isRemoved() -> Bool { !file.isAt(path) }

    /// Makes the bytes the content of the lock file, which the locks have nothing to do with.
    package func write(_ content: [UInt8]) throws(SystemError) {
        guard try file.bytes(at: 0, count: content.count + 1) != content else { return }
        try file.write(content, at: 0)
        try retryingInterrupts("ftruncate") { ftruncate(file.descriptor, off_t(content.count)) }
    }

    package func unlock(_ position: Int64) {
        var range = Self.range(position, type: F_UNLCK)
        _ = fcntl(file.descriptor, Self.set, &range)
    }

    /// Whether somebody else holds the byte at `position`.
    package func isHeldElsewhere(_ position: Int64) throws(SystemError) -> Bool {
        var range = Self.range(position, type: F_WRLCK)
        try retryingInterrupts("fcntl") { fcntl(file.descriptor, Self.get, &range) }
        return range.l_type != Int16(F_UNLCK)
    }

    /// Another process that holds the byte at `position`; nil if there is none, or it cannot be inspected.
    package func holder(_ position: Int64) -> LockHolder? { holders().holder(position) }

    /// All processes that hold bytes now.
    package func holders() -> LockHolders { LockHolders(of: file) }

    private static func range(_ position: Int64, type: Int32) -> flock {
        var range = flock()
        range.l_type = Int16(type)
        range.l_whence = Int16(SEEK_SET)
        range.l_start = off_t(position)
        range.l_len = 1
        return range
    }
}
