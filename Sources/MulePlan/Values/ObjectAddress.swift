/// The name of an object in its bucket: bytes, as S3 compares them. (`String` treats the composed and decomposed forms
/// of `ü` as equal; S3 and file systems do not.)
package struct ObjectKey: Hashable, Sendable {
    package let utf8: [UInt8]

    /// A key must be UTF-8. Each other byte becomes `%XX` instead of a replacement character, so names stay different.
    package init(_ bytes: some Sequence<UInt8>) {
        utf8 = LossyUTF8.percentEscapingInvalid(Array(bytes))
    }

    package init(_ string: String) {
        utf8 = Array(string.utf8)
    }

    package var string: String { String(decoding: utf8, as: UTF8.self) }
}

/// A bucket and a key: `bucket/key`.
package struct ObjectAddress: Hashable, Sendable, CustomStringConvertible {
    /// Or the ARN of an access point.
    package var bucket: String
    package var key: ObjectKey

    package init(bucket: String, key: ObjectKey) {
        self.bucket = bucket
        self.key = key
    }

    package var description: String { bucket + "/" + key.string }
}

/// The user's DESTINATION argument.
package enum Destination: Hashable, Sendable {
    case object(ObjectAddress)
    /// A bucket, or a key that ends in `/`: each source's name is appended.
    case prefix(ObjectAddress)

    /// Reads `bucket/key`, `s3://bucket/key`, `bucket/prefix/`, `bucket/` or `bucket`; the ARN of an access point may
    /// be in the bucket's place.
    ///
    /// - Parameter exactKey: a key that ends in `/` is an object's name, not a prefix.
    package init(parsing text: [UInt8], exactKey: Bool = false) throws(DestinationError) {
        var rest = text[...]
        let scheme = Array("s3://".utf8)
        if rest.count >= scheme.count, rest.prefix(scheme.count).map(Self.lowered) == scheme {
            rest = rest.dropFirst(scheme.count)
        }
        let slash = AccessPoint.endOfBucket(in: rest)
        let key = slash == rest.endIndex ? [] : rest[(slash + 1)...]
        let address = ObjectAddress(bucket: try Self.bucket(rest[..<slash]), key: ObjectKey(key))
        let isPrefix = key.isEmpty || (key.last == UInt8(ascii: "/") && !exactKey)
        self = isPrefix ? .prefix(address) : .object(address)
    }

    private static func bucket(_ text: ArraySlice<UInt8>) throws(DestinationError) -> String {
        guard !text.isEmpty else { throw .noBucket }
        let name = LossyUTF8.string(Array(text))
        if AccessPoint.isARN(text) {
            do throws(AccessPoint.Refusal) {
                return try AccessPoint(arn: name).arn
            } catch {
                throw .unsupportedARN(name, error)
            }
        }
        guard text.allSatisfy(isBucketByte) else { throw .badBucket(name) }
        return name
    }

    package var bucket: String {
        switch self {
        case .object(let address), .prefix(let address): address.bucket
        }
    }

    /// The object for a source with this name, or this path relative to the source argument.
    package func address(forName name: [UInt8]) -> ObjectAddress {
        switch self {
        case .object(let address): address
        case .prefix(let address):
            ObjectAddress(bucket: address.bucket, key: ObjectKey(address.key.utf8 + name))
        }
    }

    private static func lowered(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    // Wider than AWS's naming rules, because other stores allow upper case and underscores; narrow enough that a
    // bucket's name looks the same in a URL, in a host name and on a terminal.
    private static func isBucketByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

package enum DestinationError: Error, Hashable, Sendable {
    case noBucket
    case badBucket(String)
    /// An ARN of something else than an access point of one region.
    case unsupportedARN(String, AccessPoint.Refusal)
}

/// Bytes that should be UTF-8 but may not be: file names on Linux are any bytes except `/` and NUL.
package enum LossyUTF8 {
    /// Keeps UTF-8 and writes every other byte as `%XX`.
    package static func percentEscapingInvalid(_ bytes: [UInt8]) -> [UInt8] {
        if bytes.allSatisfy({ $0 < 0x80 }) || isValid(bytes[...]) { return bytes }
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            let length = scalarLength(bytes, at: index)
            if length > 0 {
                result += bytes[index..<index + length]
                index += length
            } else {
                result += [UInt8(ascii: "%"), hexDigit(bytes[index] >> 4), hexDigit(bytes[index] & 15)]
                index += 1
            }
        }
        return result
    }

    package static func string(_ bytes: [UInt8]) -> String {
        String(decoding: percentEscapingInvalid(bytes), as: UTF8.self)
    }

    private static func isValid(_ bytes: ArraySlice<UInt8>) -> Bool {
        String(validating: bytes, as: UTF8.self) != nil
    }

    private static func scalarLength(_ bytes: [UInt8], at index: Int) -> Int {
        for length in 1...4 where index + length <= bytes.count && isValid(bytes[index..<index + length]) {
            return length
        }
        return 0
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }
}

extension [UInt8] {
    /// Whether no other name can map to the same key: bytes that are not UTF-8 become `%XX`, which may be part of
    /// another name.
    package var isItsOwnKey: Bool {
        !contains(UInt8(ascii: "%")) && (allSatisfy { $0 < 0x80 } || String(validating: self, as: UTF8.self) != nil)
    }
}
