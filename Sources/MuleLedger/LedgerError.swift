import Glibc
import MuleSystem

/// Why the ledger can't be used. None of these has sent anything, or lost what was recorded.
package enum LedgerError: Error, Hashable, Sendable {
    /// Not a ledger, or one that a fault has hit.
    case damaged(String)
    /// Written by a later mule; the schema's number.
    case newerVersion(Int)
    case readOnly
    case diskFull
    /// Another process has held it for ten seconds.
    case busy
    case cannotOpen(String)
    case failed(String)

    /// What is wrong, in words that fit after "the ledger PATH".
    package var reason: String {
        switch self {
        case .damaged(let detail): "is damaged or not a ledger (\(detail))"
        case .newerVersion(let version): "was written by a newer mule (schema \(version))"
        case .readOnly: "can't be written: it or its directory is read-only"
        case .diskFull: "can't be written: the disk is full"
        case .busy: "has been locked by another process for ten seconds"
        case .cannotOpen(let detail): "can't be opened (\(detail))"
        case .failed(let detail): "could not be used: \(detail)"
        }
    }

    /// What to do about it.
    package var cure: String {
        switch self {
        case .damaged:
            "Move it aside and run the command again; the uploads it knew must be begun anew. It was left untouched."
        case .newerVersion: "Use that version, or another ledger with --ledger."
        case .readOnly, .cannotOpen: "Make the directory writable, or name another ledger with --ledger."
        case .diskFull: "Free some space and run the same command again; nothing recorded is lost."
        case .busy, .failed: "Run the same command again."
        }
    }
}

extension LedgerError {
    init(_ error: SystemError) {
        switch error.code {
        case EROFS, EACCES, EPERM: self = .readOnly
        case ENOSPC, EDQUOT: self = .diskFull
        default: self = .cannotOpen(error.description)
        }
    }
}
