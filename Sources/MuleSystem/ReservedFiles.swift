/// Files that this process holds open with locks, and must not open a second time: closing any descriptor of a file
/// drops all locks that the process holds on it (fcntl(2), "Record locking"; https://sqlite.org/howtocorrupt.html,
/// section 2.2).
package final class ReservedFiles: Sendable {
    private struct Number: Hashable {
        var device: UInt64
        var inode: UInt64

        init(_ status: FileStatus) {
            device = status.device
            inode = status.inode
        }
    }

    private static let held = Monitor<[Number: [[UInt8]]]>([:])
    private let files: [(number: Number, path: [UInt8])]

    /// Reserves the files that exist, as long as this value lives.
    package init(paths: [[UInt8]]) {
        files = paths.compactMap { path in (try? FileStatus.of(path: path)).map { (Number($0), path) } }
        Self.held.withLock { [files] held in
            for file in files { held[file.number, default: []].append(file.path) }
        }
    }

    deinit {
        Self.held.withLock { [files] held in
            for file in files {
                guard let index = held[file.number]?.firstIndex(of: file.path) else { continue }
                held[file.number]?.remove(at: index)
                if held[file.number]?.isEmpty == true { held[file.number] = nil }
            }
        }
    }

    private static let opened = Monitor<[File]>([])

    /// Whether the open file is reserved, under any of its names. If so, it stays open until the process ends.
    package static func contains(_ file: File, _ status: FileStatus) -> Bool {
        guard contains(status) else { return false }
        opened.withLock { $0.append(file) }
        return true
    }

    /// Whether the file is reserved, under any of its names. For a file that is not open here.
    package static func contains(_ status: FileStatus) -> Bool {
        let number = Number(status)
        guard let paths = held.withLock({ $0[number] }) else { return false }
        // The inode number of a removed file may be reused.
        return paths.contains { path in (try? FileStatus.of(path: path)).map(Number.init) == number }
    }
}
