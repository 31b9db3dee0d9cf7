internal import CSQLite
import Glibc

/// A failed call of SQLite.
package struct SQLiteError: Error {
    /// Extended result code.
    package let code: Int32
    package let message: String
    package let statement: String
    /// `errno` behind an I/O error or a file that cannot be opened; 0 otherwise.
    package let systemCode: Int32

    package init(code: Int32, message: String, statement: String, systemCode: Int32 = 0) {
        self.code = code
        self.message = message
        self.statement = statement
        self.systemCode = systemCode
    }

    /// What callers tell apart.
    package enum Kind: Hashable, Sendable {
        /// Also a quota or a file size limit that is reached.
        case diskFull
        /// Not a database, or one that a fault has hit.
        case damaged
        case readOnly
        /// Another connection holds the lock.
        case busy
        /// No more files can be open at a time.
        case tooManyFiles
        case cannotOpen
        case other
    }

    package var kind: Kind {
        switch code & 0xFF {
        case SQLITE_FULL: .diskFull
        // SQLite knows a full disk when it writes a page, and not when it grows its index of the log.
        case SQLITE_IOERR where [ENOSPC, EDQUOT, EFBIG].contains(systemCode): .diskFull
        case SQLITE_CANTOPEN where [ENOSPC, EDQUOT, EFBIG].contains(systemCode): .diskFull
        case SQLITE_CANTOPEN where [EACCES, EPERM, EROFS].contains(systemCode): .readOnly
        case SQLITE_CANTOPEN where [EMFILE, ENFILE].contains(systemCode): .tooManyFiles
        case SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_FORMAT: .damaged
        case SQLITE_READONLY, SQLITE_PERM: .readOnly
        case SQLITE_CANTOPEN: .cannotOpen
        case SQLITE_BUSY, SQLITE_LOCKED: .busy
        default: .other
        }
    }
}
