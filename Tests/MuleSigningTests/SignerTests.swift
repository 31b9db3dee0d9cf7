import MuleDigest
import MulePlan
import MuleSigning
import Testing

private let time = UTCTime(secondsSince1970: 1_795_218_960)
private let credentials = Credentials(accessKeyID: "AKID", secretAccessKey: "a secret")

private func request(
    path: String = "/bucket/key",
    query: [QueryItem] = [],
    headers: [(name: String, value: String)] = [],
    payload: PayloadHash = .unsigned
) -> SignableRequest {
    SignableRequest(
        method: "PUT",
        host: "127.0.0.1:9000",
        encodedPath: URIEncoding.path(path.utf8),
        query: query,
        headers: headers,
        payload: payload
    )
}

private func authorization(
    _ request: SignableRequest,
    by signer: Signer = Signer(region: "eu-central-1"),
    credentials: Credentials = credentials,
    at time: UTCTime = time
) -> String {
    signer.headers(for: request, credentials: credentials, at: time).last?.value ?? ""
}

@Suite struct SignerTests {
    @Test func `host, content-type, content-md5 and x-amz headers are signed, others are not`() {
        let headers = [
            (name: "Content-Type", value: "text/plain"), (name: "Content-MD5", value: "1B2M2Y8AsgTpgAmY7PhCfg=="),
            (name: "x-amz-meta-a", value: "b"), (name: "User-Agent", value: "mule"),
            (name: "Expect", value: "100-continue"), (name: "Content-Length", value: "4"),
            (name: "Accept-Encoding", value: "identity"), (name: "Connection", value: "keep-alive"),
        ]
        #expect(
            authorization(request(headers: headers)).contains(
                "SignedHeaders=content-md5;content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a,"
            )
        )
        #expect(authorization(request(headers: headers)) == authorization(request(headers: Array(headers.prefix(3)))))
    }

    @Test func `a session token is sent and signed`() {
        let temporary = Credentials(accessKeyID: "AKID", secretAccessKey: "a secret", sessionToken: "token/+=")
        let headers = Signer(region: "eu-central-1").headers(for: request(), credentials: temporary, at: time)
        #expect(headers.contains { $0.name == "x-amz-security-token" && $0.value == "token/+=" })
        #expect(headers.last?.value.contains("x-amz-date;x-amz-security-token,") == true)

        let renewed = Credentials(accessKeyID: "AKID", secretAccessKey: "a secret", sessionToken: "another")
        #expect(authorization(request(), credentials: renewed) != headers.last?.value)
    }

    @Test(arguments: [
        (PayloadHash.empty, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (.sha256(sha256("abc".utf8)), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (.unsigned, "UNSIGNED-PAYLOAD"),
    ])
    func `the payload's hash is sent as it is signed`(payload: PayloadHash, value: String) {
        let headers = Signer(region: "r").headers(for: request(payload: payload), credentials: credentials, at: time)
        #expect(headers.contains { $0.name == "x-amz-content-sha256" && $0.value == value })
    }

    @Test func `the hash of an empty payload is that of no bytes`() {
        #expect(PayloadHash.empty.headerValue == Hex.encode(sha256([])))
    }

    @Test func `each part of a request changes its signature`() {
        let base = request()
        var changed = [SignableRequest](repeating: base, count: 6)
        changed[0].method = "POST"
        changed[1].host = "127.0.0.1"
        changed[2].encodedPath = "/bucket/key/"
        changed[3].query = [QueryItem(name: "uploads")]
        changed[4].headers = [(name: "x-amz-acl", value: "private")]
        changed[5].payload = .empty
        let signatures = ([base] + changed).map { authorization($0) }
        #expect(Set(signatures).count == 7)
    }

    @Test func `the scope names the day, the region and the service`() {
        #expect(authorization(request()).contains("Credential=AKID/20261120/eu-central-1/s3/aws4_request,"))
    }

    @Test func `two spellings of an accent are two keys`() {
        let (composed, decomposed) = ("/bucket/\u{fc}", "/bucket/u\u{308}")
        #expect(request(path: composed).encodedPath == "/bucket/%C3%BC")
        #expect(request(path: decomposed).encodedPath == "/bucket/u%CC%88")
        #expect(authorization(request(path: composed)) != authorization(request(path: decomposed)))
    }

    @Test func `blanks at the ends of a value and runs of blanks do not count`() {
        let plain = authorization(request(headers: [(name: "x-amz-meta-a", value: "b c")]))
        #expect(authorization(request(headers: [(name: "X-Amz-Meta-A", value: "  b   c ")])) == plain)
        #expect(authorization(request(headers: [(name: "x-amz-meta-a", value: "bc")])) != plain)
    }

    @Test func `a presigned query keeps the request's own items and carries the token`() {
        let temporary = Credentials(accessKeyID: "AKID", secretAccessKey: "a secret", sessionToken: "to/ken")
        let part = request(query: [
            QueryItem(name: "uploadId", value: "2~a/b+c="), QueryItem(name: "partNumber", value: "7"),
        ])
        let query = Signer(region: "r").presignedQuery(for: part, credentials: temporary, at: time, expiresSeconds: 60)
        let names = query.split(separator: "&").map { $0.prefix { $0 != "=" } }
        #expect(
            names == [
                "uploadId", "partNumber", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
                "X-Amz-SignedHeaders", "X-Amz-Security-Token", "X-Amz-Signature",
            ]
        )
        #expect(query.contains("X-Amz-Security-Token=to%2Fken&"))
        #expect(query.hasPrefix("uploadId=2~a%2Fb%2Bc%3D&partNumber=7&X-Amz-Algorithm="))
    }

    @Test func `a presigned query signs the headers that must be sent with it`() {
        let typed = request(headers: [
            (name: "Content-Type", value: "text/plain"), (name: "Expect", value: "x"),
            (name: "If-None-Match", value: "*"),
        ])
        let query = Signer(region: "r").presignedQuery(
            for: typed,
            credentials: credentials,
            at: time,
            expiresSeconds: 1
        )
        #expect(query.contains("&X-Amz-SignedHeaders=content-type%3Bhost%3Bif-none-match&"))
    }

    @Test func `one signer serves many threads`() async {
        let signer = Signer(region: "eu-central-1")
        let expected = Set((0..<3).map { authorization(request(), at: time.adding(milliseconds: $0 * 86_400_000)) })
        let signed = await withTaskGroup(of: String.self) { group in
            for index in 0..<60 {
                let day = time.adding(milliseconds: Int64(index % 3) * 86_400_000)
                group.addTask { authorization(request(), by: signer, at: day) }
            }
            return await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(signed == expected)
    }
}

@Suite struct SigningKeyCacheTests {
    // "Deriving the signing key" of the AWS General Reference.
    @Test func `the derived key is the published one`() {
        let cache = SigningKeyCache(region: "us-east-1", service: "iam")
        let example = Credentials(
            accessKeyID: "AKIDEXAMPLE",
            secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
        )
        let key = Hex.encode(cache.key(for: example, date: "20150830"))
        #expect(key == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9")
        #expect(Hex.encode(cache.key(for: example, date: "20150830")) == key)
        #expect(cache.count == 1)
    }

    @Test func `another secret, key id or day gets its own key, also for the same access key`() {
        let cache = SigningKeyCache(region: "us-east-1", service: "s3")
        let first = cache.key(for: credentials, date: "20261120")
        let renewed = Credentials(accessKeyID: "AKID", secretAccessKey: "another secret")
        #expect(cache.key(for: renewed, date: "20261120") != first)
        #expect(cache.key(for: credentials, date: "20261121") != first)
        #expect(cache.key(for: credentials, date: "20261120") == first)
        #expect(cache.count == 3)
    }

    @Test func `secrets are told apart by bytes, not by canonical equivalence`() {
        let cache = SigningKeyCache(region: "us-east-1", service: "s3")
        let composed = Credentials(accessKeyID: "AKID", secretAccessKey: "\u{fc}")
        let decomposed = Credentials(accessKeyID: "AKID", secretAccessKey: "u\u{308}")
        #expect(composed != decomposed)
        #expect(cache.key(for: composed, date: "20261120") != cache.key(for: decomposed, date: "20261120"))
    }

    @Test func `the oldest key leaves when the cache is full`() {
        let cache = SigningKeyCache(region: "us-east-1", service: "s3", capacity: 4)
        let keys = (10..<30).map { cache.key(for: credentials, date: "202611\($0)") }
        #expect(cache.count == 4)
        #expect(Set(keys).count == 20)
        #expect(cache.key(for: credentials, date: "20261110") == keys[0])
    }
}
