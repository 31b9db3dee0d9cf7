import MuleDigest
import MulePlan
import MuleSigning
import Testing

@testable import TestSupport

/// The verifier against AWS's published examples ("Signature Calculations for the Authorization Header" and
/// "Authenticating Requests: Using Query Parameters", Amazon S3 API Reference), and against mule's own signer.
@Suite struct SignatureCheckTests {
    static let emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    static let scope = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"

    struct Example: Sendable {
        var line: String
        var signedHeaders = "host;x-amz-content-sha256;x-amz-date"
        var extra: [String] = []
        var hash = emptyHash
        var signature: String

        func head(_ change: (inout String) -> Void = { _ in }) throws -> RequestHead {
            var text = "\(line) HTTP/1.1\r\nHost: examplebucket.s3.amazonaws.com\r\n"
            for header in extra { text += "\(header)\r\n" }
            text += "x-amz-content-sha256: \(hash)\r\nx-amz-date: 20130524T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 "
            text += "Credential=\(scope),SignedHeaders=\(signedHeaders),Signature=\(signature)\r\n"
            change(&text)
            return try #require(RequestHead(Array(text.utf8)[...]))
        }
    }

    static let examples = [
        Example(
            line: "GET /test.txt",
            signedHeaders: "host;range;x-amz-content-sha256;x-amz-date",
            extra: ["Range: bytes=0-9"],
            signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        ),
        Example(
            line: "PUT /test%24file.text",
            signedHeaders: "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            extra: ["Date: Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class:   REDUCED_REDUNDANCY  "],
            hash: "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        ),
        Example(
            line: "GET /?lifecycle",
            signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        ),
        Example(
            line: "GET /?max-keys=2&prefix=J",
            signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        ),
    ]

    static func check(now: Int64 = 1_369_353_600, region: String = "us-east-1") -> SignatureCheck {
        let key = FakeCredentials(
            accessKey: "AKIAIOSFODNN7EXAMPLE",
            secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
        )
        return SignatureCheck(credentials: [key], region: region, now: now)
    }

    @Test(arguments: examples.indices)
    func `published example passes`(index: Int) throws {
        let outcome = try Self.check().check(Self.examples[index].head())
        #expect(outcome.violations.isEmpty)
        #expect(outcome.payloadHash.map(Hex.encode) == Self.examples[index].hash)
    }

    @Test(arguments: examples.indices)
    func `published example with one changed digit fails`(index: Int) throws {
        var example = Self.examples[index]
        example.signature = String(example.signature.reversed())
        #expect(refusal(try example.head()) == "SignatureDoesNotMatch")
    }

    @Test func `published presigned example passes until it expires`() throws {
        let query =
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3"
            + "%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
            + "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        let text = "GET /test.txt?\(query) HTTP/1.1\r\nHost: examplebucket.s3.amazonaws.com\r\n"
        let head = try #require(RequestHead(Array(text.utf8)[...]))
        #expect(try Self.check().check(head).isUnsignedPayload)
        #expect(refusal(head, Self.check(now: 1_369_353_600 + 86_401)) == "AccessDenied")
        let longer = try #require(
            RequestHead(Array(text.replacing("Expires=86400", with: "Expires=86401").utf8)[...])
        )
        #expect(refusal(longer) == "SignatureDoesNotMatch")
    }

    @Test func `every kind of refusal has its code`() throws {
        let example = Self.examples[0]
        #expect(
            refusal(try example.head { $0 = $0.replacing("AKIAIOSFODNN7EXAMPLE", with: "AKIAOTHER") })
                == "InvalidAccessKeyId"
        )
        #expect(refusal(try example.head(), Self.check(now: 1_369_353_600 + 901)) == "RequestTimeTooSkewed")
        #expect(refusal(try example.head(), Self.check(now: 1_369_353_600 - 901)) == "RequestTimeTooSkewed")
        #expect(refusal(try example.head(), Self.check(region: "eu-west-1")) == "AuthorizationHeaderMalformed")
        #expect(refusal(try example.head { $0 += "x-amz-meta-a: b\r\n" }) == "AccessDenied")
        #expect(refusal(try example.head { $0 += "x-amz-security-token: t\r\n" }) == "InvalidToken")
        #expect(
            refusal(try example.head { $0 = $0.replacing("bytes=0-9", with: "bytes=0-8") }) == "SignatureDoesNotMatch"
        )
        #expect(
            refusal(try example.head { $0 = $0.replacing("x-amz-content-sha256: ", with: "x-other: ") })
                == "InvalidRequest"
        )
    }

    private func refusal(_ head: RequestHead, _ check: SignatureCheck = check()) -> String? {
        do throws(StoreError) {
            _ = try check.check(head)
            return nil
        } catch {
            return error.code
        }
    }

    @Test(
        arguments: [
            "plain", "a//b", "./x", "../x", "a+b", "a=b", "a@b:c", "sp ace", "\u{FC}", "u\u{308}", "%2F", "/lead",
            "trail/",
            "\u{1F434}", "a&b?c#d", "quote\"'<>",
        ]
    )
    func `signatures of mule are understood`(key: String) throws {
        let server = FakeS3(.aws(), credentials: [FakeCredentials(sessionToken: "to/ken+==")])
        let client = RawClient(server)
        let credentials = Credentials(
            accessKeyID: server.credentials.accessKey,
            secretAccessKey: server.credentials.secretKey,
            sessionToken: "to/ken+=="
        )
        let now = UTCTime(secondsSince1970: StoreClock.now)
        let body = Array(key.utf8)
        let path = "/bucket/" + URIEncoding.path(key.utf8)
        let put = SignableRequest(
            method: "PUT",
            host: "127.0.0.1",
            encodedPath: path,
            headers: [(name: "Content-Type", value: "text/plain"), (name: "x-amz-meta-a", value: " b   c ")],
            payload: .sha256(sha256(body))
        )
        let signer = Signer(region: "us-east-1")
        let signed = signer.headers(for: put, credentials: credentials, at: now) + put.headers
        let headers = Dictionary(signed.map { ($0.name, $0.value) }) { first, _ in first }
        #expect(client.request("PUT", path, headers, body: body)?.status == 200)
        #expect(server.object(key: key)?.bytes == body)

        let get = SignableRequest(
            method: "GET",
            host: "127.0.0.1",
            encodedPath: path,
            query: [QueryItem(name: "x", value: "a+b/c=&"), QueryItem(name: "empty", value: "")],
            payload: .unsigned
        )
        let query = signer.presignedQuery(for: get, credentials: credentials, at: now, expiresSeconds: 60)
        #expect(client.request("GET", "\(path)?\(query)")?.body == body)
        #expect(server.violations.isEmpty)
    }

    @Test func `curl signs and the server understands`() throws {
        let server = FakeS3()
        let home = ScratchDirectory()
        let file = try home.writeRandom("file", count: 3 << 20, seed: 7)
        let outcome = try TestCommand(
            "/usr/bin/curl",
            [
                "-sS", "--fail-with-body", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user",
                "\(server.credentials.accessKey):\(server.credentials.secretKey)", "-H",
                "x-amz-content-sha256: UNSIGNED-PAYLOAD", "-T", file, "\(server.endpoint)/bucket/key",
            ],
            home: home.path
        ).run()
        #expect(outcome.exitCode == 0, "\(outcome.out)\(outcome.err)")
        #expect(try server.object(key: "key")?.equals(file: file) == true)
        #expect(server.unsignedPayloads == 1)
    }

    @Test func `mistakes of a signer are violations`() throws {
        let server = FakeS3()
        let example = Self.examples[0]
        let client = RawClient(server)
        var text = "GET /bucket/k HTTP/1.1\r\nHost: x\r\nx-amz-date: \(Self.now)\r\n"
        let scope = "\(server.credentials.accessKey)/\(Self.now.prefix(8))/us-east-1/s3/aws4_request"
        text += "Authorization: AWS4-HMAC-SHA256 Credential=\(scope), SignedHeaders=host;user-agent;x-amz-date, "
        client.send(Array((text + "Signature=\(example.signature)\r\n\r\n").utf8))
        #expect(client.answer()?.code == "InvalidRequest")
        text = text.replacing("Host: x\r\n", with: "Host: x\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n")
        client.send(Array((text + "Signature=\(example.signature)\r\n\r\n").utf8))
        #expect(client.answer()?.xml?.child("HeadersNotSigned")?.text == "x-amz-content-sha256")
        #expect(server.violations.count == 2)
    }

    private static var now: String { UTCTime(secondsSince1970: StoreClock.now).basic }

    @Test func `unsigned requests are denied by default`() {
        let server = FakeS3()
        let answer = RawClient(server).request("PUT", "/bucket/k", body: [1])
        #expect(answer?.status == 403)
        #expect(answer?.code == "AccessDenied")
    }

    @Test func `wrong payload hash is found out`() {
        let bench = Bench()
        let now = UTCTime(secondsSince1970: StoreClock.now)
        let request = SignableRequest(
            method: "PUT",
            host: "127.0.0.1",
            encodedPath: "/bucket/k",
            payload: .sha256(sha256([1]))
        )
        let credentials = Credentials(
            accessKeyID: bench.server.credentials.accessKey,
            secretAccessKey: bench.server.credentials.secretKey,
            sessionToken: nil
        )
        let signed = Signer(region: "us-east-1").headers(for: request, credentials: credentials, at: now)
        let headers = Dictionary(signed.map { ($0.name, $0.value) }) { first, _ in first }
        #expect(bench.client.request("PUT", "/bucket/k", headers, body: [2])?.code == "XAmzContentSHA256Mismatch")
        #expect(bench.client.request("PUT", "/bucket/k", headers, body: [1])?.status == 200)
    }
}
