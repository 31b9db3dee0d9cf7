import MuleDigest
import MulePlan
import MuleS3
import MuleTransport
import TestSupport
import Testing

@Suite("Object operations")
struct ObjectOperationsTests {
    @Test(arguments: oddKeys)
    func `an object is put with its attributes, and HEAD tells of them`(key: String) async throws {
        let store = try Store()
        let payload = Payload("content")
        try await store.use { connection throws in
            var attributes = ObjectAttributes()
            try attributes.set("Content-Type", "text/plain")
            try attributes.set("x-amz-meta-colour", "blue, or  not")
            let put = try connection.putObject(
                address(key),
                body: payload.body,
                proof: payload.proof,
                attributes: attributes,
                onlyIfAbsent: true
            )
            #expect(put.checksums == [.crc64nvme: payload.checksum.base64])
            let head = try #require(try connection.headObject(address(key)))
            #expect(head.object.eTag == put.eTag && put.eTag?.utf8.count == 32)
            #expect(head.object.checksums == put.checksums)
            #expect(head.object.checksumType == .fullObject)
            #expect(head.size == 7)
            #expect(head.metadata == ["colour": "blue, or  not"])
            #expect(head.lastModified != nil)
        }
        #expect(store.server.object(key: key)?.bytes == payload.bytes)
        #expect(store.server.object(key: key)?.attributes.contentType == "text/plain")
        #expect(store.server.violations == [])
    }

    @Test
    func `an object of no bytes is put`() async throws {
        let store = try Store()
        let payload = Payload("")
        let put = try await store.use { connection in
            try connection.putObject(
                address("k"),
                body: payload.body,
                proof: payload.proof,
                attributes: ObjectAttributes(),
                onlyIfAbsent: false
            )
        }
        #expect(put.eTag == "d41d8cd98f00b204e9800998ecf8427e")
        #expect(store.server.object(key: "k")?.bytes == [])
    }

    @Test
    func `Content-MD5 is sent, and believed only when it is right`() async throws {
        let store = try Store()
        let payload = Payload("content")
        let md5 = try #require(Hex.decode("9a0364b9e99bb480dd25e1f0284c8555"))
        for (digest, code) in [(md5, nil), (md5.reversed(), "BadDigest")] as [([UInt8], String?)] {
            let error = try await store.failure { connection in
                var proof = payload.unchecked
                proof.md5 = digest
                _ = try connection.putObject(
                    address("k"),
                    body: payload.body,
                    proof: proof,
                    attributes: ObjectAttributes(),
                    onlyIfAbsent: false
                )
            }
            #expect(error?.code == code)
        }
    }

    @Test
    func `an object that must be absent and is not is a failed condition`() async throws {
        let store = try Store()
        store.server.edit { $0.buckets["bucket"]?.objects[Array("k".utf8)] = FakeObject(content: [1]) }
        let payload = Payload("content")
        let error = try await store.failure { connection in
            _ = try connection.putObject(
                address("k"),
                body: payload.body,
                proof: payload.proof,
                attributes: ObjectAttributes(),
                onlyIfAbsent: true
            )
        }
        #expect(error?.code == "PreconditionFailed" && error?.status == 412 && error?.retryClass == .reconcile)
        #expect(store.server.object(key: "k")?.bytes == [1])
    }

    @Test
    func `a missing object is nil, one that may not be looked at is an error`() async throws {
        let store = try Store(faults: [.on(.headObject, key: "secret", .status(403, code: ""))])
        #expect(try await store.use { try $0.headObject(address("none")) == nil })
        let error = try await store.failure { _ = try $0.headObject(address("secret")) }
        #expect(error?.status == 403 && error?.code == "Forbidden" && error?.retryClass == .fatal)
        #expect(error?.operation.permission == "s3:GetObject")
    }

    @Test(arguments: [400, 501])
    func `a store that refuses to be asked for checksums is asked without`(status: Int) async throws {
        let store = try Store(
            faults: [
                .on(
                    .headObject,
                    times: 9,
                    where: { $0.header("x-amz-checksum-mode") != nil },
                    .status(status, code: "")
                )
            ]
        )
        store.server.edit { $0.buckets["bucket"]?.objects[Array("k".utf8)] = FakeObject(content: [1, 2]) }
        #expect(try await store.use { try $0.headObject(address("k"))?.size } == 2)
        #expect(try await store.use { try $0.headObject(address("none")) == nil })
        #expect(store.server.requests.map(\.status) == [status, 200, status, 404])
    }

    @Test
    func `a bucket is there, is not, or is somewhere else`() async throws {
        let store = try Store()
        try await store.use { try $0.headBucket("bucket") }
        let missing = try await store.failure { try $0.headBucket("none") }
        #expect(missing?.code == "NoSuchBucket" && missing?.status == 404)
        store.server.add(.on(.headBucket, .redirect(status: 301, region: "us-east-1")))
        let elsewhere = try await store.failure { try $0.headBucket("bucket") }
        #expect(elsewhere?.retryClass == .redirected && elsewhere?.region == "us-east-1")
    }

    @Test(arguments: ["\"e\"", "e", "W/\"e\"", "&quot;e&quot;", " \"e\" "]
    )
    func `tags come without quotes, however the store writes them`(text: String) async throws {
        let reply = FakeReply(200, headers: [FakeHeader("ETag", text)])
        let store = try Store(faults: [.on(.headObject, .custom { _ in reply })])
        #expect(try await store.use { try $0.headObject(address("k"))?.object.eTag } == "e")
    }

    @Test(arguments: ["", "\"\"", " "])
    func `an empty tag is none`(text: String) async throws {
        let reply = FakeReply(200, headers: [FakeHeader("ETag", text)])
        let store = try Store(faults: [.on(.headObject, .custom { _ in reply })])
        #expect(try await store.use { try $0.headObject(address("k"))?.object.eTag } == nil)
    }
}
