import MuleDigest
package import MulePlan

/// Headers that requests of any operation have besides their own: who pays, who must own the bucket, and the
/// customer's key. `S3Connection` adds it to each request, so that no operation can omit it.
package struct RequestTerms: Sendable {
    /// On every request: the rows of `ObjectHeader` that are.
    package var headers: ObjectAttributes
    /// On requests that read or write an object's bytes or metadata.
    package var customerKey: CustomerKey?

    package init(headers: ObjectAttributes = ObjectAttributes(), customerKey: CustomerKey? = nil) {
        self.headers = headers
        self.customerKey = customerKey
    }

    func headers(for operation: S3Operation) -> [(name: String, value: String)] {
        let all = headers.headers.map { (name: $0.name, value: $0.value) }
        guard let customerKey, operation.takesCustomerKey else { return all }
        return all + customerKey.headers
    }
}

extension S3Operation {
    /// https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
    fileprivate var takesCustomerKey: Bool {
        switch self {
        case .createMultipartUpload, .uploadPart, .listParts, .completeMultipartUpload, .putObject, .headObject,
            .getObject, .getObjectAttributes:
            true
        case .abortMultipartUpload, .listMultipartUploads, .headBucket, .listObjects, .getBucketLifecycle,
            .getObjectLock, .getBucketVersioning, .listBuckets, .deleteObject, .deleteObjectVersion:
            false
        }
    }
}

/// A key of the customer's, with which the store encrypts an object and which it forgets (SSE-C). Nothing prints it: it
/// is only in the headers of requests.
package struct CustomerKey: Sendable, CustomStringConvertible, CustomReflectable {
    private let bytes: [UInt8]

    /// Nil unless it has 32 bytes, as AES-256 needs.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    var headers: [(name: String, value: String)] {
        let name = "x-amz-server-side-encryption-customer-"
        return [
            (name + "algorithm", "AES256"), (name + "key", Base64.encode(bytes)),
            (name + "key-md5", Base64.encode(md5(bytes))),
        ]
    }

    /// What tells this key from another one in the same bucket, and nothing else: 128 bits in hex of a keyed digest
    /// whose salt is the bucket's name. It is no digest that a store knows, and it differs from bucket to bucket.
    package func fingerprint(bucket: String) -> String {
        Hex.encode(Array(hmacSHA256(key: bytes, message: Array("mule SSE-C \(bucket)".utf8)).prefix(16)))
    }

    package var description: String { "a customer key" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    private func md5(_ bytes: [UInt8]) -> [UInt8] {
        var digest = MessageDigest(.md5)
        bytes.withUnsafeBytes { digest.update($0) }
        return digest.finish()
    }
}
