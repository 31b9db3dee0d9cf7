import Glibc
import MuleSystem

extension Configuration {
    /// Reads the file at `location`. A default file that does not exist is an empty configuration.
    package static func load(_ location: FileLocation?) throws(ConfigurationError) -> Configuration {
        guard let location else { return Configuration() }
        do { return try load(path: location.path) } catch {
            if error.problem == .missing, !location.isExplicit { return Configuration() }
            throw error
        }
    }

    /// Reads the file at `path` (raw bytes), which must exist.
    package static func load(path: [UInt8]) throws(ConfigurationError) -> Configuration {
        let file = TextSafety.displayName(path)
        do { return try parse(contents(of: path, file)) } catch {
            throw ConfigurationError(error.problem, file: file, place: error.place)
        }
    }

    /// Reads the whole file at `path` even if single keys are invalid.
    package static func read(path: [UInt8]) throws(ConfigurationError) -> Reading {
        let file = TextSafety.displayName(path)
        do { return try read(contents(of: path, file)) } catch {
            throw ConfigurationError(error.problem, file: file, place: error.place)
        }
    }

    /// A larger file is certainly not a configuration.
    private static let largestFile = 4 << 20

    private static func contents(of path: [UInt8], _ file: String) throws(ConfigurationError) -> [UInt8] {
        guard !path.contains(0) else { throw ConfigurationError(.missing, file: file) }
        let descriptor = (path + [0]).withUnsafeBufferPointer { name in
            name.withMemoryRebound(to: CChar.self) { name in
                name.baseAddress.map { open($0, O_RDONLY | O_CLOEXEC) } ?? -1
            }
        }
        guard descriptor >= 0 else { throw failure(errno, file, path: path) }
        defer { close(descriptor) }
        var contents: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure(errno, file, path: path) }
            if count == 0 { return try text(contents, file) }
            contents += buffer[..<count]
            guard contents.count <= largestFile else {
                throw ConfigurationError(
                    .unreadable("it is larger than 4 MiB, which is not a configuration"),
                    file: file
                )
            }
        }
    }

    /// Without the byte order mark that some editors write (RFC 8259 section 8.1 allows parsers to ignore it).
    private static func text(_ contents: [UInt8], _ file: String) throws(ConfigurationError) -> [UInt8] {
        if contents.starts(with: [0xFF, 0xFE]) || contents.starts(with: [0xFE, 0xFF]) {
            throw ConfigurationError(.unreadable("it is UTF-16; save it as UTF-8"), file: file)
        }
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        return contents.starts(with: mark) ? Array(contents.dropFirst(mark.count)) : contents
    }

    private static func failure(_ code: Int32, _ file: String, path: [UInt8]) -> ConfigurationError {
        if code == ENOENT || code == ENOTDIR { return ConfigurationError(.missing, file: file) }
        var reason = String(cString: strerror(code))
        if code == EACCES, let (owner, user) = Ownership.difference(at: path) {
            reason +=
                "; it belongs to \(owner), but mule runs as \(user): give the group of \(user) access to it and its "
                + "directory (chgrp, chmod g+r, g+x), or run mule as \(owner)"
        }
        return ConfigurationError(.unreadable(reason), file: file)
    }
}
