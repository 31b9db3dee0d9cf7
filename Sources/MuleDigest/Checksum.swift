// MuleDigest owns every digest that mule computes or compares: S3's checksums (CRCs, SHA-256, MD5), the combination of
// part CRCs into that of the whole object, HMAC for signing, and hex and base64. Values are the same on every CPU. It
// reads no files and does not know requests; callers pass bytes.

/// An algorithm by which a store can check an upload.
package enum ChecksumAlgorithm: String, Sendable, CaseIterable, Codable {
    case crc64nvme = "CRC64NVME"
    case crc32c = "CRC32C"
    case crc32 = "CRC32"
    case sha256 = "SHA256"
    case md5 = "MD5"

    package var byteCount: Int {
        switch self {
        case .crc64nvme: 8
        case .crc32c, .crc32: 4
        case .sha256: 32
        case .md5: 16
        }
    }

    /// The request and response header, `x-amz-checksum-crc64nvme`. For the MD5 of a plain upload, stores know the
    /// header `Content-MD5`; this one is S3's later form.
    package var headerName: String {
        // Literals, because every answer is searched for them.
        switch self {
        case .crc64nvme: "x-amz-checksum-crc64nvme"
        case .crc32c: "x-amz-checksum-crc32c"
        case .crc32: "x-amz-checksum-crc32"
        case .sha256: "x-amz-checksum-sha256"
        case .md5: "x-amz-checksum-md5"
        }
    }

    /// The element in the XML of Complete and ListParts, `ChecksumCRC64NVME`.
    package var xmlElement: String { "Checksum" + rawValue }
}

/// A digest with its algorithm: bytes in S3's order, a CRC's highest byte first.
package struct Checksum: Hashable, Sendable {
    package let algorithm: ChecksumAlgorithm
    package let bytes: [UInt8]

    /// The number of bytes must match the algorithm.
    package init(algorithm: ChecksumAlgorithm, bytes: [UInt8]) {
        precondition(bytes.count == algorithm.byteCount, "a \(algorithm.rawValue) has \(algorithm.byteCount) bytes")
        self.algorithm = algorithm
        self.bytes = bytes
    }

    /// Nil if the text is not strict base64 (RFC 4648 section 4, padded) of the right length. The `-N` suffix of a
    /// composite checksum is not part of the digest: such a text is refused.
    package init?(algorithm: ChecksumAlgorithm, base64: String) {
        guard let bytes = Base64.decode(base64), bytes.count == algorithm.byteCount else { return nil }
        self.init(algorithm: algorithm, bytes: bytes)
    }

    package init?(algorithm: ChecksumAlgorithm, hex: String) {
        guard let bytes = Hex.decode(hex), bytes.count == algorithm.byteCount else { return nil }
        self.init(algorithm: algorithm, bytes: bytes)
    }

    package var base64: String { Base64.encode(bytes) }
    package var hex: String { Hex.encode(bytes) }
}
