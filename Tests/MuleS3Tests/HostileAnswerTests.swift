import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport
import MuleXML
import TestSupport
import Testing

/// Well-formed answers with impossible values: texts and numbers are limited.
@Suite("Hostile answers")
struct HostileAnswerTests {
    /// Always gives the same answer.
    private final class Performer: HTTPPerformer {
        let answer: HTTPResponse
        var requests: [HTTPRequest] = []

        init(_ status: Int, _ headers: [(name: String, value: String)], _ body: String) {
            answer = HTTPResponse(status: status, headers: headers, body: Array(body.utf8))
        }

        func perform(_ request: HTTPRequest) throws(TransportError) -> HTTPResponse {
            requests.append(request)
            return answer
        }
    }

    private func connection(_ performer: Performer) throws -> S3Connection {
        let service = S3Service(
            endpoint: try Endpoint(url: "https://store.example", region: "r"),
            transport: TransportSettings(userAgent: "mule-tests/1"),
            credentials: FixedCredentials(Credentials(accessKeyID: "AKID", secretAccessKey: "secret")),
            cancellation: Cancellation()
        )
        return S3Connection(service: service, client: performer)
    }

    private func failure(_ body: () throws -> Void) -> S3Error? {
        do {
            try body()
            return nil
        } catch {
            return error as? S3Error
        }
    }

    private func isUnreadable(_ error: S3Error?) -> Bool {
        if case .unreadable = error?.cause { true } else { false }
    }

    @Test(arguments: [
        ("0", "1", "e"), ("-1", "1", "e"), ("10001", "1", "e"), ("1", "-1", "e"), ("1", "9223372036854775807", "e"),
        ("1", "1", ""), ("1", "1", "e&#x7F;"), ("1", "1", String(repeating: "e", count: 1025)), ("1", "x", "e"),
    ]
    )
    func `a part that cannot be is no part`(number: String, size: String, eTag: String) throws {
        func list(_ number: String, _ size: String, _ eTag: String) throws -> PartListing {
            let part = "<Part><PartNumber>\(number)</PartNumber><Size>\(size)</Size><ETag>\(eTag)</ETag></Part>"
            let performer = Performer(200, [], "<ListPartsResult>\(part)</ListPartsResult>")
            return try connection(performer).listParts(address("k"), uploadID: "u")
        }
        #expect(try list("10000", "5368709120", "e").parts.map(\.size) == [5 << 30])
        #expect(isUnreadable(failure { _ = try list(number, size, eTag) }))
    }

    @Test(arguments: ["0", "5", "x", "-1", "99999999999999999999"])
    func `a list of parts ends, whatever its markers say`(marker: String) throws {
        let text = "<IsTruncated>true</IsTruncated><NextPartNumberMarker>\(marker)</NextPartNumberMarker>"
        let performer = Performer(200, [], "<ListPartsResult>\(text)</ListPartsResult>")
        let connection = try connection(performer)
        #expect(isUnreadable(failure { _ = try connection.listParts(address("k"), uploadID: "u") }))
        #expect(performer.requests.count <= 2)
    }

    @Test
    func `an upload ID or a marker of megabytes goes into no URL`() throws {
        let long = String(repeating: "é", count: 2 << 20)
        let create = Performer(
            200,
            [],
            "<InitiateMultipartUploadResult><UploadId>\(long)</UploadId></InitiateMultipartUploadResult>"
        )
        let endless = failure {
            _ = try connection(create)
                .createMultipartUpload(address("k"), attributes: ObjectAttributes(), checksum: nil)
        }
        #expect(isUnreadable(endless))
        for names in [
            "<NextKeyMarker>\(long)</NextKeyMarker>",
            "<NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>\(long)</NextUploadIdMarker>",
        ] {
            let text = "<IsTruncated>true</IsTruncated>\(names)"
            let list = Performer(200, [], "<ListMultipartUploadsResult>\(text)</ListMultipartUploadsResult>")
            let listed = failure { _ = try connection(list).listMultipartUploads(of: address("k")) }
            #expect(isUnreadable(listed))
            #expect(list.requests.count == 1)
        }
    }

    @Test
    func `an error's words have a measure, and its numbers are numbers`() throws {
        let long = String(repeating: "é", count: 100_000)
        let body = "<Error><Code>\(long)</Code><Message>\(long)</Message><Region>eu/../\(long)</Region></Error>"
        for (value, wait) in [("nan", nil), ("inf", nil), ("-5", nil), ("7", 7), ("1e300", 86_400)]
            as [(String, Double?)]
        {
            let performer = Performer(400, [("x-amz-request-id", long), ("retry-after", value)], body)
            let error = try #require(failure { try connection(performer).headBucket("bucket") })
            #expect(error.code?.unicodeScalars.count == 101)
            guard case .answer(_, _, let message) = error.cause else {
                Issue.record("\(error)")
                return
            }
            #expect(message.unicodeScalars.count == 1001 && message.hasSuffix("…"))
            #expect(error.requestID?.unicodeScalars.count == 201)
            #expect(error.region == nil)
            #expect(error.retryAfter == wait)
        }
    }

    @Test(arguments: ["\u{1}", "a\u{7F}", String(repeating: "e", count: 1025)]
    )
    func `an ETag that is none is not taken for one`(eTag: String) throws {
        let performer = Performer(200, [("etag", "\"\(eTag)\""), ("x-amz-version-id", eTag)], "")
        let head = try #require(try connection(performer).headObject(address("k")))
        #expect(head.object.eTag == nil && head.object.versionID == nil)
    }

    @Test
    func `an ETag goes into Complete's document as text, and white space before the answer is not kept`() throws {
        let text = "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"
        let performer = Performer(200, [], text)
        let evil = "\"</ETag><PartNumber>7</PartNumber>&x;<!--]]>"
        let parts = [CompletedPart(number: 1, eTag: evil, checksum: nil)]
        let done = try connection(performer)
            .completeMultipartUpload(address("k"), uploadID: "u", parts: parts, whole: WholeObject())
        #expect(done.eTag == "e")
        let request = try #require(performer.requests.first)
        #expect(request.dropsLeadingSpace)
        guard case .bytes(let body) = request.body else {
            Issue.record("no document was sent")
            return
        }
        let sent = try XMLReader.parse(body)
        #expect(sent.children.map(\.name) == ["Part"])
        #expect(sent["Part"]?.children.map(\.name) == ["PartNumber", "ETag"])
        #expect(sent["Part"]?["ETag"]?.text == "\"\(evil)\"")
    }

    @Test
    func `what is no escape of a URL is left as it is`() {
        for text in ["%+1", "%-1", "% 1", "%1", "%", "%g0", "%0g"] {
            #expect(urlDecoded(text) == Array(text.replacing("+", with: " ").utf8))
        }
        #expect(urlDecoded("%2f%2F%C3%bc+") == Array("//ü ".utf8))
    }
}
