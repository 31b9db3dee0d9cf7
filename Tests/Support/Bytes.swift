/// Searching in bytes; glibc's `memmem` is a GNU extension that Swift does not import.
enum Bytes {
    /// Offset of the first occurrence of `wanted` at or after `start`.
    static func firstRange(of wanted: [UInt8], in bytes: UnsafeRawBufferPointer, from start: Int = 0) -> Int? {
        guard let first = wanted.first, bytes.count - start >= wanted.count else { return nil }
        var offset = start
        while offset + wanted.count <= bytes.count {
            if bytes[offset] == first, wanted.indices.allSatisfy({ bytes[offset + $0] == wanted[$0] }) { return offset }
            offset += 1
        }
        return nil
    }

    static func contains(_ wanted: [UInt8], in bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { firstRange(of: wanted, in: $0) != nil }
    }
}
