// A store's texts go into messages, the ledger and later requests, so each has a maximum length: a store that exceeds
// it is broken or hostile.

import MuleXML

/// Checks the short texts in a store's answers.
enum StoreText {
    /// Bytes of an upload ID. Amazon's have 128; it is part of the URL of every later request.
    static let longestUploadID = 2048
    /// Bytes of an ETag, a version ID or a request ID.
    static let longestName = 1024

    /// The text cut to so many Unicode scalars, with an ellipsis if it was longer.
    static func cut(_ text: String, to limit: Int) -> String {
        // There are at least as many scalars as characters, and at most as many as bytes.
        guard text.utf8.count > limit, text.unicodeScalars.count > limit else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.prefix(limit))) + "…"
    }

    /// An ETag or version ID without its quotes; nil if it is missing or invalid: RFC 9110, section 8.8.3, allows no
    /// control characters.
    static func name(_ text: String?) -> String? {
        guard let text = text.map(unquoted), !text.isEmpty, text.utf8.count <= longestName,
            text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else { return nil }
        return text
    }

    /// Who started an upload. Cut, not dropped, because nil means that the store does not tell.
    static func initiator(_ element: XMLElement) -> String? {
        element["Initiator"]?.value("ID").map { cut($0, to: 1000) }
    }

    /// A region's name, which becomes part of a host name and of the signature.
    static func region(_ text: String?) -> String? {
        guard let text, (1...64).contains(text.utf8.count) else { return nil }
        let isName = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
        }
        return isName ? text : nil
    }

    /// Seconds to wait; nil if it is not a valid number.
    static func seconds(_ text: String?) -> Double? {
        guard let seconds = text.flatMap(Double.init), seconds.isFinite, seconds >= 0 else { return nil }
        return min(seconds, 86_400)
    }
}

/// A store's ETag without the quotes around it, which come as `"`, as `&quot;` or not at all.
package func unquoted(_ eTag: String) -> String {
    // Most are plain ASCII between two quotes.
    let inner = eTag.utf8.dropFirst().dropLast()
    if eTag.utf8.first == UInt8(ascii: "\""), eTag.utf8.last == UInt8(ascii: "\""),
        inner.allSatisfy({ isHexadecimalDigit($0) || $0 == UInt8(ascii: "-") })
    {
        return String(Substring(inner))
    }
    var text = eTag.trimmingWhiteSpace[...]
    if text.hasPrefix("W/") { text = text.dropFirst(2) }
    for quote in ["\"", "&quot;", "&#34;"] {
        if text.hasPrefix(quote) { text = text.dropFirst(quote.count) }
        if text.hasSuffix(quote) { text = text.dropLast(quote.count) }
    }
    return String(text)
}

/// The bytes of a key in a listing with `encoding-type=url`, where a space is `+`.
///
/// LocalStack claims to encode keys but does not: a text with a byte that encoding would replace is the key itself.
package func urlDecoded(_ text: String) -> [UInt8] {
    guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return Array(text.utf8) }
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
        let pair = rest.prefix(2)
        if byte == UInt8(ascii: "%"), pair.count == 2, let value = hexadecimal(pair) {
            bytes.append(UInt8(value))
            rest = rest.dropFirst(2)
        } else {
            bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
        }
    }
    return bytes
}

/// The number of up to eight hexadecimal digits; nil for anything else. (`UInt8("+1", radix: 16)` is 1.)
func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt32? {
    guard (1...8).contains(digits.count), digits.allSatisfy(isHexadecimalDigit) else { return nil }
    return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
}

private func isHexadecimalDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
}
