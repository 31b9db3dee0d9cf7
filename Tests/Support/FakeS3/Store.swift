import Glibc
package import MuleDigest

/// The store's content. Tests may inspect it, and change it with `FakeS3.edit`.
package struct FakeStore: Sendable {
    package var buckets: [String: Bucket] = [:]

    package struct Bucket: Sendable {
        /// Objects by the bytes of their keys: NFC and NFD forms are two objects.
        package var objects: [[UInt8]: FakeObject] = [:]
        /// Open multipart uploads by upload ID.
        package var uploads: [String: FakeUpload] = [:]

        package init() {}
    }
}

/// What was said about an object when it was put, or when its upload was created.
package struct FakeAttributes: Sendable, Equatable {
    package var contentType = "binary/octet-stream"
    /// User metadata, names in lower case without `x-amz-meta-`.
    package var metadata: [String: String] = [:]
    /// `Cache-Control`, `Content-Disposition`, `Content-Encoding`, `Content-Language`, `Expires`.
    package var contentHeaders: [FakeHeader] = []
    /// Value of `x-amz-tagging`.
    package var tagging: String?
    package var storageClass = "STANDARD"
    /// All other `x-amz-…` fields that belong to the object: encryption, ACL, object lock.
    package var otherHeaders: [FakeHeader] = []

    /// Of the customer key (SSE-C); nil without one. The key is forgotten.
    package var customerKeyMD5: String?

    package init() {}
}

package struct FakeChecksum: Sendable, Equatable {
    package enum Kind: String, Sendable { case fullObject = "FULL_OBJECT", composite = "COMPOSITE" }

    package var algorithm: ChecksumAlgorithm
    package var kind: Kind
    /// Base64, with `-N` when composite.
    package var value: String

    package init(algorithm: ChecksumAlgorithm, kind: Kind, value: String) {
        self.algorithm = algorithm
        self.kind = kind
        self.value = value
    }
}

package struct FakePart: Sendable {
    package var number: Int
    package var size: Int64
    /// Without quotes.
    package var eTag: String
    /// MD5 of the body; nil when none was computed.
    package var md5: [UInt8]?
    package var checksum: Checksum?
    /// nil when bodies are discarded.
    package var content: FakeBytes?
    /// Seconds since 1970.
    package var lastModified: Int64

    package init(
        number: Int,
        size: Int64,
        eTag: String,
        checksum: Checksum? = nil,
        content: FakeBytes? = nil,
        lastModified: Int64 = 0
    ) {
        self.number = number
        self.size = size
        self.eTag = eTag
        self.checksum = checksum
        self.content = content
        self.lastModified = lastModified
    }
}

/// A multipart upload that is neither completed nor aborted.
package struct FakeUpload: Sendable {
    package var id: String
    package var key: [UInt8]
    package var attributes = FakeAttributes()
    /// Declared at Create.
    package var checksumAlgorithm: ChecksumAlgorithm?
    package var checksumKind: FakeChecksum.Kind?
    package var parts: [Int: FakePart] = [:]
    /// Earlier versions of parts that were sent again.
    package var superseded: [FakePart] = []
    /// Seconds since 1970.
    package var initiated: Int64
    package var initiatorID = "arn:aws:iam::123456789012:user/mule"

    package init(id: String, key: [UInt8], initiated: Int64) {
        self.id = id
        self.key = key
        self.initiated = initiated
    }

    package var keyText: String { String(decoding: key, as: UTF8.self) }
}

package struct FakeObject: Sendable {
    package var size: Int64
    /// Without quotes.
    package var eTag: String
    package var attributes: FakeAttributes
    package var checksum: FakeChecksum?
    /// The parts it was completed from; one part for PutObject.
    package var parts: [FakePart]
    /// Seconds since 1970.
    package var lastModified: Int64
    /// The multipart upload it came from; nil for PutObject.
    package var uploadID: String?
    /// Whether its upload declared a checksum.
    package var declaredChecksum = false
    /// Shown by HEAD and GET.
    package var versionID: String?
    /// Google's number of this version of the object.
    package var generation = "0"

    package init(
        content: [UInt8],
        eTag: String = "00000000000000000000000000000000",
        attributes: FakeAttributes = FakeAttributes()
    ) {
        let part = FakePart(
            number: 1,
            size: Int64(content.count),
            eTag: eTag,
            content: FakeBytes(copying: content)
        )
        self.init(parts: [part], eTag: eTag, attributes: attributes, checksum: nil, lastModified: 0, uploadID: nil)
    }

    init(
        parts: [FakePart],
        eTag: String,
        attributes: FakeAttributes,
        checksum: FakeChecksum?,
        lastModified: Int64,
        uploadID: String?
    ) {
        size = parts.reduce(0) { $0 + $1.size }
        self.eTag = eTag
        self.attributes = attributes
        self.checksum = checksum
        self.parts = parts
        self.lastModified = lastModified
        self.uploadID = uploadID
    }

    package var metadata: [String: String] { attributes.metadata }

    /// The whole content; nil when bodies are discarded.
    package var bytes: [UInt8]? {
        guard let segments else { return nil }
        return segments.reduce(into: []) { $0 += $1.array }
    }

    /// Whether the content equals the file's, byte for byte.
    package func equals(file path: String) throws(FileFailure) -> Bool {
        guard let segments else { return false }
        let content = try Files.read(path)
        guard content.count == Int(size) else { return false }
        return content.withUnsafeBytes { content in
            var offset = 0
            for segment in segments where segment.count > 0 {
                guard let file = content.baseAddress?.advanced(by: offset), let kept = segment.buffer.baseAddress,
                    memcmp(file, kept, segment.count) == 0
                else { return false }
                offset += segment.count
            }
            return true
        }
    }

    var segments: [FakeBytes]? {
        let kept = parts.compactMap(\.content)
        return kept.count == parts.count ? kept : nil
    }
}
