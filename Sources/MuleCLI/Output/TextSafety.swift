/// Makes external text (file names, keys, a store's messages) safe to show: a name cannot move the cursor, reorder the
/// line or hide part of itself, and no byte is lost.
package enum TextSafety {
    /// A name for a terminal: control and direction characters are escaped, bytes that are not UTF-8 become `%FF`.
    package static func displayName(_ bytes: [UInt8]) -> String { render(bytes, escapingControls: true) }

    /// An operand that is not what was expected: if it is a URL, without what may be secret in it.
    static func displayOperand(_ bytes: [UInt8]) -> String {
        let text = displayName(bytes)
        guard let start = text.firstRange(of: "://")?.upperBound else { return text }
        let address = text[start...].prefix { $0 != "?" && $0 != "#" }
        let authority = address.prefix { $0 != "/" }
        let host = authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
        return text[..<start] + host + address[authority.endIndex...] + (address.endIndex < text.endIndex ? "?..." : "")
    }

    /// The same for a name that is already text.
    package static func displayName(_ text: String) -> String { displayName(Array(text.utf8)) }

    /// A name for a JSON string: valid UTF-8 unchanged, other bytes as `%FF`. JSON escapes the rest.
    package static func jsonName(_ bytes: [UInt8]) -> String { render(bytes, escapingControls: false) }

    /// A message for a terminal: like `displayName`, but keeps line feeds.
    package static func displayText(_ text: String) -> String {
        text.utf8.split(separator: 0x0A, omittingEmptySubsequences: false)
            .map { displayName(Array($0)) }
            .joined(separator: "\n")
    }

    private static func render(_ bytes: [UInt8], escapingControls: Bool) -> String {
        // The fast path: most names are ASCII, and one is shown per file.
        if bytes.allSatisfy({ (0x20...0x7E).contains($0) }) { return String(decoding: bytes, as: UTF8.self) }
        var result = ""
        var parser = Unicode.UTF8.ForwardParser()
        var input = bytes.makeIterator()
        var position = 0
        while true {
            switch parser.parseScalar(from: &input) {
            case .emptyInput:
                return result
            case .valid(let encoded):
                position += encoded.count
                let scalar = Unicode.UTF8.decode(encoded)
                if escapingControls, isUnsafe(scalar) {
                    result += escape(scalar)
                } else {
                    result.unicodeScalars.append(scalar)
                }
            case .error(let length):
                for byte in bytes[position..<min(position + length, bytes.count)] { result += "%" + hex(byte) }
                position += length
            }
        }
    }

    /// Controls (C0, DEL, C1), line and paragraph separators, and format characters that reorder or hide text.
    /// Zero-width joiners are kept: emoji and several scripts need them.
    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        case .format: scalar != "\u{200C}" && scalar != "\u{200D}"
        default: false
        }
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        default:
            scalar.value < 0x80
                ? "\\x" + hex(UInt8(truncatingIfNeeded: scalar.value))
                : "\\u{" + String(scalar.value, radix: 16) + "}"
        }
    }

    private static func hex(_ byte: UInt8) -> String {
        (byte < 0x10 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }
}
