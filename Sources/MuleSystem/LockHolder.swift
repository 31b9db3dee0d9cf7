import Glibc

/// A process that holds a lock on a file.
package struct LockHolder: Hashable, Sendable {
    package var process: Int32
    /// When the process started, in milliseconds since 1970.
    package var startedAt: Int64
}

/// The processes that hold locks on a file, at one moment. `fcntl` does not name the holder of an open file description
/// lock; /proc does (proc_pid_fdinfo(5)), for processes that this user may inspect. Scanning all processes takes
/// milliseconds, so a list of uploads does it once.
package struct LockHolders: Sendable {
    private var locks: [(bytes: ClosedRange<Int64>, holder: LockHolder)] = []

    init(of file: File) {
        guard let wanted = try? file.status() else { return }
        for process in Self.names(in: "/proc").compactMap({ Int32($0) }) {
            for descriptor in Self.names(in: "/proc/\(process)/fd") {
                let held = Self.locks(Self.text(of: "/proc/\(process)/fdinfo/\(descriptor)")).filter {
                    $0.inode == wanted.inode
                }
                // Only descriptors of that inode are checked: `stat` on any other may block on a dead server.
                let path = Array("/proc/\(process)/fd/\(descriptor)".utf8)
                guard !held.isEmpty, (try? FileStatus.of(path: path))?.device == wanted.device,
                    let startedAt = Self.start(of: process)
                else { continue }
                locks += held.map { ($0.bytes, LockHolder(process: process, startedAt: startedAt)) }
            }
        }
    }

    /// The process that holds the byte; nil if none does, or it cannot be inspected.
    package func holder(_ position: Int64) -> LockHolder? { locks.first { $0.bytes.contains(position) }?.holder }

    /// The write locks in the kernel's text: `lock: 1: OFDLCK ADVISORY WRITE -1 fe:00:4711 5 5`.
    static func locks(_ info: String) -> [(inode: UInt64, bytes: ClosedRange<Int64>)] {
        info.split(separator: "\n").compactMap { line in
            let words = line.split { $0 == " " || $0 == "\t" }
            guard words.first == "lock:", words.count >= 4, words.contains("OFDLCK"), words.contains("WRITE"),
                let inode = words[words.count - 3].split(separator: ":").last.flatMap({ UInt64($0) }),
                let first = Int64(words[words.count - 2])
            else { return nil }
            let last = words[words.count - 1] == "EOF" ? Int64.max : Int64(words[words.count - 1]) ?? -1
            return first <= last ? (inode, first...last) : nil
        }
    }

    /// Field 22 of /proc/PID/stat is the start in clock ticks since boot; field 2 may contain spaces
    /// (proc_pid_stat(5)).
    private static func start(of process: Int32) -> Int64? {
        let stat = text(of: "/proc/\(process)/stat")
        guard let end = stat.lastIndex(of: ")"),
            let boot = text(of: "/proc/stat").split(separator: "\n").first(where: { $0.hasPrefix("btime ") }),
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

    /// Empty if the file is gone, or belongs to another user.
    private static func text(of path: String) -> String {
        String(decoding: (try? File.contents(path: Array(path.utf8), limit: 16 << 20)) ?? [], as: UTF8.self)
    }
}
