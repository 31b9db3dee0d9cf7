import MuleDigest
import MulePlan

/// The text of six lines that client and store hash for Signature Version 4.
/// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
package struct CanonicalRequest: Sendable {
    package let bytes: [UInt8]
    package let signedHeaders: String

    package var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Signs all given headers. Headers with the same name are joined by commas, in order.
    package init(
        method: String,
        encodedPath: String,
        encodedQuery: String,
        headers: [(name: String, value: String)],
        payloadHash: String
    ) {
        let sorted = Self.sorted(headers)
        signedHeaders = Self.names(sorted)
        let newline = UInt8(ascii: "\n")
        var bytes: [UInt8] = []
        bytes.reserveCapacity(1024)
        for line in [method, encodedPath, encodedQuery] {
            bytes += line.utf8
            bytes.append(newline)
        }
        for (index, header) in sorted.enumerated() {
            if index > 0, isSame(sorted[index - 1].name, header.name) {
                bytes[bytes.count - 1] = UInt8(ascii: ",")
            } else {
                bytes += header.name.utf8
                bytes.append(UInt8(ascii: ":"))
            }
            Self.append(header.value.utf8, to: &bytes)
            bytes.append(newline)
        }
        bytes.append(newline)
        bytes += signedHeaders.utf8
        bytes.append(newline)
        bytes += payloadHash.utf8
        self.bytes = bytes
    }

    /// Lower-case names, each once, sorted, joined by `;`.
    package static func signedHeaders(of headers: [(name: String, value: String)]) -> String {
        names(sorted(headers))
    }

    /// Sorted by name, in lower case; those with the same name in their order.
    private static func sorted(_ headers: [(name: String, value: String)]) -> [(name: String, value: String)] {
        var sorted: [(name: String, value: String)] = []
        sorted.reserveCapacity(headers.count)
        for header in headers {
            let name = lowercased(header.name)
            var place = sorted.count
            while place > 0, precedes(name, sorted[place - 1].name) { place -= 1 }
            sorted.insert((name, header.value), at: place)
        }
        return sorted
    }

    /// ASCII letters only; compared as bytes, because texts that are equal in Unicode are different names to the store.
    static func lowercased(_ name: String) -> String {
        let capitals = UInt8(ascii: "A")...UInt8(ascii: "Z")
        guard name.utf8.contains(where: capitals.contains) else { return name }
        return String(decoding: name.utf8.map { capitals.contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    }

    private static func names(_ sorted: [(name: String, value: String)]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(256)
        for (index, header) in sorted.enumerated() where index == 0 || !isSame(sorted[index - 1].name, header.name) {
            if index > 0 { text.append(UInt8(ascii: ";")) }
            text += header.name.utf8
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The text that is signed with the day's key.
    package func stringToSign(timestamp: String, scope: String, scheme: SignatureScheme = .amazon) -> String {
        joined(scheme.algorithm, "\n", timestamp, "\n", scope, "\n", Hex.encode(sha256(bytes)))
    }

    /// Trimmed, and with one space for each run of spaces inside.
    static func collapse(_ value: String) -> String {
        var bytes: [UInt8] = []
        append(value.utf8, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func append(_ value: String.UTF8View, to bytes: inout [UInt8]) {
        // A UTF-8 view checks for each byte how the string is stored.
        let isDone: Void? = value.withContiguousStorageIfAvailable { value in
            // Most values have no space.
            if value.allSatisfy({ $0 > UInt8(ascii: " ") }) {
                bytes += value
            } else {
                append(collapsed: value, to: &bytes)
            }
        }
        if isDone == nil { append(collapsed: value, to: &bytes) }
    }

    private static func append(collapsed value: some Sequence<UInt8>, to bytes: inout [UInt8]) {
        var isWithin = false
        var isDue = false
        for byte in value {
            if byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") {
                isDue = isWithin
            } else {
                if isDue { bytes.append(UInt8(ascii: " ")) }
                (isWithin, isDue) = (true, false)
                bytes.append(byte)
            }
        }
    }
}
