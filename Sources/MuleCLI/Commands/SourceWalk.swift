import Glibc
import MulePlan
import MuleSystem
import MuleUpload

/// Files below what was named on the command line.
struct SourceWalk {
    struct Found {
        /// To open it by.
        var path: [UInt8]
        /// What goes behind a prefix: the file's name, or its path below the directory that was named.
        var name: [UInt8]
    }

    /// Something that can't be sent.
    struct Problem {
        var found: Found
        /// A sentence.
        var message: String
    }

    private(set) var files: [Found] = []
    private(set) var problems: [Problem] = []

    private static let slash = UInt8(ascii: "/")

    /// - Throws: `UploadFailure` for a source that is missing or of the wrong kind.
    mutating func add(_ source: [UInt8], recursive: Bool) throws(UploadFailure) {
        let shown = TextSafety.displayName(source)
        let status: FileStatus
        do {
            status = try FileStatus.of(path: source)
        } catch {
            throw UploadFailure(.source, "\(shown) can't be read: \(error.reason).")
        }
        switch status.kind {
        case .regular: files.append(Found(path: source, name: Self.lastComponent(source)))
        case .directory:
            guard recursive else {
                throw UploadFailure(.source, "\(shown) is a directory: add --recursive to send the files below it.")
            }
            walk(source, below: [])
        default:
            throw UploadFailure(
                .source,
                "\(shown) is \(status.kind.noun), which has no end that could be confirmed. Send what it gives as standard "
                    + "input instead: mule upload - DESTINATION < FILE"
            )
        }
    }

    /// In the order of the names' bytes, so that two runs agree. Links to files are followed, links to directories are
    /// not, so that no walk goes in circles.
    private mutating func walk(_ directory: [UInt8], below prefix: [UInt8]) {
        guard let names = Self.names(in: directory) else {
            let reason = SystemError.current("opendir").reason
            problems.append(
                Problem(
                    found: Found(path: directory, name: prefix),
                    message: "\(TextSafety.displayName(directory)) can't be read: \(reason); what is in it is not sent."
                )
            )
            return
        }
        for name in names {
            let path = directory.last == Self.slash ? directory + name : directory + [Self.slash] + name
            let relative = prefix.isEmpty ? name : prefix + [Self.slash] + name
            let found = Found(path: path, name: relative)
            // Made for messages alone: most files need none.
            var shown: String { TextSafety.displayName(path) }
            do {
                var status = try FileStatus.of(path: path, followingLinks: false)
                if status.kind == .symbolicLink {
                    status = try FileStatus.of(path: path)
                    if status.kind == .directory {
                        problems.append(
                            Problem(found: found, message: "\(shown) links to a directory and is not followed.")
                        )
                        continue
                    }
                }
                switch status.kind {
                case .regular: files.append(found)
                case .directory: walk(path, below: relative)
                default:
                    problems.append(Problem(found: found, message: "\(shown) is \(status.kind.noun) and is not sent."))
                }
            } catch {
                problems.append(Problem(found: found, message: "\(shown) can't be read: \(error.reason)."))
            }
        }
    }

    private static func names(in directory: [UInt8]) -> [[UInt8]]? {
        let path = directory.map { CChar(bitPattern: $0) } + [0]
        guard let stream = opendir(path) else { return nil }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: UInt8.self, capacity: 256) { bytes in
                    Array(
                        UnsafeBufferPointer(
                            start: bytes,
                            count: strnlen(UnsafeRawPointer(bytes).assumingMemoryBound(to: CChar.self), 256)
                        )
                    )
                }
            }
            if name != [UInt8(ascii: ".")] && name != Array("..".utf8) { names.append(name) }
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }
    }

    static func lastComponent(_ path: [UInt8]) -> [UInt8] {
        let trimmed = path.reversed().drop { $0 == slash }.reversed()
        return Array(trimmed.split(separator: slash).last ?? [])
    }
}
