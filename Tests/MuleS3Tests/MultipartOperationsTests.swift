import MuleDigest
import MulePlan
import MuleS3
import MuleTransport
import MuleXML
import TestSupport
import Testing

/// Keys that a careless encoder, normaliser or XML writer gets wrong.
let oddKeys = [
    "k", "a//b", "./x", "../x", "a+b", "a=b", "a@b:c", "sp ace", "\u{FC}", "u\u{308}", "%2F", "/lead", "trail/", "😀",
    "a&b<c>\"d'", "a?b#c", "a\tb\u{1}c", "q?uploadId=1&partNumber=2", "100%",
]

@Suite("Multipart operations")
struct MultipartOperationsTests {
    private let first = Payload("first part, ")
    private let last = Payload("and the last")

    private var whole: Checksum {
        CRCDigest.combine(first.checksum, last.checksum, secondLength: Int64(last.bytes.count))
    }

    private func send(
        _ payload: Payload,
        _ number: Int,
        to address: ObjectAddress,
        _ uploadID: String,
        _ connection: S3Connection
    ) throws -> StoredObject {
        try connection.uploadPart(
            address,
            uploadID: uploadID,
            number: number,
            body: .file(payload.slice(ScratchDirectory())),
            proof: payload.proof,
            transfer: BodyTransfer()
        )
    }

    @Test(arguments: oddKeys)
    func `an upload goes through from beginning to end, whatever the key`(key: String) async throws {
        let store = try Store()
        let (first, last, whole) = (first, last, whole)
        try await store.use { connection throws in
            let address = address(key)
            var attributes = ObjectAttributes()
            try attributes.set("x-amz-meta-mule-upload", "token")
            let upload = try connection.createMultipartUpload(address, attributes: attributes, checksum: .crc64nvme)
            #expect(upload.checksumAlgorithm == .crc64nvme)
            #expect(upload.checksumType == .fullObject)
            #expect(abs(connection.service.clockDifference) < 60_000)
            var parts: [CompletedPart] = []
            for (number, payload) in [(1, first), (2, last)] {
                let part = try send(payload, number, to: address, upload.uploadID, connection)
                #expect(part.checksums == [.crc64nvme: payload.checksum.base64])
                parts.append(CompletedPart(number: number, eTag: part.eTag ?? "", checksum: payload.checksum))
            }
            let listed = try connection.listParts(address, uploadID: upload.uploadID)
            #expect(listed.parts.map(\.eTag) == parts.map(\.eTag))
            #expect(try connection.listMultipartUploads(of: address).map(\.uploadID) == [upload.uploadID])

            var object = WholeObject()
            object.size = Int64(first.bytes.count + last.bytes.count)
            object.checksum = (.crc64nvme, .fullObject, whole.base64)
            let done = try connection.completeMultipartUpload(
                address,
                uploadID: upload.uploadID,
                parts: parts,
                whole: object
            )
            #expect(done.checksums == [.crc64nvme: whole.base64])
            #expect(done.checksumType == .fullObject)
            let head = try #require(try connection.headObject(address))
            #expect(head.object.eTag == done.eTag && done.eTag?.hasSuffix("-2") == true)
            #expect(head.object.checksums == done.checksums)
            #expect(head.size == object.size)
            #expect(head.metadata["mule-upload"] == "token")
        }
        #expect(store.server.object(key: key)?.bytes == first.bytes + last.bytes)
        #expect(store.server.keys() == [Array(key.utf8)])
        #expect(store.server.violations == [])
    }

    @Test
    func `Complete names parts in order, with quoted tags and checksums, and says what the whole must be`() async throws
    {
        let store = try Store(faults: [.on(.complete, .status(400, code: "InvalidPart"))])
        let (first, last) = (first, last)
        _ = try await store.failure { connection in
            let parts = [
                CompletedPart(number: 1, eTag: "a&<\"b", checksum: first.checksum),
                CompletedPart(number: 2, eTag: "c", checksum: nil),
            ]
            var whole = WholeObject()
            whole.size = 24
            whole.checksum = (.crc64nvme, .fullObject, last.checksum.base64)
            whole.onlyIfAbsent = true
            _ = try connection.completeMultipartUpload(address("k"), uploadID: "u+/=", parts: parts, whole: whole)
        }
        let request = try #require(store.server.requests(.complete).first)
        #expect(request.uploadID == "u+/=")
        #expect(request.header("content-type") == "application/xml")
        #expect(request.header("x-amz-mp-object-size") == "24")
        #expect(request.header("x-amz-checksum-crc64nvme") == last.checksum.base64)
        #expect(request.header("x-amz-checksum-type") == "FULL_OBJECT")
        #expect(request.header("if-none-match") == "*")
        let document = try XMLReader.parse(request.document)
        let parts = document.all("Part")
        #expect(document.name == "CompleteMultipartUpload")
        #expect(parts.map { $0.value("PartNumber") } == ["1", "2"])
        #expect(parts.map { $0.value("ETag") } == ["\"a&<\"b\"", "\"c\""])
        #expect(parts.map { $0.value("ChecksumCRC64NVME") } == [first.checksum.base64, nil])
    }

    @Test
    func `without a checksum nothing is said of one`() async throws {
        let store = try Store()
        try await store.use { connection throws in
            let upload = try connection.createMultipartUpload(
                address("k"),
                attributes: ObjectAttributes(),
                checksum: nil
            )
            #expect(upload.checksumAlgorithm == nil && upload.checksumType == nil)
        }
        let request = store.server.requests[0]
        #expect(!request.headers.contains { $0.name.lowercased().hasPrefix("x-amz-checksum") })
    }

    @Test
    func `Create tells when a lifecycle rule will end the upload`() async throws {
        var profile = FakeProfile.aws()
        profile.abortDate = "Fri, 27 Nov 2026 00:00:00 GMT"
        let store = try Store(profile)
        let date = try await store.use { connection in
            try connection.createMultipartUpload(address("k"), attributes: ObjectAttributes(), checksum: nil).abortDate
        }
        #expect(date == "Fri, 27 Nov 2026 00:00:00 GMT")
    }

    @Test
    func `Abort removes the upload, and says so when there is none`() async throws {
        let store = try Store()
        let error = try await store.failure { connection throws in
            let upload = try connection.createMultipartUpload(
                address("k"),
                attributes: ObjectAttributes(),
                checksum: nil
            )
            try connection.abortMultipartUpload(address("k"), uploadID: upload.uploadID)
            try connection.abortMultipartUpload(address("k"), uploadID: upload.uploadID)
        }
        #expect(error?.operation == .abortMultipartUpload)
        #expect(error?.code == "NoSuchUpload" && error?.status == 404)
        #expect(error?.retryClass == .reconcile)
        #expect(store.server.uploads.isEmpty)
    }

    @Test
    func `a damaged part is the store's BadDigest`() async throws {
        let store = try Store(faults: [.on(.uploadPart, .flipBit)])
        let first = first
        let error = try await store.failure { connection throws in
            let upload = try connection.createMultipartUpload(
                address("k"),
                attributes: ObjectAttributes(),
                checksum: .crc64nvme
            )
            _ = try send(first, 1, to: address("k"), upload.uploadID, connection)
        }
        #expect(error?.retryClass == .damaged)
        #expect(error?.part == 1)
    }
}

@Suite("Answers to CompleteMultipartUpload")
struct CompleteAnswerTests {
    /// What Complete of a one-part upload ends with.
    private func complete(_ fault: Fault.Action) async throws -> (answer: StoredObject?, error: S3Error?, Store) {
        let store = try Store(faults: [.on(.complete, fault)])
        let outcome = try await store.use { connection in
            let payload = Payload("part")
            let address = address("k")
            let upload = try connection.createMultipartUpload(
                address,
                attributes: ObjectAttributes(),
                checksum: .crc64nvme
            )
            let part = try connection.uploadPart(
                address,
                uploadID: upload.uploadID,
                number: 1,
                body: .file(payload.slice(ScratchDirectory())),
                proof: payload.proof,
                transfer: BodyTransfer()
            )
            let parts = [CompletedPart(number: 1, eTag: part.eTag ?? "", checksum: payload.checksum)]
            return Result { () throws(S3Error) in
                try connection.completeMultipartUpload(
                    address,
                    uploadID: upload.uploadID,
                    parts: parts,
                    whole: WholeObject()
                )
            }
        }
        switch outcome {
        case .success(let answer): return (answer, nil, store)
        case .failure(let error): return (nil, error, store)
        }
    }

    @Test
    func `white space before the result is life, not an answer`() async throws {
        let outcome = try await complete(.whitespaceThenResult(seconds: 0.2))
        #expect(outcome.answer?.eTag?.hasSuffix("-1") == true)
    }

    @Test(arguments: ["InternalError", "SlowDown", "AccessDenied"])
    func `an error inside a 200 is an error, with its code`(code: String) async throws {
        let outcome = try await complete(.respond200ThenError(code: code))
        #expect(outcome.error?.code == code)
        #expect(outcome.error?.status == 200)
        let expected: [String: RetryClass] = ["InternalError": .transient, "SlowDown": .throttled]
        #expect(outcome.error?.retryClass == expected[code] ?? .fatal)
    }

    @Test
    func `an empty, cut or foreign document is no success, even when the object is there`() async throws {
        let foreign = FakeReply(200, body: Array("<html><body>Welcome</body></html>".utf8))
        for fault in [Fault.Action.emptyBody200(), .truncatedXML, .custom { _ in foreign }] {
            let outcome = try await complete(fault)
            guard case .unreadable(status: 200, _) = outcome.error?.cause else {
                Issue.record("\(String(describing: outcome.error)) \(String(describing: outcome.answer))")
                continue
            }
            #expect(outcome.error?.retryClass == .transient)
        }
    }

    @Test
    func `a connection that closes instead of answering, or inside the answer, leaves it open what happened`()
        async throws
    {
        for (fault, began) in [(Fault.Action.closeAfterProcessing, false), (.closeInAnswer, true)] {
            let outcome = try await complete(fault)
            guard case .transport(.network(let failure)) = outcome.error?.cause, failure.answered == began else {
                Issue.record("\(String(describing: outcome.error))")
                continue
            }
            #expect(outcome.error?.retryClass == .transient)
            #expect(outcome.2.server.object(key: "k") != nil)
        }
    }

    @Test
    func `a result without an ETag has none`() async throws {
        let outcome = try await complete(.emptyETag)
        #expect(outcome.error == nil)
        #expect(outcome.answer != nil && outcome.answer?.eTag == nil)
    }
}
