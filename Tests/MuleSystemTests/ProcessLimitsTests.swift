import Glibc
import MuleSystem
import TestSupport
import Testing

@Suite(.serialized) struct ProcessLimitsTests {
    @Test
    func `the soft limit of open files is raised to what is wanted, as far as the hard one goes, and never lowered`() {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var before = rlimit()
        #expect(getrlimit(resource, &before) == 0)
        defer { setrlimit(resource, &before) }
        let hard = Int(clamping: before.rlim_max)
        var half = before
        half.rlim_cur = before.rlim_max / 2
        #expect(setrlimit(resource, &half) == 0)
        #expect(ProcessLimits.openFiles(wanted: 1) == hard / 2)
        #expect(ProcessLimits.openFiles(wanted: hard / 2 + 1) == hard / 2 + 1)
        #expect(ProcessLimits.openFiles(wanted: .max) == hard)
    }

    @Test
    func `memory is what the narrowest group allows, in both versions, also where the group shows as the root`() throws
    {
        let scratch = ScratchDirectory()
        var count = 0
        func limit(_ groups: String, _ files: [String: String]) throws -> Int64 {
            count += 1
            for (path, text) in files.merging(["proc/self/cgroup": groups], uniquingKeysWith: { $1 }) {
                try scratch.write(text, to: "\(count)/\(path)")
            }
            return ProcessLimits.memory(root: scratch.path("\(count)"))
        }
        let all = ProcessLimits.memory(root: scratch.path)
        #expect(all > 16 << 20)
        let two = "sys/fs/cgroup"
        #expect(try limit("0::/a/b\n", ["\(two)/a/b/memory.max": "1048576\n"]) == 1 << 20)
        #expect(
            try limit("0::/a/b\n", ["\(two)/a/b/memory.max": "max\n", "\(two)/a/memory.max": "2097152\n"]) == 2 << 20
        )
        #expect(try limit("0::/gone\n", ["\(two)/memory.max": "3145728\n"]) == 3 << 20)
        #expect(try limit("0::/a\n", ["\(two)/a/memory.max": "max\n"]) == all)
        let one = "sys/fs/cgroup/memory"
        #expect(
            try limit("8:pids:/x\n4:memory:/c\n0::/\n", ["\(one)/c/memory.limit_in_bytes": "4194304\n"]) == 4 << 20
        )
        #expect(try limit("4:memory:/c\n", ["\(one)/c/memory.limit_in_bytes": "9223372036854771712\n"]) == all)
        #expect(try limit("nonsense\n", [:]) == all)
    }
}
