/// The headers of an object besides its bytes: those of CreateMultipartUpload or PutObject.
///
/// They are part of an upload's identity, since they are fixed when it is created and can't be changed later.
package struct ObjectAttributes: Hashable, Sendable {
    package struct Header: Hashable, Sendable {
        /// Lower case.
        package var name: String
        package var value: String
    }

    /// Sorted by name.
    package private(set) var headers: [Header] = []

    package init() {}

    /// Sets a header, replacing one of the same name.
    ///
    /// - Throws: `AttributeError` for a name or value that would end the header or start another.
    package mutating func set(_ name: String, _ value: String) throws(AttributeError) {
        let name = name.utf8.contains(where: Self.capitals.contains) ? name.lowercased() : name
        guard !name.isEmpty, name.utf8.allSatisfy(Self.isTokenByte) else { throw .badName(name) }
        guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else { throw .badValue(name: name) }
        let place = headers.firstIndex { !$0.name.utf8.lexicographicallyPrecedes(name.utf8) } ?? headers.endIndex
        if place < headers.endIndex, headers[place].name.utf8.elementsEqual(name.utf8) {
            headers[place].value = value
        } else {
            headers.insert(Header(name: name, value: value), at: place)
        }
    }

    package mutating func remove(_ name: String) {
        headers.removeAll { $0.name == name }
    }

    /// The value of Content-Type with which none is sent, not even that of the extension.
    package static let noContentType = "none"

    package var contentType: String? { self[ObjectHeader.contentType.name] }

    package subscript(name: String) -> String? {
        headers.first { $0.name == name }?.value
    }

    /// The headers of the object, and those of every request.
    package var parted: (object: ObjectAttributes, requests: ObjectAttributes) {
        let names = ObjectHeader.allCases.filter(\.isOnEveryRequest).map(\.name)
        var (object, requests) = (self, self)
        object.headers.removeAll { names.contains($0.name) }
        requests.headers.removeAll { !names.contains($0.name) }
        return (object, requests)
    }

    /// These headers and others, which have other names.
    package func with(_ others: ObjectAttributes) -> ObjectAttributes {
        var all = self
        all.headers += others.headers
        all.headers.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        return all
    }

    /// Whether the object gets an Object Lock.
    package var isLocked: Bool { !headers.isEmpty && ObjectHeader.locks.contains { self[$0.name] != nil } }

    private static let capitals = UInt8(ascii: "A")...UInt8(ascii: "Z")

    /// Allocates memory for so many more headers at once.
    package mutating func reserve(_ count: Int) { headers.reserveCapacity(headers.count + count) }

    /// Bytes of the user metadata as S3 counts them: names (without their prefix) and values.
    package var metadataSize: Int {
        headers.filter { $0.name.hasPrefix("x-amz-meta-") }
            .reduce(0) { $0 + $1.name.utf8.count - "x-amz-meta-".utf8.count + $1.value.utf8.count }
    }

    /// One `name: value` a line, for the ledger.
    package var text: String {
        headers.map { $0.name + ": " + $0.value }.joined(separator: "\n")
    }

    /// Reads back what `text` wrote; a line that is none is left out.
    package init(text: String) {
        // In bytes: a space and an accent after it are one Character, and a value's own spaces belong to it.
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let rest = line[colon...].dropFirst()
            let value = rest.first == UInt8(ascii: " ") ? rest.dropFirst() : rest
            try? set(String(decoding: line[..<colon], as: UTF8.self), String(decoding: value, as: UTF8.self))
        }
    }

    // RFC 9110, section 5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
            true
        default: "!#$%&'*+.^_`|~".utf8.contains(byte)
        }
    }
}

package enum AttributeError: Error, Hashable, Sendable {
    case badName(String)
    /// The value holds a control character.
    case badValue(name: String)
}
