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

/// Stores that show no checksum: parts go without Content-MD5 only if the store has proved that it compares signed bodies
/// with their hash.
@Suite struct SignedBodyTests {
    /// A store without checksums, whose answers prove nothing, and of which it is known that it ignores the headers.
    private static func harness(
        compares: Bool,
        concurrency: Int = 1,
        change: (inout FakeProfile) -> Void = { _ in },
        faults: [Fault] = []
    ) throws -> EngineHarness {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.checksums = .ignored
        profile.verifiesPayloadHash = compares
        change(&profile)
        let harness = try EngineHarness(profile, concurrency: concurrency, faults: faults)
        try harness.ledger.remember("protection", "MD5", of: harness.server.endpoint, lifetime: 3600)
        return harness
    }

    /// Asks for uploads of every size.
    private static func asking(concurrency: Int = 1) -> RunSettings {
        var settings = EngineHarness.settings(concurrency: concurrency)
        settings.leastSizeToAsk = 0
        return settings
    }

    private static func fact(_ harness: EngineHarness) throws -> String? {
        try harness.ledger.fact("checks-payload-hash", of: harness.server.endpoint)
    }

    private static func know(_ compares: Bool, _ harness: EngineHarness) throws {
        try harness.ledger.remember(
            "checks-payload-hash",
            compares ? "yes" : "no",
            of: harness.server.endpoint,
            lifetime: 3600
        )
    }

    /// The parts of files, without those of probes.
    private static func parts(_ harness: EngineHarness, from index: Int = 0) -> [RecordedRequest] {
        harness.server.requests.dropFirst(index).filter {
            $0.operation == .uploadPart && $0.bodyBytes != Int64(SignedBodyProbe.content.count)
        }
    }

    private static func isSigned(_ part: RecordedRequest) -> Bool {
        part.header("x-amz-content-sha256")?.utf8.count == 64
    }

    // MARK: Finding out

    @Test(arguments: [true, false], [1, 4])
    func `store is asked once, and its answer decides about Content-MD5`(compares: Bool, concurrency: Int) throws {
        let harness = try Self.harness(compares: compares, concurrency: concurrency)
        let path = try harness.file()
        let settings = Self.asking(concurrency: concurrency)
        try harness.expectDone(try harness.upload(path, settings: settings), path)
        #expect(try Self.fact(harness) == (compares ? "yes" : "no"))
        #expect(harness.server.count(.create) == 2 && harness.server.count(.abort) == 1)
        #expect(Self.parts(harness).allSatisfy(Self.isSigned))

        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.upload(path, .init(key: "again"), settings: settings), path, key: "again")
        #expect(harness.server.requests.dropFirst(requestsBefore).count { $0.operation == .create } == 1)
        let parts = Self.parts(harness, from: requestsBefore)
        #expect(parts.count == 6)
        #expect(parts.allSatisfy { ($0.header("content-md5") == nil) == compares && Self.isSigned($0) })
        #expect(try harness.ledger.fact("protection", of: harness.server.endpoint) == "MD5")
        #expect(try harness.ledger.fact(ProbeUpload.factName, of: harness.server.endpoint) == nil)
    }

    /// The first upload to a store learns both from its parts. The ETags prove nothing here: without the comparison, the
    /// first part is sent again with Content-MD5.
    @Test(arguments: [true, false])
    func `store of which nothing is known is asked before its first answer`(compares: Bool) throws {
        let harness = try Self.harness(compares: compares) { $0.eTagStyle = .opaque }
        try harness.ledger.remember("protection", "CRC64NVME?", of: harness.server.endpoint, lifetime: 3600)
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, settings: Self.asking()), path)
        #expect(try Self.fact(harness) == (compares ? "yes" : "no"))
        let parts = Self.parts(harness)
        #expect(parts.count == (compares ? 6 : 7))
        #expect(parts.first?.header("x-amz-checksum-crc64nvme") != nil)
        #expect(
            parts.dropFirst().allSatisfy { ($0.header("content-md5") == nil) == compares && Self.isSigned($0) }
        )
        #expect(try harness.ledger.fact("protection", of: harness.server.endpoint) == "MD5")
    }

    @Test func `object in one request is proven by its MD5 all the same`() throws {
        let harness = try Self.harness(compares: true) { $0.eTagStyle = .opaque }
        try harness.ledger.remember("protection", "CRC64NVME?", of: harness.server.endpoint, lifetime: 3600)
        try Self.know(true, harness)
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, .init(partSize: nil)), path)
        let puts = harness.server.requests.filter { $0.operation == .putObject }
        #expect(puts.map { $0.header("content-md5") != nil } == [false, true])
    }

    @Test func `small upload does not ask`() throws {
        let harness = try Self.harness(compares: true)
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        #expect(try Self.fact(harness) == nil)
        #expect(harness.server.count(.create) == 1)
        #expect(Self.parts(harness).allSatisfy { $0.header("content-md5") != nil })
    }

    @Test(arguments: [(503, "SlowDown"), (403, "AccessDenied"), (500, "InternalError"), (403, "SignatureDoesNotMatch")])
    func `unclear answer changes nothing and is asked for again`(answer: (status: Int, code: String)) throws {
        let wrong = Hex.encode(sha256(SignedBodyProbe.content.reversed()))
        let fault = Fault.on(
            .uploadPart,
            times: .max,
            where: { $0.header("x-amz-content-sha256") == wrong },
            .status(answer.status, code: answer.code)
        )
        let harness = try Self.harness(compares: false, faults: [fault])
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, settings: Self.asking()), path)
        #expect(try Self.fact(harness) == nil)
        #expect(harness.server.count(.create) == 1 + SignedBodyFacts.mostQuestions)
        #expect(Self.parts(harness).allSatisfy { $0.header("content-md5") != nil })

        harness.server.script([])
        try harness.expectDone(try harness.upload(path, .init(key: "k"), settings: Self.asking()), path, key: "k")
        #expect(try Self.fact(harness) == "no")
    }

    @Test func `store that demands a digest in a header keeps it`() throws {
        let harness = try Self.harness(compares: true) { $0.demandsBodyDigest = true }
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, settings: Self.asking()), path)
        #expect(try Self.fact(harness) == "no")
        #expect(Self.parts(harness).allSatisfy { $0.header("content-md5") != nil })
    }

    /// Known from another bucket of the store.
    @Test(arguments: [1, 4]) func `bucket that demands a digest gets it`(concurrency: Int) throws {
        let harness = try Self.harness(compares: true) { $0.demandsBodyDigest = true }
        try Self.know(true, harness)
        let path = try harness.file()
        let settings = Self.asking(concurrency: concurrency)
        try harness.expectDone(try harness.upload(path, settings: settings), path)
        let parts = Self.parts(harness)
        #expect((1...concurrency).contains(parts.count { $0.header("content-md5") == nil }))
        #expect(parts.filter { $0.header("content-md5") == nil }.allSatisfy { $0.status == 400 })
        #expect(try harness.ledger.fact("protection", of: harness.server.endpoint) == "MD5")
    }

    /// A killed probe leaves an upload, which the same command removes.
    @Test func `upload of a killed probe is aborted by the next`() throws {
        let harness = try Self.harness(compares: true)
        let path = try harness.file()
        let id = "left-by-a-kill"
        harness.server.edit { store in
            store.buckets["bucket"]?.uploads[id] = FakeUpload(id: id, key: Array("other".utf8), initiated: 0)
        }
        let left = ProbeUpload(ObjectAddress(bucket: "bucket", key: ObjectKey("other")), uploadID: id)
        try harness.ledger.remember(ProbeUpload.factName, left.text, of: harness.server.endpoint, lifetime: 3600)
        try harness.expectDone(try harness.upload(path, settings: Self.asking()), path)
        #expect(try harness.ledger.fact(ProbeUpload.factName, of: harness.server.endpoint) == nil)
    }

    @Test(arguments: [1, 2]) func `probe that is stopped is known to the next run`(body: Int) throws {
        let harness = try Self.harness(compares: true)
        let path = try harness.file()
        let cancellation = Cancellation()
        harness.server.script([
            .on(
                .uploadPart,
                occurrence: body,
                where: { $0.header("content-length") == "\(SignedBodyProbe.content.count)" },
                .run(.headersRead) { _ in cancellation.cancel() },
                .closeBeforeProcessing
            )
        ])
        let stopped = try harness.upload(path, settings: Self.asking(), cancellation: cancellation)
        #expect(stopped.failure?.kind == .interrupted)
        #expect(try harness.ledger.fact(ProbeUpload.factName, of: harness.server.endpoint) != nil)
        #expect(try Self.fact(harness) == nil)
        harness.server.script([])
        try harness.expectDone(try harness.resume(settings: Self.asking()), path)
        #expect(try Self.fact(harness) == "yes")
        #expect(try harness.ledger.fact(ProbeUpload.factName, of: harness.server.endpoint) == nil)
    }

    @Test func `upload that the store does not let go is named`() throws {
        let fault = Fault.on(.abort, times: .max, .status(403, code: "AccessDenied"))
        let harness = try Self.harness(compares: true, faults: [fault])
        let path = try harness.file()
        let outcome = try harness.upload(path, settings: Self.asking())
        try harness.expectDone(outcome, path, openUploads: 1)
        let id = try #require(harness.server.uploads.first?.id)
        #expect(outcome.notices.contains { $0.contains(id) && $0.contains("s3:AbortMultipartUpload") })
        // Not once for each run.
        #expect(try Self.fact(harness) == "yes")
    }

    // MARK: Never

    @Test(arguments: [true, false])
    func `what the user chose and what a lock needs is sent as before`(isKnown: Bool) throws {
        let harness = try Self.harness(compares: true)
        if isKnown { try Self.know(true, harness) }
        let path = try harness.file()
        let lock = ObjectAttributes(text: "x-amz-object-lock-legal-hold: ON")
        let uploads = [
            EngineHarness.Options(key: "md5", checksum: "md5"),
            EngineHarness.Options(key: "never", payloadSigning: "never"),
            EngineHarness.Options(key: "lock", attributes: lock),
        ]
        for options in uploads {
            try harness.expectDone(
                try harness.upload(path, options, settings: Self.asking()),
                path,
                key: options.key
            )
        }
        #expect(harness.server.count(.create) == uploads.count)
        #expect(Self.parts(harness).count == 18)
        #expect(Self.parts(harness).allSatisfy { $0.header("content-md5") != nil })
    }

    /// Signs on another host, which may refuse.
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

    @Test(arguments: [true, false]) func `signer on another host is not asked for a wrong hash`(isKnown: Bool) throws {
        let harness = try Self.harness(compares: true)
        if isKnown { try Self.know(true, harness) }
        let path = try harness.file()
        let cancellation = Cancellation()
        let service = S3Service(
            endpoint: try Endpoint(url: harness.server.endpoint, region: harness.region),
            transport: TransportSettings(userAgent: "mule-test"),
            signer: ForeignSigner(inner: CredentialSigner(harness.provider, region: harness.region)),
            cancellation: cancellation
        )
        guard case .began(let record, let lease)? = try harness.ledger.claim([harness.newUpload(path)]).first else {
            throw HarnessFailure("not registered")
        }
        let job = UploadJob(
            source: .file(Array(path.utf8)),
            destination: record.upload.destination,
            row: .claimed(record, lease),
            service: service
        )
        let outcome = harness.run([job], settings: Self.asking(), cancellation: cancellation)
        try harness.expectDone(outcome, path)
        #expect(harness.server.count(.create) == 1)
        // What is known of the store holds for every signer.
        #expect(Self.parts(harness).allSatisfy { ($0.header("content-md5") == nil) == isKnown })
    }

    // MARK: Damage

    /// Answers prove nothing here: neither the ETag nor a checksum shows what the store holds.
    @Test(
        arguments: [FakeProfile.ETagStyle.md5, .opaque],
        [ChecksumMode.md5, .checksum(.crc64nvme, confirmed: false)]
    )
    func `bit that turns over is noticed without Content-MD5`(style: FakeProfile.ETagStyle, mode: ChecksumMode) throws {
        let harness = try Self.harness(compares: true) {
            $0.eTagStyle = style
            $0.verifiesContentMD5 = false
        }
        try Self.know(true, harness)
        try harness.ledger.remember("protection", mode.text, of: harness.server.endpoint, lifetime: 3600)
        let path = try harness.file()
        harness.server.script([.on(.uploadPart, part: 1, .flipBit), .on(.uploadPart, part: 5, .flipBit)])
        try harness.expectDone(try harness.upload(path), path)
        #expect(Self.parts(harness).count == 8)

        harness.server.script([.on(.uploadPart, part: 2, times: .max, .flipBit)])
        let outcome = try harness.upload(path, .init(key: "damaged"))
        #expect(outcome.failure?.kind == .verification, "\(outcome.failures)")
        #expect(harness.server.object(key: "damaged") == nil)
    }

    @Test(arguments: [true, false]) func `source that changes between two reads is noticed`(hidesItsTime: Bool) throws {
        let harness = try Self.harness(compares: true) { $0.verifiesContentMD5 = false }
        try Self.know(true, harness)
        let path = try harness.file(size: 5 << 20)
        harness.server.script([
            .on(
                .uploadPart,
                part: 1,
                times: 100,
                .run(.headersRead) { request in
                    try? Files.overwrite(path, at: 5000, with: [UInt8(truncatingIfNeeded: request.index), 9, 9])
                    if hidesItsTime { try? Files.setModificationTime(path, seconds: EngineHarness.past) }
                }
            )
        ])
        let outcome = try harness.upload(
            path,
            .init(partSize: 2 << 20),
            settings: EngineHarness.settings(concurrency: 1)
        )
        #expect(outcome.completed.isEmpty)
        #expect(outcome.failure?.kind == .source || outcome.failure?.kind == .verification, "\(outcome.failures)")
        #expect(harness.server.object(key: "key") == nil)
    }

    // MARK: Resuming

    @Test(arguments: [nil, true, false] as [Bool?], [nil, true, false] as [Bool?])
    func `upload resumes whatever became known of its store`(before: Bool?, after: Bool?) throws {
        let harness = try Self.harness(compares: true)
        if let before { try Self.know(before, harness) }
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        if let after {
            try Self.know(after, harness)
        } else {
            try harness.ledger.remember("checks-payload-hash", "", of: harness.server.endpoint, lifetime: 0)
        }
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.resume(), path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [4, 5, 6])
        #expect(
            Self.parts(harness, from: requestsBefore).allSatisfy {
                ($0.header("content-md5") == nil) == (after == true)
            }
        )
    }

    /// The list of parts shows MD5s only, which are computed for the comparison.
    @Test func `parts without rows are compared by their MD5`() throws {
        let harness = try Self.harness(compares: true)
        try Self.know(true, harness)
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        try harness.ledger.forgetParts([1, 2, 3], of: try harness.record().number)
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.resume(), path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [4, 5, 6])
    }

    @Test func `rows hold the signed hash`() throws {
        let harness = try Self.harness(compares: true)
        try Self.know(true, harness)
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        let rows = try harness.ledger.parts(of: try harness.record().number)
        #expect(rows.count == 3)
        #expect(rows.allSatisfy { $0.digest?.count == ChecksumAlgorithm.sha256.byteCount })
        #expect(try harness.record().negotiated == "MD5")
    }
}
