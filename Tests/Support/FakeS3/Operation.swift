/// The S3 operations that the fake plays, by their names in the AWS API.
package enum FakeOperation: String, Sendable, CaseIterable, Hashable {
    case putObject = "PutObject"
    case create = "CreateMultipartUpload"
    case uploadPart = "UploadPart"
    case listParts = "ListParts"
    case complete = "CompleteMultipartUpload"
    case abort = "AbortMultipartUpload"
    case listUploads = "ListMultipartUploads"
    case headObject = "HeadObject"
    case getObject = "GetObject"
    case getAttributes = "GetObjectAttributes"
    case deleteObject = "DeleteObject"
    case headBucket = "HeadBucket"
    case getLifecycle = "GetBucketLifecycleConfiguration"
    case getObjectLock = "GetObjectLockConfiguration"
    case getVersioning = "GetBucketVersioning"
    case listBuckets = "ListBuckets"
    case unknown = "Unknown"

    /// Whether the body of the request is the object's own bytes, not an XML document.
    var carriesPayload: Bool { self == .putObject || self == .uploadPart }

    /// Tells the operation from the method and the query, as the S3 API reference lays them out.
    init(method: String, hasBucket: Bool, hasKey: Bool, query: [FakeParameter]) {
        let names = Set(query.map(\.name))
        switch (method, hasKey) {
        case ("PUT", true):
            if names.contains("partNumber") || names.contains("uploadId") {
                self = .uploadPart
            } else {
                self = names.isDisjoint(with: ["tagging", "acl", "retention", "legal-hold"]) ? .putObject : .unknown
            }
        case ("POST", true):
            self = names.contains("uploads") ? .create : names.contains("uploadId") ? .complete : .unknown
        case ("GET", true):
            self = names.contains("uploadId") ? .listParts : names.contains("attributes") ? .getAttributes : .getObject
        case ("HEAD", true): self = .headObject
        case ("DELETE", true): self = names.contains("uploadId") ? .abort : .deleteObject
        case ("GET", false):
            let settings: [String: FakeOperation] = [
                "uploads": .listUploads, "lifecycle": .getLifecycle, "object-lock": .getObjectLock,
                "versioning": .getVersioning,
            ]
            self = names.compactMap { settings[$0] }.first ?? (hasBucket ? .unknown : .listBuckets)
        case ("HEAD", false): self = .headBucket
        default: self = .unknown
        }
    }
}

/// Bucket and key of a request, taken from `Host` and path.
struct Address: Sendable {
    var bucket: String
    /// The decoded bytes of the key; nil when the request names the bucket alone.
    var key: [UInt8]?

    /// - Parameters:
    ///   - host: the `Host` header, with or without port.
    ///   - path: the raw path of the request line, percent-encoded.
    ///   - baseDomain: `bucket.<baseDomain>` is the virtual-host form; every other host means path style.
    init?(host: String, path: ArraySlice<UInt8>, baseDomain: String) {
        let name = host.split(separator: ":", maxSplits: 1).first.map(String.init) ?? ""
        guard path.first == UInt8(ascii: "/") else { return nil }
        var rest = path.dropFirst()
        if name.utf8.count > baseDomain.utf8.count + 1, name.hasSuffix(".\(baseDomain)") {
            bucket = String(name.dropLast(baseDomain.count + 1))
        } else {
            let slash = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
            guard let decoded = Percent.decode(rest[..<slash]) else { return nil }
            bucket = String(decoding: decoded, as: UTF8.self)
            rest = rest[slash...].dropFirst()
        }
        guard let decoded = Percent.decode(rest) else { return nil }
        key = decoded.isEmpty ? nil : decoded
    }
}
