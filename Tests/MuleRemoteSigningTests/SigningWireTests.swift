import MuleDigest
import MuleJSON
import MulePlan
import MuleSigning
import Testing

@testable import MuleRemoteSigning

/// The call of `POST /v1/sign`, and what of its answer is believed.
struct SigningWireTests {
    private static let url = "https://s3.example.org/bucket/in/a%20b?partNumber=7&uploadId=u1"

    static func request(
        _ url: String = url,
        operation: String = "UploadPart",
        headers: [(name: String, value: String)] = [("X-Amz-Checksum-CRC32C", "AAAAAA==")]
    ) -> SigningRequest {
        SigningRequest(
            SignableRequest(
                method: "PUT",
                host: "s3.example.org",
                encodedPath: "/bucket/in/a%20b",
                headers: headers,
                payload: .unsigned
            ),
            RequestAction(
                operation: operation,
                bucket: "bucket",
                key: ObjectKey("in/a b"),
                part: 7,
                uploadID: "u1",
                url: url,
                length: 8
            )
        )
    }

    /// A right answer, to be changed.
    static func entry(
        method: String = "PUT",
        url: String = url,
        _ headers: [String: JSONValue] = [:]
    ) -> JSONValue {
        let right: [String: JSONValue] = [
            "authorization":
                "AWS4-HMAC-SHA256 Credential=AKIA/20261130/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00",
            "x-amz-date": "20261130T120000Z", "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
        ]
        return [
            "method": .string(method), "url": .string(url),
            "headers": .object(right.merging(headers) { $1 }.filter { $0.value != .null }),
        ]
    }

    static func answer(
        _ entries: [JSONValue],
        date: JSONValue = "2026-11-30T12:00:00Z",
        until: JSONValue = "2026-11-30T12:15:00Z"
    ) -> [UInt8] {
        let document: JSONValue = ["date": date, "until": until, "signed": .array(entries)]
        return Array(document.line.utf8)
    }

    @Test func `a call names operation, bucket, key, upload, part, URL and the headers to sign`() throws {
        let other: (name: String, value: String) = ("User-Agent", "mule")
        let request = Self.request(headers: [("X-Amz-Checksum-CRC32C", "AAAAAA=="), ("Content-Type", "a/b"), other])
        let call = String(decoding: SigningWire.call([request]), as: UTF8.self)
        let expected =
            #"{"requests":[{"bucket":"bucket","headers":{"content-length":"8","content-type":"a/b","#
            + #""x-amz-checksum-crc32c":"AAAAAA==","x-amz-content-sha256":"UNSIGNED-PAYLOAD"},"key":"in/a b","#
            + #""method":"PUT","operation":"UploadPart","part":7,"uploadID":"u1","url":"\#(Self.url)"}]}"#
        #expect(call == expected)
    }

    @Test func `the headers of a right answer are taken, whatever the case of their names`() throws {
        let token: JSONValue = .string("session")
        let entry = Self.entry(["X-Amz-Security-Token": token])
        let headers = try #require(try SigningWire.read(Self.answer([entry]), for: [Self.request()]).first)
        #expect(
            Set(headers.map(\.name)) == [
                "authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token",
            ]
        )
        #expect(headers.first { $0.name == "x-amz-security-token" }?.value == "session")
    }

    @Test(arguments: [
        entry(method: "DELETE"), entry(url: url.replacing("bucket", with: "bucker")),
        entry(url: url.replacing("in/", with: "out/")), entry(url: url.replacing("u1", with: "u2")),
        entry(url: url.replacing("=7", with: "=8")), entry(url: url.replacing("https", with: "http")),
        entry(url: url.replacing("example", with: "evil")), entry(url: url + "&acl="),
        entry(["x-amz-copy-source": "other/key"]), entry(["host": "evil.example.org"]),
        entry(["content-length": "1"]), entry(["x-amz-date": "20261130T114459Z"]),
        entry(["x-amz-content-sha256": .string(PayloadHash.empty.headerValue)]),
    ])
    func `an answer to something else is not trusted`(_ entry: JSONValue) {
        #expect {
            try SigningWire.read(Self.answer([entry]), for: [Self.request()])
        } throws: { error in
            if case .untrusted? = error as? SigningWire.Problem { true } else { false }
        }
    }

    @Test(arguments: [
        entry(["authorization": .null]), entry(["authorization": "Bearer x"]), entry(["x-amz-date": "yesterday"]),
        entry(["x-amz-date": .null]), entry(["authorization": "AWS4-HMAC-SHA256 a\r\nx: y"]),
        entry(["authorization": 5]), entry(["Authorization": "AWS4-HMAC-SHA256 b"]), "text", .null,
    ])
    func `an entry that is no signature cannot be read`(_ entry: JSONValue) {
        #expect {
            try SigningWire.read(Self.answer([entry]), for: [Self.request()])
        } throws: { error in
            if case .unreadable? = error as? SigningWire.Problem { true } else { false }
        }
    }

    @Test func `counts and times must be right`() {
        let right = Self.entry()
        let wrong: [([UInt8], SigningWire.Problem)] = [
            (Self.answer([]), .untrusted("answered 1 requests with 0 signatures")),
            (Self.answer([right, right]), .untrusted("answered 1 requests with 2 signatures")),
            (Self.answer([right], until: "2026-11-30T12:00:00Z"), .untrusted("sent signatures that have expired")),
            (
                Self.answer([right], date: "now"),
                .unreadable("sent an answer without a \"date\" such as 2026-11-30T12:00:00Z")
            ),
            (
                Self.answer([right], until: .null),
                .unreadable("sent an answer without a \"until\" such as 2026-11-30T12:00:00Z")
            ),
            (Array("[]".utf8), .unreadable("sent an answer that is not an object")),
            (Array("{".utf8), .unreadable("sent an answer that is not JSON (line 1, column 2)")),
        ]
        for (answer, problem) in wrong {
            #expect(throws: problem) { try SigningWire.read(answer, for: [Self.request()]) }
        }
    }
}
