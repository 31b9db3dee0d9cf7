import Glibc
import MuleSystem

/// A short secret in a file, or in standard input: never an argument, which every process can read.
enum SecretFile {
    /// The file's bytes without the line end after them.
    ///
    /// - Parameters:
    ///   - path: `-` is standard input.
    ///   - what: what the file holds, for messages.
    /// - Returns: the file for messages too.
    static func read(
        _ path: [UInt8],
        _ what: String,
        limit: Int
    ) throws(CommandFailure) -> (name: String, bytes: [UInt8]) {
        let isInput = path == [UInt8(ascii: "-")]
        let name = isInput ? "standard input (the \(what))" : "The \(what) file \(TextSafety.displayName(path))"
        var bytes: [UInt8]
        do throws(SystemError) {
            bytes = try isInput ? input(limit) : file(path, limit)
        } catch {
            let reason = error.code == EFBIG ? "it is longer than \(limit) bytes" : error.reason
            throw CommandFailure(status: .usage, message: "\(name) cannot be read: \(reason).")
        }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        return (name, bytes)
    }

    private static func file(_ path: [UInt8], _ limit: Int) throws(SystemError) -> [UInt8] {
        try read(try descriptor(path), limit, closes: true)
    }

    private static func input(_ limit: Int) throws(SystemError) -> [UInt8] {
        try read(STDIN_FILENO, limit, closes: false)
    }

    /// A pipe too, such as bash's `<(command)`.
    private static func descriptor(_ path: [UInt8]) throws(SystemError) -> Int32 {
        guard !path.contains(0) else { throw SystemError(code: EINVAL, call: "open") }
        let name = path.map { CChar(bitPattern: $0) } + [0]
        let opened = open(name, O_RDONLY | O_CLOEXEC)
        guard opened >= 0 else { throw SystemError.current("open") }
        return opened
    }

    private static func read(_ descriptor: Int32, _ limit: Int, closes: Bool) throws(SystemError) -> [UInt8] {
        defer { if closes { close(descriptor) } }
        var bytes: [UInt8] = []
        while bytes.count <= limit {
            var room = [UInt8](repeating: 0, count: 4096)
            let count = Glibc.read(descriptor, &room, room.count)
            if count == 0 { return bytes }
            if count < 0 {
                guard errno == EINTR else { throw SystemError.current("read") }
                continue
            }
            bytes += room[..<count]
        }
        throw SystemError(code: EFBIG, call: "read")
    }
}
