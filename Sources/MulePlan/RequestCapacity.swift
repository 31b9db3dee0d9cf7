/// How many requests at a time a process has room for.
package struct RequestCapacity: Hashable, Sendable {
    /// Files that may be open at a time, sockets among them.
    package var openFiles: Int
    /// Bytes of the machine's memory, or of what the process may take of it; nil where that is not known.
    package var memory: Int64?

    /// A connection, the two ends by which libcurl is woken, two more while it looks for an address, and the source.
    private static let filesForEach = 6
    /// Streams, the ledger with its log, what a process inherits.
    private static let filesBeside = 24
    /// Mule's own buffers are less than two MiB for each request. The kernel holds up to 4 MiB of what is on its way
    /// (the default of `tcp_wmem`), and counts it against a container.
    private static let bytesForEach: Int64 = 6 << 20
    /// The program, its libraries and the ledger; a buffer and a connection for each request.
    private static let likelyBytesBeside: Int64 = 24 << 20
    private static let likelyBytesForEach: Int64 = 1 << 20
    /// Of the memory, which is there for others too.
    private static let share: Int64 = 4

    package init(openFiles: Int, memory: Int64? = nil) {
        self.openFiles = openFiles
        self.memory = memory
    }

    /// Files that so many requests need.
    package static func files(for requests: Int) -> Int { filesBeside + requests * filesForEach }

    /// Bytes of memory that a run with so many requests at a time is likely to take: measured, not promised.
    package static func likelyMemory(requests: Int) -> Int64 {
        likelyBytesBeside + Int64(requests) * likelyBytesForEach
    }

    /// Requests at a time, as many as wanted if there is room; 1 at least.
    package func most(_ wanted: Int) -> Int {
        let byFiles = (openFiles - Self.filesBeside) / Self.filesForEach
        let byMemory = memory.map { Int(clamping: $0 / Self.share / Self.bytesForEach) } ?? wanted
        return max(1, min(wanted, byFiles, byMemory))
    }
}
