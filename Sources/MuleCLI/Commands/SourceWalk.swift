import Glibc
import MulePlan
import MuleSystem
import MuleUpload

/// Goes through what was named on the command line, file by file: no list of them is held, but for the names in one directory
/// and in those that lead to it.
///
/// In the order of the names' bytes, so that two runs agree. Links to files are followed, links to directories are not, so
/// that no walk goes in circles.
struct SourceWalk {
    struct Found {
        /// To open it by.
        var path: [UInt8]
        /// What goes behind a prefix: the file's name, or its path below the directory that was named.
        var name: [UInt8]
        /// As it was seen, links not followed.
        var status: FileStatus?
    }

    enum Step {
        case file(Found)
        /// What can't be sent, and why.
        case problem(Found, UploadFailure)
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

    init(_ sources: [[UInt8]], isRecursive: Bool) {
        self.sources = sources
        self.isRecursive = isRecursive
    }

    /// The next file, or the next thing that is none; nil at the end.
    mutating func next() -> Step? {
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

    /// What was named on the command line; nil for a directory that is gone into.
    private mutating func begin(_ source: [UInt8]) -> Step? {
        let shown = TextSafety.displayName(source)
        let found = Found(path: source, name: Self.lastComponent(source))
        func problem(_ message: String) -> Step { .problem(found, UploadFailure(.source, message)) }
        let status: FileStatus
        do {
            status = try FileStatus.of(path: source)
        } catch {
            return problem("\(shown) can't be read: \(error.reason).")
        }
        switch status.kind {
        case .regular: return .file(found)
        case .directory:
            guard isRecursive else {
                return problem("\(shown) is a directory: add --recursive to send the files below it.")
            }
            return enter(Found(path: source, name: []))
        default:
            return problem(
                "\(shown) is \(status.kind.noun), which has no end that could be confirmed. Send what it gives as standard "
                    + "input instead: mule upload - DESTINATION < FILE"
            )
        }
    }

    /// Goes into a directory; a step only where it can't be read.
    private mutating func enter(_ directory: Found) -> Step? {
        do {
            let names = try DirectoryNames(of: directory.path)
            levels.append(Level(directory: directory.path, prefix: directory.name, names: names))
            return nil
        } catch {
            let shown = TextSafety.displayName(directory.path)
            let message = "\(shown) can't be read: \(error.reason); what is in it is not sent."
            return .problem(directory, UploadFailure(.source, message))
        }
    }

    private mutating func look(at name: ArraySlice<UInt8>, in level: Level) -> Step? {
        let path =
            level.directory.last == Self.slash ? level.directory + name : level.directory + [Self.slash] + name
        var found = Found(path: path, name: level.prefix.isEmpty ? Array(name) : level.prefix + [Self.slash] + name)
        // Made for messages alone: most files need none.
        func problem(_ message: (String) -> String) -> Step {
            .problem(found, UploadFailure(.source, message(TextSafety.displayName(path))))
        }
        do {
            var status = try FileStatus.of(path: path, followingLinks: false)
            found.status = status
            if status.kind == .symbolicLink {
                status = try FileStatus.of(path: path)
                if status.kind == .directory { return problem { "\($0) links to a directory and is not followed." } }
            }
            switch status.kind {
            case .regular: return .file(found)
            case .directory: return enter(found)
            default: return problem { "\($0) is \(status.kind.noun) and is not sent." }
            }
        } catch {
            return problem { "\($0) can't be read: \(error.reason)." }
        }
    }

    static func lastComponent(_ path: [UInt8]) -> [UInt8] {
        let trimmed = path.reversed().drop { $0 == slash }.reversed()
        return Array(trimmed.split(separator: slash).last ?? [])
    }
}

/// The names in a directory in the order of their bytes, one behind the other in one piece of memory: a million of them may
/// lie in one directory.
struct DirectoryNames {
    private var bytes: [UInt8] = []
    /// Where names begin in `bytes`; each ends with a NUL.
    private var starts: [Int] = []

    init(of directory: [UInt8]) throws(SystemError) {
        let path = directory.map { CChar(bitPattern: $0) } + [0]
        guard let stream = opendir(path) else { throw SystemError.current("opendir") }
        defer { closedir(stream) }
        while true {
            errno = 0
            guard let entry = readdir(stream) else { break }
            withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { name in
                    if strcmp(name, ".") == 0 || strcmp(name, "..") == 0 { return }
                    starts.append(bytes.count)
                    bytes.append(contentsOf: UnsafeRawBufferPointer(start: name, count: strnlen(name, 255)))
                    bytes.append(0)
                }
            }
        }
        // A directory that is only half known is not to be taken for the whole.
        if errno != 0 { throw SystemError.current("readdir") }
        bytes.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return }
            starts.sort { left, right in
                base.withMemoryRebound(to: CChar.self, capacity: bytes.count) { strcmp($0 + left, $0 + right) < 0 }
            }
        }
    }

    var count: Int { starts.count }

    subscript(index: Int) -> ArraySlice<UInt8> { bytes[starts[index]...].prefix { $0 != 0 } }
}
