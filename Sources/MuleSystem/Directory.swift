internal import CLinux
import Glibc

/// An open directory. Names in it are single components, so no symbolic link that appears in the path later can lead
/// elsewhere.
package final class Directory: Sendable {
    private let descriptor: Int32

    private init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// Opens the directory at the path.
    package static func open(_ path: [UInt8]) throws(SystemError) -> Directory {
        let name = try cString(path, "open")
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
        return Directory(descriptor: try retryingInterrupts("open") { Glibc.open(name, flags) })
    }

    /// Opens a directory by its canonical path.
    ///
    /// - Throws: `ELOOP` or `ENOTDIR` if a symbolic link has replaced one of the directories of the path.
    package static func open(canonical path: [UInt8]) throws(SystemError) -> Directory {
        var directory = try open([UInt8(ascii: "/")])
        for name in path.split(separator: UInt8(ascii: "/")) {
            let next = try cString(Array(name), "open")
            let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW
            let descriptor = try retryingInterrupts("open") { openat(directory.descriptor, next, flags) }
            directory = Directory(descriptor: descriptor)
        }
        return directory
    }

    /// The status of the name itself; symbolic links are not followed.
    package func status(of name: [UInt8]) throws(SystemError) -> FileStatus {
        var status = stat()
        let name = try cString(name, "stat")
        try retryingInterrupts("stat") { fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) }
        return FileStatus(status)
    }

    /// Opens a file for reading. Does not follow a symbolic link, nor wait for the writer of a FIFO. Waits for another
    /// process's lease as `File.openForReading` does.
    ///
    /// - Parameter isCancelled: asked while it waits.
    package func openFile(_ name: [UInt8], isCancelled: () -> Bool = { false }) throws(SystemError) -> File {
        let path = try cString(name, "open")
        let flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW
        return try FileLease.waiting(unless: isCancelled) { () throws(SystemError) in
            File(descriptor: try retryingInterrupts("open") { openat(descriptor, path, flags) })
        } status: { () throws(SystemError) in
            try status(of: name)
        }
    }

    /// Creates a file that must not exist yet, with permissions for this user only.
    package func makeFile(_ name: [UInt8]) throws(SystemError) -> File {
        let name = try cString(name, "open")
        let flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        return File(descriptor: try retryingInterrupts("open") { openat(descriptor, name, flags, 0o600) })
    }

    /// Moves a name to another directory of the same file system. Never replaces an existing file: `EEXIST`.
    ///
    /// - Parameter isOwn: whether no other process creates files of the new name.
    package func move(
        _ name: [UInt8],
        to other: Directory,
        as newName: [UInt8],
        isOwn: Bool = false
    ) throws(SystemError) {
        let old = try cString(name, "rename")
        let new = try cString(newName, "rename")
        do throws(SystemError) {
            try retryingInterrupts("rename") { mule_rename_new(descriptor, old, other.descriptor, new) }
            return
        } catch {
            // The new name is a hard link whose old name could not be removed, below or in an earlier run.
            if isOwn, error.code == EEXIST, try isSameFile(name, other, otherName: newName) { return try remove(name) }
            guard Self.isUnsupported(error) else { throw error }
        }
        // Without such a rename (NFS, some FUSE file systems), a hard link and a removal have the same effect.
        do throws(SystemError) {
            try retryingInterrupts("link") { linkat(descriptor, old, other.descriptor, new, 0) }
        } catch {
            guard Self.isUnsupported(error) || error.code == EMLINK else { throw error }
            return try moveByReplacing(name, to: other, as: newName, isOwn: isOwn)
        }
        do throws(SystemError) {
            try remove(name)
        } catch {
            try? other.remove(newName)
            throw error
        }
    }

    private func isSameFile(_ name: [UInt8], _ other: Directory, otherName: [UInt8]) throws(SystemError) -> Bool {
        let (one, two) = (try status(of: name), try other.status(of: otherName))
        return one.inode == two.inode && one.device == two.device && one.linkCount > 1
    }

    /// Moves on file systems that have neither a rename without replacing nor hard links (exFAT and FAT via FUSE):
    /// creates the new name exclusively, then replaces it.
    func moveByReplacing(
        _ name: [UInt8],
        to other: Directory,
        as newName: [UInt8],
        isOwn: Bool
    ) throws(SystemError) {
        let old = try cString(name, "rename")
        let new = try cString(newName, "rename")
        if isOwn {
            guard (try? other.status(of: newName)) == nil else { throw SystemError(code: EEXIST, call: "rename") }
        } else {
            _ = try other.makeFile(newName)
        }
        do throws(SystemError) {
            try retryingInterrupts("rename") { renameat(descriptor, old, other.descriptor, new) }
        } catch {
            if !isOwn { try? other.remove(newName) }
            throw error
        }
    }

    /// What file systems return for unsupported calls (rename(2), link(2)). EPERM can also mean a missing permission,
    /// which the next call shows.
    private static func isUnsupported(_ error: SystemError) -> Bool {
        [EINVAL, ENOSYS, EPERM, EOPNOTSUPP].contains(error.code)
    }

    package func remove(_ name: [UInt8]) throws(SystemError) {
        let name = try cString(name, "unlink")
        try retryingInterrupts("unlink") { unlinkat(descriptor, name, 0) }
    }

    /// Makes changes of names durable (fsync(2)). EINVAL: the file system cannot sync directories.
    package func sync() throws(SystemError) {
        do {
            try retryingInterrupts("fsync") { fsync(descriptor) }
        } catch {
            if error.code != EINVAL { throw error }
        }
    }
}

extension File {
    /// The result of an attempt to block writers.
    package enum WriteLease: Sendable {
        case taken
        /// Another process has the file open for writing.
        case refused
        /// Leases are not available: the file belongs to another user, or the file system has none.
        case unknown
    }

    /// Blocks others from opening the file for writing until the lease is released or this file is closed. They wait 45
    /// s at most (`/proc/sys/fs/lease-break-time`). The file must be open for reading only.
    ///
    /// The kernel reports waiting writers with SIGIO, which by default ends a process: it is ignored from here on.
    package func takeWriteLease() -> WriteLease {
        signal(SIGIO, SIG_IGN)
        if mule_lease(descriptor, 1) == 0 { return .taken }
        return errno == EAGAIN ? .refused : .unknown
    }

    package func giveWriteLeaseBack() {
        _ = mule_lease(descriptor, 0)
    }

    package func sync() throws(SystemError) {
        try retryingInterrupts("fsync") { fsync(descriptor) }
    }

    /// Copies another file's content, holes, times, extended attributes and access control list into this file, and its
    /// owner if permitted.
    ///
    /// - Throws: `ENOTSUP` if the copy would be open to more users than the original.
    /// - Parameter shouldContinue: called from time to time; false stops the copy with `ECANCELED`.
    package func becomeCopy(of other: File, while shouldContinue: () -> Bool) throws(SystemError) {
        var facts = stat()
        try retryingInterrupts("fstat") { fstat(other.descriptor, &facts) }
        let size = Int64(facts.st_size)
        // If a file cannot be longer than what is written to it (FAT via FUSE), holes are written as zeros.
        let keepsHoles = ftruncate(descriptor, off_t(size)) == 0
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        var offset: Int64 = 0
        while offset < size {
            // SEEK_DATA is 3, SEEK_HOLE 4. File systems without holes report everything as data (lseek(2)).
            let start = keepsHoles ? lseek(other.descriptor, off_t(offset), 3) : -1
            if keepsHoles && start < 0 && errno == ENXIO { break }
            let end = start < 0 ? off_t(size) : lseek(other.descriptor, start, 4)
            offset = max(offset, Int64(max(start, 0)))
            while offset < Int64(end) {
                guard shouldContinue() else { throw SystemError(code: ECANCELED, call: "copy") }
                let wanted = Int(min(Int64(buffer.count), Int64(end) - offset))
                let count = try other.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]), at: offset)
                guard count > 0 else { throw SystemError(code: EIO, call: "read") }
                try write(UnsafeRawBufferPointer(rebasing: buffer[..<count]), at: offset)
                offset += Int64(count)
            }
        }
        try takeRights(of: other, facts)
        let times = [facts.st_atim, facts.st_mtim]
        try retryingInterrupts("futimens") { futimens(descriptor, times) }
    }
}
