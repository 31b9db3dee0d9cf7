import Glibc
import MulePlan
import MuleSQLite
package import MuleSystem

/// Why the ledger cannot be used. In all these cases nothing was sent, and no record was lost.
package enum LedgerError: Error, Hashable, Sendable {
    /// Not a ledger, or corrupt.
    case damaged(String)
    /// Written by a newer mule; its schema number.
    case newerVersion(Int)
    case readOnly
    case diskFull
    /// Locked by another process for ten seconds.
    case busy
    /// The path no longer leads to its file, its log or its leases.
    case removed
    /// The file system has no working locks, so runs could not see each other; its name.
    case noLocks(String)
    /// Only the file is mounted, not its directory, so the log would be outside of the mount.
    case mountedAlone
    /// A hard link other than the path in use, which is given if known.
    case secondName([UInt8]?)
    case cannotOpen(String)
    /// The process has reached its limit of open files.
    case noFile(SystemError)
    case failed(String)

    /// What is wrong, as a phrase after "the ledger PATH".
    package var reason: String {
        switch self {
        case .damaged(let detail): "is damaged or not a ledger (\(detail))"
        case .newerVersion(let version): "was written by a newer mule (schema \(version))"
        case .readOnly: "cannot be written: it or its directory is read-only"
        case .diskFull: "cannot be written: the disk is full, or a quota or file size limit is reached"
        case .busy: "has been locked by another process for ten seconds"
        case .removed: "was removed or replaced while it was in use"
        case .noLocks(let name): "is on a file system without working locks (\(name))"
        case .mountedAlone:
            "is mounted as a single file: its log would be outside of that mount, and be lost"
        case .secondName(let name):
            "is a second name (hard link) of "
                + (name.map { "the ledger \(LossyUTF8.string($0)): its log is next to that name" } ?? "another file")
        case .cannotOpen(let detail): "cannot be opened (\(detail))"
        case .noFile(let error): "cannot be opened (\(error.reason))"
        case .failed(let detail): "could not be used: \(detail)"
        }
    }

    /// How to fix it.
    package var cure: String {
        switch self {
        case .damaged:
            "It was not changed. \"mule doctor\" shows what is wrong, \"mule doctor --export FILE\" saves what can "
                + "still be read. Then move the ledger away; \"mule adopt\" adopts uploads that only the store knows."
        case .newerVersion: "Use that version, or another ledger with --ledger."
        case .readOnly: "Make the directory writable, or choose another ledger with --ledger."
        case .cannotOpen: "Check that files can be created in its directory, or choose another ledger with --ledger."
        case .noFile(let error): "\(error.cureOfFileShortage), and run the same command again."
        case .mountedAlone:
            "Mount the directory of the ledger instead of the file, and name the file in that "
                + "directory."
        case .secondName:
            "Always use the same path for the ledger. Remove the other name; to make a copy use \"cp\" without links."
        case .diskFull: "Free some space and run the same command again; nothing recorded is lost."
        case .busy, .failed: "Run the same command again."
        case .removed:
            "Nothing more was sent. Restore it, or run the same command again; \"mule adopt\" adopts uploads that only "
                + "the store knows."
        case .noLocks: "Choose a ledger on a local disk with --ledger, or mount the file system with locks."
        }
    }
}

extension LedgerError {
    package init(_ error: SystemError) {
        switch error.code {
        case EROFS, EACCES, EPERM: self = .readOnly
        case ENOSPC, EDQUOT, EFBIG: self = .diskFull
        case EMFILE, ENFILE: self = .noFile(error)
        default: self = .cannotOpen(error.description)
        }
    }
}

extension LedgerError {
    /// - Parameter path: of the ledger. Where SQLite could not make a file next to it, the system is asked why.
    init(_ error: SQLiteError, of path: [UInt8]) {
        self.init(error)
        guard case .cannotOpen = self else { return }
        if let obstacle = obstacleToNewFile(nextTo: path) {
            self = LedgerError(obstacle)
        } else if let available = try? FileSystem.of(path: path).available, available < 64 << 10 {
            self = .diskFull
        }
    }

    private init(_ error: SQLiteError) {
        switch error.kind {
        case .diskFull: self = .diskFull
        case .damaged: self = .damaged(error.message)
        case .readOnly: self = .readOnly
        case .busy: self = .busy
        case .tooManyFiles: self = .noFile(SystemError(code: error.systemCode, call: "open"))
        case .cannotOpen: self = .cannotOpen(error.message)
        case .other: self = .failed("\(error.message) (SQLite \(error.code), \(error.statement))")
        }
    }
}
