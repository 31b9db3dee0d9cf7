/// A small XML tree: enough for the documents of S3, in both directions.
package struct FakeXML: Sendable, Equatable {
    package var name: String
    package var text: String
    package var children: [FakeXML]
    /// Whether `"` in the text is written as `&quot;`, as AWS does for entity tags; both forms are valid XML.
    var escapesQuotes = true

    package init(_ name: String, _ text: String = "") {
        self.name = name
        self.text = text
        children = []
    }

    package init(_ name: String, children: [FakeXML]) {
        self.name = name
        text = ""
        self.children = children
    }

    package func child(_ name: String) -> FakeXML? { children.first { $0.name == name } }
    package func children(_ name: String) -> [FakeXML] { children.filter { $0.name == name } }

    /// The document with its declaration, as S3 writes it.
    func document(namespace: String?) -> [UInt8] {
        var output = Array("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".utf8)
        write(to: &output, attributes: namespace.map { " xmlns=\"\($0)\"" } ?? "")
        return output
    }

    private func write(to output: inout [UInt8], attributes: String) {
        output += Array("<\(name)\(attributes)>".utf8)
        escapeText(to: &output)
        for child in children { child.write(to: &output, attributes: "") }
        output += Array("</\(name)>".utf8)
    }

    private func escapeText(to output: inout [UInt8]) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "&"): output += Array("&amp;".utf8)
            case UInt8(ascii: "<"): output += Array("&lt;".utf8)
            case UInt8(ascii: ">"): output += Array("&gt;".utf8)
            case UInt8(ascii: "\"") where escapesQuotes: output += Array("&quot;".utf8)
            case 0..<32: output += Array("&#\(byte);".utf8)
            default: output.append(byte)
            }
        }
    }
}

extension FakeXML {
    /// Parses a document; nil unless it is one complete root element. Attributes are skipped.
    package init?(parsing bytes: [UInt8]) {
        var parser = Parser(bytes: bytes)
        guard let root = parser.document() else { return nil }
        self = root
    }

    private struct Parser {
        let bytes: [UInt8]
        var position = 0

        mutating func document() -> FakeXML? {
            skipBlanks()
            while skip(prolog: "<?", until: "?>") || skip(prolog: "<!--", until: "-->") { skipBlanks() }
            guard let root = element(depth: 0) else { return nil }
            skipBlanks()
            return position == bytes.count ? root : nil
        }

        private mutating func element(depth: Int) -> FakeXML? {
            guard depth < 16, take("<"), let tag = taken(until: ">") else { return nil }
            let isEmpty = tag.last == UInt8(ascii: "/")
            let nameBytes = (isEmpty ? tag.dropLast() : tag).prefix { $0 > UInt8(ascii: " ") }
            guard !nameBytes.isEmpty else { return nil }
            var element = FakeXML(String(decoding: nameBytes, as: UTF8.self))
            if isEmpty { return element }
            var text: [UInt8] = []
            while let open = bytes[position...].firstIndex(of: UInt8(ascii: "<")) {
                text += bytes[position..<open]
                position = open
                guard take("</") else {
                    guard let child = self.element(depth: depth + 1) else { return nil }
                    element.children.append(child)
                    continue
                }
                guard let close = taken(until: ">"), close.prefix(while: { $0 > 32 }).elementsEqual(nameBytes),
                    let plain = Self.unescaped(text)
                else { return nil }
                element.text = element.children.isEmpty ? plain : ""
                return element
            }
            return nil
        }

        private mutating func skipBlanks() {
            while position < bytes.count, bytes[position] <= 32 { position += 1 }
        }

        private mutating func skip(prolog: String, until end: String) -> Bool {
            guard take(prolog) else { return false }
            while position < bytes.count, !take(end) { position += 1 }
            return true
        }

        private mutating func take(_ text: String) -> Bool {
            guard bytes[position...].starts(with: text.utf8) else { return false }
            position += text.utf8.count
            return true
        }

        private mutating func taken(until byte: Unicode.Scalar) -> ArraySlice<UInt8>? {
            guard let end = bytes[position...].firstIndex(of: UInt8(ascii: byte)) else { return nil }
            defer { position = end + 1 }
            return bytes[position..<end]
        }

        private static func unescaped(_ bytes: [UInt8]) -> String? {
            var plain: [UInt8] = []
            var rest = bytes[...]
            while let byte = rest.popFirst() {
                guard byte == UInt8(ascii: "&") else {
                    plain.append(byte)
                    continue
                }
                guard let end = rest.firstIndex(of: UInt8(ascii: ";")) else { return nil }
                let name = String(decoding: rest[..<end], as: UTF8.self)
                rest = rest[(end + 1)...]
                switch name {
                case "amp": plain.append(UInt8(ascii: "&"))
                case "lt": plain.append(UInt8(ascii: "<"))
                case "gt": plain.append(UInt8(ascii: ">"))
                case "quot": plain.append(UInt8(ascii: "\""))
                case "apos": plain.append(UInt8(ascii: "'"))
                default:
                    guard name.first == "#" else { return nil }
                    let digits = name.dropFirst()
                    let number =
                        digits.first == "x" ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits, radix: 10)
                    guard let scalar = number.flatMap(Unicode.Scalar.init) else { return nil }
                    plain += Array(String(Character(scalar)).utf8)
                }
            }
            return String(decoding: plain, as: UTF8.self)
        }
    }
}
