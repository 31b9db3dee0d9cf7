import Glibc

/// Locks on single bytes of a file, by which processes exclude each other.
///
/// They are Linux's open file description locks (fcntl(2), `F_OFD_SETLK`): the kernel drops them when the process ends,
/// so a lock is never stale; and two `RangeLock`s on one file exclude each other within one process too.
package final class RangeLock: Sendable {
    // <fcntl.h> declares these with _GNU_SOURCE only; the values are the kernel's ABI on every architecture.
    private static let get: Int32 = 36
    private static let set: Int32 = 37

    private let file: File
    private let path: [UInt8]

    /// Opens the lock file, or creates it with the mode.
    package init(path: [UInt8], mode: UInt32) throws(SystemError) {
        self.path = path
        file = try File.open(path: path, flags: O_RDWR | O_CREAT, mode: mode)
    }

    /// Locks so many bytes from `position`, all or none; false if another holder has one of them.
    package func tryLock(_ position: Int64, count: Int = 1) throws(SystemError) -> Bool {
        var range = Self.range(position, type: F_WRLCK)
        range.l_len = off_t(count)
        do {
            try retryingInterrupts("fcntl") { fcntl(file.descriptor, Self.set, &range) }
            return true
        } catch {
            if error.code == EAGAIN || error.code == EACCES { return false }
            throw error
        }
    }

    /// Whether the lock file was removed or replaced: a process that opens the path now locks another file.
    package func isRemoved() -> Bool { !file.isAt(path) }

    /// Replaces the content of the lock file, which does not affect the locks.
    package func write(_ content: [UInt8]) throws(SystemError) {
        guard try file.bytes(at: 0, count: content.count + 1) != content else { return }
        try file.write(content, at: 0)
        try retryingInterrupts("ftruncate") { ftruncate(file.descriptor, off_t(content.count)) }
    }

    package func unlock(_ position: Int64) {
        var range = Self.range(position, type: F_UNLCK)
        _ = fcntl(file.descriptor, Self.set, &range)
    }

    /// Whether another holder has the byte at `position`.
    package func isHeldElsewhere(_ position: Int64) throws(SystemError) -> Bool {
        var range = Self.range(position, type: F_WRLCK)
        try retryingInterrupts("fcntl") { fcntl(file.descriptor, Self.get, &range) }
        return range.l_type != Int16(F_UNLCK)
    }

    /// The process that holds the byte at `position`; nil if none does, or it cannot be inspected.
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
