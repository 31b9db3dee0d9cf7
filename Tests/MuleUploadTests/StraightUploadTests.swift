import MuleDigest
import MuleLedger
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// Uploads that nothing disturbs.
@Suite struct StraightUploadTests {
    @Test(arguments: [0, 1, EngineHarness.partSize])
    func `small files go in one request`(size: Int64) throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: size)
        let outcome = try harness.upload(path, .init(partSize: nil))
        try harness.expectDone(outcome, path)
        #expect(harness.server.requests.map(\.operation) == [.putObject])
        #expect(outcome.completed.first?.bytesSent == size)
        #expect(outcome.completed.first?.parts == nil)
    }

    @Test(arguments: [-1, 0, 1])
    func `files about a multiple of the part size are cut right`(difference: Int64) throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: 3 * EngineHarness.partSize + difference)
        let outcome = try harness.upload(path)
        try harness.expectDone(outcome, path)
        #expect(outcome.completed.first?.parts == (difference > 0 ? 4 : 3))
        #expect(harness.partsSent().sorted() == Array(1...(difference > 0 ? 4 : 3)))
        #expect(harness.server.count(.complete) == 1)
    }

    @Test(
        arguments: ["auto", "crc64nvme", "crc32c", "crc32", "sha256", "md5", "none"],
        [EngineHarness.partSize, nil]
    )
    func `every checksum leads to the object`(checksum: String, partSize: Int64?) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        let outcome = try harness.upload(path, .init(partSize: partSize, checksum: checksum))
        try harness.expectDone(outcome, path)
        let proof = try #require(outcome.completed.first?.proof)
        let stored = try #require(harness.server.object(key: "key")?.checksum)
        #expect(proof.checksumAlgorithm == stored.algorithm.rawValue)
        #expect(proof.checksumType == stored.kind.rawValue)
        #expect(proof.checksumValue == stored.value)
    }

    @Test(arguments: ["always", "never", "auto"])
    func `payload is signed where asked for`(signing: String) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, .init(payloadSigning: signing)), path)
        // The fake speaks plain HTTP, where `auto` signs.
        #expect((harness.server.unsignedPayloads > 0) == (signing == "never"))
    }

    @Test func `session tokens are sent`() throws {
        let harness = try EngineHarness(credentials: [FakeCredentials(sessionToken: "a/session+token==")])
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        #expect(harness.server.requests.allSatisfy { $0.header("x-amz-security-token") == "a/session+token==" })
    }

    @Test func `several files share the pool`() throws {
        let harness = try EngineHarness()
        let files = try (1...5).map { number in
            let path = try harness.file("file\(number)", size: Int64(number) * 70_000, seed: UInt64(number))
            return (path, EngineHarness.Options(key: "key\(number)"))
        }
        let outcome = try harness.upload(files)
        #expect(outcome.completed.count == 5)
        for (number, file) in zip(1..., files) { try harness.expectDone(outcome, file.0, key: "key\(number)") }
    }

    @Test func `a failing file does not stop the others`() throws {
        let harness = try EngineHarness(faults: [
            .on(.uploadPart, part: 2, key: "key2", .status(403, code: "AccessDenied"))
        ])
        let files = try (1...3).map { number in
            let path = try harness.file("file\(number)", seed: UInt64(number))
            return (path, EngineHarness.Options(key: "key\(number)"))
        }
        let outcome = try harness.upload(files)
        #expect(outcome.completed.count == 2)
        #expect(outcome.failures.map(\.kind) == [.store])
        #expect(outcome.ends == 3)
        for number in [1, 3] {
            let object = try #require(harness.server.object(key: "key\(number)"))
            #expect(try object.equals(file: files[number - 1].0))
        }
        #expect(harness.server.object(key: "key2") == nil)
        #expect(try harness.ledger.unfinished().map(\.state) == [.failed])
        harness.expectClean(openUploads: 1)
    }

    @Test func `the row is durable before anything is sent`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        harness.server.script([
            .on(
                .create,
                .run(.headersRead) { _ in
                    #expect((try? harness.ledger.unfinished().first?.createAttemptedAt) != nil)
                }
            ),
            .on(
                .uploadPart,
                .run(.headersRead) { request in
                    #expect((try? harness.ledger.unfinished().first?.uploadID) == request.uploadID)
                }
            ),
        ])
        try harness.expectDone(try harness.upload(path), path)
    }

    @Test func `a missing source is named`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        let upload = try harness.newUpload(path)
        _ = try harness.ledger.claim([upload])
        try Files.remove(path)
        let outcome = try harness.resume()
        try harness.expectFailed(outcome, .source, state: .failed, openUploads: 0)
        #expect(outcome.failure?.message.contains(path) == true)
        #expect(harness.server.requests.isEmpty)
    }
}
