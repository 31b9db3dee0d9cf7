import MuleDigest

/// How a request's body is covered by its signature.
package enum PayloadHash: Sendable, Equatable {
    /// There is no body.
    case empty
    /// The SHA-256 of the whole body, 32 bytes.
    case sha256([UInt8])
    /// The body is not signed. Only with TLS and a checksum header, so that the store still checks every byte.
    case unsigned

    /// The value of `x-amz-content-sha256`.
    package var headerValue: String {
        switch self {
        case .empty: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        case .sha256(let digest): Hex.encode(digest)
        case .unsigned: "UNSIGNED-PAYLOAD"
        }
    }
}

/// Whose Signature Version 4 a request has. Google's has other names for the same steps.
///
/// Google's store takes Amazon's signature too, but then only headers with Amazon's names: "specifying the AWS signature
/// identifier … lets Cloud Storage know to expect x-amz-* headers"
/// (https://cloud.google.com/storage/docs/aws-simple-migration). A request with both kinds is refused: "Requests cannot
/// specify both x-amz and x-goog headers" (gitlab-org/gitlab-ce!23858, ClickHouse/ClickHouse#49195).
package enum SignatureScheme: Sendable {
    /// `AWS4-HMAC-SHA256`
    case amazon
    /// `GOOG4-HMAC-SHA256`, https://cloud.google.com/storage/docs/authentication/signatures
    case google

    var algorithm: String { self == .amazon ? "AWS4-HMAC-SHA256" : "GOOG4-HMAC-SHA256" }

    /// What a secret key starts with before the first step.
    var keyPrefix: String { self == .amazon ? "AWS4" : "GOOG4" }

    /// The last step.
    var terminator: String { self == .amazon ? "aws4_request" : "goog4_request" }

    /// The header with the hash of the body.
    var hashHeader: String { self == .amazon ? "x-amz-content-sha256" : "x-goog-content-sha256" }

    /// What the names of the store's own headers start with.
    package var headerPrefix: String { self == .amazon ? "x-amz-" : "x-goog-" }
}

/// A query item with its name and value before encoding. An item without a value, such as `uploads`, has an empty one.
package struct QueryItem: Sendable {
    package let name: String
    package let value: String

    package init(name: String, value: String = "") {
        self.name = name
        self.value = value
    }
}

/// All parts of a request that a signature can cover.
package struct SignableRequest: Sendable {
    package var method: String
    /// The `Host` header: with the port, unless it is the scheme's default.
    package var host: String
    /// From the first `/`, encoded (`URIEncoding.path`), exactly as it is sent.
    package var encodedPath: String
    package var query: [QueryItem]
    /// Headers besides `Host`, with names in any case. Those that a proxy may change are not signed.
    package var headers: [(name: String, value: String)]
    package var payload: PayloadHash
    package var scheme: SignatureScheme

    package init(
        method: String,
        host: String,
        encodedPath: String,
        query: [QueryItem] = [],
        headers: [(name: String, value: String)] = [],
        payload: PayloadHash,
        scheme: SignatureScheme = .amazon
    ) {
        self.method = method
        self.host = host
        self.encodedPath = encodedPath
        self.query = query
        self.headers = headers
        self.payload = payload
        self.scheme = scheme
    }

    /// The canonical query, `partNumber=1&uploadId=a%2Fb`, without the question mark; must be sent unchanged.
    package var encodedQuery: String { Self.encode(query) }

    /// Sorted by the bytes of the encoded name, then of the encoded value. Sorting whole `name=value` texts would put
    /// `a-b=` before `a=`.
    static func encode(_ query: [QueryItem]) -> String {
        if query.isEmpty { return "" }
        return query.map { (URIEncoding.component($0.name.utf8), URIEncoding.component($0.value.utf8)) }
            .sorted { left, right in
                left.0 == right.0 ? precedes(left.1, right.1) : precedes(left.0, right.0)
            }
            .map { "\($0)=\($1)" }
            .joined(separator: "&")
    }
}

/// As bytes: `String <` orders by canonical equivalence.
func precedes(_ left: String, _ right: String) -> Bool {
    compare(left, right) { $0.lexicographicallyPrecedes($1) }
}

/// As bytes: `String ==` takes two spellings of an accent for equal.
func isSame(_ left: String, _ right: String) -> Bool {
    left.utf8.count == right.utf8.count && compare(left, right) { $0.elementsEqual($1) }
}

/// Reads the storage of both directly: a UTF-8 view checks for each byte how the string is stored.
private func compare(
    _ left: String,
    _ right: String,
    by relation: (UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>) -> Bool
) -> Bool {
    var (left, right) = (left, right)
    return left.withUTF8 { left in right.withUTF8 { right in relation(left, right) } }
}
