import Glibc

/// A process that holds a lock of a file. `fcntl` does not name the holder of an open file description lock; /proc does
/// (proc_pid_fdinfo(5)), for processes that this user may inspect.
package struct LockHolder: Hashable, Sendable {
    package var process: Int32
    /// When the process started, in milliseconds since 1970.
    package var startedAt: Int64

    /// - Parameter position: the byte of the file that is locked.
    static func find(of file: File, _ position: Int64) -> LockHolder? {
        guard let wanted = try? file.status() else { return nil }
        for process in names(in: "/proc").compactMap({ Int32($0) }) {
            for descriptor in names(in: "/proc/\(process)/fd") {
                let path = Array("/proc/\(process)/fd/\(descriptor)".utf8)
                guard let status = try? FileStatus.of(path: path), status.device == wanted.device,
                    status.inode == wanted.inode, let info = text(of: "/proc/\(process)/fdinfo/\(descriptor)"),
                    isLocked(position, info), let startedAt = start(of: process)
                else { continue }
                return LockHolder(process: process, startedAt: startedAt)
            }
        }
        return nil
    }

    /// Whether one of the lines is a write lock of the byte: `lock: 1: OFDLCK ADVISORY WRITE -1 fe:00:4711 5 5`.
    static func isLocked(_ position: Int64, _ info: String) -> Bool {
        info.split(separator: "\n").contains { line in
            let words = line.split { $0 == " " || $0 == "\t" }
            guard words.first == "lock:", words.count >= 4, words.contains("OFDLCK"), words.contains("WRITE"),
                let first = Int64(words[words.count - 2])
            else { return false }
            let last = words[words.count - 1] == "EOF" ? Int64.max : Int64(words[words.count - 1]) ?? -1
            return first <= position && position <= last
        }
    }

    /// The 22nd field of /proc/PID/stat counts clock ticks since the boot; the second may contain blanks.
    private static func start(of process: Int32) -> Int64? {
        guard let stat = text(of: "/proc/\(process)/stat"), let end = stat.lastIndex(of: ")"),
            let boot = text(of: "/proc/stat")?.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }),
            let bootTime = Int64(boot.dropFirst("btime ".count))
        else { return nil }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        guard fields.count > 19, let ticks = Int64(fields[19]) else { return nil }
        return bootTime * 1000 + ticks * 1000 / Int64(sysconf(Int32(_SC_CLK_TCK)))
    }

    private static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.first != "." { names.append(name) }
        }
        return names
    }

    /// Files of /proc have no size: they are read to their end.
    private static func text(of path: String) -> String? {
        guard let file = try? File.open(path: Array(path.utf8), flags: O_RDONLY) else { return nil }
        var bytes: [UInt8] = []
        while let more = try? file.bytes(at: Int64(bytes.count), count: 16 << 10), !more.isEmpty { bytes += more }
        return String(decoding: bytes, as: UTF8.self)
    }
}
