import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// Each proof that a store may offer, and what happens where it does not hold.
@Suite struct VerifyTests {
    private let harness: EngineHarness

    init() throws { harness = try EngineHarness() }

    private var server: FakeS3 { harness.server }

    private func uploaded(
        _ options: EngineHarness.Options = .init(),
        size: Int64 = 6 * EngineHarness.partSize - 100
    ) throws -> String {
        let path = try harness.file(size: size)
        try harness.expectDone(try harness.upload(path, options), path)
        return path
    }

    /// Other bytes under the same size and time.
    private func flipByte(of path: String, at offset: Int64) throws {
        let byte = try Files.read(path)[Int(offset)]
        try Files.overwrite(path, at: offset, with: [~byte])
        try Files.setModificationTime(path, seconds: EngineHarness.past)
    }

    private func verify(
        _ path: String,
        downloads: Bool = false,
        forgetful: Bool = false,
        cancellation: Cancellation = Cancellation()
    ) throws -> Result<Verification, VerifyFailure> {
        let ledger =
            forgetful
            ? try EngineHarness.emptyLedger(harness.scratch) : harness.ledger
        let run = VerifyRun(ledger: ledger, settings: harness.settings, cancellation: cancellation)
        let service = try harness.service(cancellation)
        return Result { () throws(VerifyFailure) in
            try run.verify(
                path: Array(path.utf8),
                ObjectAddress(bucket: "bucket", key: ObjectKey("key")),
                service: service,
                downloads: downloads
            )
        }
    }

    private func expectProof(
        _ kind: Verification.Proof.Kind,
        _ path: String,
        downloads: Bool = false,
        forgetful: Bool = false,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let result = try verify(path, downloads: downloads, forgetful: forgetful)
        guard case .success(let verification) = result else {
            Issue.record("\(result)", sourceLocation: sourceLocation)
            return
        }
        let object = try #require(server.object(key: "key"))
        #expect(verification.proof.kind == kind, sourceLocation: sourceLocation)
        #expect(verification.size == object.size, sourceLocation: sourceLocation)
        #expect(verification.eTag == object.eTag, sourceLocation: sourceLocation)
        #expect(server.count(.getObject) == (downloads ? 1 : 0), sourceLocation: sourceLocation)
        #expect(server.violations == [], sourceLocation: sourceLocation)
    }

    private func expectFailure(
        _ verdict: VerifyFailure.Verdict?,
        _ kind: UploadFailure.Kind = .verification,
        saying words: String = "",
        of result: Result<Verification, VerifyFailure>,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        guard case .failure(let failure) = result else {
            Issue.record("\(result)", sourceLocation: sourceLocation)
            return
        }
        #expect(failure.verdict == verdict, "\(failure.failure.message)", sourceLocation: sourceLocation)
        #expect(failure.failure.kind == kind, "\(failure.failure.message)", sourceLocation: sourceLocation)
        #expect(
            words.isEmpty || failure.failure.message.contains(words),
            "\(failure.failure.message)",
            sourceLocation: sourceLocation
        )
    }

    // MARK: Checksums

    @Test(arguments: [nil, EngineHarness.partSize], [false, true])
    func `the checksum of the whole object is proof`(partSize: Int64?, forgetful: Bool) throws {
        let path = try uploaded(.init(partSize: partSize))
        try expectProof(.fullObjectChecksum, path, forgetful: forgetful)
        #expect(server.count(.getAttributes) == 0)
    }

    @Test func `an empty file is proven`() throws {
        try expectProof(.fullObjectChecksum, try uploaded(.init(partSize: nil), size: 0))
        server.profile.checksums = .ignored
        try expectProof(.eTagMD5, harness.scratch.path("file"), forgetful: true)
    }

    /// Larger than one stretch, so that threads share the work and CRCs are combined.
    @Test func `a file of many stretches is proven`() throws {
        try expectProof(.fullObjectChecksum, try uploaded(.init(partSize: 5 << 20), size: (33 << 20) + 7))
    }

    @Test(arguments: [0, 100_000, 6 * EngineHarness.partSize - 101])
    func `other bytes differ`(offset: Int64) throws {
        let path = try uploaded()
        try flipByte(of: path, at: offset)
        expectFailure(.differs, saying: "CRC64NVME", of: try verify(path))
    }

    @Test func `another size differs before anything is read`() throws {
        let path = try uploaded()
        try Files.truncate(path, to: 1_000)
        expectFailure(.differs, saying: "the file 1000", of: try verify(path))
    }

    @Test func `a checksum that only get object attributes shows is proof`() throws {
        let path = try uploaded()
        let object = try #require(server.object(key: "key"))
        server.add(.on(.headObject, times: 2, .dropChecksumEcho))
        try expectProof(.fullObjectChecksum, path, forgetful: true)
        #expect(object.checksum?.kind == .fullObject)
        #expect(server.count(.getAttributes) == 1)
    }

    @Test(arguments: [1, 2, 1_000]) func `a composite checksum is proof by the listed parts`(page: Int) throws {
        let path = try uploaded(.init(checksum: "sha256"))
        server.profile.listPartsPageSize = page
        try expectProof(.compositeChecksum, path, forgetful: true)
        #expect(server.count(.getAttributes) == (page == 1_000 ? 1 : 6 / page))
        #expect(server.count(.headObject) == 2)
    }

    @Test func `a composite checksum that differs names the part`() throws {
        let path = try uploaded(.init(checksum: "sha256"))
        try flipByte(of: path, at: 2 * EngineHarness.partSize + 5)
        expectFailure(.differs, saying: "part 3 is the first", of: try verify(path))
    }

    @Test(arguments: ["ledger", "part number", "nothing"])
    func `a composite checksum without a list of parts needs their size`(from: String) throws {
        let path = try uploaded(.init(checksum: "sha256"))
        server.profile.denied = [.getAttributes]
        server.profile.eTagStyle = .random
        server.profile.knowsPartNumbers = from == "part number"
        server.edit { $0.buckets["bucket"]?.objects[Array("key".utf8)]?.eTag = "another" }
        if from == "nothing" {
            expectFailure(.unproven, saying: "s3:GetObjectAttributes", of: try verify(path, forgetful: true))
        } else {
            try expectProof(.compositeChecksum, path, forgetful: from == "part number")
        }
    }

    // MARK: ETags

    @Test func `the ETag of a PutObject is proof`() throws {
        server.profile.checksums = .ignored
        let path = try uploaded(.init(partSize: nil))
        try expectProof(.eTagMD5, path, forgetful: true)
    }

    @Test(arguments: ["ledger", "part number"])
    func `the ETag of a multipart object is proof by the part size`(from: String) throws {
        server.profile.checksums = .ignored
        server.profile.knowsPartNumbers = from == "part number"
        let path = try uploaded()
        try expectProof(.multipartETagMD5, path, forgetful: from == "part number")
    }

    @Test func `the ETag of a multipart object is proof by a likely part size`() throws {
        server.profile.checksums = .ignored
        server.profile.knowsPartNumbers = false
        let path = try uploaded(.init(partSize: 1 << 20), size: (5 << 19) + 3)
        try expectProof(.multipartETagMD5, path, forgetful: true)
    }

    @Test(arguments: [nil, EngineHarness.partSize])
    func `an ETag that differs proves no difference`(partSize: Int64?) throws {
        server.profile.checksums = .ignored
        server.profile.knowsAttributes = false
        let path = try uploaded(.init(partSize: partSize))
        try flipByte(of: path, at: 1)
        expectFailure(.unproven, saying: "--download", of: try verify(path, forgetful: true))
    }

    @Test(arguments: [FakeProfile.ETagStyle.random, .kms, .opaque], [nil, EngineHarness.partSize])
    func `ETags that are no digests need the ledger`(style: FakeProfile.ETagStyle, partSize: Int64?) throws {
        server.profile.checksums = .ignored
        server.profile.eTagStyle = style
        let path = try uploaded(.init(partSize: partSize, checksum: "none", payloadSigning: "always"))
        try expectProof(.recordedChecksum, path)
        expectFailure(.unproven, of: try verify(path, forgetful: true))
        try flipByte(of: path, at: 7)
        expectFailure(.differs, saying: "has changed since", of: try verify(path))
    }

    /// What looks like an MD5 is none where the store encrypts with a key of KMS.
    @Test(arguments: ["x-amz-server-side-encryption", "x-amz-server-side-encryption-customer-algorithm"])
    func `the ETag of an encrypted object is not looked at`(header: String) throws {
        server.profile.checksums = .ignored
        let path = try uploaded(.init(partSize: nil))
        server.edit { store in
            store.buckets["bucket"]?.objects[Array("key".utf8)]?.attributes.otherHeaders = [
                FakeHeader(header, header.hasSuffix("encryption") ? "aws:kms" : "AES256")
            ]
        }
        expectFailure(.unproven, saying: "encrypted", of: try verify(path, forgetful: true))
    }

    @Test func `the ledger proves nothing of an object that someone else wrote`() throws {
        server.profile.checksums = .ignored
        server.profile.eTagStyle = .random
        let path = try uploaded(.init(partSize: nil))
        let copy = try #require(server.object(key: "key"))
        server.edit { $0.buckets["bucket"]?.objects[Array("key".utf8)]?.attributes.metadata = [:] }
        expectFailure(.unproven, of: try verify(path))
        server.edit { store in
            store.buckets["bucket"]?.objects[Array("key".utf8)] = copy
            store.buckets["bucket"]?.objects[Array("key".utf8)]?.eTag = "0123456789abcdef0123456789abcdef"
        }
        expectFailure(.unproven, of: try verify(path))
    }

    // MARK: What can't be asked

    @Test func `a missing object is said to be missing`() throws {
        expectFailure(.missing, saying: "does not exist", of: try verify(try harness.file()))
    }

    @Test func `an object that may not be looked at is refused`() throws {
        let path = try uploaded()
        server.profile.denied = [.headObject]
        expectFailure(nil, .store, saying: "s3:GetObject", of: try verify(path))
    }

    @Test func `a missing file is a source failure`() throws {
        expectFailure(nil, .source, of: try verify(harness.scratch.path("missing")))
        #expect(server.requests.isEmpty)
    }

    @Test(arguments: [false, true]) func `a file that changes meanwhile is no answer`(toOtherBytes: Bool) throws {
        let path = try uploaded()
        server.add(
            .on(
                .headObject,
                .run(.beforeProcessing) { _ in
                    if toOtherBytes { try? Files.overwrite(path, at: 9, with: [1, 2, 3]) }
                    try? Files.setModificationTime(path, seconds: EngineHarness.past + 1)
                }
            )
        )
        expectFailure(nil, .source, saying: "changed while it was verified", of: try verify(path))
    }

    @Test func `an interruption is no verdict`() throws {
        let path = try uploaded()
        let cancellation = Cancellation()
        server.add(.on(.headObject, .run(.beforeProcessing) { _ in cancellation.cancel() }))
        expectFailure(nil, .interrupted, of: try verify(path, cancellation: cancellation))
    }

    @Test func `a network fault is tried again`() throws {
        let path = try uploaded()
        server.add(.on(.headObject, times: 3, .closeBeforeProcessing))
        try expectProof(.fullObjectChecksum, path)
    }

    // MARK: Downloads

    @Test(arguments: [0, 1, 70_000, 6 * EngineHarness.partSize])
    func `all bytes are proof`(size: Int64) throws {
        let path = try uploaded(.init(partSize: nil), size: size)
        try expectProof(.download, path, downloads: true)
    }

    @Test(arguments: [0, 65_535, 65_536, 6 * EngineHarness.partSize - 101])
    func `the first byte that differs is named`(offset: Int64) throws {
        let path = try uploaded()
        try flipByte(of: path, at: offset)
        expectFailure(.differs, saying: "at byte \(offset).", of: try verify(path, downloads: true))
    }

    @Test(arguments: [true, false]) func `a broken download resumes where it broke`(knowsRanges: Bool) throws {
        let path = try uploaded()
        let object = try #require(server.object(key: "key"))
        server.add(.on(.getObject, times: 2, .closeInAnswer))
        if !knowsRanges {
            let whole = FakeReply(200, headers: [FakeHeader("ETag", "\"\(object.eTag)\"")], body: object.bytes ?? [])
            server.add(.on(.getObject, .custom { _ in whole }))
        }
        let result = try verify(path, downloads: true)
        #expect((try? result.get())?.proof.kind == .download, "\(result)")
        let ranges = server.requests(.getObject).map { $0.header("range") }
        #expect(ranges.count == 3 && ranges[0] == nil && Set(ranges).count == 3, "\(ranges)")
        #expect(server.requests(.getObject).allSatisfy { $0.header("if-match") == "\"\(object.eTag)\"" })
    }

    @Test func `an object that is replaced meanwhile is not taken for the other`() throws {
        let path = try uploaded()
        server.add(.on(.getObject, .closeInAnswer))
        server.add(
            .on(
                .getObject,
                .run(.beforeProcessing) { [server] _ in
                    server.edit { $0.buckets["bucket"]?.objects[Array("key".utf8)]?.eTag = "another" }
                }
            )
        )
        expectFailure(nil, saying: "was changed or removed", of: try verify(path, downloads: true))
    }
}

extension EngineHarness {
    static func emptyLedger(_ scratch: ScratchDirectory) throws -> Ledger {
        try Ledger(path: Array(scratch.path("forgetful/ledger.sqlite").utf8))
    }
}
