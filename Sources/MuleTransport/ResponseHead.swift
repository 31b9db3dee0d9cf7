/// The head of an answer, line by line as it comes: of several heads, 1xx ones first, the last one counts.
package struct ResponseHead: Sendable {
    /// Bytes that an answer's heads and trailer may have together. S3's have less than 2 KiB, and 2 KiB of metadata.
    package static let sizeLimit = 256 << 10

    /// 0 until a status line has come, and when it names none.
    package private(set) var status = 0
    /// In the order of the answer, names in lower case, values without white space around them.
    package private(set) var headers: [(name: String, value: String)] = []
    /// Whether a head with the status 100 came before the last one.
    package private(set) var continued = false
    /// Whether the empty line behind the headers has come.
    package private(set) var hasEnded = false
    private var size = 0

    package init() {}

    /// Takes a line, with or without its end. False when the heads have become longer than the limit.
    package mutating func take(_ line: UnsafeRawBufferPointer) -> Bool {
        size += line.count
        guard size <= Self.sizeLimit else { return false }
        if line.starts(with: "HTTP/".utf8) {
            if status == 100 { continued = true }
            headers = []
            hasEnded = false
            // The line may end right behind the status: servers differ on the blank before an empty reason.
            let words = String(decoding: line, as: UTF8.self).split(whereSeparator: \.isWhitespace)
            let number = words.dropFirst().first.flatMap { Int($0) } ?? 0
            status = (100...999).contains(number) ? number : 0
        } else if line.allSatisfy({ $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") }) {
            hasEnded = true
        } else if let colon = line.firstIndex(of: UInt8(ascii: ":")) {
            let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
            headers.append((name, String(decoding: Self.trimmed(line[(colon + 1)...]), as: UTF8.self)))
        }
        return true
    }

    private static func trimmed(_ bytes: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
        var bytes = bytes
        while let first = bytes.first, first <= 0x20 { bytes = bytes.dropFirst() }
        while let last = bytes.last, last <= 0x20 { bytes = bytes.dropLast() }
        return bytes
    }
}
