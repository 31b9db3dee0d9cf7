/// One header field; names are compared without regard to case, values are as on the wire, trimmed.
package struct FakeHeader: Sendable, Hashable {
    package var name: String
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// One decoded query parameter; a parameter without `=` has the empty value.
package struct FakeParameter: Sendable, Hashable {
    package var name: String
    package var value: String
}

/// The request line and header fields, with the raw bytes kept that a signature covers.
struct RequestHead: Sendable {
    var method: String
    /// The request target exactly as sent.
    var rawTarget: [UInt8]
    var headers: [FakeHeader]

    /// Parses everything up to, and without, the empty line; nil when it is not an HTTP/1.1 request.
    init?(_ bytes: ArraySlice<UInt8>) {
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)[...]
            .map { $0.last == UInt8(ascii: "\r") ? $0.dropLast() : $0 }[...]
        guard let requestLine = lines.popFirst() else { return nil }
        let words = requestLine.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count == 3, words[2].starts(with: Array("HTTP/1.".utf8)), !words[1].isEmpty else { return nil }
        method = String(decoding: words[0], as: UTF8.self)
        rawTarget = Array(words[1])
        headers = []
        for line in lines where !line.isEmpty {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex else { return nil }
            headers.append(
                FakeHeader(
                    String(decoding: line[..<colon], as: UTF8.self),
                    String(decoding: Self.trimmed(line[(colon + 1)...]), as: UTF8.self)
                )
            )
        }
    }

    var rawPath: ArraySlice<UInt8> { rawTarget[..<questionMark] }
    var rawQuery: ArraySlice<UInt8> { rawTarget[questionMark...].dropFirst() }

    private var questionMark: Int { rawTarget.firstIndex(of: UInt8(ascii: "?")) ?? rawTarget.endIndex }

    /// Decoded query parameters in the order of the wire; nil when an escape is malformed.
    var query: [FakeParameter]? {
        var fields: [FakeParameter] = []
        for pair in rawQuery.split(separator: UInt8(ascii: "&")) {
            let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            guard let name = Percent.decode(pair[..<equals], plusIsSpace: true),
                let value = Percent.decode(pair[equals...].dropFirst(), plusIsSpace: true)
            else { return nil }
            fields.append(
                FakeParameter(
                    name: String(decoding: name, as: UTF8.self),
                    value: String(decoding: value, as: UTF8.self)
                )
            )
        }
        return fields
    }

    subscript(name: String) -> String? { headers.value(of: name) }

    var expectsContinue: Bool { self["expect"]?.lowercased() == "100-continue" }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let isBlank: (UInt8) -> Bool = { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        var result = bytes.drop(while: isBlank)
        while let last = result.last, isBlank(last) { result.removeLast() }
        return result
    }
}

extension [FakeHeader] {
    /// The first value of a field, or nil.
    package func value(of name: String) -> String? {
        let wanted = name.lowercased()
        return first { $0.name.lowercased() == wanted }?.value
    }

    /// All values of a field, in the order of the wire.
    package func values(of name: String) -> [String] {
        let wanted = name.lowercased()
        return filter { $0.name.lowercased() == wanted }.map(\.value)
    }
}
