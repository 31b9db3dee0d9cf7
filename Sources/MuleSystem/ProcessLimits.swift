import Glibc

/// What the system lets this process have.
package enum ProcessLimits {
    /// Files that may be open at a time. The soft limit is raised to what is wanted, if the hard one allows it (getrlimit(2)).
    package static func openFiles(wanted: Int) -> Int {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        // It can't fail with these arguments; what POSIX promises at least is 20.
        guard getrlimit(resource, &limit) == 0 else { return 20 }
        if limit.rlim_cur < rlim_t(wanted), limit.rlim_cur < limit.rlim_max {
            var raised = limit
            raised.rlim_cur = min(rlim_t(wanted), limit.rlim_max)
            if setrlimit(resource, &raised) == 0 { limit = raised }
        }
        return Int(clamping: limit.rlim_cur)
    }

    /// Bytes of memory: the machine's, or less where a control group of this process has a limit.
    ///
    /// - Parameter root: where `proc` and `sys` are, without a slash at its end.
    package static func memory(root: String = "") -> Int64 {
        let machine = Int64(sysconf(Int32(_SC_PHYS_PAGES))) * Int64(sysconf(Int32(_SC_PAGESIZE)))
        return groupLimits(root).reduce(machine, min)
    }

    /// The limits of the process's group and of those that it is in, in both versions of control groups (cgroups(7)). Within
    /// a container its own group may show as the root.
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
                // "max" is no number, and no limit.
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
