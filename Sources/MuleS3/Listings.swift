// What a store tells of uploads that are neither completed nor aborted: ListParts and ListMultipartUploads, page by page.

package import MuleDigest
package import MulePlan
import MuleSigning
import MuleTransport
import MuleXML

/// A part as the store lists it.
package struct StoredPart: Sendable {
    package var number: Int
    package var size: Int64
    package var eTag: String
    package var lastModified: UTCTime?
    package var checksums: [ChecksumAlgorithm: String]
}

/// All parts of an upload.
package struct PartListing: Sendable {
    package var parts: [StoredPart]
    /// Who began the upload, where the store tells.
    package var initiator: String?
    /// The checksum that the upload was created with, as the store names it; nil where it has none or does not tell.
    package var checksumAlgorithm: String?
    package var checksumType: ChecksumType?
    /// When a lifecycle rule will abort the upload, in the form the store gave it, and the rule's name.
    package var abortDate: String?
    package var abortRuleID: String?

    /// The parts by their numbers. Where a store lists a part twice, after it was sent again, the later one counts.
    package var newest: [Int: StoredPart] {
        var newest: [Int: StoredPart] = [:]
        for part in parts {
            let known = newest[part.number]?.lastModified?.millisecondsSince1970 ?? .min
            if (part.lastModified?.millisecondsSince1970 ?? 0) >= known { newest[part.number] = part }
        }
        return newest
    }
}

/// A multipart upload as the store lists it.
package struct OpenUpload: Sendable {
    package var key: ObjectKey
    package var uploadID: String
    package var initiated: UTCTime?
    package var initiator: String?
}

/// Where a list of uploads goes on. Directory buckets know no upload ID here, and their key is no key of an object.
package struct UploadMarker: Hashable, Sendable {
    package var key: ObjectKey
    package var uploadID: String?
}

/// Up to a thousand uploads of a bucket: by key and then by age, but in no order in directory buckets.
package struct UploadPage: Sendable {
    package var uploads: [OpenUpload]
    /// Nil on the last page.
    package var next: UploadMarker?
}

extension S3Connection {
    /// All parts the store holds, over all pages.
    package func listParts(_ address: ObjectAddress, uploadID: String) throws(S3Error) -> PartListing {
        var listing = PartListing(parts: [])
        var marker: String?
        while true {
            var query = [QueryItem(name: "uploadId", value: uploadID), QueryItem(name: "max-parts", value: "1000")]
            if let marker { query.append(QueryItem(name: "part-number-marker", value: marker)) }
            var call = multipart(.listParts, "GET", address, query: query)
            call.answerLimit = 8 << 20
            let response = try send(call)
            let document = try document(call, response, roots: ["ListPartsResult"])
            listing.initiator = listing.initiator ?? document["Initiator"]?.value("ID")
            listing.checksumAlgorithm = document.value("ChecksumAlgorithm") ?? listing.checksumAlgorithm
            listing.checksumType =
                document.value("ChecksumType").flatMap(ChecksumType.init(rawValue:)) ?? listing.checksumType
            listing.abortDate = response[header: "x-amz-abort-date"] ?? listing.abortDate
            listing.abortRuleID = response[header: "x-amz-abort-rule-id"] ?? listing.abortRuleID
            for element in document.all("Part") {
                guard let number = element.value("PartNumber").flatMap({ Int($0) }),
                    let size = element.value("Size").flatMap({ Int64($0) }), let eTag = element.value("ETag")
                else {
                    throw fail(
                        call,
                        .unreadable(status: response.status, reason: "a part without number, size or ETag")
                    )
                }
                listing.parts.append(
                    StoredPart(
                        number: number,
                        size: size,
                        eTag: unquoted(eTag),
                        lastModified: element.value("LastModified").flatMap(UTCTime.init(iso8601:)),
                        checksums: StoredObject.checksums { element.value($0.xmlElement) }
                    )
                )
            }
            guard document.value("IsTruncated") == "true" else { return listing }
            let next = document.value("NextPartNumberMarker") ?? listing.parts.last.map { String($0.number) }
            guard let next, next != marker else {
                throw fail(call, .unreadable(status: response.status, reason: "the list of parts does not go on"))
            }
            marker = next
        }
    }

    /// The multipart uploads whose key is exactly this one, over all pages.
    package func listMultipartUploads(of address: ObjectAddress) throws(S3Error) -> [OpenUpload] {
        var uploads: [OpenUpload] = []
        var marker: UploadMarker?
        repeat {
            let page = try listMultipartUploads(of: address.bucket, prefix: address.key, after: marker)
            uploads += page.uploads.filter { $0.key == address.key }
            marker = page.next
        } while marker != nil
        return uploads
    }

    /// One page of the bucket's multipart uploads whose keys begin with the prefix; the first one where `marker` is nil.
    package func listMultipartUploads(
        of bucket: String,
        prefix: ObjectKey,
        after marker: UploadMarker?
    ) throws(S3Error) -> UploadPage {
        var call = S3Call(operation: .listMultipartUploads, method: "GET", bucket: bucket)
        // Keys may hold characters that XML can't, so they are asked for in URL encoding.
        call.query = [
            QueryItem(name: "uploads"), QueryItem(name: "prefix", value: prefix.string),
            QueryItem(name: "encoding-type", value: "url"),
        ]
        if let marker {
            call.query.append(QueryItem(name: "key-marker", value: marker.key.string))
            if let uploadID = marker.uploadID {
                call.query.append(QueryItem(name: "upload-id-marker", value: uploadID))
            }
        }
        call.answerLimit = 8 << 20
        let response = try send(call)
        let document = try document(call, response, roots: ["ListMultipartUploadsResult"])
        let isEncoded = document.value("EncodingType") == "url"
        func key(_ element: XMLElement, _ name: String) -> ObjectKey? {
            element[name].map { isEncoded ? ObjectKey(urlDecoded($0.text)) : ObjectKey($0.text) }
        }
        let uploads = document.all("Upload").compactMap { element -> OpenUpload? in
            // A prefix that the store does not heed must not widen what is asked for.
            guard let uploadID = element.value("UploadId"), let key = key(element, "Key"),
                key.utf8.starts(with: prefix.utf8)
            else { return nil }
            return OpenUpload(
                key: key,
                uploadID: uploadID,
                initiated: element.value("Initiated").flatMap(UTCTime.init(iso8601:)),
                initiator: element["Initiator"]?.value("ID")
            )
        }
        guard document.value("IsTruncated") == "true" else { return UploadPage(uploads: uploads) }
        let next = UploadMarker(
            key: key(document, "NextKeyMarker") ?? ObjectKey(""),
            uploadID: document.value("NextUploadIdMarker")
        )
        guard !next.key.utf8.isEmpty, next != marker else {
            throw fail(call, .unreadable(status: response.status, reason: "the list of uploads does not go on"))
        }
        return UploadPage(uploads: uploads, next: next)
    }
}

/// The bytes of a key in a listing of `encoding-type=url`, where a space is `+`.
///
/// LocalStack says that it encodes keys and does not: a text with a byte that no encoding leaves is the key itself.
private func urlDecoded(_ text: String) -> [UInt8] {
    guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return Array(text.utf8) }
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
        switch byte {
        case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
        case UInt8(ascii: "%"):
            if let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16), rest.count >= 2 {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        default: bytes.append(byte)
        }
    }
    return bytes
}
