/// An S3 error answer: status, code and the elements AWS adds to the document.
struct StoreError: Error, Sendable {
    var status: Int
    var code: String
    var message: String
    var elements: [FakeXML] = []
    var headers: [FakeHeader] = []

    init(
        _ status: Int,
        _ code: String,
        _ message: String = "",
        elements: [FakeXML] = [],
        headers: [FakeHeader] = []
    ) {
        self.status = status
        self.code = code
        self.message = message.isEmpty ? Self.usualMessages[code] ?? "The request was refused." : message
        self.elements = elements
        self.headers = headers
    }

    static func noSuchUpload(_ uploadID: String, profile: FakeProfile) -> StoreError {
        profile.saysNoSuchKeyForUploads
            ? StoreError(404, "NoSuchKey")
            : StoreError(404, "NoSuchUpload", elements: [FakeXML("UploadId", uploadID)])
    }

    static func noSuchKey(_ key: [UInt8]) -> StoreError {
        StoreError(404, "NoSuchKey", elements: [FakeXML("Key", String(decoding: key, as: UTF8.self))])
    }

    static func invalidRequest(_ message: String) -> StoreError { StoreError(400, "InvalidRequest", message) }

    /// The document of S3's REST errors.
    func document(resource: String, request: RecordedRequest) -> [UInt8] {
        var children = [FakeXML("Code", code), FakeXML("Message", message)]
        children += elements
        children += [
            FakeXML("Resource", resource), FakeXML("RequestId", request.requestID),
            FakeXML("HostId", FakeReply.hostID),
        ]
        return FakeXML("Error", children: children).document(namespace: nil)
    }

    private static let usualMessages = [
        "AccessDenied": "Access Denied",
        "InternalError": "We encountered an internal error. Please try again.",
        "SlowDown": "Please reduce your request rate.",
        "ServiceUnavailable": "Please reduce your request rate.",
        "RequestTimeout":
            "Your socket connection to the server was not read from or written to within the timeout period.",
        "NoSuchUpload":
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted"
            + " or completed.",
        "NoSuchKey": "The specified key does not exist.",
        "NoSuchBucket": "The specified bucket does not exist",
        "InvalidPart":
            "One or more of the specified parts could not be found. The part may not have been uploaded, or the"
            + " specified entity tag may not match the part's entity tag.",
        "InvalidPartOrder":
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
        "MalformedXML":
            "The XML you provided was not well-formed or did not validate against our published schema",
        "PreconditionFailed": "At least one of the pre-conditions you specified did not hold",
        "SignatureDoesNotMatch":
            "The request signature we calculated does not match the signature you provided. Check your key and"
            + " signing method.",
        "InvalidAccessKeyId": "The AWS Access Key Id you provided does not exist in our records.",
        "XAmzContentSHA256Mismatch": "The provided 'x-amz-content-sha256' header does not match what was computed.",
        "EntityTooSmall": "Your proposed upload is smaller than the minimum allowed size",
        "EntityTooLarge": "Your proposed upload exceeds the maximum allowed size",
        "ExpiredToken": "The provided token has expired.",
        "InvalidToken": "The provided token is malformed or otherwise invalid.",
        "BadDigest": "The Content-MD5 you specified did not match what we received.",
        "InvalidDigest": "The Content-MD5 you specified was invalid.",
        "NotImplemented": "A header you provided implies functionality that is not implemented",
        "MissingContentLength": "You must provide the Content-Length HTTP header.",
        "PermanentRedirect":
            "The bucket you are attempting to access must be addressed using the specified endpoint.",
        "TemporaryRedirect": "Please re-send this request to the specified temporary endpoint.",
    ]
}
