import MuleSystem
import MuleTransport
import TestSupport

/// Runs the body on a thread of its own, since blocking must stay off the threads that all tests share.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    let thread = Monitor(Thread?.none)
    defer { thread.withLock { $0?.join() } }
    return try await withCheckedThrowingContinuation { continuation in
        thread.withLock {
            $0 = startedThread("test") { continuation.resume(with: Swift.Result { try body() }) }
        }
    }
}

/// Runs the body with a client on a thread of its own.
func withClient<Result: Sendable>(
    _ cancellation: Cancellation = Cancellation(),
    caBundle: String? = nil,
    _ body: @escaping @Sendable (HTTPClient) throws -> Result
) async throws -> Result {
    try await onThread {
        let settings = TransportSettings(userAgent: "mule-tests/1", caBundle: caBundle)
        return try body(try HTTPClient(settings: settings, cancellation: cancellation))
    }
}

/// The error a body throws, which must be the transport's.
func failure(_ body: () throws -> HTTPResponse) -> TransportError? {
    do {
        _ = try body()
        return nil
    } catch {
        return error as? TransportError
    }
}

extension HTTPRequest {
    static func put(_ url: String, _ body: Body = .none) -> HTTPRequest {
        var request = HTTPRequest(method: "PUT", url: url)
        request.body = body
        return request
    }

    static func get(_ url: String) -> HTTPRequest { HTTPRequest(method: "GET", url: url) }
}

/// A file of its own for one test.
struct BodyFile {
    private let scratch = ScratchDirectory()
    let path: String
    let file: File
    let size: Int64

    /// Random bytes, or zeros that take no room when `sparse`.
    init(_ size: Int64, sparse: Bool = false) throws {
        self.size = size
        path = try sparse ? scratch.makeSparse("body", size: size) : scratch.writeRandom("body", count: size)
        file = try File.openForReading(path: Array(path.utf8))
    }

    func slice(_ range: Range<Int64>? = nil) -> HTTPRequest.Body {
        let range = range ?? 0..<size
        return .file(FileSlice(file: file, offset: range.lowerBound, length: range.upperBound - range.lowerBound))
    }
}

/// Records the bytes, and how often the body started.
final class PassingBytes: BodyObserver {
    private(set) var starts = 0
    private(set) var bytes: [UInt8] = []

    func bodyStarts() {
        starts += 1
        bytes = []
    }

    func bodyContinues(_ bytes: UnsafeRawBufferPointer) { self.bytes += bytes }
}
