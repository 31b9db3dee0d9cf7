/// How many concurrent requests a process has resources for.
package struct RequestCapacity: Hashable, Sendable {
    /// Files that may be open at a time, including sockets.
    package var openFiles: Int
    /// Bytes of the machine's memory, or of the process's limit; nil if unknown.
    package var memory: Int64?

    /// The connection, two descriptors of libcurl's wake-up, two more during name resolution, and the source.
    private static let filesForEach = 6
    /// Standard streams, the ledger with its log, inherited descriptors.
    private static let filesForOthers = 24
    /// mule's own buffers take less than 2 MiB per request. The kernel holds up to 4 MiB of unacknowledged data (the
    /// default of `tcp_wmem`), and counts it against a container.
    private static let bytesForEach: Int64 = 6 << 20
    /// A small file's body is in a buffer of mule, and there is no more of it in the kernel.
    private static let bytesForEachSmall: Int64 = 1 << 20
    /// The program, its libraries and the ledger; a buffer and a connection for each request.
    private static let likelyBytesBeside: Int64 = 24 << 20
    private static let likelyBytesForEach: Int64 = 1 << 20
    private static let likelyBytesForEachSmall: Int64 = 256 << 10
    /// Divides the memory, because other programs need some too.
    private static let share: Int64 = 4

    package init(openFiles: Int, memory: Int64? = nil) {
        self.openFiles = openFiles
        self.memory = memory
    }

    /// Descriptors that so many requests need.
    package static func files(for requests: Int) -> Int { filesForOthers + requests * filesForEach }

    /// Bytes of memory that a run is likely to take: measured, not guaranteed.
    ///
    /// - Parameters:
    ///   - requests: concurrent requests.
    ///   - small: how many of these have small bodies.
    package static func likelyMemory(requests: Int, small: Int = 0) -> Int64 {
        likelyBytesBeside + Int64(requests - small) * likelyBytesForEach + Int64(small) * likelyBytesForEachSmall
    }

    /// Concurrent requests: as many as wanted if resources allow, at least 1.
    package func most(_ wanted: Int) -> Int { most(wanted, bytesForEach: Self.bytesForEach) }

    /// The same for requests with small bodies.
    package func mostSmall(_ wanted: Int) -> Int { most(wanted, bytesForEach: Self.bytesForEachSmall) }

    private func most(_ wanted: Int, bytesForEach: Int64) -> Int {
        let byFiles = (openFiles - Self.filesForOthers) / Self.filesForEach
        let byMemory = memory.map { Int(clamping: $0 / Self.share / bytesForEach) } ?? wanted
        return max(1, min(wanted, byFiles, byMemory))
    }
}
