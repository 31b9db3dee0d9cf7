import Glibc
import MuleSystem

/// Makes sure that a ledger is always opened by the same path. SQLite keeps its log, and mule its leases, next to the
/// path by which the file was opened. Two paths would mean two logs, each taken for the whole, and two sets of leases
/// that do not see each other (https://sqlite.org/howtocorrupt.html, sections 2.5 and 2.6).
///
/// Symbolic links are resolved. Of several hard links, only the one named by the file of the leases next to it is
/// accepted; that file holds the ledger's inode number and path. A file mounted without its directory is refused.
enum LedgerName {
    /// The suffixes of the files that an open ledger consists of.
    private static let suffixes = ["", "-wal", "-shm", "-journal", ".leases"].map { Array($0.utf8) }

    /// Reserves the existing files of a ledger.
    static func reserve(_ path: [UInt8]) -> ReservedFiles {
        ReservedFiles(paths: suffixes.map { path + $0 })
    }

    /// The path without links. Creates a missing file and its directories, accessible only by the owner, because SQLite
    /// would use another mode.
    ///
    /// - Parameter fileSystem: queries the ledger's file system.
    static func resolve(_ path: [UInt8], fileSystem: DiskReserve.Look) throws(SystemError) -> [UInt8] {
        if let resolved = try existing(path) { return resolved }
        let directory = parentDirectory(of: path)
        if directory.count > 1 { try makeDirectories(path: directory, mode: 0o700) }
        NewLedger.create(path, fileSystem: fileSystem)
        if let resolved = try existing(path) { return resolved }
        do {
            _ = try File.open(path: path, flags: O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        } catch {
            guard error.code == EEXIST else { throw error }
        }
        if let resolved = try existing(path) { return resolved }
        // A symbolic link to a file that does not exist yet.
        _ = try File.open(path: path, flags: O_RDWR | O_CREAT, mode: 0o600)
        return try canonicalPath(path)
    }

    private static func existing(_ path: [UInt8]) throws(SystemError) -> [UInt8]? {
        do {
            return try canonicalPath(path)
        } catch {
            guard error.code == ENOENT else { throw error }
            return nil
        }
    }

    /// Refuses a path other than the one by which the ledger is normally opened. Opens no file that SQLite has locks
    /// on.
    ///
    /// - Parameters:
    ///   - path: with links resolved.
    ///   - status: the ledger's status.
    static func check(_ path: [UInt8], _ status: FileStatus) throws(LedgerError) {
        if suffixes.contains(where: { isMountedAlone(path + $0) }) { throw .mountedAlone }
        guard status.linkCount > 1 else { return }
        guard let (inode, name) = record(beside: path), inode == status.inode else { throw .secondName(nil) }
        guard !isSamePlace(name, path), let other = try? FileStatus.of(path: name) else { return }
        if (other.device, other.inode) == (status.device, status.inode) { throw .secondName(name) }
    }

    /// The content for the file of the leases.
    static func record(of path: [UInt8], _ status: FileStatus) -> [UInt8] {
        Array("\(status.inode)\n".utf8) + path + [UInt8(ascii: "\n")]
    }

    private static func record(beside path: [UInt8]) -> (inode: UInt64, path: [UInt8])? {
        guard let text = try? File.contents(path: path + Array(".leases".utf8), limit: 8192), text.last == 10,
            let end = text.firstIndex(of: 10),
            let inode = UInt64(String(decoding: text[..<end], as: UTF8.self))
        else { return nil }
        return (inode, Array(text[(end + 1)...].dropLast()))
    }

    /// Whether two paths are the same name in the same directory, which may be mounted twice.
    private static func isSamePlace(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        if one == other { return true }
        func name(_ path: [UInt8]) -> ArraySlice<UInt8> { path[((path.lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1)...] }
        guard name(one) == name(other), let here = try? FileStatus.of(path: parentDirectory(of: one)),
            let there = try? FileStatus.of(path: parentDirectory(of: other))
        else { return false }
        return (here.device, here.inode) == (there.device, there.inode)
    }
}
