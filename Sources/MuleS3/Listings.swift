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

    package init(key: ObjectKey, uploadID: String, initiated: UTCTime? = nil, initiator: String? = nil) {
        self.key = key
        self.uploadID = uploadID
        self.initiated = initiated
        self.initiator = initiator
    }
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

extension StoredPart {
    /// A `Part` of ListParts; nil for one without number, size or ETag, or with ones that no part can have. All sizes of a
    /// listing together stay below `Int64.max`.
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
    /// Some stores list a part twice that was sent twice.
    private static let longestPartList = 4 * StoreLimits.amazon.maximumPartCount
    /// Pages of a thousand uploads that begin with one key.
    private static let longestUploadList = 10_000

    /// All parts the store holds, over all pages.
    ///
    /// - Parameter onPage: called before the next page is asked for, with what was listed so far. The next page goes on behind
    ///   the number `through`, so that all is known of the parts up to it.
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
            var call = multipart(.listParts, "GET", address, query: query)
            call.answerLimit = 8 << 20
            let response = try send(call)
            let document = try document(call, response, roots: ["ListPartsResult"])
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
            // A marker is a part's number. One that does not grow would lead in circles; parts beyond any number there can
            // be, without end.
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

    /// The multipart uploads whose key is exactly this one, over all pages.
    package func listMultipartUploads(of address: ObjectAddress) throws(S3Error) -> [OpenUpload] {
        var uploads: [OpenUpload] = []
        var marker: UploadMarker?
        // Upload IDs have no order by which it could be seen that a list goes in circles.
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
