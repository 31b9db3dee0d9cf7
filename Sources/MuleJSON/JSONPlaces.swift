/// The positions of values in a document, for error messages.
package struct JSONPlaces: Sendable, Equatable {
    /// Counted from 1; a column is a Unicode scalar.
    package struct Place: Sendable, Equatable, Comparable {
        package let line: Int
        package let column: Int

        package init(line: Int, column: Int) {
            self.line = line
            self.column = column
        }

        package static func < (one: Place, other: Place) -> Bool { (one.line, one.column) < (other.line, other.column) }
    }

    private let bytes: [UInt8]
    /// Offsets of the first bytes of lines, ascending: thousands of positions of a large document may be needed.
    private let lineStarts: [Int]
    /// Offsets by path: the names and array indexes that lead to a value.
    private let offsets: [[String]: Int]

    init(bytes: [UInt8], offsets: [[String]: Int]) {
        self.bytes = bytes
        self.offsets = offsets
        lineStarts = [0] + bytes.indices.filter { bytes[$0] == 0x0A }.map { $0 + 1 }
    }

    /// The position of a member's key or of an array's element, or of the document for an empty path; nil if it does
    /// not exist.
    package subscript(names: [String]) -> Place? {
        offsets[names].map { offset in
            var (low, high) = (0, lineStarts.count)
            while high - low > 1 {
                let middle = (low + high) / 2
                if lineStarts[middle] <= offset { low = middle } else { high = middle }
            }
            // Each scalar has one byte that is not a continuation byte.
            let column = bytes[lineStarts[low]..<offset].count { $0 & 0xC0 != 0x80 } + 1
            return Place(line: low + 1, column: column)
        }
    }

    static func place(of offset: Int, in bytes: [UInt8]) -> Place {
        let before = bytes[..<offset]
        let lineStart = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        let line = before.reduce(into: 1) { if $1 == 0x0A { $0 += 1 } }
        let column = String(decoding: before[lineStart...], as: UTF8.self).unicodeScalars.count + 1
        return Place(line: line, column: column)
    }
}
