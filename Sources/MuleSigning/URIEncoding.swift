/// Percent-encoding as S3's Signature Version 4 requires it: every byte except `A–Z a–z 0–9 - . _ ~` becomes `%XX` in
/// upper case, once. Nothing is normalised: dot segments, double slashes and both forms of an accent are keys of their
/// own. The request must be sent as it is signed, so this text is also the one that is sent.
/// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
package enum URIEncoding {
    private static let digits = Array("0123456789ABCDEF".utf8)

    /// For a path: keeps `/`.
    package static func path(_ bytes: some Sequence<UInt8>) -> String {
        encode(bytes, keepingSlash: true)
    }

    /// For the name or value of a query item: encodes `/` too.
    package static func component(_ bytes: some Sequence<UInt8>) -> String {
        encode(bytes, keepingSlash: false)
    }

    private static func encode(_ bytes: some Sequence<UInt8>, keepingSlash: Bool) -> String {
        // A concrete type, which avoids a call for each byte.
        bytes.withContiguousStorageIfAvailable { encode($0, keepingSlash: keepingSlash) }
            ?? Array(bytes).withUnsafeBufferPointer { encode($0, keepingSlash: keepingSlash) }
    }

    private static func encode(_ bytes: UnsafeBufferPointer<UInt8>, keepingSlash: Bool) -> String {
        String(unsafeUninitializedCapacity: bytes.count * 3) { room in
            var count = 0
            func append(_ byte: UInt8) {
                room[count] = byte
                count += 1
            }
            for byte in bytes {
                if isUnreserved(byte) || (keepingSlash && byte == UInt8(ascii: "/")) {
                    append(byte)
                } else {
                    append(UInt8(ascii: "%"))
                    append(digits[Int(byte >> 4)])
                    append(digits[Int(byte & 15)])
                }
            }
            return count
        }
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
