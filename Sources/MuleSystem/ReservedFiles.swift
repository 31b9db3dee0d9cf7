import Synchronization

/// Files that this process holds open with locks, and must not open a second time: closing any descriptor of a file drops all
/// locks that the process holds on it (fcntl(2), "Record locking"; https://sqlite.org/howtocorrupt.html, section 2.2).
package final class ReservedFiles: Sendable {
    private struct Number: Hashable {
        var device: UInt64
        var inode: UInt64

        init(_ status: FileStatus) {
            device = status.device
            inode = status.inode
        }
    }

    private static let held = Mutex<[Number: Int]>([:])
    private let numbers: [Number]

    /// Reserves those of the files that exist, for as long as the value lives.
    package init(paths: [[UInt8]]) {
        numbers = paths.compactMap { try? Number(FileStatus.of(path: $0)) }
        Self.held.withLock { [numbers] held in
            for number in numbers { held[number, default: 0] += 1 }
        }
    }

    deinit {
        Self.held.withLock { [numbers] held in
            for number in numbers {
                let left = (held[number] ?? 1) - 1
                held[number] = left > 0 ? left : nil
            }
        }
    }

    /// Whether the file is one of them, under any of its names.
    package static func contains(_ status: FileStatus) -> Bool {
        held.withLock { $0[Number(status)] != nil }
    }
}
