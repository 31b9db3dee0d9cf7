import Glibc
import MuleSystem
import MuleTransport

/// Compares an object with a file during the download, in a small buffer.
final class DownloadComparison: AnswerReader {
    enum End: Hashable {
        /// At this offset.
        case differs(Int64)
        case unreadable(String, Int64)
    }

    /// Bytes from the start that are equal.
    private(set) var position: Int64 = 0
    /// Why the comparison ended; nil while all bytes are equal.
    private(set) var end: End?
    private var furthest: Int64 = 0
    private let file: File
    private let size: Int64
    private let progress: ReadProgress
    private let onProgress: () -> Void
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 4096)

    init(_ file: File, size: Int64, progress: ReadProgress, onProgress: @escaping () -> Void) {
        self.file = file
        self.size = size
        self.progress = progress
        self.onProgress = onProgress
        progress.begin()
    }

    deinit {
        buffer.deallocate()
    }

    func answerStarts(status: Int, headers: [(name: String, value: String)]) {
        // A store without range support answers with the whole object.
        guard status != 206 else { return }
        position = 0
        progress.begin()
    }

    func answerContinues(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, rest.count)])
            let count: Int
            do {
                count = try file.read(into: room, at: position)
            } catch {
                return stop(.unreadable(error.reason, position))
            }
            guard count > 0, position < size else { return stop(.differs(position)) }
            guard let mine = room.baseAddress, let theirs = rest.baseAddress else { return true }
            if memcmp(mine, theirs, count) != 0 {
                let equal = zip(room, rest).prefix { $0 == $1 }.count
                return stop(.differs(position + Int64(equal)))
            }
            position += Int64(count)
            progress.advance(by: Int64(count))
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        // Bytes received again after a broken connection are no progress.
        if position > furthest {
            furthest = position
            onProgress()
        }
        return true
    }

    private func stop(_ end: End) -> Bool {
        self.end = end
        return false
    }
}
