// MuleSources finds the files to upload and their keys. It reads directories and lists of names; it opens no file's
// content, changes nothing, and keeps no list of what it finds.

package import MuleSystem

/// Walks the sources from the command line or a list, file by file. It keeps only the names in the current directory
/// and in its parents.
///
/// Names are sorted by bytes, so that all runs use the same order. Files that a `Selection` skips are returned too, so
/// that the caller sees progress.
package struct SourceWalk {
    package struct Found: Sendable {
        /// The path to open.
        package var path: [UInt8]
        /// What is appended to a prefix: the file's name, its path below the source directory, or its path in a list.
        package var name: [UInt8]
        /// The status, links not followed; nil for a source itself.
        package var status: FileStatus?
        /// Bytes, and nanoseconds since 1970; for a link those of its target; 0 if they cannot be read.
        package var size: Int64 = 0
        package var modificationTime: Int64 = 0
        /// Whether the path has a symbolic link below the source directory.
        package var isLinked = false
    }

    package enum Step: Sendable {
        case file(Found)
        /// What cannot be uploaded, and why.
        case problem(Found, SourceProblem)
        /// What the selection skips; a directory includes all its content.
        case leftOut(Found, LeftOut)
        /// The list's writer has sent nothing for a moment; the next call continues to wait.
        case idle
    }

    private struct Level {
        var directory: [UInt8]
        /// The path that is appended to a prefix.
        var prefix: [UInt8]
        /// Length of the source directory's part of a name; patterns see the rest.
        var rootLength: Int
        var names: DirectoryNames
        var next = 0
        /// Whether an include pattern matches the whole directory.
        var isIncluded: Bool
        var isLinked: Bool
        /// Device and inode.
        var identity: Identity
    }

    private struct Identity: Hashable {
        var device: UInt64
        var inode: UInt64

        init(_ status: FileStatus) { (device, inode) = (status.device, status.inode) }
    }

    private enum Sources {
        case named([[UInt8]])
        case listed(NameList)
    }

    private let sources: Sources
    private let isRecursive: Bool
    private let selection: Selection
    private let now: Int64
    private var nextSource = 0
    private var levels: [Level] = []

    private static let slash = UInt8(ascii: "/")

    /// - Parameters:
    ///   - isRecursive: whether to enter directories.
    ///   - now: the moment from which ages are counted, in nanoseconds since 1970.
    package init(
        _ sources: [[UInt8]],
        isRecursive: Bool,
        selection: Selection = Selection(),
        now: Int64 = wallClockMilliseconds() * 1_000_000
    ) {
        self.sources = .named(sources)
        self.isRecursive = isRecursive
        self.selection = selection
        self.now = now
    }

    /// Walks the names of a list as they arrive.
    package init(
        _ list: NameList,
        isRecursive: Bool,
        selection: Selection = Selection(),
        now: Int64 = wallClockMilliseconds() * 1_000_000
    ) {
        sources = .listed(list)
        self.isRecursive = isRecursive
        self.selection = selection
        self.now = now
    }

    /// The next file, or the next other step; nil at the end.
    package mutating func next() -> Step? {
        while true {
            if let level = levels.last {
                guard level.next < level.names.count else {
                    levels.removeLast()
                    continue
                }
                levels[levels.count - 1].next += 1
                if let step = look(at: level.names[level.next], in: level) { return step }
            } else {
                switch sources {
                case .named(let paths):
                    guard nextSource < paths.count else { return nil }
                    nextSource += 1
                    let path = paths[nextSource - 1]
                    if let step = begin(path, name: Self.lastComponent(path), prefix: []) { return step }
                case .listed(let list):
                    guard let entry = list.next() else { return nil }
                    if let step = begin(entry) { return step }
                }
            }
        }
    }

    private mutating func begin(_ entry: NameList.Entry) -> Step? {
        switch entry {
        case .idle: return .idle
        case .failed(let list, let problem): return .problem(Found(path: list, name: []), problem)
        case .name(let path):
            var name: [UInt8] = []
            for part in path.split(separator: Self.slash) where !part.elementsEqual(".".utf8) {
                if part.elementsEqual("..".utf8) { return .problem(Found(path: path, name: []), .leadsUp) }
                name += (name.isEmpty ? [] : [Self.slash]) + part
            }
            return begin(path, name: name, prefix: name)
        }
    }

    /// Starts with a source; nil for a directory, which it enters.
    ///
    /// - Parameters:
    ///   - name: of the file.
    ///   - prefix: of the files below it, if it is a directory.
    private mutating func begin(_ source: [UInt8], name: [UInt8], prefix: [UInt8]) -> Step? {
        var found = Found(path: source, name: name)
        let status: FileStatus
        do {
            status = try FileStatus.of(path: source)
        } catch {
            return .problem(found, .unreadable(error))
        }
        switch status.kind {
        case .regular:
            found.size = status.size
            found.modificationTime = status.modificationTime
            return .file(found)
        case .directory:
            guard isRecursive else { return .problem(found, .directory) }
            return enter(Found(path: source, name: prefix), status, rootLength: prefix.count, isIncluded: false)
        default: return .problem(found, .endless(status.kind, wasNamed: true))
        }
    }

    /// Enters a directory; returns a step only if it cannot be read.
    private mutating func enter(
        _ directory: Found,
        _ status: FileStatus,
        rootLength: Int,
        isIncluded: Bool
    ) -> Step? {
        do {
            levels.append(
                Level(
                    directory: directory.path,
                    prefix: directory.name,
                    rootLength: rootLength,
                    names: try DirectoryNames(of: directory.path),
                    isIncluded: isIncluded,
                    isLinked: directory.isLinked,
                    identity: Identity(status)
                )
            )
            return nil
        } catch {
            return .problem(directory, .unreadableDirectory(error))
        }
    }

    private mutating func look(at name: ArraySlice<UInt8>, in level: Level) -> Step? {
        let path = Self.path(name, in: level.directory)
        var found = Found(path: path, name: level.prefix.isEmpty ? Array(name) : Self.path(name, in: level.prefix))
        found.isLinked = level.isLinked
        // Patterns see the path below the source directory.
        let inner = level.rootLength == 0 ? found.name : Array(found.name.dropFirst(level.rootLength + 1))
        do {
            var status = try FileStatus.of(path: path, followingLinks: false)
            found.status = status
            if status.kind == .symbolicLink {
                // Exclude rules apply to the name of a link, not to its target.
                if selection.excludes(inner, isDirectory: false) { return .leftOut(found, .excluded) }
                switch selection.symlinks {
                case .skip: return .leftOut(found, .symbolicLink)
                case .report:
                    // A directory behind the link may contain files that an include pattern matches.
                    let mayHold = (try? FileStatus.of(path: path))?.kind == .directory
                    guard mayHold || level.isIncluded || isIncluded(inner, isDirectory: false) else {
                        return .leftOut(found, .notIncluded)
                    }
                    return .problem(found, .link)
                case .files, .follow: break
                }
                found.isLinked = true
                status = try FileStatus.of(path: path)
                if status.kind == .directory, selection.symlinks == .files { return .problem(found, .linkToDirectory) }
            }
            let isDirectory = status.kind == .directory
            if selection.excludes(inner, isDirectory: isDirectory) { return .leftOut(found, .excluded) }
            let isMeant = level.isIncluded || isIncluded(inner, isDirectory: isDirectory)
            if isDirectory {
                if found.isLinked, levels.contains(where: { $0.identity == Identity(status) }) {
                    return .problem(found, .loop)
                }
                // Without a match for the directory itself, files in it may still match.
                return enter(
                    found,
                    status,
                    rootLength: level.rootLength,
                    isIncluded: isMeant && !selection.include.isEmpty
                )
            }
            guard isMeant else { return .leftOut(found, .notIncluded) }
            guard status.kind == .regular else { return .problem(found, .endless(status.kind, wasNamed: false)) }
            if ReservedFiles.contains(status) { return .leftOut(found, .ledger) }
            found.size = status.size
            found.modificationTime = status.modificationTime
            if let reason = selection.objection(to: status, now: now) { return .leftOut(found, reason) }
            return .file(found)
        } catch {
            // Without the status, only the name can show that it is excluded.
            if selection.excludes(inner, isDirectory: false) { return .leftOut(found, .excluded) }
            return .problem(found, .unreadable(error))
        }
    }

    private func isIncluded(_ path: [UInt8], isDirectory: Bool) -> Bool {
        selection.include.isEmpty || selection.includes(path, isDirectory: isDirectory)
    }

    private static func path(_ name: ArraySlice<UInt8>, in directory: [UInt8]) -> [UInt8] {
        var path: [UInt8] = []
        path.reserveCapacity(directory.count + 1 + name.count)
        path += directory
        if directory.last != slash { path.append(slash) }
        path += name
        return path
    }

    /// The last name in a path; empty if there is none, as in `/`.
    package static func lastComponent(_ path: [UInt8]) -> [UInt8] {
        let trimmed = path.reversed().drop { $0 == slash }.reversed()
        return Array(trimmed.split(separator: slash).last ?? [])
    }
}
