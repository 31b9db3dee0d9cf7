package import MuleDigest
package import MulePlan
import MuleSigning
package import MuleTransport
import MuleXML

/// The store's answer for an object that it has accepted.
package struct StoredObject: Sendable {
    /// Without quotes; nil if the store sent none.
    package var eTag: String?
    package var versionID: String?
    /// Checksums that the store returned, by algorithm.
    package var checksums: [ChecksumAlgorithm: String]
    package var checksumType: ChecksumType?
    /// Whether the answer has anything typical of S3: an ETag, or a header of S3's own.
    package var isOfS3: Bool
    /// How the store says that the bytes are encrypted; nil if it does not.
    package var encryption: ObjectEncryption?
    /// Google's number of this version of the object, which changes with each write.
    package var generation: String?

    init(_ response: HTTPResponse) {
        eTag = StoreText.name(response[header: "etag"])
        versionID = StoreText.name(response[header: "x-amz-version-id"])
        checksums = Self.checksums { response[header: $0.headerName] }
        checksumType = response[header: "x-amz-checksum-type"].flatMap(ChecksumType.init(rawValue:))
        generation = StoreText.name(response[header: "x-goog-generation"])
        if let crc = GoogleHash(response)["crc32c"], checksums[.crc32c] == nil {
            checksums[.crc32c] = StoreText.cut(crc, to: 100)
            // Of all bytes, for objects of many parts too.
            checksumType = checksumType ?? .fullObject
        }
        isOfS3 = eTag != nil || response.headers.contains { $0.name.hasPrefix("x-amz-") }
        encryption = ObjectEncryption(response)
    }

    init(_ element: XMLElement, _ response: HTTPResponse) {
        eTag = StoreText.name(element.value("ETag"))
        versionID = StoreText.name(response[header: "x-amz-version-id"])
        checksums = Self.checksums { element.value($0.xmlElement) }
        checksumType = element.value("ChecksumType").flatMap(ChecksumType.init(rawValue:))
        isOfS3 = true
        encryption = ObjectEncryption(response)
    }

    static func checksums(_ value: (ChecksumAlgorithm) -> String?) -> [ChecksumAlgorithm: String] {
        var found: [ChecksumAlgorithm: String] = [:]
        for algorithm in ChecksumAlgorithm.allCases {
            // Cut, not dropped: an invalid value must still differ from the right one.
            if let text = value(algorithm) { found[algorithm] = StoreText.cut(text, to: 100) }
        }
        return found
    }
}

/// `x-goog-hash: crc32c=…,md5=…`, which may also be several headers.
/// https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash
struct GoogleHash {
    private let pairs: [Substring]

    init(_ response: HTTPResponse) {
        pairs = response.headers.filter { $0.name == "x-goog-hash" }
            .flatMap { $0.value.split(separator: ",") }
            .map { $0.drop { $0 == " " } }
    }

    /// Base64.
    subscript(name: String) -> String? {
        pairs.first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
    }
}

/// The answer to HEAD for an object.
package struct ObjectHead: Sendable {
    package var object: StoredObject
    package var size: Int64?
    /// User metadata by name, without `x-amz-meta-`, lower case.
    package var metadata: [String: String]
    package var lastModified: UTCTime?
    package var encryption: ObjectEncryption? { object.encryption }
    /// The headers of Object Lock that the store shows, by name. S3 shows them only to who may read them:
    /// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    package var locks: Set<String>
}

/// Encryption at rest, as reported in an answer.
package enum ObjectEncryption: Hashable, Sendable {
    /// `AES256`, `aws:kms`, `aws:kms:dsse`.
    case store(String)
    /// With a key that each request must contain (SSE-C).
    case customerKey

    init?(_ response: HTTPResponse) {
        if response[header: "x-amz-server-side-encryption-customer-algorithm"] != nil {
            self = .customerKey
        } else if let name = response[header: "x-amz-server-side-encryption"] {
            self = .store(name)
        } else {
            return nil
        }
    }

    /// Whether an object's ETag may still be the MD5 of its bytes.
    /// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    package var keepsMD5: Bool {
        if case .store(let name) = self { name == "AES256" } else { false }
    }
}

extension S3Connection {
    /// Maximum seconds for an answer once the store has the whole body: it may still be writing and digesting it.
    static func answerTimeout(forBody length: Int64) -> Double {
        120 + Double(length) / 50e6
    }

    package func putObject(
        _ address: ObjectAddress,
        body: HTTPRequest.Body,
        proof: BodyProof,
        attributes: ObjectAttributes,
        onlyIfAbsent: Bool,
        ifMatch eTag: String? = nil,
        transfer: BodyTransfer = BodyTransfer()
    ) throws(S3Error) -> StoredObject {
        var call = S3Call(operation: .putObject, method: "PUT", bucket: address.bucket, key: address.key)
        call.headers.reserveCapacity(attributes.headers.count + 4)
        for header in attributes.headers { call.headers.append((header.name, header.value)) }
        call.headers += proof.headers
        if onlyIfAbsent, service.conditionIsGeneration, service.canSendGeneration {
            // With Amazon's signature, Google refuses any header of its own.
            call.scheme = .google
            call.headers.append(("x-goog-if-generation-match", "0"))
        } else if onlyIfAbsent {
            call.headers.append(("if-none-match", "*"))
        }
        if let eTag { call.headers.append(("if-match", "\"\(eTag)\"")) }
        call.body = body
        call.payload = proof.payload
        call.answerTimeout = Self.answerTimeout(forBody: body.length)
        call.transfer = transfer
        return StoredObject(try send(call))
    }

    /// The object's current state; nil if it does not exist.
    ///
    /// Without permission to list the bucket, a store may answer 403 for a missing object.
    package func headObject(_ address: ObjectAddress) throws(S3Error) -> ObjectHead? {
        var call = S3Call(operation: .headObject, method: "HEAD", bucket: address.bucket, key: address.key)
        // Google shows its checksum anyway, and has no such header.
        if service.provider != .gcs { call.headers = [("x-amz-checksum-mode", "ENABLED")] }
        let response: HTTPResponse
        do {
            response = try send(call)
        } catch {
            switch error.status {
            case 404: return nil
            case 400 where !call.headers.isEmpty, 501 where !call.headers.isEmpty:
                // Stores without checksums refuse the header; a HEAD answer has no body to say so.
                call.headers = []
                do {
                    response = try send(call)
                } catch {
                    if error.status == 404 { return nil }
                    throw error
                }
            default: throw error
            }
        }
        var metadata: [String: String] = [:]
        for (name, value) in response.headers {
            for prefix in Self.metadataPrefixes where name.hasPrefix(prefix) {
                metadata[String(name.dropFirst(prefix.count))] = value
            }
        }
        return ObjectHead(
            object: StoredObject(response),
            size: response[header: "content-length"].flatMap { Int64($0) }.flatMap { $0 < 0 ? nil : $0 },
            metadata: metadata,
            lastModified: response[header: "last-modified"].flatMap(UTCTime.init(httpDate:)),
            locks: Set(ObjectHeader.locks.map(\.name).filter { response[header: $0] != nil })
        )
    }

    /// Google's store answers requests in Amazon's form with Amazon's names, others with its own.
    private static let metadataPrefixes = ["x-amz-meta-", "x-goog-meta-"]

    /// Whether the server is certainly not an S3 store; for when answers to HEAD do not show it, because gateways drop
    /// the typical headers and there is no body. Every store answers a list of objects in XML, even with a refusal.
    package func isNoStore(_ bucket: String) -> Bool {
        guard !service.isKnownToBeS3 else { return false }
        var call = S3Call(operation: .listObjects, method: "GET", bucket: bucket)
        call.query = [QueryItem(name: "list-type", value: "2"), QueryItem(name: "max-keys", value: "0")]
        let status: Int
        do {
            let response = try send(call)
            if (try? XMLReader.parse(response.body))?.name == "ListBucketResult" { return false }
            status = response.status
        } catch {
            guard !error.isOfS3, case .answer(let refused, _, _) = error.cause else { return false }
            status = refused
        }
        // A failure or redirect tells nothing about the server behind it.
        return !service.isKnownToBeS3 && ((200..<300).contains(status) || [400, 401, 403, 404, 405].contains(status))
    }

    /// Throws unless the bucket exists and is accessible.
    package func headBucket(_ bucket: String) throws(S3Error) {
        _ = try send(S3Call(operation: .headBucket, method: "HEAD", bucket: bucket))
    }
}
