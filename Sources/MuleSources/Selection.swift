package import MuleSystem

/// Which of the files below a directory are meant. What was named itself, a file or a directory, is always meant.
package struct Selection: Hashable, Sendable {
    /// When there are any, only files that one of them matches, or that lie in a directory that one of them matches.
    package var include: [GlobPattern] = []
    /// The last one that matches decides. A directory that is left out is not gone into, so that nothing in it comes back.
    package var exclude: [ExcludeRule] = []
    /// Seconds since the content last changed, at the walk's beginning, or more; for a time in the future see `FileStatus.age`.
    package var minimumAge: Double?
    package var maximumAge: Double?
    /// Bytes.
    package var minimumSize: Int64?
    package var maximumSize: Int64?
    package var symlinks = SymlinkPolicy.files

    package init() {}

    /// Whether the rules leave out what is at this path.
    package func excludes(_ path: [UInt8], isDirectory: Bool) -> Bool {
        exclude.last { $0.pattern.matches(path, isDirectory: isDirectory) }.map { !$0.isException } ?? false
    }

    func includes(_ path: [UInt8], isDirectory: Bool) -> Bool {
        include.contains { $0.matches(path, isDirectory: isDirectory) }
    }

    /// Why a file of these facts is left out; nil when it is not.
    ///
    /// - Parameter now: nanoseconds since 1970.
    func objection(to status: FileStatus, now: Int64) -> LeftOut? {
        if let least = minimumSize, status.size < least { return .tooSmall }
        if let most = maximumSize, status.size > most { return .tooLarge }
        guard minimumAge != nil || maximumAge != nil else { return nil }
        if isTooYoung(status, now: now) { return .tooYoung }
        if let most = maximumAge, (Double(now) - Double(status.modificationTime)) / 1e9 > most { return .tooOld }
        return nil
    }

    /// - Parameter now: nanoseconds since 1970.
    package func isTooYoung(_ status: FileStatus, now: Int64) -> Bool {
        minimumAge.map { status.age(of: status.modificationTime, at: now) < $0 } ?? false
    }
}

/// What is left out, or with `!` before the pattern: what is not, though an earlier rule says so.
package struct ExcludeRule: Hashable, Sendable {
    package var pattern: GlobPattern
    package var isException: Bool

    package init(pattern: GlobPattern, isException: Bool = false) {
        self.pattern = pattern
        self.isException = isException
    }

    package init(_ text: [UInt8]) throws(GlobError) {
        isException = text.first == UInt8(ascii: "!")
        pattern = try GlobPattern(isException ? Array(text.dropFirst()) : text)
    }
}

/// What becomes of symbolic links below a directory that was named. One that was named itself is always followed.
package enum SymlinkPolicy: String, CaseIterable, Sendable {
    /// Links to files are followed; one to a directory is a problem.
    case files
    /// Links to directories are followed too; one that leads back to where it lies is a problem.
    case follow
    /// They are left out.
    case skip
    /// Each is a problem.
    case report
}

/// In which order files are sent.
package enum FileOrder: String, CaseIterable, Sendable {
    /// As the walk goes; no file waits for another to be found.
    case name
    case oldest, newest, smallest, largest
}

/// Why a file, or a directory with all that is in it, is not meant.
package enum LeftOut: String, Hashable, Sendable {
    case excluded, notIncluded, tooYoung, tooOld, tooSmall, tooLarge, symbolicLink
    /// It belongs to the ledger that is in use; see `ReservedFiles`.
    case ledger
}
