package import MuleDigest
package import MuleSigning
import MuleXML

/// What a checksum of a multipart upload covers.
package enum ChecksumType: String, Sendable {
    /// All bytes of the object.
    case fullObject = "FULL_OBJECT"
    /// The checksums of the parts, with the suffix `-N`.
    case composite = "COMPOSITE"
}

extension ChecksumAlgorithm {
    /// The type for a multipart upload: CRCs can be combined over the whole object, hashes cannot.
    package var multipartType: ChecksumType {
        switch self {
        case .crc64nvme, .crc32c, .crc32: .fullObject
        case .sha256, .md5: .composite
        }
    }
}

/// The digests sent with a body, for the store to check it.
package struct BodyProof: Sendable {
    package var payload: PayloadHash
    /// Sent as `x-amz-checksum-…`.
    package var checksum: Checksum?
    /// Sent as `Content-MD5`; 16 bytes.
    package var md5: [UInt8]?

    package init(payload: PayloadHash, checksum: Checksum? = nil, md5: [UInt8]? = nil) {
        self.payload = payload
        self.checksum = checksum
        self.md5 = md5
    }

    var headers: [(name: String, value: String)] {
        var headers: [(name: String, value: String)] = []
        if let checksum { headers.append((checksum.algorithm.headerName, checksum.base64)) }
        if let md5 { headers.append(("content-md5", Base64.encode(md5))) }
        return headers
    }
}
