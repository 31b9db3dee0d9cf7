import Glibc
package import MuleSystem

/// Names read from a file or a stream one by one: the list may be endless, and its writer may be slow.
package final class NameList {
    package enum Entry: Equatable {
        /// A path to open: absolute, or relative to the current directory. Never empty.
        case name([UInt8])
        /// Nothing arrived for a moment.
        case idle
        /// A problem of the list: the first bytes of the name in question, or of the list itself.
        case failed([UInt8], SourceProblem)
    }

    private let file: File?
    private let descriptor: Int32
    private let list: [UInt8]
    private let separator: UInt8
    private var buffer: [UInt8]
    private var unread: Range<Int> = 0..<0
    private var name: [UInt8] = []
    private var isTooLong = false
    private var isAtEnd = false

    /// PATH_MAX: the kernel accepts no longer path (path_resolution(7)).
    private static let longest = 4096
    /// Milliseconds.
    private static let patience: Int32 = 200

    /// - Parameters:
    ///   - path: the list's; `-` for standard input.
    ///   - separator: the byte that ends a name: a line feed, or a NUL.
    ///   - chunk: bytes read at a time.
    package init(path: [UInt8], separator: UInt8, chunk: Int = 64 << 10) throws(SystemError) {
        let isInput = path == [UInt8(ascii: "-")]
        file = isInput ? nil : try File.openForReading(path: path)
        descriptor = file?.descriptor ?? STDIN_FILENO
        list = isInput ? Array("standard input".utf8) : path
        self.separator = separator
        buffer = [UInt8](repeating: 0, count: chunk)
        if isInput, !StandardStreams.canRead { throw SystemError(code: EBADF, call: "read") }
        if let file, try file.status().kind == .directory { throw SystemError(code: EISDIR, call: "open") }
    }

    /// The next name; nil at the end of the list. Skips empty names.
    package func next() -> Entry? {
        while true {
            if let end = buffer[unread].firstIndex(of: separator) {
                take(unread.lowerBound..<end)
                unread = (end + 1)..<unread.upperBound
                if let entry = finish() { return entry }
                continue
            }
            take(unread)
            unread = 0..<0
            if isAtEnd { return finish() }
            do {
                guard try fill() else { return .idle }
            } catch {
                // The last name may be incomplete.
                isAtEnd = true
                name = []
                isTooLong = false
                return .failed(list, .unreadableList(error))
            }
        }
    }

    /// Keeps the bytes of the name, up to the maximum length.
    private func take(_ range: Range<Int>) {
        name += buffer[range].prefix(Self.longest + 1 - name.count)
        if name.count > Self.longest { isTooLong = true }
    }

    private func finish() -> Entry? {
        defer {
            name = []
            isTooLong = false
        }
        if isTooLong { return .failed(Array(name.prefix(64)), .nameTooLong) }
        return name.isEmpty ? nil : .name(name)
    }

    /// Reads what is available; false if nothing arrived in time.
    private func fill() throws(SystemError) -> Bool {
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard try retryingInterrupts("poll", { poll(&request, 1, Self.patience) }) > 0 else { return false }
        let count: Int
        do {
            count = try retryingInterrupts("read") { read(descriptor, &buffer, buffer.count) }
        } catch {
            if error.code == EAGAIN { return false }
            throw error
        }
        isAtEnd = count == 0
        unread = 0..<count
        return true
    }
}
