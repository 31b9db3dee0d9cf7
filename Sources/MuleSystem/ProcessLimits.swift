import Glibc

/// Resource limits of this process.
package enum ProcessLimits {
    /// Maximum number of open files. Raises the soft limit to `wanted` if the hard limit allows it (getrlimit(2)).
    package static func openFiles(wanted: Int) -> Int {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        // It cannot fail with these arguments; POSIX guarantees at least 20.
        guard getrlimit(resource, &limit) == 0 else { return 20 }
        if limit.rlim_cur < rlim_t(wanted), limit.rlim_cur < limit.rlim_max {
            var raised = limit
            raised.rlim_cur = min(rlim_t(wanted), limit.rlim_max)
            if setrlimit(resource, &raised) == 0 { limit = raised }
        }
        return Int(clamping: limit.rlim_cur)
    }

    /// Bytes of memory: the machine's, or less if a control group of this process has a limit.
    ///
    /// - Parameter root: the parent of `proc` and `sys`, without a slash at its end.
    package static func memory(root: String = "") -> Int64 {
        let machine = Int64(sysconf(Int32(_SC_PHYS_PAGES))) * Int64(sysconf(Int32(_SC_PAGESIZE)))
        return groupLimits(root).reduce(machine, min)
    }

    /// The limits of the process's control group and its parents, for both versions of cgroups(7). Within a container,
    /// its group may appear as the root.
    private static func groupLimits(_ root: String) -> [Int64] {
        var limits: [Int64] = []
        for line in text(root + "/proc/self/cgroup").split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let place: (mount: String, file: String)
            if fields[0] == "0", fields[1].isEmpty {
                place = ("/sys/fs/cgroup", "memory.max")
            } else if fields[1].split(separator: ",").contains("memory") {
                place = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            } else {
                continue
            }
            var names = fields[2].split(separator: "/")[...]
            while true {
                let group = ([place.mount] + names.map(String.init) + [place.file]).joined(separator: "/")
                // "max" is not a number, and means no limit.
                if let limit = Int64(text(root + group).filter { !$0.isWhitespace }), limit > 0 { limits.append(limit) }
                if names.popLast() == nil { break }
            }
        }
        return limits
    }

    private static func text(_ path: String) -> String {
        String(decoding: (try? File.contents(path: Array(path.utf8), limit: 64 << 10)) ?? [], as: UTF8.self)
    }
}
