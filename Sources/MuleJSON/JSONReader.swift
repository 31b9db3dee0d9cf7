/// Reads a JSON document (RFC 8259) strictly: no comments, no trailing commas, no duplicate keys in an object.
///
/// Foundation's decoder reports neither the position of a syntax error nor a duplicate key; people who edit a file by
/// hand need both.
package struct JSONReader {
    /// Where the document stops being JSON. Lines and columns count from 1; a column is a Unicode scalar.
    package struct SyntaxError: Error, Equatable, Sendable {
        package let line: Int
        package let column: Int
        /// What is wrong at this position. It may quote a key of the document unchanged: escape it for display, and do
        /// not show it for a document with secrets.
        package let reason: String
    }

    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0
    /// Nil if no positions are wanted.
    private var offsets: [[String]: Int]?
    private var trail: [String] = []

    /// Reads the document's value: one value with only white space around it, nested at most 64 deep.
    package static func read(_ bytes: [UInt8]) throws(SyntaxError) -> JSONValue {
        var reader = JSONReader(bytes: bytes)
        return try reader.document()
    }

    /// The same, with the position of each value in the document.
    package static func readWithPlaces(
        _ bytes: [UInt8]
    ) throws(SyntaxError) -> (value: JSONValue, places: JSONPlaces) {
        var reader = JSONReader(bytes: bytes)
        reader.offsets = [:]
        let value = try reader.document()
        return (value, JSONPlaces(bytes: bytes, offsets: reader.offsets ?? [:]))
    }

    private mutating func document() throws(SyntaxError) -> JSONValue {
        skipSpace()
        note(position)
        let value = try value()
        skipSpace()
        guard peek == nil else { throw error("unexpected text after the end of the document") }
        return value
    }

    private mutating func note(_ offset: Int) {
        if offsets != nil { offsets?[trail] = offset }
    }

    /// Reads the value under `name`, whose key or first byte is at the offset.
    private mutating func value(named name: @autoclosure () -> String, at offset: Int) throws(SyntaxError) -> JSONValue
    {
        guard offsets != nil else { return try value() }
        trail.append(name())
        note(offset)
        let value = try value()
        trail.removeLast()
        return value
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func value() throws(SyntaxError) -> JSONValue {
        skipSpace()
        switch peek {
        case UInt8(ascii: "{"): return try nested { reader throws(SyntaxError) in try reader.object() }
        case UInt8(ascii: "["): return try nested { reader throws(SyntaxError) in try reader.array() }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "-"), .some(0x30...0x39): return try number()
        case nil: throw error("expected a value, found the end of the document")
        default: return try word()
        }
    }

    private mutating func nested(
        _ read: (inout JSONReader) throws(SyntaxError) -> JSONValue
    ) throws(SyntaxError) -> JSONValue {
        guard depth < 64 else { throw error("too deeply nested") }
        depth += 1
        position += 1
        let value = try read(&self)
        depth -= 1
        return value
    }

    private mutating func object() throws(SyntaxError) -> JSONValue {
        var members: [String: JSONValue] = [:]
        if accept("}") { return .object(members) }
        repeat {
            skipSpace()
            let start = position
            if peek == UInt8(ascii: "}") { throw trailingComma("brace") }
            guard peek == UInt8(ascii: "\"") else { throw error("expected a key in double quotes") }
            let key = try string()
            guard members[key] == nil else {
                throw error("the key \"\(key)\" appears twice", at: start)
            }
            guard accept(":") else { throw error("expected a colon") }
            members[key] = try value(named: key, at: start)
        } while accept(",")
        guard accept("}") else { throw error("expected a comma or a closing brace") }
        return .object(members)
    }

    private mutating func array() throws(SyntaxError) -> JSONValue {
        var values: [JSONValue] = []
        if accept("]") { return .array(values) }
        repeat {
            skipSpace()
            if peek == UInt8(ascii: "]") { throw trailingComma("bracket") }
            values.append(try value(named: String(values.count), at: position))
        } while accept(",")
        guard accept("]") else { throw error("expected a comma or a closing bracket") }
        return .array(values)
    }

    private mutating func string() throws(SyntaxError) -> String {
        let start = position
        var text: [UInt8] = []
        position += 1
        while let byte = peek {
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                guard let valid = String(validating: text, as: UTF8.self) else {
                    throw error("this string is not valid UTF-8", at: start)
                }
                return valid
            case UInt8(ascii: "\\"):
                position += 1
                text.append(contentsOf: String(try escaped()).utf8)
            case 0..<0x20:
                throw error("control character or line break inside a string")
            default:
                text.append(byte)
                position += 1
            }
        }
        throw error("this string has no closing quote", at: start)
    }

    private mutating func escaped() throws(SyntaxError) -> Unicode.Scalar {
        let start = position - 1
        guard let byte = peek else { throw error("this escape is cut off", at: start) }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{08}"
        case UInt8(ascii: "f"): return "\u{0C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            guard let first = codeUnit() else { throw error("\\u needs four hexadecimal digits", at: start) }
            if let scalar = Unicode.Scalar(first) { return scalar }
            guard first < 0xDC00, bytes[position...].starts(with: "\\u".utf8) else {
                throw error("half of a surrogate pair", at: start)
            }
            position += 2
            guard let second = codeUnit(), UTF16.isTrailSurrogate(second),
                let scalar = Unicode.Scalar(0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
            else { throw error("half of a surrogate pair", at: start) }
            return scalar
        default:
            throw error("unknown escape; write a backslash as \\\\", at: start)
        }
    }

    private mutating func codeUnit() -> UInt16? {
        let digits = bytes[position...].prefix(4)
        // Swift's own parser accepts a sign.
        guard digits.count == 4, !digits.contains(UInt8(ascii: "+")), !digits.contains(UInt8(ascii: "-")) else {
            return nil
        }
        position += 4
        return UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
    }

    private mutating func number() throws(SyntaxError) -> JSONValue {
        let start = position
        let allowed = Array("+-.eE0123456789".utf8)
        let token = Array(bytes[start...].prefix { allowed.contains($0) })
        position += token.count
        guard JSONReader.isNumber(token) else { throw error("this is not a number", at: start) }
        let text = String(decoding: token, as: UTF8.self)
        if let integer = Int64(text) { return .int(integer) }
        guard let double = Double(text), double.isFinite else { throw error("this number is too large", at: start) }
        return .double(double)
    }

    /// The grammar of RFC 8259 section 6, which is stricter than Swift's own number parsers.
    private static func isNumber(_ token: [UInt8]) -> Bool {
        var rest = token[...]
        func digits() -> Int {
            let count = rest.prefix { (0x30...0x39).contains($0) }.count
            rest.removeFirst(count)
            return count
        }
        if rest.first == UInt8(ascii: "-") { rest.removeFirst() }
        let startsWithZero = rest.first == UInt8(ascii: "0")
        let whole = digits()
        guard whole == 1 || (whole > 1 && !startsWithZero) else { return false }
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            guard digits() > 0 else { return false }
        }
        if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
            rest.removeFirst()
            if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest.removeFirst() }
            guard digits() > 0 else { return false }
        }
        return rest.isEmpty
    }

    private mutating func word() throws(SyntaxError) -> JSONValue {
        let words: [(String, JSONValue)] = [("true", .bool(true)), ("false", .bool(false)), ("null", .null)]
        for (word, value) in words where bytes[position...].starts(with: word.utf8) {
            position += word.utf8.count
            return value
        }
        throw error("expected a value: a string, number, true, false, null, { or [")
    }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func accept(_ mark: Unicode.Scalar) -> Bool {
        skipSpace()
        guard let byte = peek, UInt32(byte) == mark.value else { return false }
        position += 1
        return true
    }

    /// The comma is the last byte before the skipped white space.
    private func trailingComma(_ mark: String) -> SyntaxError {
        let comma = bytes[..<position].lastIndex(of: UInt8(ascii: ",")) ?? position
        return error("remove the comma: nothing but a closing \(mark) follows it", at: comma)
    }

    private func error(_ reason: String, at place: Int? = nil) -> SyntaxError {
        let rest = bytes[position...]
        let isComment = place == nil && ["//", "/*", "#"].contains { rest.starts(with: $0.utf8) }
        let reason = isComment ? "JSON has no comments: remove this one" : reason
        let place = JSONPlaces.place(of: place ?? position, in: bytes)
        return SyntaxError(line: place.line, column: place.column, reason: reason)
    }
}
