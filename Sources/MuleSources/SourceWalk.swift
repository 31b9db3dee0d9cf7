// Which files are to be sent, and where to. This room looks at directories and reads names; it opens no file's content,
// changes nothing, and holds no list of what it finds.

package import MuleSystem

/// Goes through what was named, on the command line or in a list, file by file: no list of them is held, but for the names in
/// one directory and in those that lead to it.
///
/// In the order of the names' bytes, so that two runs agree. What a `Selection` leaves out below a directory is told too, so
/// that whoever waits for a file hears that the walk goes on.
package struct SourceWalk {
    package struct Found: Sendable {
        /// To open it by.
        package var path: [UInt8]
        /// What goes behind a prefix: the file's name, its path below the directory that was named, or its path as a list has it.
        package var name: [UInt8]
        /// As it was seen, links not followed; nil for what was named itself.
        package var status: FileStatus?
        /// Bytes and nanoseconds since 1970, of what is behind a link where it is one; 0 for what can't be read.
        package var size: Int64 = 0
        package var modificationTime: Int64 = 0
        /// Whether the path leads through a symbolic link below the directory that was named.
        package var isLinked = false
    }

    package enum Step: Sendable {
        case file(Found)
        /// What can't be sent, and why.
        case problem(Found, SourceProblem)
        /// What the selection does not mean; a directory stands for all that is in it.
        case leftOut(Found, LeftOut)
        /// Whoever writes the list has sent nothing for a moment; the next call goes on waiting.
        case idle
    }

    private struct Level {
        var directory: [UInt8]
        /// Path that goes behind a prefix.
        var prefix: [UInt8]
        /// How many bytes of a name lead to the directory that was named; patterns see what is behind them.
        var rootLength: Int
        var names: DirectoryNames
        var next = 0
        /// Whether an include pattern means the whole directory.
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
    ///   - isRecursive: whether directories are gone into.
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

    /// What a list names, as it comes.
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

    /// The next file, or the next thing that is none; nil at the end.
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

    /// What was named; nil for a directory that is gone into.
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

    /// Goes into a directory; a step only where it can't be read.
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
        let path =
            level.directory.last == Self.slash ? level.directory + name : level.directory + [Self.slash] + name
        var found = Found(path: path, name: level.prefix.isEmpty ? Array(name) : level.prefix + [Self.slash] + name)
        found.isLinked = level.isLinked
        // Patterns see the path below the directory that was named.
        let inner = level.rootLength == 0 ? found.name : Array(found.name.dropFirst(level.rootLength + 1))
        do {
            var status = try FileStatus.of(path: path, followingLinks: false)
            found.status = status
            if status.kind == .symbolicLink {
                // A link is left out by its name, whatever it leads to.
                if selection.excludes(inner, isDirectory: false) { return .leftOut(found, .excluded) }
                switch selection.symlinks {
                case .skip: return .leftOut(found, .symbolicLink)
                case .report:
                    // Behind one to a directory may be what an include pattern means.
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
                // With include patterns that do not mean all of it, some of what is in it may be meant.
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
            // Nobody can tell whether it would be meant, unless its name alone says that it is not.
            if selection.excludes(inner, isDirectory: false) { return .leftOut(found, .excluded) }
            return .problem(found, .unreadable(error))
        }
    }

    private func isIncluded(_ path: [UInt8], isDirectory: Bool) -> Bool {
        selection.include.isEmpty || selection.includes(path, isDirectory: isDirectory)
    }

    /// The last name in a path; empty where there is none, as in `/`.
    package static func lastComponent(_ path: [UInt8]) -> [UInt8] {
        let trimmed = path.reversed().drop { $0 == slash }.reversed()
        return Array(trimmed.split(separator: slash).last ?? [])
    }
}
