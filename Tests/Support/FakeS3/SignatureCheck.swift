import MuleDigest

/// A key that the fake knows.
package struct FakeCredentials: Sendable, Equatable {
    package var accessKey: String
    package var secretKey: String
    package var sessionToken: String?
    /// Answers ExpiredToken.
    package var isExpired = false

    package init(
        accessKey: String = "AKIAFAKEFAKEFAKEFAKE",
        secretKey: String = "fake/secret+key/for=tests/onlyABCDEFGHIJ",
        sessionToken: String? = nil
    ) {
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.sessionToken = sessionToken
    }
}

/// Verifies SigV4 (header and presigned form) from the bytes on the wire, sharing no code with mule's signer.
///
/// Source: AWS, "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API Reference.
struct SignatureCheck: Sendable {
    var credentials: [FakeCredentials]
    var region: String
    /// Seconds since 1970.
    var now: Int64
    /// Whether signatures of Google's scheme are known too.
    var takesGoogles = false

    /// The words of a scheme.
    /// https://cloud.google.com/storage/docs/authentication/signatures
    private struct Scheme {
        var algorithm = "AWS4-HMAC-SHA256"
        var prefix = "x-amz-"
        var key = "AWS4"
        var service = "s3"
        var terminator = "aws4_request"

        static let google = Scheme(
            algorithm: "GOOG4-HMAC-SHA256",
            prefix: "x-goog-",
            key: "GOOG4",
            service: "storage",
            terminator: "goog4_request"
        )
    }

    /// The result of a check that let the request pass.
    struct Outcome: Sendable, Equatable {
        /// SHA-256 that the body must have; nil for `UNSIGNED-PAYLOAD` and presigned requests.
        var payloadHash: [UInt8]?
        var isUnsignedPayload = false
        var isAnonymous = false
        /// Things that pass here but that mule must not do.
        var violations: [String] = []
    }

    func check(_ head: RequestHead) throws(StoreError) -> Outcome {
        if let authorization = head["authorization"] { return try checkHeader(head, authorization) }
        let query = head.query ?? []
        if query.contains(where: { $0.name == "X-Amz-Algorithm" }) { return try checkQuery(head, query) }
        return Outcome(isAnonymous: true)
    }

    private func checkHeader(_ head: RequestHead, _ authorization: String) throws(StoreError) -> Outcome {
        let isGoogles = takesGoogles && authorization.hasPrefix(Scheme.google.algorithm)
        let words = isGoogles ? Scheme.google : Scheme()
        let scheme = words.algorithm + " "
        guard authorization.hasPrefix(scheme) else {
            throw StoreError(400, "InvalidRequest", "The authorization mechanism you have provided is not supported.")
        }
        var fields: [String: String] = [:]
        for item in authorization.dropFirst(scheme.count).split(separator: ",") {
            let pair = item.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
            if pair.count == 2 { fields[String(pair[0])] = String(pair[1]) }
        }
        guard let credential = fields["Credential"], let signed = fields["SignedHeaders"],
            let signature = fields["Signature"]
        else { throw malformed("The authorization header is malformed.") }
        guard let date = head[words.prefix + "date"], let moment = StoreClock.parseBasic(date) else {
            throw StoreError(403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
        }
        let scope = try Scope(credential, check: self, date: date, words)
        let key = try secret(of: scope.accessKey, token: head["x-amz-security-token"])
        if abs(now - moment) > 900 { throw skewed(requestTime: date) }
        guard let payload = head[words.prefix + "content-sha256"] else {
            throw StoreError(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
        }
        var outcome = Outcome()
        try judge(payload: payload, &outcome)
        let names = signed.split(separator: ";").map(String.init)
        try judge(signedHeaders: names, head, prefix: words.prefix, &outcome)
        let canonical = canonicalRequest(head, signedHeaders: names, payload: payload, leavingOutSignature: false)
        try compare(signature, canonical: canonical, scope: scope, date: date, secret: key, words)
        return outcome
    }

    private func checkQuery(_ head: RequestHead, _ query: [FakeParameter]) throws(StoreError) -> Outcome {
        func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }
        guard parameter("X-Amz-Algorithm") == "AWS4-HMAC-SHA256", let credential = parameter("X-Amz-Credential"),
            let date = parameter("X-Amz-Date"), let moment = StoreClock.parseBasic(date),
            let expires = parameter("X-Amz-Expires").flatMap({ Int64($0) }),
            let signed = parameter("X-Amz-SignedHeaders"), let signature = parameter("X-Amz-Signature")
        else {
            throw StoreError(400, "AuthorizationQueryParametersError", "Query-string authentication is incomplete.")
        }
        guard (1...604_800).contains(expires) else {
            throw StoreError(
                400,
                "AuthorizationQueryParametersError",
                "X-Amz-Expires must be between 1 and 604800 seconds"
            )
        }
        let scope = try Scope(credential, check: self, date: date, Scheme())
        let key = try secret(of: scope.accessKey, token: parameter("X-Amz-Security-Token"))
        if moment - now > 900 { throw StoreError(403, "AccessDenied", "Request is not valid yet") }
        if now > moment + expires { throw StoreError(403, "AccessDenied", "Request has expired") }
        var outcome = Outcome(isUnsignedPayload: true)
        let names = signed.split(separator: ";").map(String.init)
        try judge(signedHeaders: names, head, prefix: "x-amz-", &outcome)
        let payload = head["x-amz-content-sha256"] ?? "UNSIGNED-PAYLOAD"
        let canonical = canonicalRequest(head, signedHeaders: names, payload: payload, leavingOutSignature: true)
        try compare(signature, canonical: canonical, scope: scope, date: date, secret: key, Scheme())
        return outcome
    }

    private func judge(payload: String, _ outcome: inout Outcome) throws(StoreError) {
        if payload == "UNSIGNED-PAYLOAD" {
            outcome.isUnsignedPayload = true
        } else if payload.hasPrefix("STREAMING-") {
            throw StoreError(501, "NotImplemented", "The fake takes no aws-chunked bodies.")
        } else if let hash = Hex.decode(payload), hash.count == 32 {
            outcome.payloadHash = hash
        } else {
            throw StoreError(
                400,
                "InvalidArgument",
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a valid sha256 value."
            )
        }
    }

    private func judge(
        signedHeaders names: [String],
        _ head: RequestHead,
        prefix: String,
        _ outcome: inout Outcome
    ) throws(StoreError) {
        let present = Set(head.headers.map { $0.name.lowercased() })
        let unsigned = present.filter { $0.hasPrefix(prefix) && !names.contains($0) }.sorted()
        guard names.contains("host"), unsigned.isEmpty else {
            throw StoreError(
                403,
                "AccessDenied",
                "There were headers present in the request which were not signed",
                elements: [FakeXML("HeadersNotSigned", unsigned.joined(separator: ", "))]
            )
        }
        for name in ["user-agent", "expect", "connection", "accept-encoding"] where names.contains(name) {
            outcome.violations.append("signed header that must not be signed: \(name)")
        }
        for name in ["content-type", "content-md5"] where present.contains(name) && !names.contains(name) {
            outcome.violations.append("header that should be signed: \(name)")
        }
        if names != names.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            outcome.violations.append("signed headers are not sorted: \(names.joined(separator: ";"))")
        }
        let path = Percent.decode(head.rawPath).map { Percent.encode($0, keepingSlash: true) }
        if path != Array(head.rawPath) {
            outcome.violations.append(
                "path on the wire is not in canonical encoding: \(String(decoding: head.rawPath, as: UTF8.self))"
            )
        }
    }

    private func compare(
        _ signature: String,
        canonical: [UInt8],
        scope: Scope,
        date: String,
        secret: String,
        _ words: Scheme
    ) throws(StoreError) {
        let hash = Hex.encode(sha256(canonical))
        let stringToSign = "\(words.algorithm)\n\(date)\n\(scope.text)\n\(hash)"
        var key = Array("\(words.key)\(secret)".utf8)
        for step in [scope.day, scope.region, scope.service, words.terminator] {
            key = hmacSHA256(key: key, message: Array(step.utf8))
        }
        guard Hex.encode(hmacSHA256(key: key, message: Array(stringToSign.utf8))) == signature else {
            throw StoreError(
                403,
                "SignatureDoesNotMatch",
                elements: [
                    FakeXML("AWSAccessKeyId", scope.accessKey), FakeXML("StringToSign", stringToSign),
                    FakeXML("CanonicalRequest", String(decoding: canonical, as: UTF8.self)),
                ]
            )
        }
    }

    /// The canonical request, computed from what came over the wire.
    func canonicalRequest(
        _ head: RequestHead,
        signedHeaders: [String],
        payload: String,
        leavingOutSignature: Bool
    ) -> [UInt8] {
        let path = Percent.decode(head.rawPath) ?? Array(head.rawPath)
        let signature = Array("X-Amz-Signature".utf8)
        let pairs = head.rawQuery.split(separator: UInt8(ascii: "&"))
            .map { pair in
                let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
                return (name: Self.canonical(pair[..<equals]), value: Self.canonical(pair[equals...].dropFirst()))
            }
            .filter { !leavingOutSignature || $0.name != signature }
            .sorted { left, right in
                left.name == right.name
                    ? left.value.lexicographicallyPrecedes(right.value)
                    : left.name.lexicographicallyPrecedes(right.name)
            }
        let query = pairs.map { $0.name + [UInt8(ascii: "=")] + $0.value }.joined(separator: [UInt8(ascii: "&")])
        var canonical = Array(head.method.utf8) + [10]
        canonical += Percent.encode(path, keepingSlash: true) + [10]
        canonical += Array(query) + [10]
        for name in signedHeaders {
            let values = head.headers.values(of: name).map(Self.collapsed).joined(separator: ",")
            canonical += Array("\(name):\(values)\n".utf8)
        }
        canonical += Array("\n\(signedHeaders.joined(separator: ";"))\n\(payload)".utf8)
        return canonical
    }

    private static func canonical(_ encoded: ArraySlice<UInt8>) -> [UInt8] {
        Percent.encode(Percent.decode(encoded, plusIsSpace: true) ?? Array(encoded), keepingSlash: false)
    }

    /// A header value with runs of spaces made one.
    private static func collapsed(_ value: String) -> String {
        String(decoding: Array(value.utf8.split(separator: 32).joined(separator: [32])), as: UTF8.self)
    }

    private func secret(of accessKey: String, token: String?) throws(StoreError) -> String {
        let known = credentials.filter { $0.accessKey == accessKey }
        guard !known.isEmpty else {
            throw StoreError(403, "InvalidAccessKeyId", elements: [FakeXML("AWSAccessKeyId", accessKey)])
        }
        guard let match = known.first(where: { $0.sessionToken == token }) else {
            throw StoreError(400, "InvalidToken")
        }
        if match.isExpired { throw StoreError(400, "ExpiredToken") }
        return match.secretKey
    }

    private func skewed(requestTime: String) -> StoreError {
        StoreError(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            elements: [
                FakeXML("RequestTime", requestTime), FakeXML("ServerTime", StoreClock.iso8601(now)),
                FakeXML("MaxAllowedSkewMilliseconds", "900000"),
            ]
        )
    }

    private func malformed(_ message: String) -> StoreError { StoreError(400, "AuthorizationHeaderMalformed", message) }

    /// `key/day/region/s3/aws4_request`, or Google's `key/day/region/storage/goog4_request`
    private struct Scope {
        let accessKey: String
        let day: String
        let region: String
        let service: String

        let terminator: String

        var text: String { "\(day)/\(region)/\(service)/\(terminator)" }

        init(_ credential: String, check: SignatureCheck, date: String, _ scheme: Scheme) throws(StoreError) {
            let words = credential.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            guard words.count == 5, words[3] == scheme.service, words[4] == scheme.terminator else {
                throw check.malformed("The authorization header is malformed; the Credential is mal-formed.")
            }
            guard date.hasPrefix(words[1]) else {
                throw check.malformed("The authorization header is malformed; Invalid credential date.")
            }
            guard words[2] == check.region else {
                throw StoreError(
                    400,
                    "AuthorizationHeaderMalformed",
                    "The authorization header is malformed; the region '\(words[2])' is wrong; expecting"
                        + " '\(check.region)'",
                    elements: [FakeXML("Region", check.region)],
                    headers: [FakeHeader("x-amz-bucket-region", check.region)]
                )
            }
            accessKey = words[0]
            day = words[1]
            region = words[2]
            service = words[3]
            terminator = words[4]
        }
    }
}
