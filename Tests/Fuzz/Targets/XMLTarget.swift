import MuleXML

extension FuzzTarget {
    /// The reader of XML: what it takes is bounded, and reads the same when it is written out and read again.
    static let xml = FuzzTarget("xml") { bytes throws(BrokenPromise) in
        try promise(
            CharacterReferences.repaired(bytes[...]) == slowlyRepaired(bytes),
            "references are repaired in another way than the slow one"
        )
        // Of bytes that are no document, the text of one must be writable.
        let text = String(decoding: bytes, as: UTF8.self)
        if text.unicodeScalars.allSatisfy({ isXMLCharacter($0.value) && $0 != "\r" }) {
            let element = try? XMLReader.parse(Array("<a>\(escapedForXML(text))</a>".utf8))
            try promise(element?.text.isSame(as: text) == true, "escaped text does not read back")
        }
        guard let root = try? XMLReader.parse(bytes) else { return }
        var measure = TreeMeasure()
        measure.visit(root, depth: 1)
        try promise(measure.depth <= 32, "a tree \(measure.depth) deep")
        try promise(measure.elements <= XMLReader.maximumElements, "a tree of \(measure.elements) elements")
        // UTF-16 and Latin-1 grow when they become UTF-8; entities never do.
        try promise(measure.bytes <= 2 * bytes.count, "\(measure.bytes) bytes of text from \(bytes.count)")

        let written = Array(xmlText(root).utf8)
        guard let again = try? XMLReader.parse(written) else {
            throw BrokenPromise(sentence: "what was read can't be read again when it is written out")
        }
        try promise(isSame(root, again), "what was read reads differently when it is written out")
        let cut = written.count * bytes.count % 97 % written.count
        try promise((try? XMLReader.parse(Array(written[..<cut]))) == nil, "a document cut at \(cut) is taken")
    }
}

private struct TreeMeasure {
    var depth = 0
    var elements = 0
    var bytes = 0

    mutating func visit(_ element: XMLElement, depth: Int) {
        self.depth = max(self.depth, depth)
        elements += 1
        bytes += element.text.utf8.count + element.name.utf8.count
        for child in element.children { visit(child, depth: depth + 1) }
    }
}

/// The element as XML: text first, then children. A carriage return must be a reference, or it reads as a line feed.
/// After a prefix a name may start with a digit, which the parser accepts.
private func xmlText(_ element: XMLElement) -> String {
    let text = escapedForXML(element.text).replacing("\r\n", with: "&#13;\n").replacing("\r", with: "&#13;")
    return "<x:\(element.name)>" + text + element.children.map(xmlText).joined() + "</x:\(element.name)>"
}

private func isSame(_ left: XMLElement, _ right: XMLElement) -> Bool {
    left.name.isSame(as: right.name) && left.text.isSame(as: right.text)
        && left.children.count == right.children.count && zip(left.children, right.children).allSatisfy(isSame)
}

// https://www.w3.org/TR/xml/#charsets
private func isXMLCharacter(_ value: UInt32) -> Bool {
    value == 0x9 || value == 0xA || value == 0xD || (value >= 0x20 && value <= 0xD7FF)
        || (value >= 0xE000 && value <= 0xFFFD) || (value >= 0x10000 && value <= 0x10FFFF)
}

/// `CharacterReferences.repaired`, one byte at a time and without a thought for speed.
private func slowlyRepaired(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
        // The shortest piece from here that ends in ";", 16 bytes at most.
        let piece = bytes[index..<min(index + 16, bytes.count)]
        if let end = piece.firstIndex(of: UInt8(ascii: ";")),
            let value = referenceValue(String(decoding: bytes[index..<end], as: UTF8.self)), !isXMLCharacter(value)
        {
            result += Array("&#xFFFD;".utf8)
            index = end + 1
        } else {
            result.append(bytes[index])
            index += 1
        }
    }
    return result
}

/// The number of `&#65` or `&#x41`.
private func referenceValue(_ text: String) -> UInt32? {
    let scalars = Array(text.unicodeScalars)
    guard scalars.count > 2, scalars[0] == "&", scalars[1] == "#" else { return nil }
    let isHexadecimal = scalars[2] == "x"
    let digits = scalars.dropFirst(isHexadecimal ? 3 : 2)
    guard !digits.isEmpty else { return nil }
    var value: UInt64 = 0
    for digit in digits {
        let number: UInt64
        switch digit {
        case "0"..."9": number = UInt64(digit.value - 0x30)
        case "a"..."f" where isHexadecimal: number = UInt64(digit.value - 0x61 + 10)
        case "A"..."F" where isHexadecimal: number = UInt64(digit.value - 0x41 + 10)
        default: return nil
        }
        value = value * (isHexadecimal ? 16 : 10) + number
    }
    return UInt32(exactly: value)
}
