import MuleDigest
import MulePlan
import MuleSigning
import MuleSystem
import MuleTransport
import TestSupport
import Testing

@testable import MuleS3

@Suite("S3 connection")
struct ConnectionTests {
    private func put(_ connection: S3Connection, _ payload: Payload, transfer: BodyTransfer = BodyTransfer()) throws {
        _ = try connection.putObject(
            address("k"),
            body: payload.body,
            proof: payload.proof,
            attributes: ObjectAttributes(),
            onlyIfAbsent: false,
            transfer: transfer
        )
    }

    @Test(arguments: [3600, -3600]
    )
    func `a clock that is off is put right by the store's own, once for all requests, even if HEAD has no words for it`(
        seconds: Int
    ) async throws {
        var profile = FakeProfile.aws()
        profile.clockOffsetSeconds = seconds
        let store = try Store(profile)
        try await store.use { connection throws in
            try connection.headBucket("bucket")
            try connection.headBucket("bucket")
        }
        #expect(store.server.requests.map(\.status) == [403, 200, 200])
        let offset = store.service.now().millisecondsSince1970 - wallClockMilliseconds()
        #expect(abs(offset - Int64(seconds) * 1000) < 3000)
    }

    @Test
    func `a document that names the store's time is enough to put the clock right`() async throws {
        var profile = FakeProfile.aws()
        profile.clockOffsetSeconds = 7200
        let store = try Store(profile)
        #expect(try await store.use { try $0.listMultipartUploads(of: address("k")).isEmpty })
        #expect(store.server.requests.map(\.errorCode) == ["RequestTimeTooSkewed", nil])
    }

    @Test
    func `a refusal without a reason is one, when the clocks agree`() async throws {
        let store = try Store(faults: [.on(.headBucket, times: 9, .status(403, code: ""))])
        let error = try await store.failure { try $0.headBucket("bucket") }
        #expect(error?.code == "Forbidden" && error?.retryClass == .fatal)
        #expect(store.server.requests.count == 1)
    }

    @Test
    func `a store that stays unhappy with the clock is asked twice, no more`() async throws {
        let store = try Store(faults: [.on(.listUploads, times: 9, .status(403, code: "RequestTimeTooSkewed"))])
        let error = try await store.failure { _ = try $0.listMultipartUploads(of: address("k")) }
        #expect(error?.retryClass == .clock)
        #expect(store.server.requests.count == 2)
    }

    @Test
    func `a large body waits for leave until the connection is proven, a small one never`() async throws {
        let store = try Store()
        let large = Payload([UInt8](repeating: 1, count: 1 << 20))
        try await store.use { connection throws in
            try put(connection, Payload("small"))
        }
        try await store.use { connection throws in
            try put(connection, large)
            try put(connection, large)
        }
        #expect(store.server.requests.map { $0.header("expect") } == [nil, "100-continue", nil])
    }

    @Test
    func `a refusal before the body costs no body`() async throws {
        let store = try Store(faults: [.on(.putObject, .earlyStatus(403, code: "AccessDenied"))])
        let error = try await store.failure { connection in
            try put(connection, Payload([UInt8](repeating: 1, count: 4 << 20)))
        }
        #expect(error?.code == "AccessDenied")
        #expect(store.server.payloadBytesReceived == 0)
    }

    @Test
    func `a way that refuses the expectation is not asked for it again`() async throws {
        let store = try Store(faults: [.on(.putObject, times: 9, .expectationFailed)])
        let large = Payload([UInt8](repeating: 1, count: 1 << 20))
        for _ in 1...2 {
            try await store.use { connection throws in try put(connection, large) }
        }
        #expect(store.server.requests.map(\.status).filter { $0 == 200 }.count == 2)
        #expect(store.server.requests.last?.header("expect") == nil)
        #expect(store.server.requests.filter { $0.status == 417 }.count <= 2)
        #expect(store.server.payloadBytesReceived == 2 << 20)
    }

    @Test
    func `a way that swallows the expectation is not asked for it again`() async throws {
        let store = try Store(faults: [.on(.putObject, times: 9, .no100Continue)])
        let large = Payload([UInt8](repeating: 1, count: 1 << 20))
        for _ in 1...2 {
            try await store.use { connection throws in try put(connection, large) }
        }
        #expect(store.server.requests.map { $0.header("expect") } == ["100-continue", nil])
    }

    @Test
    func `all bytes of a body are counted and seen`() async throws {
        let store = try Store()
        let sent = Monitor(Int64(0))
        try await store.use { connection throws in
            var transfer = BodyTransfer()
            transfer.onSent = { count in sent.withLock { $0 += count } }
            try put(connection, Payload([UInt8](repeating: 1, count: 300_000)), transfer: transfer)
        }
        #expect(sent.withLock { $0 } == 300_000)
    }

    @Test
    func `without credentials nothing is sent, and the reason is told`() async throws {
        struct Nobody: CredentialsProvider {
            func credentials() throws(CredentialsUnavailable) -> Credentials {
                throw CredentialsUnavailable(reason: "none found")
            }
        }
        let store = try Store(provider: Nobody())
        let error = try await store.failure { try $0.headBucket("bucket") }
        guard case .noCredentials(.init(reason: "none found")) = error?.cause else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(error?.retryClass == .credentials)
        #expect(store.server.requests.isEmpty)
    }

    @Test
    func `keys that the store does not know, or a wrong secret, are a matter of credentials`() async throws {
        let known = FakeCredentials()
        for (keyID, secret, code) in [
            ("AKIASTRANGER", known.secretKey, "InvalidAccessKeyId"),
            (known.accessKey, "wrong", "SignatureDoesNotMatch"),
        ] {
            let credentials = Credentials(accessKeyID: keyID, secretAccessKey: secret)
            let store = try Store(provider: FixedCredentials(credentials))
            let error = try await store.failure { _ = try $0.listMultipartUploads(of: address("k")) }
            #expect(error?.code == code && error?.retryClass == .credentials)
        }
    }

    @Test
    func `temporary credentials bring their token along, signed`() async throws {
        let known = FakeCredentials(sessionToken: "tok+en/=")
        let store = try Store(
            provider: FixedCredentials(
                Credentials(accessKeyID: known.accessKey, secretAccessKey: known.secretKey, sessionToken: "tok+en/=")
            )
        )
        store.server.accept([known])
        try await store.use { try $0.headBucket("bucket") }
        #expect(store.server.requests[0].header("x-amz-security-token") == "tok+en/=")
        #expect(store.server.violations == [])
    }

    @Test
    func `a token that would break out of its header is never sent`() async throws {
        let credentials = Credentials(accessKeyID: "a", secretAccessKey: "s", sessionToken: "t\r\nx-evil: 1")
        let store = try Store(provider: FixedCredentials(credentials))
        let error = try await store.failure { try $0.headBucket("bucket") }
        guard case .transport(.unusable) = error?.cause else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(store.server.requests.isEmpty)
    }

    @Test
    func `no one waits longer than the run's stall limit`() async throws {
        let store = try Store(faults: [.on(.headBucket, .stall)], patience: 1)
        let error = try await store.failure { try $0.headBucket("bucket") }
        guard case .transport(let failure) = error?.cause, case .stalled(let seconds) = failure.network?.reason else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(seconds < 30, "not the two minutes that an answer may take")
    }

    @Test
    func `a cancelled request is neither failed nor tried again`() async throws {
        let cancellation = Cancellation()
        let store = try Store(
            faults: [.on(.headBucket, .run(.beforeProcessing) { _ in cancellation.cancel() }, .stall)],
            cancellation: cancellation
        )
        let error = try await store.failure { try $0.headBucket("bucket") }
        #expect(error?.retryClass == .cancelled)
        #expect(store.server.requests.count == 1)
    }

    @Test
    func `a refused request leaves the connection of use`() async throws {
        let store = try Store()
        try await store.use { connection throws in
            #expect(throws: S3Error.self) { try connection.headBucket("none") }
            try put(connection, Payload("x"))
            #expect(throws: S3Error.self) { try connection.abortMultipartUpload(address("k"), uploadID: "none") }
            try connection.headBucket("bucket")
        }
        #expect(store.server.connectionsAccepted == 1)
    }

    @Test
    func `the log names operation, object and outcome, and no secret`() async throws {
        let store = try Store()
        try await store.use { connection throws in try put(connection, Payload("x")) }
        let lines = store.logged.withLock { $0 }
        #expect(lines.count == 1 && lines[0].hasPrefix("PutObject bucket/k: 200 in "))
        #expect(!lines[0].contains(store.server.credentials.secretKey))
        #expect(!lines[0].lowercased().contains("signature"))
    }
}

@Suite("S3 errors")
struct S3ErrorTests {
    private func error(_ action: Fault.Action) async throws -> S3Error? {
        let store = try Store(faults: [.on(.listUploads, action)])
        return try await store.failure { _ = try $0.listMultipartUploads(of: address("k")) }
    }

    @Test
    func `the evidence is kept: status, code, message, request ID`() async throws {
        let store = try Store(faults: [
            .on(.listUploads, .status(400, code: "InvalidArgument", message: "No <way> & no"))
        ])
        let error = try await store.failure { _ = try $0.listMultipartUploads(of: address("k")) }
        guard case .answer(400, "InvalidArgument", "No <way> & no") = error?.cause else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(error?.requestID == store.server.requests[0].requestID)
        #expect(error?.bucket == "bucket")
        #expect(error?.retryAfter == nil)
    }

    @Test
    func `the wait that a store asks for is in seconds, its own header in milliseconds comes first`() async throws {
        #expect(try await error(.status(503, code: "SlowDown", retryAfter: 7))?.retryAfter == 7)
        let headers = [FakeHeader("x-amz-retry-after", "1500")]
        #expect(try await error(.status(503, code: "SlowDown", retryAfter: 7, headers: headers))?.retryAfter == 1.5)
        let date = [FakeHeader("Retry-After", "Fri, 27 Nov 2026 00:00:00 GMT")]
        #expect(try await error(.status(503, code: "SlowDown", headers: date))?.retryAfter == nil, "it has passed")
        let later = [FakeHeader("Retry-After", "Fri, 01 Jan 2100 00:00:00 GMT")]
        #expect(try await error(.status(503, code: "SlowDown", headers: later))?.retryAfter == 86_400)
    }

    @Test
    func `metadata beyond ASCII travels in encoded words, which every store signs alike`() async throws {
        let text = "Voilà, " + String(repeating: "ein längerer Text mit Umlauten äöü ", count: 4)
        let header = MetadataText.header("x-amz-meta-note", text)
        #expect(header.utf8.allSatisfy { $0 < 0x80 })
        let words = header.split(separator: " ")
        #expect(words.count > 1 && words.allSatisfy { $0.utf8.count <= 75 })
        let decoded = words.flatMap { word in
            Base64.decode(String(word.dropFirst("=?UTF-8?B?".count).dropLast(2))) ?? []
        }
        #expect(String(validating: decoded, as: UTF8.self) == text)
        #expect(MetadataText.header("x-amz-meta-note", "Voilà") == "=?UTF-8?B?Vm9pbMOg?=")
        #expect(MetadataText.header("x-amz-meta-note", "plain") == "plain")
        #expect(MetadataText.header("cache-control", "à") == "à")
    }

    @Test(
        arguments: [
            (500, "HTTP500", RetryClass.transient), (502, "HTTP502", .transient), (504, "HTTP504", .transient),
            (503, "ServiceUnavailable", .throttled), (429, "HTTP429", .throttled), (403, "Forbidden", .fatal),
            (404, "NoSuchBucket", .fatal), (407, "HTTP407", .fatal), (501, "NotImplemented", .unsupported),
            (301, "PermanentRedirect", .redirected), (307, "TemporaryRedirect", .redirected),
            (302, "TemporaryRedirect", .redirected), (303, "TemporaryRedirect", .redirected),
        ] as [(Int, String, RetryClass)]
    )
    func `an answer of something in between, in HTML or not at all, goes by its status`(
        status: Int,
        code: String,
        kind: RetryClass
    ) async throws {
        for body in ["<html><body><br>Bad gateway</body></html>", "<html><h1>Error</h1></html>", "", "oops"] {
            let error = try await error(.custom { _ in FakeReply(status, body: Array(body.utf8)) })
            #expect(error?.status == status && error?.code == code && error?.retryClass == kind, "\(body)")
        }
    }

    @Test
    func `the right region is found in the header or in the document`() async throws {
        // Where the request was made already, so that there is nowhere to follow to.
        #expect(try await error(.redirect(status: 301, region: "us-east-1"))?.region == "us-east-1")
        let text = """
            <Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message><Region>us-east-1</Region>\
            <RequestId>R1</RequestId></Error>
            """
        let error = try await error(.custom { _ in FakeReply(400, body: Array(text.utf8)) })
        #expect(error?.region == "us-east-1" && error?.retryClass == .redirected)
        #expect(try await self.error(.status(500, code: "InternalError"))?.region == nil)
    }

    @Test
    func `a 404 without a document is only as telling as its operation`() async throws {
        let store = try Store(faults: [.on(nil, times: 9, .custom { _ in FakeReply(404) })])
        let listed = try await store.failure { _ = try $0.listParts(address("k"), uploadID: "u") }
        #expect(listed?.code == "NotFound" && listed?.retryClass == .fatal)
        let bucket = try await store.failure { try $0.headBucket("bucket") }
        #expect(bucket?.code == "NoSuchBucket")
    }

    @Test(
        arguments: [(0.3, 1.0), (24, 8), (900, 300), (.infinity, 300)] as [(Double, Double)]
    )
    func `no answer and no stage of a connection is awaited longer than a third of the patience`(
        patience: Double,
        expected: Double
    ) throws {
        #expect(try Store(patience: patience).service.longestWait == expected)
    }

    @Test(arguments: ["Voilà", "=?UTF-8?B?w6A=?="]
    )
    func `a refused signature names the headers that stores may sign in another way`(value: String) async throws {
        let store = try Store(faults: [.on(nil, times: 9, .status(403, code: "SignatureDoesNotMatch"))])
        let error = try await store.failure { connection in
            var attributes = ObjectAttributes()
            try attributes.set("x-amz-meta-note", value)
            try attributes.set("x-amz-meta-plain", "= ?")
            _ = try connection.createMultipartUpload(address("k"), attributes: attributes, checksum: nil)
        }
        #expect(error?.doubtfulHeaders == ["x-amz-meta-note"])
    }

    @Test
    func `every operation has a permission`() {
        #expect(S3Operation.completeMultipartUpload.permission == "s3:PutObject")
        #expect(S3Operation.abortMultipartUpload.permission == "s3:AbortMultipartUpload")
        #expect(S3Operation.listMultipartUploads.permission == "s3:ListBucketMultipartUploads")
        #expect(S3Operation.headBucket.permission == "s3:ListBucket")
    }
}
