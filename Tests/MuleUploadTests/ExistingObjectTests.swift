import MuleDigest
import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// An object that may not be replaced and is proven to equal the file is as good as sent.
@Suite struct ExistingObjectTests {
    static let partSizes: [Int64?] = [EngineHarness.partSize, nil]

    private let harness: EngineHarness

    init() throws { harness = try EngineHarness() }

    private func options(_ partSize: Int64?) -> EngineHarness.Options {
        EngineHarness.Options(partSize: partSize, onlyIfAbsent: true)
    }

    /// Uploads the file as a machine does whose ledger is lost afterwards.
    private func uploadedBefore(_ partSize: Int64?, partSizeNow: Int64?) throws -> (path: String, outcome: Outcome) {
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, options(partSize)), path)
        return (path, try again(path, partSizeNow))
    }

    private func again(_ path: String, _ partSize: Int64?) throws -> Outcome {
        let ledger = try EngineHarness.emptyLedger(harness.scratch)
        let options = options(partSize)
        try ledger.remember("smallest-part", "1", of: harness.server.endpoint, lifetime: 3600)
        let sizing = PartSizing(partSize: partSize, multipartThreshold: partSize ?? 1 << 30)
        return try harness.run(
            try harness.register(path, options, sizing: sizing, ledger: ledger),
            path: path,
            ledger: ledger
        )
    }

    private func expectFound(_ outcome: Outcome, sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(outcome.failures.isEmpty, "\(outcome.failure?.message ?? "")", sourceLocation: sourceLocation)
        let summary = try #require(outcome.completed.first, sourceLocation: sourceLocation)
        #expect(summary.wasThere && summary.evidence != nil, sourceLocation: sourceLocation)
        #expect(summary.content != nil, "nothing to compare the file with later", sourceLocation: sourceLocation)
        #expect(harness.server.uploads.isEmpty, sourceLocation: sourceLocation)
        #expect(harness.server.count(.getObject) == 0, sourceLocation: sourceLocation)
    }

    @Test(arguments: partSizes, partSizes)
    func `what is proven counts as done`(before: Int64?, now: Int64?) throws {
        let (_, outcome) = try uploadedBefore(before, partSizeNow: now)
        try expectFound(outcome)
        #expect(outcome.completed.first?.bytesSent == 0)
        #expect(outcome.completed.first?.proof.eTag == harness.server.object(key: "key")?.eTag)
    }

    @Test(arguments: partSizes)
    func `what was proven once is known by the next run`(partSize: Int64?) throws {
        let (path, _) = try uploadedBefore(partSize, partSizeNow: partSize)
        let before = harness.server.requests.count
        let outcome = try again(path, partSize)
        #expect(outcome.completed.first?.wasThere == true)
        #expect(outcome.completed.first?.evidence == nil)
        #expect(harness.server.requests.count == before + 1)
    }

    @Test(arguments: [FakeProfile.Checksums.ignored, .enforced], partSizes)
    func `every proof of verify will do`(checksums: FakeProfile.Checksums, partSize: Int64?) throws {
        harness.server.profile.checksums = checksums
        try expectFound(try uploadedBefore(partSize, partSizeNow: nil).outcome)
    }

    /// Another program uploaded the same object while parts were sent: the superfluous parts are removed.
    @Test func `an equal object that appears before Complete is accepted`() throws {
        let path = try harness.file()
        let bytes = try Files.read(path)
        harness.server.script([
            .on(
                .complete,
                .run(.beforeProcessing) { [server = harness.server] _ in
                    server.edit {
                        $0.buckets["bucket"]?.objects[Array("key".utf8)] = FakeObject(
                            content: bytes,
                            eTag: Hex.encode(md5(bytes))
                        )
                    }
                }
            )
        ])
        try expectFound(try harness.upload(path, options(EngineHarness.partSize)))
        #expect(try harness.record().state == .done)
        #expect(try harness.record().uploadID == nil)
    }

    @Test func `another size is said without reading the file`() throws {
        harness.server.edit { $0.buckets["bucket"]?.objects[Array("key".utf8)] = FakeObject(content: [1, 2, 3]) }
        let failure = try harness.upload(try harness.file(), options(nil)).failure
        #expect(failure?.kind == .exists)
        #expect(failure?.message.contains("it has 3 bytes, the file") == true, "\(failure?.message ?? "")")
    }

    @Test func `another Content stays a failure with its reason`() throws {
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, options(nil)), path)
        let other = try harness.file("other", seed: 2)
        let failure = try again(other, nil).failure
        #expect(failure?.kind == .exists)
        #expect(failure?.message.contains("CRC64NVME of it is") == true, "\(failure?.message ?? "")")
    }

    @Test func `what cannot be proven stays a failure with its reason`() throws {
        harness.server.profile.checksums = .ignored
        harness.server.profile.eTagStyle = .opaque
        let failure = try uploadedBefore(nil, partSizeNow: nil).outcome.failure
        #expect(failure?.kind == .exists)
        #expect(
            failure?.message.contains("Cannot prove from the store's metadata") == true,
            "\(failure?.message ?? "")"
        )
    }

    @Test func `what may not be looked at stays a failure with its reason`() throws {
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, options(nil)), path)
        harness.server.script([.on(.headObject, times: .max, .status(403, code: "AccessDenied"))])
        let failure = try again(path, nil).failure
        #expect(failure?.kind == .exists)
        #expect(failure?.message.contains("Cannot tell whether it has") == true, "\(failure?.message ?? "")")
    }
}

private func md5(_ bytes: [UInt8]) -> [UInt8] {
    var digest = MessageDigest(.md5)
    bytes.withUnsafeBytes { digest.update($0) }
    return digest.finish()
}
