import MuleDigest

/// SSE-C, as strict as AWS: every request for bytes or metadata needs the key that the object was created with, a
/// request for another object must not have one, and an ETag is no MD5.
extension ServerState {
    private static let prefix = "x-amz-server-side-encryption-customer-"

    mutating func checkCustomerKey(_ request: RecordedRequest) throws(StoreError) {
        guard profile.knowsCustomerKeys else { return }
        let stated = request.header(Self.prefix + "key-md5")
        let key = request.header(Self.prefix + "key").flatMap(Base64.decode)
        if stated != nil || key != nil {
            var digest = MessageDigest(.md5)
            key?.withUnsafeBytes { digest.update($0) }
            guard key?.count == 32, Base64.encode(digest.finish()) == stated,
                request.header(Self.prefix + "algorithm") == "AES256"
            else { throw StoreError(400, "InvalidArgument", "The customer key is not complete.") }
        }
        let used: FakeAttributes?
        switch request.operation {
        case .uploadPart, .listParts, .complete:
            used = store.buckets[request.bucket]?.uploads[request.uploadID ?? ""]?.attributes
        case .headObject, .getObject, .getAttributes:
            used = store.buckets[request.bucket]?.objects[request.key]?.attributes
        case .putObject, .create: return
        case .abort, .listUploads, .deleteObject, .headBucket, .getLifecycle, .getObjectLock, .getVersioning,
            .listBuckets, .unknown:
            if stated != nil { violations.append("a customer key in \(request.method) \(request.target)") }
            return
        }
        guard let used, used.customerKeyMD5 != stated else { return }
        if used.customerKeyMD5 == nil {
            throw .invalidRequest("The encryption parameters are not applicable to this object.")
        }
        if stated != nil { throw StoreError(403, "AccessDenied", "Another customer key.") }
        throw .invalidRequest(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to "
                + "retrieve the object."
        )
    }

    /// Answers about parts and objects say how they are encrypted.
    func encryptionEcho(_ request: RecordedRequest) -> [FakeHeader] {
        guard [.create, .uploadPart, .putObject].contains(request.operation) else { return [] }
        let names =
            (profile.knowsCustomerKeys ? ["algorithm", "key-md5"].map { Self.prefix + $0 } : [])
            + (profile.encrypts ? ["x-amz-server-side-encryption"] : [])
        return names.compactMap { name in request.header(name).map { FakeHeader(name, $0) } }
    }

    /// Nil for an encrypted body, whose ETag is no MD5.
    static func tagDigest(_ md5: [UInt8]?, _ request: RecordedRequest) -> [UInt8]? {
        request.header(prefix + "key") == nil ? md5 : nil
    }
}
