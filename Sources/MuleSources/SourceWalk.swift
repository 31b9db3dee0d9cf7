// Which files are to be sent, and where to. This room looks at directories and reads names; it opens no file's content,
// changes nothing, and holds no list of what it finds.

package import MuleSystem

/// Goes through what was named on the command line, file by file: no list of them is held, but for the names in one directory
/// and in those that lead to it.
///
/// In the order of the names' bytes, so that two runs agree. Links to files are followed, links to directories are not, so
/// that no walk goes in circles.
package struct SourceWalk {
    package struct Found: Sendable {
        /// To open it by.
        package var path: [UInt8]
        /// What goes behind a prefix: the file's name, or its path below the directory that was named.
        package var name: [UInt8]
        /// As it was seen, links not followed.
        package var status: FileStatus?
    }

    package enum Step: Sendable {
        case file(Found)
        /// What can't be sent, and why.
        case problem(Found, SourceProblem)
    }

    private struct Level {
        var directory: [UInt8]
        /// Path below the directory that was named.
        var prefix: [UInt8]
        var names: DirectoryNames
        var next = 0
    }

    private let sources: [[UInt8]]
    private let isRecursive: Bool
    private var nextSource = 0
    private var levels: [Level] = []

    private static let slash = UInt8(ascii: "/")

    package init(_ sources: [[UInt8]], isRecursive: Bool) {
        self.sources = sources
        self.isRecursive = isRecursive
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
                guard nextSource < sources.count else { return nil }
                nextSource += 1
                if let step = begin(sources[nextSource - 1]) { return step }
            }
        }
    }

    /// What was named; nil for a directory that is gone into.
    private mutating func begin(_ source: [UInt8]) -> Step? {
        let found = Found(path: source, name: Self.lastComponent(source))
        let status: FileStatus
        do {
            status = try FileStatus.of(path: source)
        } catch {
            return .problem(found, .unreadable(error))
        }
        switch status.kind {
        case .regular: return .file(found)
        case .directory: return isRecursive ? enter(Found(path: source, name: [])) : .problem(found, .directory)
        default: return .problem(found, .endless(status.kind, wasNamed: true))
        }
    }

    /// Goes into a directory; a step only where it can't be read.
    private mutating func enter(_ directory: Found) -> Step? {
        do {
            let names = try DirectoryNames(of: directory.path)
            levels.append(Level(directory: directory.path, prefix: directory.name, names: names))
            return nil
        } catch {
            return .problem(directory, .unreadableDirectory(error))
        }
    }

    private mutating func look(at name: ArraySlice<UInt8>, in level: Level) -> Step? {
        let path =
            level.directory.last == Self.slash ? level.directory + name : level.directory + [Self.slash] + name
        var found = Found(path: path, name: level.prefix.isEmpty ? Array(name) : level.prefix + [Self.slash] + name)
        do {
            var status = try FileStatus.of(path: path, followingLinks: false)
            found.status = status
            if status.kind == .symbolicLink {
                status = try FileStatus.of(path: path)
                if status.kind == .directory { return .problem(found, .linkToDirectory) }
            }
            switch status.kind {
            case .regular: return .file(found)
            case .directory: return enter(found)
            default: return .problem(found, .endless(status.kind, wasNamed: false))
            }
        } catch {
            return .problem(found, .unreadable(error))
        }
    }

    /// The last name in a path; empty where there is none, as in `/`.
    package static func lastComponent(_ path: [UInt8]) -> [UInt8] {
        let trimmed = path.reversed().drop { $0 == slash }.reversed()
        return Array(trimmed.split(separator: slash).last ?? [])
    }
}
