import MuleDigest
import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport
import TestSupport
import Testing

/// A fake store, and a connection to it that is used on its own thread: the threads that all tests share must not
/// block.
struct Store: Sendable {
    let server: FakeS3
    let service: S3Service
    let logged = Monitor([String]())

    init(
        _ profile: FakeProfile = .aws(minimumPartSize: 1),
        faults: [Fault] = [],
        provider: (any CredentialsProvider)? = nil,
        region: String? = nil,
        patience: Double = .infinity,
        cancellation: Cancellation = Cancellation()
    ) throws {
        let server = FakeS3(profile, faults: faults)
        let credentials = Credentials(
            accessKeyID: server.credentials.accessKey,
            secretAccessKey: server.credentials.secretKey
        )
        self.server = server
        service = S3Service(
            endpoint: try Endpoint(url: server.endpoint, region: region ?? server.region),
            transport: TransportSettings(userAgent: "mule-tests/1"),
            credentials: provider ?? FixedCredentials(credentials),
            cancellation: cancellation,
            patience: patience,
            log: { [logged] line in logged.withLock { $0.append(line) } }
        )
    }

    func use<Result: Sendable>(_ body: @escaping @Sendable (S3Connection) throws -> Result) async throws -> Result {
        let (service, thread) = (service, Monitor(Thread?.none))
        defer { thread.withLock { $0?.join() } }
        return try await withCheckedThrowingContinuation { continuation in
            thread.withLock {
                $0 = startedThread("test") {
                    continuation.resume(with: Swift.Result { try body(try S3Connection(service: service)) })
                }
            }
        }
    }

    /// The store's error that the body throws; nil when it throws none.
    func failure(_ body: @escaping @Sendable (S3Connection) throws -> Void) async throws -> S3Error? {
        try await use { connection in
            do {
                try body(connection)
                return nil
            } catch let error as S3Error {
                return error
            }
        }
    }
}

func address(_ key: String) -> ObjectAddress { ObjectAddress(bucket: "bucket", key: ObjectKey(key)) }

/// A body in memory with its signed hash and, where asked for, its checksum.
struct Payload: Sendable {
    let bytes: [UInt8]
    let checksum: Checksum

    init(_ text: String) { self.init(Array(text.utf8)) }

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        var digest = CRCDigest(.crc64nvme)
        bytes.withUnsafeBytes { digest.update($0) }
        checksum = digest.checksum
    }

    var body: HTTPRequest.Body { .bytes(bytes) }
    var proof: BodyProof { BodyProof(payload: .sha256(sha256(bytes)), checksum: checksum) }
    var unchecked: BodyProof { BodyProof(payload: .sha256(sha256(bytes))) }

    /// The same bytes in a file, as parts come.
    func slice(_ scratch: ScratchDirectory) throws -> FileSlice {
        let path = try scratch.write(bytes, to: "payload")
        return FileSlice(
            file: try File.openForReading(path: Array(path.utf8)),
            offset: 0,
            length: Int64(bytes.count)
        )
    }
}

extension Endpoint {
    /// Amazon's endpoint of the region.
    static func amazon(region: String, addressing: Addressing = .auto, _ variant: EndpointVariant = .init()) -> Endpoint
    {
        do {
            return try Endpoint(EndpointQuery(region: region, addressing: addressing, variant: variant), bucket: "")
        } catch {
            fatalError("\(region): \(error)")
        }
    }
}
