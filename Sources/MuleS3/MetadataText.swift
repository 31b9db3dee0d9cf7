import MuleDigest

/// Non-ASCII user metadata. Some stores sign other bytes than were sent, some strip them. So they are sent as RFC 2047
/// encoded words, which Amazon decodes for storage and encodes in answers
/// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html).
enum MetadataText {
    /// Bytes of text in one encoded word: 60 characters of Base64, of the 75 that a word may have.
    private static let wordLength = 45

    /// Whether a value has non-ASCII characters, or encoded words for them.
    static func isBeyondASCII(_ value: String) -> Bool {
        if !value.utf8.allSatisfy({ $0 < 0x80 }) { return true }
        guard let start = value.firstRange(of: "=?") else { return false }
        return value[start.upperBound...].firstRange(of: "?=") != nil
    }

    /// The value as it is sent in the header.
    static func header(_ name: String, _ value: String) -> String {
        guard name.hasPrefix("x-amz-meta-"), !value.utf8.allSatisfy({ $0 < 0x80 }) else { return value }
        var words: [[UInt8]] = [[]]
        // A character must not be split (RFC 2047, section 5).
        for scalar in value.unicodeScalars {
            let bytes = Array(String(scalar).utf8)
            if words[words.count - 1].count + bytes.count > wordLength { words.append([]) }
            words[words.count - 1] += bytes
        }
        return words.map { "=?UTF-8?B?\(Base64.encode($0))?=" }.joined(separator: " ")
    }
}
