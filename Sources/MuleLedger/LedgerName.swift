import Glibc
import MuleSystem

/// The one name of a ledger. SQLite keeps its log, and mule its leases, beside the name that the file was opened by: by two
/// names there are two logs, of which each is taken for the whole, and two files of leases, which do not know of each other
/// (https://sqlite.org/howtocorrupt.html, sections 2.5 and 2.6).
///
/// A name that leads to the file through symbolic links is resolved. Of several hard links only the one is used that the file
/// of the leases beside it tells of; it holds the ledger's inode number and path. A file that is mounted without its directory
/// is refused.
enum LedgerName {
    /// What an open ledger consists of, as suffixes of its name.
    private static let suffixes = ["", "-wal", "-shm", "-journal", ".leases"].map { Array($0.utf8) }

    /// Reserves what there is of a ledger.
    static func reserve(_ path: [UInt8]) -> ReservedFiles {
        ReservedFiles(paths: suffixes.map { path + $0 })
    }

    /// The path without links. Where there is no file, it is made with its directories, for its owner alone: SQLite would give
    /// it another mode.
    static func resolve(_ path: [UInt8]) throws(SystemError) -> [UInt8] {
        if let resolved = try existing(path) { return resolved }
        let directory = parentDirectory(of: path)
        if directory.count > 1 { try makeDirectories(path: directory, mode: 0o700) }
        do {
            _ = try File.open(path: path, flags: O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        } catch {
            guard error.code == EEXIST else { throw error }
        }
        if let resolved = try existing(path) { return resolved }
        // A symbolic link that leads to no file yet.
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

    /// Refuses a name that others do not open the ledger by. Nothing is opened that SQLite has locks on.
    ///
    /// - Parameters:
    ///   - path: without links.
    ///   - status: of the ledger.
    static func check(_ path: [UInt8], _ status: FileStatus) throws(LedgerError) {
        if suffixes.contains(where: { isMountedAlone(path + $0) }) { throw .mountedAlone }
        guard status.linkCount > 1 else { return }
        guard let (inode, name) = record(beside: path), inode == status.inode else { throw .secondName(nil) }
        guard !isSamePlace(name, path), let other = try? FileStatus.of(path: name) else { return }
        if (other.device, other.inode) == (status.device, status.inode) { throw .secondName(name) }
    }

    /// What the file of the leases is to hold.
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

    /// Whether two paths are one name in one directory, which may be mounted in two places.
    private static func isSamePlace(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        if one == other { return true }
        func name(_ path: [UInt8]) -> ArraySlice<UInt8> { path[((path.lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1)...] }
        guard name(one) == name(other), let here = try? FileStatus.of(path: parentDirectory(of: one)),
            let there = try? FileStatus.of(path: parentDirectory(of: other))
        else { return false }
        return (here.device, here.inode) == (there.device, there.inode)
    }
}
