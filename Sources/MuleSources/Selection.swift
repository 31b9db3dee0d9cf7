package import MuleSystem

/// Which files below a directory to upload. A file or directory named as a source is always selected.
package struct Selection: Hashable, Sendable {
    /// If not empty: only files that match, or that lie in a matching directory.
    package var include: [GlobPattern] = []
    /// The last match decides. An excluded directory is not entered, so nothing in it can be included again.
    package var exclude: [ExcludeRule] = []
    /// Minimum seconds since the content last changed, at the start of the walk; for a time in the future see
    /// `FileStatus.age`.
    package var minimumAge: Double?
    package var maximumAge: Double?
    /// Bytes.
    package var minimumSize: Int64?
    package var maximumSize: Int64?
    package var symlinks = SymlinkPolicy.files

    package init() {}

    /// Whether the rules exclude the path.
    package func excludes(_ path: [UInt8], isDirectory: Bool) -> Bool {
        exclude.last { $0.pattern.matches(path, isDirectory: isDirectory) }.map { !$0.isException } ?? false
    }

    func includes(_ path: [UInt8], isDirectory: Bool) -> Bool {
        include.contains { $0.matches(path, isDirectory: isDirectory) }
    }

    /// Why the file is skipped; nil if it is selected.
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

/// A pattern to exclude, or with `!` an exception to earlier rules.
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

/// What to do with symbolic links below a source directory. One named as a source is always followed.
package enum SymlinkPolicy: String, CaseIterable, Sendable {
    /// Links to files are followed; one to a directory is a problem.
    case files
    /// Links to directories are followed too; one to a directory that contains it is a problem.
    case follow
    /// Links are skipped.
    case skip
    /// Each link is a problem.
    case report
}

/// The order in which files are sent.
package enum FileOrder: String, CaseIterable, Sendable {
    /// The order of the walk; no file waits for others to be found.
    case name
    case oldest, newest, smallest, largest
}

/// Why a file, or a directory with all its content, is skipped.
package enum LeftOut: String, Hashable, Sendable {
    case excluded, notIncluded, tooYoung, tooOld, tooSmall, tooLarge, symbolicLink
    /// It belongs to the ledger in use; see `ReservedFiles`.
    case ledger
}
