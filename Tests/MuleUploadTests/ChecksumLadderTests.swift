import MuleDigest
import MulePlan
import MuleSQLite
import MuleSystem
import TestSupport
import Testing

@testable import MuleLedger
@testable import MuleUpload

/// Integrity is negotiated, never dropped.
@Suite struct ChecksumLadderTests {
    struct Store: Sendable, CustomTestStringConvertible {
        var name: String
        var checksums: FakeProfile.Checksums
        /// The final checksum mode, as the ledger names it.
        var rung: String

        var testDescription: String { name }
    }

    static let stores = [
        Store(name: "AWS", checksums: .enforced, rung: "CRC64NVME"),
        Store(name: "B2", checksums: .refused(status: 400, code: "InvalidArgument"), rung: "MD5"),
        Store(name: "501", checksums: .refused(status: 501, code: "NotImplemented"), rung: "MD5"),
        Store(
            name: "before 2025",
            checksums: .refused(status: 400, code: "InvalidRequest", algorithms: [.crc64nvme]),
            rung: "CRC32C"
        ),
        Store(name: "Swift", checksums: .ignored, rung: "MD5"),
    ]

    @Test(arguments: stores, [EngineHarness.partSize, nil])
    func `the stores rung is found and remembered`(store: Store, partSize: Int64?) throws {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.checksums = store.checksums
        let harness = try EngineHarness(profile)
        let path = try harness.file()
        let first = try harness.upload(path, .init(partSize: partSize))
        try harness.expectDone(first, path)
        #expect(try harness.ledger.fact("protection", of: harness.server.endpoint)?.hasPrefix(store.rung) == true)

        // With the ledger's facts, the next upload starts in that mode.
        let requestsBefore = harness.server.requests.count
        let again = try harness.upload(path, .init(key: "again", partSize: partSize))
        try harness.expectDone(again, path, key: "again")
        let second = harness.server.requests.dropFirst(requestsBefore)
        #expect(second.allSatisfy { $0.errorCode == nil })
        #expect(second.count { $0.operation == .uploadPart || $0.operation == .putObject } == (partSize == nil ? 1 : 6))
    }

    /// Stores that refuse the header without saying that it is the header.
    @Test(
        arguments: [
            (403, "SignatureDoesNotMatch", "Invalid argument."), (400, "InvalidArgument", ""), (400, "BadRequest", ""),
            (400, "InvalidHeader", "What is this?"),
        ],
        [EngineHarness.partSize, nil] as [Int64?]
    )
    func `a refusal that the header may have caused is answered by a lower rung`(
        refusal: (status: Int, code: String, message: String),
        partSize: Int64?
    ) throws {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.checksums = .ignored
        let harness = try EngineHarness(profile)
        harness.server.script(
            [FakeOperation.uploadPart, .putObject].map { operation in
                .on(
                    operation,
                    times: .max,
                    where: { request in request.headers.contains { $0.name.lowercased().hasPrefix("x-amz-checksum-") }
                    },
                    .status(refusal.status, code: refusal.code, message: refusal.message)
                )
            }
        )
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, .init(partSize: partSize)), path)
        #expect(try harness.ledger.fact("protection", of: harness.server.endpoint)?.hasPrefix("MD5") == true)
    }

    /// The lower rung is a guess, of which nothing stays where it was wrong.
    @Test func `a refusal that the header has not caused is reported and not learned`() throws {
        let harness = try EngineHarness(faults: [
            .on(.uploadPart, times: .max, .status(400, code: "InvalidArgument", message: "No."))
        ])
        let outcome = try harness.upload(try harness.file())
        #expect(outcome.failure?.kind == .store)
        #expect(outcome.failure?.s3Code == "InvalidArgument")
        #expect(try harness.ledger.fact("protection", of: harness.server.endpoint)?.hasPrefix("MD5") != true)
        #expect(try harness.record().negotiated?.hasPrefix("CRC64NVME") == true)
    }

    /// A row from before the mode changed cannot be combined with later ones: its part is digested again, not sent.
    @Test(arguments: [false, true])
    func `parts that were digested for another rung are digested again`(isRungForgotten: Bool) throws {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.checksums = .ignored
        let harness = try EngineHarness(profile)
        let path = try harness.file()
        let cancellation = Cancellation()
        harness.server.script([
            .on(.uploadPart, part: 4, .run(.headersRead) { _ in cancellation.cancel() }, .closeBeforeProcessing)
        ])
        _ = try harness.upload(
            path,
            EngineHarness.Options(checksum: "crc32"),
            settings: EngineHarness.settings(concurrency: 1),
            cancellation: cancellation
        )
        #expect(try harness.record().partsDone == 3)
        let ledger = try Database(path: harness.ledger.path)
        if isRungForgotten {
            // As it is when parts are found at the store before the first answer shows that it ignores the header.
            try ledger.execute("DELETE FROM parts; UPDATE uploads SET integrity = NULL, parts_done = 0, bytes_done = 0")
        } else {
            try ledger.execute("UPDATE parts SET crc = x'01020304' WHERE number = 2")
        }
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.resume(settings: EngineHarness.settings(concurrency: 1))
        try harness.expectDone(outcome, path)
        #expect(Set(harness.partsSent(from: requestsBefore)) == [4, 5, 6])
        #expect(harness.server.object(key: "key")?.eTag == outcome.completed.first?.proof.eTag)
    }

    @Test(arguments: stores)
    func `every body is checked by the store against something computed here`(store: Store) throws {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.checksums = store.checksums
        let harness = try EngineHarness(profile)
        let path = try harness.file()
        _ = try harness.upload(path, .init(payloadSigning: "never"))
        let requestsBefore = harness.server.requests.count
        harness.server.script([.on(.uploadPart, part: 2, .flipBit), .on(.uploadPart, part: 5, .flipBit)])
        try harness.expectDone(try harness.upload(path, .init(key: "k", payloadSigning: "never")), path, key: "k")
        #expect(harness.partsSent(from: requestsBefore).count == 8)
    }

    @Test(arguments: stores)
    func `an interrupted upload resumes on its rung`(store: Store) throws {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.checksums = store.checksums
        let harness = try EngineHarness(profile)
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.resume(), path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [4, 5, 6])
    }

    @Test(arguments: [FakeProfile.ETagStyle.opaque, .random, .kms])
    func `a store that shows no proof at all is sent Content-MD5`(style: FakeProfile.ETagStyle) throws {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.checksums = .ignored
        profile.eTagStyle = style
        let harness = try EngineHarness(profile, concurrency: 1)
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        let last = try #require(harness.server.requests(.uploadPart).last)
        #expect(last.header("content-md5") != nil)
        #expect(harness.partsSent() == [1, 1, 2, 3, 4, 5, 6])
    }

    @Test func `a store that refuses the header on parts alone does not lose the upload`() throws {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.checksums = .ignored
        let refusal = Fault.on(
            .uploadPart,
            times: 1000,
            where: { $0.header("x-amz-checksum-crc64nvme") != nil || $0.header("x-amz-checksum-crc32c") != nil },
            .status(400, code: "InvalidArgument", message: "Unsupported header 'x-amz-checksum-crc64nvme' received.")
        )
        let harness = try EngineHarness(profile, faults: [refusal])
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        #expect(try harness.ledger.fact("protection", of: harness.server.endpoint) == "MD5")
    }

    /// Create promises to check the parts, which are refused with the checksum, and without it as well.
    @Test(arguments: [
        (400, "InvalidArgument", "Unsupported header 'x-amz-checksum-crc64nvme' received."),
        (403, "SignatureDoesNotMatch", "Invalid argument."),
    ])
    func `a store that keeps no promise of Create is started again without it`(
        refusal: (status: Int, code: String, message: String)
    ) throws {
        let harness = try EngineHarness(faults: [
            .on(
                .uploadPart,
                times: .max,
                where: { request in request.headers.contains { $0.name.lowercased().hasPrefix("x-amz-checksum-") } },
                .status(refusal.status, code: refusal.code, message: refusal.message)
            )
        ])
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        // Once for each rung that is tried.
        #expect((2...3).contains(harness.server.count(.create)))
        #expect(try harness.ledger.fact("protection", of: harness.server.endpoint) == "MD5")

        let other = try harness.upload(path, .init(key: "chosen", checksum: "crc64nvme"))
        #expect(other.failure?.s3Code == refusal.code)
        #expect(other.completed.isEmpty)
    }

    /// A store that knows neither Content-MD5 nor checksum headers.
    private static func storeWithoutDigests() throws -> EngineHarness {
        let refusal = Fault.on(
            nil,
            times: 1000,
            where: { request in
                request.header("content-md5") != nil
                    || request.headers.contains { $0.name.lowercased().hasPrefix("x-amz-checksum-") }
            },
            .status(400, code: "InvalidArgument", message: "Unsupported header received for this API call.")
        )
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.checksums = .ignored
        return try EngineHarness(profile, faults: [refusal])
    }

    @Test func `the ladder ends in the signed payload`() throws {
        let harness = try Self.storeWithoutDigests()
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        let last = try #require(harness.server.requests(.uploadPart).last)
        #expect(last.header("content-md5") == nil)
        #expect(last.header("x-amz-content-sha256")?.utf8.count == 64)
        #expect(try harness.ledger.fact("protection", of: harness.server.endpoint) == "payload")
    }

    @Test(arguments: ["x-amz-object-lock-mode", "x-amz-object-lock-legal-hold"], [EngineHarness.partSize, nil])
    func `a locked object is never sent without a digest`(header: String, partSize: Int64?) throws {
        let harness = try Self.storeWithoutDigests()
        let path = try harness.file()
        // Known of the endpoint from an upload without a lock.
        try harness.expectDone(try harness.upload(path, .init(key: "other")), path, key: "other")
        let options = EngineHarness.Options(
            key: "locked",
            partSize: partSize,
            attributes: ObjectAttributes(text: "\(header): ON")
        )
        let outcome = try harness.upload(path, options)
        #expect(outcome.completed.isEmpty && outcome.failure?.kind == .store)
        let bodies = (harness.server.requests(.uploadPart) + harness.server.requests(.putObject)).filter {
            $0.target.contains("/locked")
        }
        #expect(!bodies.isEmpty && bodies.allSatisfy { $0.header("content-md5") != nil })
    }

    /// Stores that know no trailer answer one with MissingContentLength, and proxies drop it: there is never one.
    @Test(
        arguments: ["auto", "crc64nvme", "crc32c", "crc32", "sha256", "md5", "none"],
        ["auto", "always", "never"]
    )
    func `every body goes with its length and without a trailer`(checksum: String, payloadSigning: String) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        for partSize in [EngineHarness.partSize, nil] {
            let options = EngineHarness.Options(
                key: partSize == nil ? "put" : "parts",
                partSize: partSize,
                checksum: checksum,
                payloadSigning: payloadSigning
            )
            try harness.expectDone(try harness.upload(path, options), path, key: options.key)
        }
        for request in harness.server.requests where request.method == "PUT" || request.method == "POST" {
            #expect(request.header("content-length").flatMap { Int64($0) } == request.bodyBytes)
            #expect(request.header("transfer-encoding") == nil)
            #expect(request.header("x-amz-trailer") == nil)
            #expect(request.header("content-encoding") == nil)
            #expect(request.header("x-amz-content-sha256")?.hasPrefix("STREAMING") == false)
        }
    }

    /// Google's front end rewrites Accept-Encoding and others their own; a signature over them would not match.
    @Test func `headers that servers in between rewrite are not signed`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        let entry = try harness.register(path, .init(key: "put")) { intent in
            for (name, value) in [("cache-control", "no-store"), ("content-encoding", "gzip"), ("x-amz-meta-a", "b")] {
                try? intent.attributes.set(name, value)
            }
        }
        try harness.expectDone(try harness.run(entry, path: path, key: "put"), path, key: "put")
        #expect(harness.server.requests(.putObject).allSatisfy { $0.header("content-encoding") == "gzip" })
        let known: Set = ["host", "content-type", "content-md5", "if-none-match"]
        for request in harness.server.requests {
            let authorization = try #require(request.header("authorization"))
            let signed = authorization.split(separator: ",").first { $0.contains("SignedHeaders=") }
            let names = try #require(signed).split(separator: "=")[1].split(separator: ";").map(String.init)
            #expect(names.allSatisfy { known.contains($0) || $0.hasPrefix("x-amz-") }, "\(names)")
        }
    }

    @Test(
        arguments: ["crc64nvme", "crc32c", "crc32", "sha256", "md5", "none"],
        [FakeProfile.ETagStyle.md5, .opaque]
    )
    func `a chosen checksum that is ignored still leads to a proven object`(
        option: String,
        style: FakeProfile.ETagStyle
    ) throws {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.checksums = .ignored
        profile.eTagStyle = style
        let harness = try EngineHarness(profile)
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, .init(checksum: option)), path)
        try harness.expectDone(
            try harness.upload(path, .init(key: "put", partSize: nil, checksum: option)),
            path,
            key: "put"
        )
    }

    @Test(arguments: ["crc32c", "sha256"], [EngineHarness.partSize, nil])
    func `a checksum that the user chose is not exchanged`(option: String, partSize: Int64?) throws {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.checksums = .refused(status: 400, code: "InvalidArgument")
        let harness = try EngineHarness(profile)
        let path = try harness.file()
        let outcome = try harness.upload(path, .init(partSize: partSize, checksum: option))
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: 0)
        #expect(try harness.ledger.fact("protection", of: harness.server.endpoint) == nil)
    }

    @Test func `an object locked bucket gets its digest`() throws {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.demandsBodyDigest = true
        let harness = try EngineHarness(profile)
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        try harness.expectDone(try harness.upload(path, .init(key: "put", partSize: nil)), path, key: "put")
    }

    @Test func `a refused checksum does not cost the condition`() throws {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.checksums = .refused(status: 501, code: "NotImplemented")
        let harness = try EngineHarness(profile)
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, .init(partSize: nil, onlyIfAbsent: true)), path)
        #expect(harness.server.requests(.putObject).last?.header("if-none-match") == "*")
    }

    @Test func `create that does not echo leaves it to the parts`() throws {
        let harness = try EngineHarness()
        harness.server.profile.createEchoesChecksum = false
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        #expect(harness.server.requests(.uploadPart).allSatisfy { $0.header("x-amz-checksum-crc64nvme") != nil })
    }
}
