// Lists of unfinished uploads and their parts: ListParts and ListMultipartUploads, page by page.

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
    /// Who started the upload, if the store tells.
    package var initiator: String?
    /// The checksum algorithm of the upload, as the store names it; nil if it has none or does not tell.
    package var checksumAlgorithm: String?
    package var checksumType: ChecksumType?
    /// When a lifecycle rule will abort the upload, as the store writes it, and the rule's name.
    package var abortDate: String?
    package var abortRuleID: String?

    /// The parts by number. If a store lists a number twice, after the part was sent again, the later one counts.
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

    package init(key: ObjectKey, uploadID: String, initiated: UTCTime? = nil, initiator: String? = nil) {
        self.key = key
        self.uploadID = uploadID
        self.initiated = initiated
        self.initiator = initiator
    }
}

/// Where the next page of a list of uploads starts. Directory buckets have no upload ID here, and their key is not an
/// object's key.
package struct UploadMarker: Hashable, Sendable {
    package var key: ObjectKey
    package var uploadID: String?
}

/// Up to a thousand uploads of a bucket, sorted by key and then by age; unsorted in directory buckets.
package struct UploadPage: Sendable {
    package var uploads: [OpenUpload]
    /// Nil on the last page.
    package var next: UploadMarker?
}

extension StoredPart {
    /// A `Part` of ListParts; nil without a number, size or ETag, or with an impossible one. The sum of all sizes of a
    /// listing is below `Int64.max`.
    fileprivate init?(_ element: XMLElement) {
        let limits = StoreLimits.amazon
        guard let number = element.value("PartNumber").flatMap({ Int($0) }),
            (1...limits.maximumPartCount).contains(number),
            let size = element.value("Size").flatMap({ Int64($0) }),
            (0...Int64.max / Int64(limits.maximumPartCount)).contains(size),
            let eTag = StoreText.name(element.value("ETag"))
        else { return nil }
        self.number = number
        self.size = size
        self.eTag = eTag
        lastModified = element.value("LastModified").flatMap(UTCTime.init(iso8601:))
        checksums = StoredObject.checksums { element.value($0.xmlElement) }
    }
}

extension S3Connection {
    /// Some stores list a part twice if it was sent twice.
    private static let longestPartList = 4 * StoreLimits.amazon.maximumPartCount
    /// Pages of a thousand uploads whose keys start with the same key.
    private static let longestUploadList = 10_000

    /// All parts at the store, over all pages.
    ///
    /// - Parameter onPage: called before the next page is requested, with the list so far. It is complete up to the
    ///   part number   `through`.
    package func listParts(
        _ address: ObjectAddress,
        uploadID: String,
        onPage: (_ listing: PartListing, _ through: Int) -> Void = { _, _ in }
    ) throws(S3Error) -> PartListing {
        var listing = PartListing(parts: [])
        var marker: String?
        while true {
            var query = [QueryItem(name: "uploadId", value: uploadID), QueryItem(name: "max-parts", value: "1000")]
            if let marker { query.append(QueryItem(name: "part-number-marker", value: marker)) }
            var call = multipart(.listParts, "GET", address: address, query: query)
            call.answerLimit = 8 << 20
            let response = try send(call)
            let document = try document(call, response, roots: ["ListPartsResult", "ListPartsResponse"])
            listing.initiator = listing.initiator ?? StoreText.initiator(document)
            listing.checksumAlgorithm = document.value("ChecksumAlgorithm") ?? listing.checksumAlgorithm
            listing.checksumType =
                document.value("ChecksumType").flatMap(ChecksumType.init(rawValue:)) ?? listing.checksumType
            listing.abortDate = response[header: "x-amz-abort-date"] ?? listing.abortDate
            listing.abortRuleID = response[header: "x-amz-abort-rule-id"] ?? listing.abortRuleID
            for element in document.all("Part") {
                guard let part = StoredPart(element) else {
                    let reason = "a part without a valid number, size or ETag"
                    throw fail(call, .unreadable(status: response.status, reason: reason))
                }
                listing.parts.append(part)
            }
            guard document.value("IsTruncated") == "true" else { return listing }
            let next = document.value("NextPartNumberMarker") ?? listing.parts.last.map { String($0.number) }
            // The marker is a part number. If it does not grow, or if there are more parts than possible, the list
            // would never end.
            guard let next, let through = Int(next), through > marker.flatMap({ Int($0) }) ?? 0,
                listing.parts.count <= Self.longestPartList
            else {
                throw fail(
                    call,
                    .unreadable(
                        status: response.status,
                        reason: "the next page of the part list cannot "
                            + "be requested"
                    )
                )
            }
            onPage(listing, through)
            marker = next
        }
    }

    /// The multipart uploads with exactly this key, over all pages.
    package func listMultipartUploads(of address: ObjectAddress) throws(S3Error) -> [OpenUpload] {
        var uploads: [OpenUpload] = []
        var marker: UploadMarker?
        // Upload IDs have no order, so a loop shows only by a repeated marker.
        var seen: Set<UploadMarker> = []
        while true {
            let page = try listMultipartUploads(of: address.bucket, prefix: address.key, after: marker)
            uploads += page.uploads.filter { $0.key == address.key }
            guard let next = page.next else { return uploads }
            guard seen.insert(next).inserted, max(seen.count, uploads.count) <= Self.longestUploadList else {
                let call = S3Call(operation: .listMultipartUploads, method: "GET", bucket: address.bucket)
                throw fail(call, .unreadable(status: 200, reason: "the list of uploads has no end"))
            }
            marker = next
        }
    }

    /// One page of the bucket's multipart uploads whose keys start with the prefix; the first one if `marker` is nil.
    package func listMultipartUploads(
        of bucket: String,
        prefix: ObjectKey,
        after marker: UploadMarker?
    ) throws(S3Error) -> UploadPage {
        var call = S3Call(operation: .listMultipartUploads, method: "GET", bucket: bucket)
        // With URL encoding, because keys may have characters that XML does not allow.
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
        let response: HTTPResponse
        do {
            response = try send(call)
        } catch {
            // rclone's answer for a bucket without uploads.
            if error.status == 404, error.code == "NoSuchUpload" { return UploadPage(uploads: []) }
            throw error
        }
        let document = try document(call, response, roots: ["ListMultipartUploadsResult"])
        let isEncoded = document.value("EncodingType") == "url"
        func key(_ element: XMLElement, _ name: String) -> ObjectKey? {
            element[name].map { isEncoded ? ObjectKey(urlDecoded($0.text)) : ObjectKey($0.text) }
        }
        let uploads = document.all("Upload").compactMap { element -> OpenUpload? in
            // Also if the store ignores the prefix, only keys with it are returned.
            guard let uploadID = element.value("UploadId"), uploadID.utf8.count <= StoreText.longestUploadID,
                let key = key(element, "Key"), key.utf8.starts(with: prefix.utf8)
            else { return nil }
            return OpenUpload(
                key: key,
                uploadID: uploadID,
                initiated: element.value("Initiated").flatMap(UTCTime.init(iso8601:)),
                initiator: StoreText.initiator(element)
            )
        }
        guard document.value("IsTruncated") == "true" else { return UploadPage(uploads: uploads) }
        let next = UploadMarker(
            key: key(document, "NextKeyMarker") ?? ObjectKey(""),
            uploadID: document.value("NextUploadIdMarker")
        )
        guard (1...4096).contains(next.key.utf8.count), next != marker,
            next.uploadID?.utf8.count ?? 0 <= StoreText.longestUploadID
        else {
            throw fail(
                call,
                .unreadable(
                    status: response.status,
                    reason: "the next page of the upload list cannot be "
                        + "requested"
                )
            )
        }
        return UploadPage(uploads: uploads, next: next)
    }
}
