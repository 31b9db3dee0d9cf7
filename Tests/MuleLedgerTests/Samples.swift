import CSQLite
import Glibc
import MuleLedger
import MulePlan
import Synchronization
import TestSupport

let mebibyte: Int64 = 1 << 20

extension NewUpload {
    /// An upload of 8 parts of 8 MiB, unless told otherwise.
    static func sample(
        source: String = "/data/file",
        key: String = "key",
        bucket: String = "bucket",
        endpoint: String = "https://s3.example.org",
        partSize: Int64? = 8 * mebibyte
    ) -> NewUpload {
        sample(sourceBytes: Array(source.utf8), key: key, bucket: bucket, endpoint: endpoint, partSize: partSize)
    }

    static func sample(
        sourceBytes: [UInt8],
        key: String = "key",
        bucket: String = "bucket",
        endpoint: String = "https://s3.example.org",
        partSize: Int64? = 8 * mebibyte
    ) -> NewUpload {
        NewUpload(
            source: SourceIdentity(
                path: sourceBytes,
                device: .max,
                inode: .max - 1,
                size: 64 * mebibyte,
                modificationTime: 1_763_683_200_123_456_789
            ),
            store: StoreAddress(
                endpoint: endpoint,
                region: "eu-central-1",
                addressing: "path",
                profile: "backup",
                caBundle: "/etc/ssl/ca.pem",
                clientCertificate: "/etc/ssl/client.pem",
                clientKey: "/etc/ssl/client.key",
                signer: SignerPlace(url: "https://sign.example.org/a", protocolName: "mule-uploader"),
                requestHeaders: .init(text: "x-amz-request-payer: requester"),
                customerKey: "00112233445566778899aabbccddeeff"
            ),
            destination: ObjectAddress(bucket: bucket, key: ObjectKey(key)),
            attributes: .init(text: "content-type: text/plain\nx-amz-meta-colour: blue"),
            onlyIfAbsent: true,
            integrity: IntegrityOptions(checksum: "crc32c", payloadSigning: "always"),
            partSize: partSize,
            ifMatch: "9b2cf535f27731c974343645a3985328"
        )
    }

    static let sampleStream: NewUpload = {
        var upload = sample(partSize: nil)
        upload.source = nil
        return upload
    }()
}

extension PartRecord {
    static func sample(_ number: Int, size: Int64 = 8 * mebibyte, digest: [UInt8]? = nil) -> PartRecord {
        PartRecord(
            number: number,
            size: size,
            eTag: "etag-\(number)",
            crc: [0, 1, 2, UInt8(truncatingIfNeeded: number)],
            digest: digest
        )
    }
}

extension Ledger {
    convenience init(_ directory: ScratchDirectory, clock: TestClock? = nil) throws(LedgerError) {
        let path = Array(directory.path("ledger.sqlite").utf8)
        if let clock { try self.init(path: path, now: { clock.now }) } else { try self.init(path: path) }
    }

    /// The upload's record and lease, however they were come by; nil when it is held elsewhere.
    func take(_ upload: NewUpload = .sample()) throws -> (record: UploadRecord, lease: Lease)? {
        switch try claim([upload]).first {
        case .began(let record, let lease), .found(let record, let lease): (record, lease)
        case .heldElsewhere, .doneBefore, .taken, nil: nil
        }
    }

    func commit(_ parts: PartRecord..., of record: UploadRecord, bytesSent: Int64 = 8 * mebibyte) throws {
        try commit(
            parts.map { .part(FinishedPart(upload: record.number, part: $0, bytesSent: bytesSent)) }
        )
    }

    func end(_ record: UploadRecord, _ outcome: Outcome, bytesSent: Int64 = 0) throws {
        try commit([.upload(FinishedUpload(upload: record.number, outcome: outcome, bytesSent: bytesSent))])
    }
}

extension Ledger.Outcome {
    static let sampleDone = Ledger.Outcome.done(
        ObjectProof(
            eTag: "abc-8",
            versionID: "v1",
            checksumAlgorithm: "CRC64NVME",
            checksumType: "FULL_OBJECT",
            checksumValue: "rosUhgp5mIg="
        ),
        size: 64 * mebibyte,
        partCount: 8
    )
}

/// A clock that stands until it is moved.
final class TestClock: Sendable {
    private let milliseconds = Atomic<Int64>(1_000_000)

    var now: Int64 { milliseconds.load(ordering: .sequentiallyConsistent) }

    func advance(milliseconds step: Int64) {
        milliseconds.add(step, ordering: .sequentiallyConsistent)
    }
}

/// The ledger's file as any other program would open it.
final class RawDatabase {
    struct Failure: Error {
        let message: String
    }

    private let connection: OpaquePointer

    init(_ path: String) throws {
        var handle: OpaquePointer?
        let status = sqlite3_open(path, &handle)
        guard status == SQLITE_OK, let handle else { throw Failure(message: "open \(path): \(status)") }
        connection = handle
    }

    deinit {
        sqlite3_close_v2(connection)
    }

    func execute(_ sql: String) throws {
        guard sqlite3_exec(connection, sql, nil, nil, nil) == SQLITE_OK else {
            throw Failure(message: String(cString: sqlite3_errmsg(connection)))
        }
    }

    /// A column of all rows, as text; the first one unless told otherwise.
    func column(_ sql: String, at index: Int32 = 0) throws -> [String] {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(connection, sql, -1, &statement, nil) == SQLITE_OK else {
            throw Failure(message: String(cString: sqlite3_errmsg(connection)))
        }
        defer { sqlite3_finalize(statement) }
        var values: [String] = []
        while sqlite3_step(statement) == SQLITE_ROW {
            values.append(sqlite3_column_text(statement, index).map { String(cString: $0) } ?? "")
        }
        return values
    }
}

/// The program of Tests/LedgerChild.
func child(_ arguments: String..., home: ScratchDirectory) -> TestCommand {
    TestCommand("\(TestCommand.productsDirectory)/ledger-child", arguments, home: home.path)
}

/// The error that opening the ledger ends with.
func errorOfOpening(_ path: String) -> LedgerError? {
    do {
        _ = try Ledger(path: Array(path.utf8))
        return nil
    } catch {
        return error
    }
}
