internal import CExpat

/// An element of an answer: S3's answers are small trees of names and text, without relevant attributes.
package struct XMLElement: Sendable {
    /// Without a namespace prefix.
    package var name: String
    package var text = ""
    package var children: [XMLElement] = []

    /// The first child with this name.
    package subscript(child: String) -> XMLElement? {
        children.first { $0.name == child }
    }

    package func all(_ name: String) -> [XMLElement] {
        children.filter { $0.name == name }
    }

    /// The trimmed text of the first child with this name; nil if there is none or it is empty.
    package func value(_ child: String) -> String? {
        guard let text = self[child]?.text else { return nil }
        let trimmed = text.trimmingWhiteSpace
        return trimmed.isEmpty ? nil : trimmed
    }
}

extension String {
    package var trimmingWhiteSpace: String {
        var view = self[...]
        while let first = view.unicodeScalars.first, first.value <= 0x20 { view.unicodeScalars.removeFirst() }
        while let last = view.unicodeScalars.last, last.value <= 0x20 { view.unicodeScalars.removeLast() }
        return String(view)
    }
}

/// Reads an answer's document with expat.
///
/// A truncated document is an error, never half a tree: a cut answer to CompleteMultipartUpload proves nothing. White
/// space before the XML declaration is skipped, because S3 sends it to keep the connection open. A document type
/// declaration is refused, which prevents entity expansion; depth is limited.
package enum XMLReader {
    package struct Malformed: Error, Hashable, Sendable {
        package var reason: String
    }

    private static let maximumDepth = 32
    /// A page of 1,000 uploads or parts has 12,000 elements; each takes ten times the memory of its tag.
    package static let maximumElements = 200_000

    package static func parse(_ bytes: [UInt8]) throws(Malformed) -> XMLElement {
        guard let parser = XML_ParserCreate(nil) else { throw Malformed(reason: "expat could not start") }
        defer { XML_ParserFree(parser) }
        let tree = Tree(parser)
        // The tree outlives the parser, which is local to this function and does not own it.
        XML_SetUserData(parser, Unmanaged.passUnretained(tree).toOpaque())
        XML_SetElementHandler(
            parser,
            { context, name, _ in Tree.from(context)?.open(name) },
            { context, _ in Tree.from(context)?.close() }
        )
        XML_SetCharacterDataHandler(parser) { context, bytes, count in Tree.from(context)?.add(bytes, Int(count)) }
        XML_SetStartDoctypeDeclHandler(parser) { context, _, _, _, _ in Tree.from(context)?.stop("document type") }

        let document = CharacterReferences.repaired(bytes.drop { $0 <= 0x20 })
        let status = document.withUnsafeBytes { raw in
            XML_Parse(parser, raw.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(raw.count), 1)
        }
        if let problem = tree.problem { throw Malformed(reason: problem) }
        guard status == XML_STATUS_OK else {
            let text = XML_ErrorString(XML_GetErrorCode(parser)).map { String(cString: $0) } ?? "unreadable"
            throw Malformed(reason: text)
        }
        guard let root = tree.root else { throw Malformed(reason: "empty document") }
        return root
    }

    private final class Tree {
        private(set) var root: XMLElement?
        private(set) var problem: String?
        private var stack: [XMLElement] = []
        private var count = 0
        private let parser: XML_Parser

        init(_ parser: XML_Parser) {
            self.parser = parser
        }

        static func from(_ context: UnsafeMutableRawPointer?) -> Tree? {
            context.map { Unmanaged<Tree>.fromOpaque($0).takeUnretainedValue() }
        }

        /// Ends the parse; expat may still make callbacks for what it has read.
        func stop(_ reason: String) {
            problem = reason
            XML_StopParser(parser, XML_Bool(0))
        }

        func open(_ name: UnsafePointer<CChar>?) {
            guard problem == nil, let name else { return }
            guard stack.count < XMLReader.maximumDepth else { return stop("nested too deeply") }
            count += 1
            guard count <= XMLReader.maximumElements else { return stop("too many elements") }
            let full = String(cString: name)
            // As bytes: a colon and an accent after it are one Character.
            let local = full.utf8.lastIndex(of: UInt8(ascii: ":")).map { full[$0...].utf8.dropFirst() }
            let localName = local.map { String(decoding: $0, as: UTF8.self) } ?? full
            guard !localName.isEmpty else { return stop("a name that is only a prefix") }
            stack.append(XMLElement(name: localName))
        }

        func add(_ bytes: UnsafePointer<CChar>?, _ count: Int) {
            guard problem == nil, let bytes, !stack.isEmpty else { return }
            let raw = UnsafeRawBufferPointer(start: bytes, count: count)
            stack[stack.count - 1].text += String(decoding: raw, as: UTF8.self)
        }

        func close() {
            guard problem == nil, let element = stack.popLast() else { return }
            if stack.isEmpty {
                root = element
            } else {
                stack[stack.count - 1].children.append(element)
            }
        }
    }
}

/// Text for use between two tags.
package func escapedForXML(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "\"": result += "&quot;"
        case "'": result += "&apos;"
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result
}
