// MuleSigning owns the credentials value and AWS Signature Version 4 as S3 uses it. It signs exactly what
// `SignableRequest` says is sent. It is pure: the time is an argument. MuleCredentials finds credentials; other modules
// send requests.

import MuleDigest
package import MulePlan

/// Signs requests for one region and service. All threads share one, and it caches the day's signing key.
package final class Signer: Sendable {
    package let region: String
    package let service: String
    private let keys: SigningKeyCache

    package init(region: String, service: String = "s3") {
        self.region = region
        self.service = service
        keys = SigningKeyCache(region: region, service: service)
    }

    /// The headers to add to a request: `x-amz-date`, `x-amz-content-sha256`, `x-amz-security-token` with temporary
    /// credentials, and `authorization`; for Google's scheme their names start with `x-goog-`. The request must not have
    /// any of them.
    ///
    /// A store refuses a signature that is more than 15 minutes old or early when the request arrives: sign each
    /// attempt just before it is sent.
    package func headers(
        for request: SignableRequest,
        credentials: Credentials,
        at time: UTCTime
    ) -> [(name: String, value: String)] {
        let time = moment(for: credentials, at: time)
        let timestamp = time.basic
        let date = Self.date(of: timestamp)
        let scheme = request.scheme
        let scope =
            scheme == .amazon ? scope(for: credentials, on: date) : Self.googleScope(on: date, region: region)
        let payloadHash = request.payload.headerValue
        let prefix = scheme.headerPrefix
        var added = [
            (name: prefix + "date", value: timestamp),
            (name: scheme.hashHeader, value: payloadHash),
        ]
        added.reserveCapacity(4)
        if let token = credentials.sessionToken { added.append((name: prefix + "security-token", value: token)) }

        let canonical = CanonicalRequest(
            method: request.method,
            encodedPath: request.encodedPath,
            encodedQuery: request.encodedQuery,
            headers: Self.signedHeaders(of: request, and: added),
            payloadHash: payloadHash
        )
        let signature =
            scheme == .amazon
            ? signature(of: canonical, credentials: credentials, timestamp: timestamp, scope: scope)
            : googleSignature(of: canonical, credentials: credentials, timestamp: timestamp, scope: scope)
        let authorization = joined(
            scheme.algorithm,
            " Credential=",
            credentials.accessKeyID,
            "/",
            scope,
            ", SignedHeaders=",
            canonical.signedHeaders,
            ", Signature=",
            signature
        )
        added.append((name: "authorization", value: authorization))
        return added
    }

    /// The day of a time in the form of `x-amz-date`.
    private static func date(of timestamp: String) -> String { String(timestamp.prefix(8)) }

    /// The encoded query of a presigned URL, for a client without credentials, in the order of AWS's tools. The body is
    /// not signed; signed headers must be sent with the same values. `expiresSeconds`, 1 to 604,800 (7 days), is how
    /// long the URL is valid.
    package func presignedQuery(
        for request: SignableRequest,
        credentials: Credentials,
        at time: UTCTime,
        expiresSeconds: Int
    ) -> String {
        precondition((1...604_800).contains(expiresSeconds), "a presigned URL lives from 1 second to 7 days")
        let time = moment(for: credentials, at: time)
        let scope = scope(for: credentials, on: time.basicDate)
        // A condition that is not signed could be left out by the client.
        let conditions = request.headers.filter { CanonicalRequest.lowercased($0.name).hasPrefix("if-") }
        let headers = Self.signedHeaders(of: request, and: conditions)
        var query =
            request.query + [
                QueryItem(name: "X-Amz-Algorithm", value: "AWS4-HMAC-SHA256"),
                QueryItem(name: "X-Amz-Credential", value: "\(credentials.accessKeyID)/\(scope)"),
                QueryItem(name: "X-Amz-Date", value: time.basic),
                QueryItem(name: "X-Amz-Expires", value: String(expiresSeconds)),
                QueryItem(name: "X-Amz-SignedHeaders", value: CanonicalRequest.signedHeaders(of: headers)),
            ]
        if let token = credentials.sessionToken { query.append(QueryItem(name: "X-Amz-Security-Token", value: token)) }

        let canonical = CanonicalRequest(
            method: request.method,
            encodedPath: request.encodedPath,
            encodedQuery: SignableRequest.encode(query),
            headers: headers,
            payloadHash: PayloadHash.unsigned.headerValue
        )
        query.append(
            QueryItem(name: "X-Amz-Signature", value: signature(of: canonical, credentials: credentials, at: time))
        )
        return query.map { "\(URIEncoding.component($0.name.utf8))=\(URIEncoding.component($0.value.utf8))" }
            .joined(separator: "&")
    }

    /// 64 hexadecimal digits; covers all given headers.
    package func signature(of request: CanonicalRequest, credentials: Credentials, at time: UTCTime) -> String {
        signature(
            of: request,
            credentials: credentials,
            timestamp: time.basic,
            scope: scope(for: credentials, on: time.basicDate)
        )
    }

    private func signature(
        of request: CanonicalRequest,
        credentials: Credentials,
        timestamp: String,
        scope: String
    ) -> String {
        let text = request.stringToSign(timestamp: timestamp, scope: scope)
        let key = keys.key(for: credentials, date: Self.date(of: timestamp))
        return Hex.encode(hmacSHA256(key: key, message: text.utf8))
    }

    private static func googleScope(on date: String, region: String) -> String {
        "\(date)/\(region)/storage/\(SignatureScheme.google.terminator)"
    }

    /// Few requests have one, so its key is not cached. A signing key is for Amazon's scheme only, and gives a signature
    /// that the store refuses.
    private func googleSignature(
        of request: CanonicalRequest,
        credentials: Credentials,
        timestamp: String,
        scope: String
    ) -> String {
        var key = Array((SignatureScheme.google.keyPrefix + (credentials.secretAccessKey ?? "")).utf8)
        for step in scope.split(separator: "/") { key = hmacSHA256(key: key, message: step.utf8) }
        let text = request.stringToSign(timestamp: timestamp, scope: scope, scheme: .google)
        return Hex.encode(hmacSHA256(key: key, message: text.utf8))
    }

    /// A signing key has a scope of its own: that of another would not be signed by it.
    private func scope(for credentials: Credentials, on date: String) -> String {
        if let key = credentials.signingKey { return "\(key.date)/\(key.region)/\(key.service)/aws4_request" }
        return joined(date, "/", region, "/", service, "/aws4_request")
    }

    /// The time that a signature has: within the day of a signing key, so that a key of the day that has just ended, or
    /// is about to start, serves for the minutes that a store allows clocks to differ.
    private func moment(for credentials: Credentials, at time: UTCTime) -> UTCTime {
        credentials.signingKey?.moment(closestTo: time) ?? time
    }

    /// Headers that matter to the store and that no proxy changes. A load balancer may change `accept-encoding`
    /// (rclone/rclone#6670), a proxy `connection`, `expect` and `user-agent`.
    ///
    /// - Parameter more: headers that are signed too.
    private static func signedHeaders(
        of request: SignableRequest,
        and more: [(name: String, value: String)]
    ) -> [(name: String, value: String)] {
        var signed = [(name: "host", value: request.host)]
        signed.reserveCapacity(1 + request.headers.count + more.count)
        for header in request.headers {
            let name = CanonicalRequest.lowercased(header.name)
            precondition(!owned.contains(name), "\(name) is the signer's to add")
            if name == "content-type" || name == "content-md5" || name.hasPrefix(request.scheme.headerPrefix) {
                signed.append(header)
            }
        }
        return signed + more
    }

    private static let owned: Set = [
        "authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "host", "x-goog-date",
        "x-goog-content-sha256", "x-goog-security-token",
    ]
}
