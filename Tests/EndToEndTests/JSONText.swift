/// A strict JSON parser (RFC 8259) that keeps the order of members: it reads mule's output and shares no code with
/// mule.
enum JSONText: Equatable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONText])
    case object([Member])

    struct Member: Equatable {
        var name: String
        var value: JSONText
    }

    /// nil for anything but one whole object.
    init?(_ line: String) {
        var reader = Reader(rest: Array(line.utf8)[...])
        guard let value = reader.value(), reader.rest.isEmpty, case .object = value else { return nil }
        self = value
    }

    subscript(name: String) -> JSONText? {
        if case .object(let members) = self { members.first { $0.name == name }?.value } else { nil }
    }

    /// Names of an object's members, in their order.
    var names: [String] {
        if case .object(let members) = self { members.map(\.name) } else { [] }
    }

    var text: String? { if case .string(let text) = self { text } else { nil } }
    var integer: Int64? { if case .number(let number) = self { Int64(exactly: number) } else { nil } }

    /// Whether the names in this object and in all below it are sorted by bytes, each once.
    var isSorted: Bool {
        switch self {
        case .object(let members):
            let names = members.map { Array($0.name.utf8) }
            return zip(names, names.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) }
                && members.allSatisfy(\.value.isSorted)
        case .array(let values): return values.allSatisfy(\.isSorted)
        default: return true
        }
    }
}

private struct Reader {
    var rest: ArraySlice<UInt8>

    mutating func value() -> JSONText? {
        skipSpace()
        defer { skipSpace() }
        switch rest.first {
        case UInt8(ascii: "{"): return object()
        case UInt8(ascii: "["): return array()
        case UInt8(ascii: "\""): return string().map { .string($0) }
        default:
            if take("null") { return .null }
            if take("true") { return .bool(true) }
            if take("false") { return .bool(false) }
            return number()
        }
    }

    private mutating func object() -> JSONText? {
        var members: [JSONText.Member] = []
        guard take("{") else { return nil }
        skipSpace()
        if take("}") { return .object([]) }
        repeat {
            skipSpace()
            guard let name = string() else { return nil }
            skipSpace()
            guard take(":"), let value = value() else { return nil }
            members.append(.init(name: name, value: value))
        } while take(",")
        return take("}") ? .object(members) : nil
    }

    private mutating func array() -> JSONText? {
        var values: [JSONText] = []
        guard take("[") else { return nil }
        skipSpace()
        if take("]") { return .array([]) }
        repeat {
            guard let value = value() else { return nil }
            values.append(value)
        } while take(",")
        return take("]") ? .array(values) : nil
    }

    private mutating func string() -> String? {
        guard take("\"") else { return nil }
        var bytes: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return String(validating: bytes, as: UTF8.self)
            case 0..<0x20: return nil
            case UInt8(ascii: "\\"):
                guard let escaped = escape() else { return nil }
                bytes += escaped
            default: bytes.append(byte)
            }
        }
        return nil
    }

    private mutating func escape() -> [UInt8]? {
        guard let letter = rest.popFirst() else { return nil }
        let plain: [UInt8: UInt8] = [
            UInt8(ascii: "\""): UInt8(ascii: "\""), UInt8(ascii: "\\"): UInt8(ascii: "\\"),
            UInt8(ascii: "/"): UInt8(ascii: "/"), UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12,
            UInt8(ascii: "n"): 10, UInt8(ascii: "r"): 13, UInt8(ascii: "t"): 9,
        ]
        if let byte = plain[letter] { return [byte] }
        // Pairs of surrogates are refused: mule writes every other character as it is.
        let digits = String(decoding: rest.prefix(4), as: UTF8.self)
        guard letter == UInt8(ascii: "u"), digits.utf8.count == 4, let code = UInt32(digits, radix: 16),
            let scalar = Unicode.Scalar(code)
        else { return nil }
        rest = rest.dropFirst(4)
        return Array(String(Character(scalar)).utf8)
    }

    private mutating func number() -> JSONText? {
        let text = rest.prefix { "+-.eE0123456789".utf8.contains($0) }
        rest = rest.dropFirst(text.count)
        return Double(String(decoding: text, as: UTF8.self)).map { .number($0) }
    }

    private mutating func take(_ text: String) -> Bool {
        guard rest.starts(with: text.utf8) else { return false }
        rest = rest.dropFirst(text.utf8.count)
        return true
    }

    private mutating func skipSpace() { rest = rest.drop { $0 == 0x20 || $0 == 0x09 } }
}
