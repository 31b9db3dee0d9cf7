import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport
import TestSupport
import Testing

@testable import MuleUpload

/// Google Cloud Storage with HMAC keys, against a stand-in that is strict about its rules, and other stores that are
/// taken for it.
@Suite struct GoogleStoreTests {
    private static func harness(_ kind: Provider? = .gcs, _ profile: FakeProfile = .google(minimumPartSize: 1)) throws
        -> EngineHarness
    {
        try EngineHarness(profile, kind: kind)
    }

    private func adopt(_ path: String, _ harness: EngineHarness, into ledger: Ledger) throws -> UploadRecord {
        let cancellation = Cancellation()
        let intent = UploadIntent(
            path: Array(path.utf8),
            destination: ObjectAddress(bucket: "bucket", key: ObjectKey("key")),
            store: harness.store,
            sizing: PartSizing(),
            attributes: ObjectAttributes(),
            onlyIfAbsent: false,
            integrity: IntegrityOptions(checksum: "auto", payloadSigning: "auto")
        )
        return try AdoptRun(ledger: ledger, settings: harness.settings, cancellation: cancellation)
            .adopt(intent, service: try harness.service(cancellation)) { _ in }.0
    }

    // MARK: Uploads

    @Test(arguments: [EngineHarness.partSize, nil] as [Int64?], ["auto", "md5"])
    func `an object is proven by Google's CRC-32C, and nothing is refused on the way`(
        partSize: Int64?,
        checksum: String
    ) throws {
        let harness = try Self.harness()
        let path = try harness.file()
        var options = EngineHarness.Options(partSize: partSize, checksum: checksum)
        try options.attributes.set("x-amz-storage-class", "NEARLINE")
        let outcome = try harness.upload(path, options)
        try harness.expectDone(outcome, path)
        let object = try #require(harness.server.object(key: "key"))
        let proof = try #require(outcome.completed.first).proof
        #expect(proof.checksumAlgorithm == "CRC32C" && proof.checksumValue == object.checksum?.value)
        #expect(object.attributes.storageClass == "NEARLINE")
        #expect(harness.server.requests.allSatisfy { $0.status == 200 || $0.operation == .headObject })
        for request in harness.server.requests {
            #expect(!request.headers.contains { $0.name.lowercased().hasPrefix("x-amz-checksum-") })
            if request.operation == .uploadPart || request.operation == .putObject {
                #expect(request.header("content-md5") != nil)
            }
        }
        if checksum == "auto" {
            #expect(try harness.ledger.fact("protection", of: harness.server.endpoint) == "MD5+CRC32C")
        }
    }

    @Test func `a resume keeps what is recorded of the parts`() throws {
        let harness = try Self.harness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        #expect(try harness.record().negotiated == "MD5+CRC32C")
        #expect(try harness.ledger.parts(of: harness.record().number).allSatisfy { $0.crc.count == 4 })
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.resume(), path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [4, 5, 6])
    }

    /// As of an upload by another program, or by mule before its ledger was lost.
    @Test func `an upload without a ledger is adopted and proven`() throws {
        let harness = try Self.harness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 4)
        let ledger = try EngineHarness.emptyLedger(harness.scratch)
        #expect(try adopt(path, harness, into: ledger).partsDone == 4)
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.resume(ledger)
        #expect(outcome.failures.isEmpty, "\(outcome.failures)")
        #expect(harness.partsSent(from: requestsBefore).sorted() == [5, 6])
        #expect(outcome.completed.first?.proof.checksumAlgorithm == "CRC32C")
        #expect(try #require(harness.server.object(key: "key")).equals(file: path))
    }

    @Test func `an answer of Complete that is late or lost is found out by the object`() throws {
        for action in [Fault.Action.closeAfterProcessing, .delay(2)] {
            let harness = try EngineHarness(.google(minimumPartSize: 1), requestPatience: 3, kind: .gcs)
            harness.server.script([.on(.complete, action)])
            let path = try harness.file()
            try harness.expectDone(try harness.upload(path), path)
        }
    }

    // MARK: Wrong checksums

    enum Way: CaseIterable { case parts, oneRequest, lostAnswer, resumed, adopted }

    @Test(arguments: Way.allCases) func `another CRC-32C is never taken for success`(way: Way) throws {
        let harness = try Self.harness()
        let path = try harness.file()
        var ledger = harness.ledger
        let lie = Fault.on(.headObject, occurrence: 1, times: .max, .wrongChecksumEcho)
        let outcome: Outcome
        switch way {
        case .parts:
            harness.server.script([lie])
            outcome = try harness.upload(path)
        case .oneRequest:
            harness.server.script([.on(.putObject, times: .max, .wrongChecksumEcho)])
            outcome = try harness.upload(path, .init(partSize: nil))
        case .lostAnswer:
            harness.server.script([lie, .on(.complete, .closeAfterProcessing)])
            outcome = try harness.upload(path)
        case .resumed:
            try harness.interrupt(path, afterParts: 3)
            harness.server.script([lie])
            outcome = try harness.resume()
        case .adopted:
            try harness.interrupt(path, afterParts: 3)
            ledger = try EngineHarness.emptyLedger(harness.scratch)
            _ = try adopt(path, harness, into: ledger)
            harness.server.script([lie])
            outcome = try harness.resume(ledger)
        }
        #expect(outcome.completed.isEmpty)
        #expect(outcome.failure?.kind == .verification, "\(outcome.failures)")
        #expect(try ledger.all().allSatisfy { $0.state != .done })
    }

    @Test func `verify compares with Google's CRC-32C`() throws {
        let harness = try Self.harness()
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        func verified() throws -> Result<Verification, VerifyFailure> {
            let ledger = try EngineHarness.emptyLedger(harness.scratch)
            let cancellation = Cancellation()
            let run = VerifyRun(ledger: ledger, settings: harness.settings, cancellation: cancellation)
            let service = try harness.service(cancellation)
            return Result { () throws(VerifyFailure) in
                try run.verify(
                    path: Array(path.utf8),
                    ObjectAddress(bucket: "bucket", key: ObjectKey("key")),
                    service: service,
                    downloads: false
                )
            }
        }
        let proof = try verified().get().proof
        #expect(proof.kind == .fullObjectChecksum && proof.algorithm == "CRC32C")
        harness.server.script([.on(.headObject, times: .max, .wrongChecksumEcho)])
        guard case .failure(let failure) = try verified() else {
            Issue.record("verified by a wrong checksum")
            return
        }
        #expect(failure.verdict == .differs)
    }

    // MARK: Only if absent

    @Test(arguments: [Provider.gcs, nil]) func `a new object is created by its generation`(kind: Provider?) throws {
        // Without a name, the answer to the look tells whose store it is.
        let harness = try Self.harness(kind)
        let path = try harness.file()
        var options = EngineHarness.Options(partSize: nil, onlyIfAbsent: true)
        try options.attributes.set("x-amz-meta-origin", "lab")
        try harness.expectDone(try harness.upload(path, options), path)
        #expect(harness.server.count(.putObject) == 1)
        let put = try #require(harness.server.requests(.putObject).first)
        #expect(put.header("x-goog-if-generation-match") == "0")
        #expect(put.header("authorization")?.hasPrefix("GOOG4-HMAC-SHA256 ") == true)
        #expect(put.header("if-none-match") == nil)
        #expect(!put.headers.contains { $0.name.lowercased().hasPrefix("x-amz-") })
        #expect(harness.server.object(key: "key")?.metadata["origin"] == "lab")
    }

    @Test func `an object that appears after the look is not replaced`() throws {
        let harness = try Self.harness()
        let server = harness.server
        server.script([
            .on(
                .putObject,
                .run(.headersRead) { _ in
                    server.edit { $0.buckets["bucket"]?.objects[Array("key".utf8)] = FakeObject(content: [1, 2, 3]) }
                }
            )
        ])
        let outcome = try harness.upload(try harness.file(), .init(partSize: nil, onlyIfAbsent: true))
        #expect(outcome.failure?.kind == .exists, "\(outcome.failures)")
        #expect(server.object(key: "key")?.bytes == [1, 2, 3])
    }

    @Test(arguments: [Provider.gcs, nil])
    func `a multipart upload that must not replace is refused before it begins`(kind: Provider?) throws {
        let harness = try Self.harness(kind)
        let outcome = try harness.upload(try harness.file(), .init(onlyIfAbsent: true))
        #expect(outcome.failure?.kind == .store)
        #expect(outcome.failure?.message.contains("--multipart-threshold 5GiB") == true, "\(outcome.failures)")
        #expect(harness.server.requests.allSatisfy { $0.operation == .headObject })
    }

    /// A signer on another host, which knows Amazon's signatures only.
    private struct ForeignSigner: RequestSigner {
        var inner: CredentialSigner

        func inRegion(_ region: String) -> any RequestSigner { self }

        func sign(
            _ request: SignableRequest,
            _ action: RequestAction,
            at time: UTCTime
        ) throws(CredentialsUnavailable) -> RequestSignature { try inner.sign(request, action, at: time) }

        func renew(refused: RequestSignature) throws(CredentialsUnavailable) -> Bool { false }

        func noteAccepted() {}

        func identity() throws(CredentialsUnavailable) -> SignerIdentity { try inner.identity() }
    }

    @Test func `where requests are signed elsewhere, mule looks and says so`() throws {
        let harness = try Self.harness()
        let path = try harness.file()
        let cancellation = Cancellation()
        let service = S3Service(
            endpoint: try Endpoint(url: harness.server.endpoint, region: harness.region),
            transport: TransportSettings(userAgent: "mule-test"),
            signer: ForeignSigner(inner: CredentialSigner(harness.provider, region: harness.region)),
            cancellation: cancellation,
            provider: .gcs
        )
        func upload(_ key: String) throws -> Outcome {
            let upload = try harness.newUpload(path, .init(key: key, partSize: nil, onlyIfAbsent: true))
            guard case .began(let record, let lease)? = try harness.ledger.claim([upload]).first else {
                throw HarnessFailure("not started")
            }
            let job = UploadJob(
                source: .file(Array(path.utf8)),
                destination: record.upload.destination,
                row: .claimed(record, lease),
                service: service
            )
            return harness.run([job], cancellation: cancellation)
        }
        let outcome = try upload("key")
        try harness.expectDone(outcome, path)
        #expect(outcome.notices.contains { $0.contains("does not support conditional writes") }, "\(outcome.notices)")
        harness.server.edit { $0.buckets["bucket"]?.objects[Array("other".utf8)] = FakeObject(content: [1]) }
        #expect(try upload("other").failure?.kind == .exists)
    }

    // MARK: Wrong names

    /// A name costs at most a request: integrity is negotiated all the same.
    @Test(arguments: Provider.allCases, [EngineHarness.partSize, nil] as [Int64?])
    func `a store under another name still proves every byte`(kind: Provider, partSize: Int64?) throws {
        for profile in [FakeProfile.aws(minimumPartSize: 1), .google(minimumPartSize: 1)] {
            let harness = try Self.harness(kind, profile)
            harness.server.script([.on(.uploadPart, part: 2, .flipBit), .on(.putObject, .flipBit)])
            let path = try harness.file()
            try harness.expectDone(try harness.upload(path, .init(partSize: partSize)), path)
        }
    }

    @Test func `Google's condition at another store is refused, or not taken for success`() throws {
        let options = EngineHarness.Options(partSize: nil, onlyIfAbsent: true)
        let strict = try Self.harness(.gcs, .aws(minimumPartSize: 1))
        let refused = try strict.upload(try strict.file(), options)
        #expect(refused.completed.isEmpty && refused.failure != nil)
        #expect(strict.server.object(key: "key") == nil)

        var lenient = FakeProfile.aws(minimumPartSize: 1)
        lenient.signatures = .unchecked
        let lax = try Self.harness(.gcs, lenient)
        let taken = try lax.upload(try lax.file(), options)
        #expect(taken.completed.isEmpty)
        #expect(taken.failure?.kind == .verification, "\(taken.failures)")
        #expect(taken.failure?.message.contains("--provider") == true)
    }
}
