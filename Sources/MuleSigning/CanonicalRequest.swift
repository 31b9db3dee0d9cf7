import MuleDigest

/// The text that both sides of Signature Version 4 hash: six lines made of the request.
/// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
package struct CanonicalRequest: Sendable {
    package let text: String
    package let signedHeaders: String

    /// Signs every header that it is given. Headers of one name count as one, their values joined by commas in order.
    package init(
        method: String,
        encodedPath: String,
        encodedQuery: String,
        headers: [(name: String, value: String)],
        payloadHash: String
    ) {
        var values: [String: [String]] = [:]
        for header in headers {
            values[header.name.lowercased(), default: []].append(Self.collapse(header.value))
        }
        let lines = values.sorted { precedes($0.key, $1.key) }
        signedHeaders = Self.signedHeaders(of: headers)
        let headerLines = lines.map { "\($0.key):\($0.value.joined(separator: ","))\n" }.joined()
        text = [method, encodedPath, encodedQuery, headerLines, signedHeaders, payloadHash].joined(separator: "\n")
    }

    /// Names in lower case, each once, sorted, joined by `;`.
    package static func signedHeaders(of headers: [(name: String, value: String)]) -> String {
        Set(headers.map { $0.name.lowercased() }).sorted(by: precedes).joined(separator: ";")
    }

    /// What is hashed and signed with the day's key.
    package func stringToSign(timestamp: String, scope: String) -> String {
        "AWS4-HMAC-SHA256\n\(timestamp)\n\(scope)\n\(Hex.encode(sha256(text.utf8)))"
    }

    /// Without blanks at the ends, and with one space for each run of blanks within.
    static func collapse(_ value: String) -> String {
        let words = value.utf8.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        return words.map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
    }
}
