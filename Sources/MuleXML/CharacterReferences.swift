/// Fixes references such as `&#x1B;` to characters that XML 1.0 does not allow. A key may contain them and stores echo
/// it; expat would refuse the whole document.
package enum CharacterReferences {
    /// The document with each such reference replaced by one to U+FFFD. Everything else is unchanged.
    package static func repaired(_ document: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var rest = document
        while let ampersand = rest.firstIndex(of: UInt8(ascii: "&")) {
            result += rest[..<ampersand]
            rest = rest[ampersand...]
            guard let (value, length) = reference(rest) else {
                result.append(rest.removeFirst())
                continue
            }
            result += isCharacter(value) ? Array(rest.prefix(length)) : Array("&#xFFFD;".utf8)
            rest = rest.dropFirst(length)
        }
        return result + rest
    }

    /// The number and the length of a reference at the start; nil if there is none.
    private static func reference(_ bytes: ArraySlice<UInt8>) -> (value: UInt32, length: Int)? {
        // The longest valid reference, "&#x0010FFFF;", and some zeros.
        let head = bytes.prefix(16)
        guard head.starts(with: "&#".utf8), let end = head.firstIndex(of: UInt8(ascii: ";")) else { return nil }
        var digits = head[(head.startIndex + 2)..<end]
        let isHexadecimal = digits.first == UInt8(ascii: "x")
        if isHexadecimal { digits = digits.dropFirst() }
        // Swift's own parser accepts a sign.
        guard let first = digits.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-"),
            let value = UInt32(String(decoding: digits, as: UTF8.self), radix: isHexadecimal ? 16 : 10)
        else { return nil }
        return (value, end - bytes.startIndex + 1)
    }

    // https://www.w3.org/TR/xml/#charsets
    private static func isCharacter(_ value: UInt32) -> Bool {
        switch value {
        case 0x9, 0xA, 0xD, 0x20...0xD7FF, 0xE000...0xFFFD, 0x10000...0x10FFFF: true
        default: false
        }
    }
}
