import MuleSQLite
import MuleSystem

/// Creates a ledger as a whole: a file with all its tables, on disk before it has its name. Every process sees it
/// complete or not at all, after a kill or a power cut too, and of two processes that create it at once, one does.
enum NewLedger {
    /// Creates the file where that is possible. Otherwise `LedgerName.resolve` creates an empty one, and SQLite, with a
    /// rollback journal, the tables: on a disk of other machines, and where a file system or a container lacks what
    /// `createFile` needs. What fails here fails there too, with its reason.
    ///
    /// The name is durable with the first commit: SQLite syncs the directory when it syncs a log for the first time,
    /// and until then nothing is promised.
    ///
    /// - Parameters:
    ///   - path: its directory exists.
    ///   - fileSystem: queries the ledger's file system.
    static func create(_ path: [UInt8], fileSystem: DiskReserve.Look) {
        guard let directory = try? canonicalPath(parentDirectory(of: path)),
            let place = try? fileSystem(directory), !place.isShared
        else { return }
        // A power cut may keep the log of a ledger whose name was not on disk yet. SQLite removes what it finds next to
        // an empty file.
        if leftovers.contains(where: { (try? FileStatus.of(path: path + $0)) != nil }) { return }
        let name = path[((path.lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1)...]
        let whole = (directory.count > 1 ? directory : []) + [UInt8(ascii: "/")] + name
        guard let content = try? Database.file(after: Schema.script, applicationID: Schema.applicationID) else {
            return
        }
        _ = try? createFile(path: whole, with: content, mode: 0o600) { () throws(SystemError) in
            try syncNewNames(leadingTo: directory)
        }
    }

    private static let leftovers = ["-wal", "-journal"].map { Array($0.utf8) }
}
