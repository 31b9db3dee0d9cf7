import MuleDigest
import MulePlan
import MuleS3
import MuleSigning
import MuleTransport
import TestSupport
import Testing

@Suite("Object evidence")
struct ObjectEvidenceTests {
    /// Three parts of a few bytes each, with SHA-256.
    private func multipart(_ store: Store) async throws {
        try await store.use { connection in
            let scratch = ScratchDirectory()
            let created = try connection.createMultipartUpload(
                address("k"),
                attributes: ObjectAttributes(),
                checksum: .sha256
            )
            let parts = try (1...3).map { number in
                let payload = Payload(String(repeating: "\(number)", count: 10 - number))
                let checksum = Checksum(algorithm: .sha256, bytes: sha256(payload.bytes))
                let stored = try connection.uploadPart(
                    address("k"),
                    uploadID: created.uploadID,
                    number: number,
                    body: .file(try payload.slice(scratch)),
                    proof: BodyProof(payload: .sha256(checksum.bytes), checksum: checksum),
                    transfer: BodyTransfer()
                )
                return CompletedPart(number: number, eTag: stored.eTag ?? "", checksum: checksum)
            }
            _ = try connection.completeMultipartUpload(
                address("k"),
                uploadID: created.uploadID,
                parts: parts,
                whole: WholeObject()
            )
        }
    }

    @Test(arguments: [1, 2, 3, 1_000])
    func `attributes come with all parts, over all pages`(page: Int) async throws {
        let store = try Store()
        try await multipart(store)
        store.server.profile.listPartsPageSize = page
        let object = try #require(store.server.object(key: "k"))
        let answer = try await store.use { try $0.objectAttributes(address("k")) }
        #expect(answer.eTag == object.eTag)
        #expect(answer.size == 24 && answer.partCount == 3)
        #expect(answer.checksumType == .composite)
        #expect(answer.checksums[.sha256].map { $0 + "-3" } == object.checksum?.value)
        #expect(answer.parts.map(\.number) == [1, 2, 3])
        #expect(answer.parts.map(\.size) == [9, 8, 7])
        #expect(answer.parts.map { $0.checksums[.sha256] } == object.parts.map { $0.checksum?.base64 })
        #expect(store.server.violations == [])
    }

    @Test
    func `an object that was put has no parts; one that is missing, or may not be asked about, is an error`()
        async throws
    {
        let store = try Store()
        store.server.edit { $0.buckets["bucket"]?.objects[Array("k".utf8)] = FakeObject(content: [1, 2]) }
        let answer = try await store.use { try $0.objectAttributes(address("k")) }
        #expect(answer.partCount == nil && answer.parts.isEmpty && answer.size == 2)
        #expect(try await store.failure { _ = try $0.objectAttributes(address("none")) }?.status == 404)
        store.server.profile.denied = [.getAttributes]
        let error = try await store.failure { _ = try $0.objectAttributes(address("k")) }
        #expect(error?.operation.permission == "s3:GetObjectAttributes")
        store.server.profile.denied = []
        // The object itself instead of the answer, as from stores that do not support the operation.
        store.server.profile.knowsAttributes = false
        guard case .unreadable? = try await store.failure({ _ = try $0.objectAttributes(address("k")) })?.cause else {
            Issue.record("an object was read as its attributes")
            return
        }
    }

    @Test
    func `a list of parts that stands still is an error, not an endless loop`() async throws {
        let text = """
            <GetObjectAttributesResponse><ObjectParts><IsTruncated>true</IsTruncated>\
            <NextPartNumberMarker>1</NextPartNumberMarker></ObjectParts></GetObjectAttributesResponse>
            """
        let reply = FakeReply(200, body: Array(text.utf8))
        let store = try Store(faults: [.on(.getAttributes, times: 9, .custom { _ in reply })])
        #expect(try await store.failure { _ = try $0.objectAttributes(address("k")) } != nil)
        #expect(store.server.requests.count == 2)
    }

    @Test
    func `HEAD shows one part, where there is one`() async throws {
        let store = try Store()
        try await multipart(store)
        let second = try await store.use { try $0.headPart(address("k"), number: 2) }
        #expect(second?.size == 8 && second?.partCount == 3)
        #expect(second?.eTag == store.server.object(key: "k")?.eTag)
        #expect(try await store.use { try $0.headPart(address("k"), number: 4) } == nil)
        #expect(try await store.use { try $0.headPart(address("none"), number: 1) } == nil)
    }

    @Test
    func `HEAD tells who encrypts, and whether the ETag may still be an MD5`() async throws {
        let cases: [(String?, String, ObjectEncryption?, Bool?)] = [
            (nil, "", nil, nil),
            ("x-amz-server-side-encryption", "AES256", .store("AES256"), true),
            ("x-amz-server-side-encryption", "aws:kms", .store("aws:kms"), false),
            ("x-amz-server-side-encryption", "aws:kms:dsse", .store("aws:kms:dsse"), false),
            ("x-amz-server-side-encryption-customer-algorithm", "AES256", .customerKey, false),
        ]
        for (name, value, expected, keepsMD5) in cases {
            let reply = FakeReply(200, headers: name.map { [FakeHeader($0, value)] } ?? [])
            let store = try Store(faults: [.on(.headObject, .custom { _ in reply })])
            let head = try await store.use { try $0.headObject(address("k")) }
            #expect(head?.encryption == expected && head?.encryption?.keepsMD5 == keepsMD5)
        }
    }
}
