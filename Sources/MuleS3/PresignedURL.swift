package import MulePlan
package import MuleSigning

/// A URL that lets a client without credentials send or read one object, until it ends.
package struct PresignedURL: Sendable {
    package enum Method: String, Sendable {
        case put = "PUT"
        case get = "GET"
    }

    /// Seconds: the longest time for which Signature Version 4 allows it.
    package static let longestLife = 604_800

    package let text: String
    package let method: Method
    /// What the client must send with it, by the names of the headers.
    package let headers: [(name: String, value: String)]
    package let endsAt: UTCTime

    /// - Parameters:
    ///   - seconds: 1 to `longestLife`.
    ///   - headers: sent by the client with the same values; the store refuses it otherwise.
    ///   - query: what the store puts into its answer, such as `response-content-disposition`.
    package init(
        _ method: Method,
        _ address: ObjectAddress,
        at endpoint: Endpoint,
        headers: [(name: String, value: String)] = [],
        query: [QueryItem] = [],
        credentials: Credentials,
        now: UTCTime,
        seconds: Int
    ) {
        let target = endpoint.target(bucket: address.bucket, key: address.key)
        let request = SignableRequest(
            method: method.rawValue,
            host: target.host,
            encodedPath: target.path,
            query: query,
            headers: headers,
            payload: .unsigned
        )
        let signed = Signer(region: endpoint.region)
            .presignedQuery(for: request, credentials: credentials, at: now, expiresSeconds: seconds)
        text = endpoint.scheme + "://" + target.host + target.path + "?" + signed
        self.method = method
        self.headers = headers
        // The date in the URL has whole seconds.
        let start = now.millisecondsSince1970 / 1000
        endsAt = UTCTime(secondsSince1970: start + Int64(seconds))
    }
}
