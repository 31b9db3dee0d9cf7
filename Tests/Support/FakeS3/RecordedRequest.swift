package import MuleSystem

/// One request that the fake saw, in the order of arrival.
package struct RecordedRequest: Sendable {
    /// Place in the order of arrival, from 0.
    package let index: Int
    /// Number of its connection, from 1: equal numbers mean that a connection was reused.
    package let connection: Int
    package let operation: FakeOperation
    package let method: String
    /// The request target exactly as sent.
    package let target: String
    package let bucket: String
    /// The decoded bytes of the key; empty when the request names the bucket alone.
    package let key: [UInt8]
    package let query: [FakeParameter]
    package let headers: [FakeHeader]
    package let startedAt: Moment

    /// Bytes of the body that have arrived so far.
    package internal(set) var bodyBytes: Int64 = 0
    /// The body of a request with a document (CompleteMultipartUpload); empty for payload.
    package internal(set) var document: [UInt8] = []
    /// Status of the answer; nil while there is none, and permanently if the fake closed or stalled.
    package internal(set) var status: Int?
    /// S3 code of an answered error.
    package internal(set) var errorCode: String?
    /// Whether a fault rule touched it.
    package internal(set) var disturbed = false
    package internal(set) var finishedAt: Moment?

    package var partNumber: Int? { parameter("partNumber").flatMap { Int($0) } }
    package var uploadID: String? { parameter("uploadId") }
    /// The key as text; bytes that are not UTF-8 are replaced.
    package var keyText: String { String(decoding: key, as: UTF8.self) }
    /// The region that the signature is for; nil when there is none.
    package var signedRegion: String? {
        guard let scope = header("authorization")?.firstRange(of: "Credential=")?.upperBound else { return nil }
        let words = header("authorization")?[scope...].prefix { $0 != "," }.split(separator: "/") ?? []
        return words.count > 2 ? String(words[2]) : nil
    }
    /// The request ID that the fake sends as `x-amz-request-id`.
    package var requestID: String { Hexadecimal.upper(UInt64(index) &* 0x9E37_79B9_7F4A_7C15 &+ 0x5A5A) }

    package func header(_ name: String) -> String? { headers.value(of: name) }
    package func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }
}

enum Hexadecimal {
    /// Sixteen upper-case digits.
    static func upper(_ value: UInt64) -> String {
        let digits = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
