internal import CLinux
import Glibc

/// The fields of `stat` that an upload's identity needs.
package struct FileStatus: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case regular, directory, fifo, socket, characterDevice, blockDevice, symbolicLink, other
    }

    package var kind: Kind
    package var device: UInt64
    package var inode: UInt64
    package var size: Int64
    /// Time of the last change of the content, in nanoseconds since 1970. Its resolution depends on the file system.
    package var modificationTime: Int64
    /// Time of the last change of the content, names or permissions, in nanoseconds since 1970.
    package var changeTime: Int64
    /// Number of hard links; 0 if all names are removed.
    package var linkCount: Int
    /// Permission bits, 12 of them.
    package var mode: UInt32
    package var owner: UInt32

    init(_ status: stat) {
        switch status.st_mode & S_IFMT {
        case S_IFREG: kind = .regular
        case S_IFDIR: kind = .directory
        case S_IFIFO: kind = .fifo
        case S_IFSOCK: kind = .socket
        case S_IFCHR: kind = .characterDevice
        case S_IFBLK: kind = .blockDevice
        case S_IFLNK: kind = .symbolicLink
        default: kind = .other
        }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        linkCount = Int(status.st_nlink)
        mode = status.st_mode & 0o7777
        owner = status.st_uid
        // A file can have any time. One after the year 2262 wraps around, and still tells two states apart.
        changeTime = Int64(status.st_ctim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_ctim.tv_nsec)
        modificationTime = Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec)
    }

    /// Whether this user owns the file and may read it. If not, it may be readable all the same.
    package var isReadableByOwner: Bool { owner == Self.user && mode & S_IRUSR != 0 }

    private static let user = geteuid()

    /// Seconds since the file was last changed, by one of its times.
    ///
    /// A time up to 15 minutes in the future may come from a file server whose clock is ahead, for a file that is being
    /// written now. A time further ahead says nothing: the change time counts instead. If that is as far ahead, the
    /// clock was wrong when the file was changed. It counts as old, or it would be too young until that date.
    ///
    /// - Parameters:
    ///   - time: nanoseconds since 1970.
    ///   - now: nanoseconds since 1970.
    package func age(of time: Int64, at now: Int64) -> Double {
        for time in [time, changeTime] {
            let age = (Double(now) - Double(time)) / 1e9
            if age >= -Self.tolerableLead { return age }
        }
        return .infinity
    }

    /// Seconds by which the clock of a file server may be ahead.
    private static let tolerableLead = 900.0

    /// The status of the file at the path.
    package static func of(path: [UInt8], followingLinks: Bool = true) throws(SystemError) -> FileStatus {
        var status = stat()
        let flags = followingLinks ? 0 : AT_SYMLINK_NOFOLLOW
        try calling("stat", on: path) { fstatat(AT_FDCWD, $0, &status, flags) }
        return FileStatus(status)
    }
}

extension FileStatus.Kind {
    /// The kind as a noun phrase: "a named pipe".
    package var noun: String {
        switch self {
        case .regular: "a file"
        case .directory: "a directory"
        case .fifo: "a named pipe"
        case .socket: "a socket"
        case .characterDevice, .blockDevice: "a device"
        case .symbolicLink: "a symbolic link"
        case .other: "something unknown"
        }
    }
}

/// An open file that closes itself. Reads and writes take an offset, so many threads may share it.
package final class File: Sendable {
    package let descriptor: Int32

    /// Owns an open descriptor from now on.
    package init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// Opens an existing file for reading.
    ///
    /// Never blocks on a FIFO without a writer: the caller checks `status()` before it reads. Waits while another
    /// process holds a lease on the file, see `FileLease`.
    ///
    /// - Parameter isCancelled: asked while it waits.
    package static func openForReading(
        path: [UInt8],
        isCancelled: () -> Bool = { false }
    ) throws(SystemError) -> File {
        try FileLease.waiting(unless: isCancelled) { () throws(SystemError) in
            try open(path: path, flags: O_RDONLY | O_NONBLOCK)
        } status: { () throws(SystemError) in
            try FileStatus.of(path: path)
        }
    }

    /// Opens with the given flags; `O_CLOEXEC` is added.
    package static func open(path: [UInt8], flags: Int32, mode: UInt32 = 0) throws(SystemError) -> File {
        File(descriptor: try calling("open", on: path) { Glibc.open($0, flags | O_CLOEXEC, mode) })
    }

    /// An unnamed file in the directory; it vanishes when it is closed or the process ends.
    package static func openNameless(directory: [UInt8]) throws(SystemError) -> File {
        let template = directory + Array("/mule-spool-XXXXXX".utf8)
        var name = template.map { CChar(bitPattern: $0) } + [0]
        let descriptor = try retryingInterrupts("mkostemp") { mule_temporary_file(&name) }
        unlink(name)
        return File(descriptor: descriptor)
    }

    /// A file in memory with this content, positioned at its start.
    package static func inMemory(_ content: [UInt8]) throws(SystemError) -> File {
        let file = File(descriptor: try retryingInterrupts("memfd_create") { mule_memory_file("mule") })
        try file.write(content, at: 0)
        return file
    }

    package func status() throws(SystemError) -> FileStatus {
        var status = stat()
        try retryingInterrupts("fstat") { fstat(descriptor, &status) }
        return FileStatus(status)
    }

    /// Whether the file has bytes beyond its size. Files that are generated when read do (/proc, some FUSE file
    /// systems): their size says nothing about their content.
    ///
    /// A file that grows during the call does not count as one: its size grows with it.
    ///
    /// - Parameter size: the size that `status` has just returned.
    package func holdsMore(than size: Int64) throws(SystemError) -> Bool {
        var size = size
        // A file that grows faster than this loop is one whose size follows its content.
        for _ in 0..<100 {
            var byte: UInt8 = 0
            guard try retryingInterrupts("read", { pread(descriptor, &byte, 1, off_t(size)) }) == 1 else {
                return false
            }
            let now = try status().size
            if now == size { return true }
            size = now
        }
        return false
    }

    /// Whether the path leads to this file, so that other processes which open the path get the same one. The link
    /// count cannot tell: the file may have a new name and have lost this one.
    package func isAt(_ path: [UInt8]) -> Bool {
        guard let here = try? status(), let there = try? FileStatus.of(path: path) else { return false }
        return (here.device, here.inode) == (there.device, there.inode)
    }

    /// Reads up to `buffer.count` bytes at the offset; 0 at the end of the file.
    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(SystemError) -> Int {
        try retryingInterrupts("read") { pread(descriptor, buffer.baseAddress, buffer.count, off_t(offset)) }
    }

    /// Writes all the bytes at the offset.
    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            done += try retryingInterrupts("write") {
                pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
            }
        }
    }

    package func write(_ bytes: [UInt8], at offset: Int64) throws(SystemError) {
        var failure: SystemError?
        bytes.withUnsafeBytes { bytes in
            do throws(SystemError) { try write(bytes, at: offset) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Reserves blocks for the first `length` bytes, so that writes to them do not run out of space. (`posix_fallocate`
    /// would write zeros if the file system cannot reserve, and race with other writers.)
    ///
    /// - Throws: `EOPNOTSUPP` if the file system cannot reserve.
    package func allocate(_ length: Int64) throws(SystemError) {
        try retryingInterrupts("fallocate") { mule_fallocate(descriptor, length) }
    }

    /// Turns off copy-on-write for the file, which must be empty: overwritten blocks then need no new space.
    ///
    /// - Throws: `EOPNOTSUPP`, `ENOTTY` or `EINVAL` if the file system has no such files.
    package func writeInPlace() throws(SystemError) {
        try retryingInterrupts("ioctl") { mule_write_in_place(descriptor) }
    }

    /// Whether any of the range is in the page cache; nil if the kernel does not tell (before Linux 6.5, or for a file
    /// of another user).
    package func isCached(_ range: Range<Int64>) -> Bool? {
        var pages: UInt64 = 0
        // A length of 0 would mean the rest of the file.
        guard !range.isEmpty else { return false }
        let result = mule_cached_pages(descriptor, UInt64(range.lowerBound), UInt64(range.count), &pages)
        return result == 0 ? pages > 0 : nil
    }

    /// Drops the range from the page cache, except pages that are dirty or mapped. Only a hint (posix_fadvise(2)).
    package func dropCache(_ range: Range<Int64>) {
        guard !range.isEmpty else { return }
        posix_fadvise(descriptor, off_t(range.lowerBound), off_t(range.count), POSIX_FADV_DONTNEED)
    }

    /// Reads through this descriptor do not count as reuse of the cached pages (Linux 6.3; no effect on older kernels).
    package func adviseNoReuse() {
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_NOREUSE)
    }

    /// `count` bytes from the offset; fewer only at the end of the file.
    package func bytes(at offset: Int64, count: Int) throws(SystemError) -> [UInt8] {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        defer { room.deallocate() }
        var done = 0
        while done < count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: room[done...])
            let read = try self.read(into: rest, at: offset + Int64(done))
            if read == 0 { break }
            done += read
        }
        return Array(room[..<done])
    }

    /// Reads a whole small file.
    ///
    /// - Throws: `EFBIG` if it is longer than `limit` bytes.
    package static func contents(path: [UInt8], limit: Int) throws(SystemError) -> [UInt8] {
        let bytes = try openForReading(path: path).bytes(at: 0, count: limit + 1)
        guard bytes.count <= limit else { throw SystemError(code: EFBIG, call: "read") }
        return bytes
    }
}

/// The path as a C string. A path with a NUL is an error, because C would read it as a shorter path.
func cString(_ path: [UInt8], _ call: String) throws(SystemError) -> [CChar] {
    guard !path.contains(0) else { throw SystemError(code: EINVAL, call: call) }
    return path.map { CChar(bitPattern: $0) } + [0]
}

/// Makes a system call with the path as a C string, which needs no allocation: this happens several times per file.
@discardableResult
func calling(_ call: String, on path: [UInt8], _ body: (UnsafePointer<CChar>) -> Int32) throws(SystemError) -> Int32 {
    guard !path.contains(0) else { throw SystemError(code: EINVAL, call: call) }
    return try retryingInterrupts(call) {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: path.count + 1) { room in
            UnsafeMutableRawBufferPointer(room).copyBytes(from: path)
            room[path.count] = 0
            return room.baseAddress.map { body($0) } ?? -1
        }
    }
}

/// Whether this process may read the file.
package func isReadable(_ path: [UInt8]) -> Bool {
    (try? calling("access", on: path) { faccessat(AT_FDCWD, $0, R_OK, AT_EACCESS) }) != nil
}

/// Throws if this process may not create files in the directory.
package func checkWritable(directory: [UInt8]) throws(SystemError) {
    let name = try cString(directory, "access")
    try retryingInterrupts("access") { faccessat(AT_FDCWD, name, W_OK | X_OK, AT_EACCESS) }
}

/// Creates the directory and its missing parents, each with the mode.
package func makeDirectories(path: [UInt8], mode: UInt32) throws(SystemError) {
    let name = try cString(path, "mkdir")
    if mkdir(name, mode) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: UInt8(ascii: "/")), slash > 0 else {
        throw SystemError.current("mkdir")
    }
    try makeDirectories(path: Array(path[..<slash]), mode: mode)
    if mkdir(name, mode) != 0 && errno != EEXIST { throw SystemError.current("mkdir") }
}

/// The directory of the path's last component.
package func parentDirectory(of path: [UInt8]) -> [UInt8] {
    let slash = path.lastIndex(of: UInt8(ascii: "/"))
    return slash.map { $0 == 0 ? [UInt8(ascii: "/")] : Array(path[..<$0]) } ?? [UInt8(ascii: ".")]
}

/// Makes the name of a new, already synced file durable: fsync(2) of a file does not cover its name. EINVAL: the file
/// system cannot sync directories.
package func syncDirectory(of path: [UInt8]) throws(SystemError) {
    let file = try File.open(path: parentDirectory(of: path), flags: O_RDONLY | O_DIRECTORY)
    do {
        try retryingInterrupts("fsync") { fsync(file.descriptor) }
    } catch {
        if error.code != EINVAL { throw error }
    }
}

/// Makes the file's name durable, and those of all directories above it: some may be new, or created by a process that
/// ended before it synced them. A directory without read permission already existed.
package func syncNames(leadingTo path: [UInt8]) throws(SystemError) {
    try syncDirectory(of: path)
    var path = path
    while let slash = path.lastIndex(of: UInt8(ascii: "/")), slash > 0 {
        path.removeSubrange(slash...)
        do {
            try syncDirectory(of: path)
        } catch {
            if error.code != EACCES { throw error }
        }
    }
}

/// Makes the names of a new directory and of those above it durable. A directory that was created over an hour ago is on
/// disk: Linux writes everything within a minute, or ten minutes to save a battery.
///
/// - Parameter path: without links.
package func syncNewNames(leadingTo directory: [UInt8]) throws(SystemError) {
    let now = wallClockMilliseconds() / 1000
    var path = directory
    while let slash = path.lastIndex(of: UInt8(ascii: "/")), path.count > 1 {
        let birth = mule_birth(try cString(path, "statx"))
        if birth < 0 || now - birth < 3600 {
            do {
                try syncDirectory(of: path)
            } catch {
                // A directory that this user cannot read was not created by this user.
                if error.code != EACCES { throw error }
            }
        }
        path.removeSubrange(slash...)
    }
}

/// The path with every symbolic link, `.` and `..` resolved; the file must exist.
package func canonicalPath(_ path: [UInt8]) throws(SystemError) -> [UInt8] {
    let name = try cString(path, "realpath")
    guard let resolved = realpath(name, nil) else { throw SystemError.current("realpath") }
    defer { free(resolved) }
    return UnsafeBufferPointer(start: resolved, count: strlen(resolved)).map { UInt8(bitPattern: $0) }
}

/// Canonical paths of files that come directory by directory. For short use only: it caches the canonical path of the
/// last directory.
package struct CanonicalPaths {
    private var directory: ArraySlice<UInt8> = []
    private var canonicalDirectory: [UInt8] = []

    package init() {}

    /// The same as `canonicalPath`, but resolves the directory only once.
    package mutating func path(of path: [UInt8]) throws(SystemError) -> [UInt8] {
        guard try FileStatus.of(path: path, followingLinks: false).kind != .symbolicLink else {
            return try canonicalPath(path)
        }
        return try self.path(ofNoLink: path)
    }

    /// The same for a path that is known not to be a symbolic link.
    package mutating func path(ofNoLink path: [UInt8]) throws(SystemError) -> [UInt8] {
        let slash = UInt8(ascii: "/")
        guard let end = path.lastIndex(of: slash), end > 0, end + 1 < path.count else { return try canonicalPath(path) }
        let name = path[(end + 1)...]
        guard !name.elementsEqual(".".utf8), !name.elementsEqual("..".utf8) else { return try canonicalPath(path) }
        if directory != path[..<end] || canonicalDirectory.isEmpty {
            canonicalDirectory = try canonicalPath(Array(path[..<end]))
            directory = path[..<end]
        }
        var canonical: [UInt8] = []
        canonical.reserveCapacity(canonicalDirectory.count + 1 + name.count)
        if canonicalDirectory != [slash] { canonical += canonicalDirectory }
        canonical.append(slash)
        canonical += name
        return canonical
    }
}
