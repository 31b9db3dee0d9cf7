internal import CLinux
import Glibc

/// What `stat` says of a file, as far as an upload's identity needs it.
package struct FileStatus: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case regular, directory, fifo, socket, characterDevice, blockDevice, symbolicLink, other
    }

    package var kind: Kind
    package var device: UInt64
    package var inode: UInt64
    package var size: Int64
    /// Time of the last change of the content, in nanoseconds since 1970. The file system decides how fine it is.
    package var modificationTime: Int64
    /// When anything of the file was changed last, its name and its permissions too; in nanoseconds since 1970.
    package var changeTime: Int64
    /// Names that lead to the file; 0 when all are removed.
    package var linkCount: Int
    /// Permissions, 12 bits.
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
        // Any time can be set on a file. One beyond the year 2262 wraps around, and still tells two states apart.
        changeTime = Int64(status.st_ctim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_ctim.tv_nsec)
        modificationTime = Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec)
    }

    /// Seconds for which the file has been left alone, by one of its times.
    ///
    /// A time that lies up to 15 minutes ahead may be a file server's, of a file that is being written at this moment. One beyond
    /// that says nothing: the last change of any kind counts then. Where that lies as far ahead, the file was changed while a
    /// clock was wrong, and counts as old: it would be too young until that day comes.
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

    /// The file that the path leads to; the last symbolic link is followed unless told otherwise.
    package static func of(path: [UInt8], followingLinks: Bool = true) throws(SystemError) -> FileStatus {
        var status = stat()
        let name = try cString(path, "stat")
        let flags = followingLinks ? 0 : AT_SYMLINK_NOFOLLOW
        try retryingInterrupts("stat") { fstatat(AT_FDCWD, name, &status, flags) }
        return FileStatus(status)
    }
}

extension FileStatus.Kind {
    /// What it is, in a sentence: "a named pipe".
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

/// An open file that closes itself. Reads and writes name their offset, so that many threads may share it.
package final class File: Sendable {
    package let descriptor: Int32

    /// Takes over an open descriptor.
    package init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// Opens an existing file for reading.
    ///
    /// Never blocks on a FIFO without a writer: the caller looks at `status()` before it reads. Waits where another process
    /// holds a lease on the file, as `FileLease` says.
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
        let name = try cString(path, "open")
        return File(descriptor: try retryingInterrupts("open") { Glibc.open(name, flags | O_CLOEXEC, mode) })
    }

    /// A nameless file in the directory; it is gone when it is closed, or the process ends in any way.
    package static func openNameless(directory: [UInt8]) throws(SystemError) -> File {
        let template = directory + Array("/mule-spool-XXXXXX".utf8)
        var name = template.map { CChar(bitPattern: $0) } + [0]
        let descriptor = try retryingInterrupts("mkostemp") { mule_temporary_file(&name) }
        unlink(name)
        return File(descriptor: descriptor)
    }

    /// A file in memory with this content, read from its beginning by whoever gets the descriptor.
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

    /// Whether bytes follow where the file should end by its size. So it is with files that are made while they are read
    /// (/proc, some file systems of FUSE): their size says nothing of their content.
    ///
    /// A file that grows meanwhile does not count as one: its size grows with it.
    ///
    /// - Parameter size: what `status` has just said.
    package func holdsMore(than size: Int64) throws(SystemError) -> Bool {
        var size = size
        // A file that is written faster than it is looked at has a size that follows its content.
        for _ in 0..<100 {
            guard try !bytes(at: size, count: 1).isEmpty else { return false }
            let now = try status().size
            if now == size { return true }
            size = now
        }
        return false
    }

    /// Whether the path leads to this very file, so that others who open it get the same one. The number of a file's names does
    /// not tell: another one may have been made for it, and this one removed.
    package func isAt(_ path: [UInt8]) -> Bool {
        guard let here = try? status(), let there = try? FileStatus.of(path: path) else { return false }
        return (here.device, here.inode) == (there.device, there.inode)
    }

    /// Reads up to `buffer.count` bytes at the offset; 0 means that the file ends there.
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

    /// Makes the file at least this long, with blocks of its own for all of it: what is written there later finds room.
    /// (Not `posix_fallocate`, which writes zeros where the file system can't reserve, and would race with other writers.)
    ///
    /// - Throws: `EOPNOTSUPP` where the file system can't reserve.
    package func allocate(_ length: Int64) throws(SystemError) {
        try retryingInterrupts("fallocate") { mule_fallocate(descriptor, length) }
    }

    /// Lets what is written over stay in its place, where the file system would take new room for it. For a file without bytes.
    ///
    /// - Throws: `EOPNOTSUPP`, `ENOTTY` or `EINVAL` where the file system has no such files.
    package func writeInPlace() throws(SystemError) {
        try retryingInterrupts("ioctl") { mule_write_in_place(descriptor) }
    }

    /// Whether any of the range is in the page cache; nil where the kernel does not tell (before Linux 6.5, or of a file that
    /// belongs to somebody else).
    package func isCached(_ range: Range<Int64>) -> Bool? {
        var pages: UInt64 = 0
        // A length of 0 would mean all the rest of the file.
        guard !range.isEmpty else { return false }
        let result = mule_cached_pages(descriptor, UInt64(range.lowerBound), UInt64(range.count), &pages)
        return result == 0 ? pages > 0 : nil
    }

    /// Lets the kernel forget what it holds of the range, as far as it is on disk and nobody has mapped it. A hint: nothing
    /// happens where it can't be done (posix_fadvise(2)).
    package func dropCache(_ range: Range<Int64>) {
        guard !range.isEmpty else { return }
        posix_fadvise(descriptor, off_t(range.lowerBound), off_t(range.count), POSIX_FADV_DONTNEED)
    }

    /// What is read through this descriptor from now on is not taken for the pages that the machine works with, however
    /// often it is read (Linux 6.3; before that, nothing happens).
    package func adviseNoReuse() {
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_NOREUSE)
    }

    /// Up to `count` bytes from the offset on; fewer only where the file ends.
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

    /// Reads a small file whole.
    ///
    /// - Throws: `EFBIG` when it is longer than `limit` bytes.
    package static func contents(path: [UInt8], limit: Int) throws(SystemError) -> [UInt8] {
        let bytes = try openForReading(path: path).bytes(at: 0, count: limit + 1)
        guard bytes.count <= limit else { throw SystemError(code: EFBIG, call: "read") }
        return bytes
    }
}

/// The path as C wants it. One with a NUL inside is no path: C would take what stands before it for the name of another
/// file.
func cString(_ path: [UInt8], _ call: String) throws(SystemError) -> [CChar] {
    guard !path.contains(0) else { throw SystemError(code: EINVAL, call: call) }
    return path.map { CChar(bitPattern: $0) } + [0]
}

/// Whether this process may read the file.
package func isReadable(_ path: [UInt8]) -> Bool {
    guard let name = try? cString(path, "access") else { return false }
    return faccessat(AT_FDCWD, name, R_OK, AT_EACCESS) == 0
}

/// Whether this process may make files in the directory.
package func checkWritable(directory: [UInt8]) throws(SystemError) {
    let name = try cString(directory, "access")
    try retryingInterrupts("access") { faccessat(AT_FDCWD, name, W_OK | X_OK, AT_EACCESS) }
}

/// Makes the directory and its missing parents, each with the mode.
package func makeDirectories(path: [UInt8], mode: UInt32) throws(SystemError) {
    let name = try cString(path, "mkdir")
    if mkdir(name, mode) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: UInt8(ascii: "/")), slash > 0 else {
        throw SystemError.current("mkdir")
    }
    try makeDirectories(path: Array(path[..<slash]), mode: mode)
    if mkdir(name, mode) != 0 && errno != EEXIST { throw SystemError.current("mkdir") }
}

/// The directory that holds the last name of a path.
package func parentDirectory(of path: [UInt8]) -> [UInt8] {
    let slash = path.lastIndex(of: UInt8(ascii: "/"))
    return slash.map { $0 == 0 ? [UInt8(ascii: "/")] : Array(path[..<$0]) } ?? [UInt8(ascii: ".")]
}

/// Makes the name of a file that was just made durable: what is synced in the file is lost with its name (fsync(2)).
/// File systems that can't sync a directory keep the name in their own way.
package func syncDirectory(of path: [UInt8]) throws(SystemError) {
    let file = try File.open(path: parentDirectory(of: path), flags: O_RDONLY | O_DIRECTORY)
    do {
        try retryingInterrupts("fsync") { fsync(file.descriptor) }
    } catch {
        if error.code != EINVAL { throw error }
    }
}

/// Makes the names of all directories that lead to a file durable, and its own: some of them may have been made just
/// now, or by a process that did not live to sync them. A directory that may not be read was there before.
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

/// The path with every symbolic link, `.` and `..` resolved; the file must exist.
package func canonicalPath(_ path: [UInt8]) throws(SystemError) -> [UInt8] {
    let name = try cString(path, "realpath")
    guard let resolved = realpath(name, nil) else { throw SystemError.current("realpath") }
    defer { free(resolved) }
    return UnsafeBufferPointer(start: resolved, count: strlen(resolved)).map { UInt8(bitPattern: $0) }
}

/// Canonical paths of files that are asked for directory by directory. To be used for a moment: it remembers where the last
/// directory led to.
package struct CanonicalPaths {
    private var directory: ArraySlice<UInt8> = []
    private var canonicalDirectory: [UInt8] = []

    package init() {}

    /// The same as `canonicalPath`, without resolving the directory once more.
    package mutating func path(of path: [UInt8]) throws(SystemError) -> [UInt8] {
        guard try FileStatus.of(path: path, followingLinks: false).kind != .symbolicLink else {
            return try canonicalPath(path)
        }
        return try self.path(ofNoLink: path)
    }

    /// The same for what is known not to be a symbolic link itself.
    package mutating func path(ofNoLink path: [UInt8]) throws(SystemError) -> [UInt8] {
        let slash = UInt8(ascii: "/")
        guard let end = path.lastIndex(of: slash), end > 0, end + 1 < path.count else { return try canonicalPath(path) }
        let name = path[(end + 1)...]
        guard !name.elementsEqual(".".utf8), !name.elementsEqual("..".utf8) else { return try canonicalPath(path) }
        if directory != path[..<end] || canonicalDirectory.isEmpty {
            canonicalDirectory = try canonicalPath(Array(path[..<end]))
            directory = path[..<end]
        }
        return (canonicalDirectory == [slash] ? [] : canonicalDirectory) + [slash] + name
    }
}
