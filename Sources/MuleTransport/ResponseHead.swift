/// The head of an answer, read line by line: of several heads, such as 1xx ones, the last counts.
package struct ResponseHead: Sendable {
    /// Maximum bytes of an answer's heads and trailer together. S3's have less than 2 KiB, and 2 KiB of metadata.
    package static let sizeLimit = 256 << 10

    /// 0 before a status line, and if it has no status.
    package private(set) var status = 0
    /// In the order of the answer, names in lower case, values trimmed.
    package private(set) var headers: [(name: String, value: String)] = []
    /// Whether a head with the status 100 came before the last one.
    package private(set) var continued = false
    /// Whether the empty line after the headers has arrived.
    package private(set) var hasEnded = false
    private var size = 0

    package init() {}

    /// Takes a line, with or without its end. False if the heads exceed the limit.
    package mutating func take(_ line: UnsafeRawBufferPointer) -> Bool {
        size += line.count
        guard size <= Self.sizeLimit else { return false }
        if line.starts(with: "HTTP/".utf8) {
            if status == 100 { continued = true }
            headers = []
            hasEnded = false
            status = Self.status(in: line)
        } else if line.allSatisfy({ $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") }) {
            hasEnded = true
        } else if let colon = line.firstIndex(of: UInt8(ascii: ":")) {
            if headers.isEmpty { headers.reserveCapacity(16) }
            let value = UnsafeRawBufferPointer(rebasing: Self.trimmed(line[(colon + 1)...]))
            headers.append((Self.lowercased(line[..<colon]), String(decoding: value, as: UTF8.self)))
        }
        return true
    }

    /// The number after the version; 0 if there is none. The line may end right after it: some servers omit the space
    /// before an empty reason.
    private static func status(in line: UnsafeRawBufferPointer) -> Int {
        let word = line.drop { $0 > 0x20 }.drop { $0 <= 0x20 }.prefix { $0 > 0x20 }
        guard word.count == 3 else { return 0 }
        var number = 0
        for digit in word {
            guard (0x30...0x39).contains(digit) else { return 0 }
            number = number * 10 + Int(digit - 0x30)
        }
        return number >= 100 ? number : 0
    }

    private static func lowercased(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
        String(unsafeUninitializedCapacity: bytes.count) { room in
            var count = 0
            for byte in bytes {
                room[count] = (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
                count += 1
            }
            return count
        }
    }

    private static func trimmed(_ bytes: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
        var bytes = bytes
        while let first = bytes.first, first <= 0x20 { bytes = bytes.dropFirst() }
        while let last = bytes.last, last <= 0x20 { bytes = bytes.dropLast() }
        return bytes
    }
}
