/// An answer of the fake.
package struct FakeReply: Sendable {
    package var status: Int
    package var headers: [FakeHeader]
    package var body: [UInt8]
    /// Bytes of an object to send instead of `body`.
    var payload: Payload?
    /// S3 code, when the answer is an error.
    var errorCode: String?

    /// A stretch of stored bytes.
    struct Payload: Sendable {
        var segments: [FakeBytes]
        var range: Range<Int64>
    }

    package init(_ status: Int, headers: [FakeHeader] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    static func document(_ root: FakeXML, headers: [FakeHeader] = []) -> FakeReply {
        FakeReply(
            200,
            headers: headers + [FakeHeader("Content-Type", "application/xml")],
            body: root.document(namespace: "http://s3.amazonaws.com/doc/2006-03-01/")
        )
    }

    init(_ error: StoreError, for request: RecordedRequest) {
        self.init(error.status, headers: error.headers)
        errorCode = error.code.isEmpty ? nil : error.code
        // No body by the rules of HTTP for HEAD, 204 and 304; a scripted success has nothing to say either.
        guard request.method != "HEAD", error.status >= 300, error.status != 304 else { return }
        headers.append(FakeHeader("Content-Type", "application/xml"))
        body = error.document(
            resource: "/\(request.bucket)" + (request.key.isEmpty ? "" : "/\(request.keyText)"),
            request: request
        )
    }

    /// Length of the body that the answer announces.
    var contentLength: Int64 {
        if let payload { return payload.range.upperBound - payload.range.lowerBound }
        return Int64(body.count)
    }

    /// Status line and header fields up to the empty line; a `length` of nil announces a chunked body.
    func head(for request: RecordedRequest, date: String, length: Int64?, closes: Bool) -> [UInt8] {
        var text = "HTTP/1.1 \(status) \(Self.reasons[status] ?? "Status")\r\n"
        // Google's answers have an ID of their own.
        if !headers.contains(where: { $0.name == "x-guploader-uploadid" }) {
            text += "x-amz-id-2: \(Self.hostID)\r\nx-amz-request-id: \(request.requestID)\r\n"
        }
        text += "Date: \(date)\r\nServer: FakeS3\r\n"
        for header in headers { text += "\(header.name): \(header.value)\r\n" }
        if let length {
            if status != 204 { text += "Content-Length: \(length)\r\n" }
        } else {
            text += "Transfer-Encoding: chunked\r\n"
        }
        if closes { text += "Connection: close\r\n" }
        return Array((text + "\r\n").utf8)
    }

    static let hostID = "ZmFrZSBTMyBob3N0IG9mIG11bGUncyB0ZXN0cw=="

    private static let reasons = [
        200: "OK", 204: "No Content", 206: "Partial Content", 301: "Moved Permanently", 307: "Temporary Redirect",
        400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
        409: "Conflict", 411: "Length Required", 412: "Precondition Failed", 416: "Range Not Satisfiable",
        417: "Expectation Failed", 429: "Too Many Requests", 500: "Internal Server Error", 501: "Not Implemented",
        502: "Bad Gateway", 503: "Slow Down", 504: "Gateway Timeout", 507: "Insufficient Storage",
    ]
}
