package import MuleDigest
package import MulePlan
import MuleSigning
package import MuleTransport

/// What CreateMultipartUpload answers.
package struct CreatedUpload: Sendable {
    package var uploadID: String
    /// The checksum the store will check parts against, where it says so.
    package var checksumAlgorithm: ChecksumAlgorithm?
    package var checksumType: ChecksumType?
    /// When a lifecycle rule will abort the upload, in the form the store gave it.
    package var abortDate: String?
}

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
}

/// A multipart upload as the store lists it.
package struct OpenUpload: Sendable {
    package var key: ObjectKey
    package var uploadID: String
    package var initiated: UTCTime?
    package var initiator: String?
}

/// A part as it is named to CompleteMultipartUpload.
package struct CompletedPart: Sendable {
    package var number: Int
    /// As the store gave it, without quotes.
    package var eTag: String
    /// To be listed where the upload was created with a checksum.
    package var checksum: Checksum?

    package init(number: Int, eTag: String, checksum: Checksum?) {
        self.number = number
        self.eTag = eTag
        self.checksum = checksum
    }
}

/// What is said of the whole object when it is completed.
package struct WholeObject: Sendable {
    /// `x-amz-mp-object-size`.
    package var size: Int64?
    /// Base64, with `-N` behind a composite one.
    package var checksum: (algorithm: ChecksumAlgorithm, type: ChecksumType, value: String)?
    package var onlyIfAbsent = false

    package init() {}
}

extension S3Connection {
    package func createMultipartUpload(
        _ address: ObjectAddress,
        attributes: ObjectAttributes,
        checksum: ChecksumAlgorithm?
    ) throws(S3Error) -> CreatedUpload {
        var call = multipart(.createMultipartUpload, "POST", address, query: [QueryItem(name: "uploads")])
        call.headers = attributes.headers.map { ($0.name, $0.value) }
        if let checksum {
            call.headers.append(("x-amz-checksum-algorithm", checksum.rawValue))
            call.headers.append(("x-amz-checksum-type", checksum.multipartType.rawValue))
        }
        let response = try send(call)
        // rclone's server leaves out the "Result"; what counts is the ID.
        let document = try document(
            call,
            response,
            roots: ["InitiateMultipartUploadResult", "InitiateMultipartUpload"]
        )
        guard let uploadID = document.value("UploadId") else {
            throw fail(call, .unreadable(status: response.status, reason: "no UploadId in the answer"))
        }
        return CreatedUpload(
            uploadID: uploadID,
            checksumAlgorithm: response[header: "x-amz-checksum-algorithm"].flatMap {
                ChecksumAlgorithm(rawValue: $0.uppercased())
            },
            checksumType: response[header: "x-amz-checksum-type"].flatMap {
                ChecksumType(rawValue: $0.uppercased())
            },
            abortDate: response[header: "x-amz-abort-date"]
        )
    }

    package func uploadPart(
        _ address: ObjectAddress,
        uploadID: String,
        number: Int,
        body: FileSlice,
        proof: BodyProof,
        transfer: BodyTransfer
    ) throws(S3Error) -> StoredObject {
        let query = [
            QueryItem(name: "partNumber", value: String(number)), QueryItem(name: "uploadId", value: uploadID),
        ]
        var call = multipart(.uploadPart, "PUT", address, query: query)
        call.part = number
        call.headers = proof.headers
        call.body = .file(body)
        call.payload = proof.payload
        call.answerTimeout = Self.answerTimeout(forBody: body.length)
        call.transfer = transfer
        return StoredObject(try send(call))
    }

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

    /// Completes the upload. Only an answer that is a `CompleteMultipartUploadResult` counts: a status line of 200 comes
    /// before the store has begun, and an error may follow it.
    package func completeMultipartUpload(
        _ address: ObjectAddress,
        uploadID: String,
        parts: [CompletedPart],
        whole: WholeObject
    ) throws(S3Error) -> StoredObject {
        var call = multipart(
            .completeMultipartUpload,
            "POST",
            address,
            query: [QueryItem(name: "uploadId", value: uploadID)]
        )
        var xml = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        for part in parts {
            xml += "<Part><PartNumber>\(part.number)</PartNumber><ETag>&quot;\(escapedForXML(part.eTag))&quot;</ETag>"
            if let checksum = part.checksum {
                xml += "<\(checksum.algorithm.xmlElement)>\(checksum.base64)</\(checksum.algorithm.xmlElement)>"
            }
            xml += "</Part>"
        }
        xml += "</CompleteMultipartUpload>"
        let body = Array(xml.utf8)
        call.body = .bytes(body)
        call.payload = .sha256(sha256(body))
        call.headers = [("content-type", "application/xml")]
        if let size = whole.size { call.headers.append(("x-amz-mp-object-size", String(size))) }
        if let checksum = whole.checksum {
            call.headers.append((checksum.algorithm.headerName, checksum.value))
            call.headers.append(("x-amz-checksum-type", checksum.type.rawValue))
        }
        if whole.onlyIfAbsent { call.headers.append(("if-none-match", "*")) }
        // The store may work for minutes on an object of 10,000 parts; it sends white space to show that it lives.
        call.answerTimeout = 900
        let response = try send(call)
        let document = try document(call, response, roots: ["CompleteMultipartUploadResult"])
        return StoredObject(document, response)
    }

    package func abortMultipartUpload(_ address: ObjectAddress, uploadID: String) throws(S3Error) {
        let query = [QueryItem(name: "uploadId", value: uploadID)]
        _ = try send(multipart(.abortMultipartUpload, "DELETE", address, query: query))
    }

    /// The multipart uploads whose key is exactly this one, over all pages.
    package func listMultipartUploads(of address: ObjectAddress) throws(S3Error) -> [OpenUpload] {
        var uploads: [OpenUpload] = []
        var marker: (key: String, uploadID: String)?
        while true {
            // Keys may hold characters that XML can't, so they are asked for in URL encoding.
            var call = S3Call(operation: .listMultipartUploads, method: "GET", bucket: address.bucket)
            call.query = [
                QueryItem(name: "uploads"), QueryItem(name: "prefix", value: address.key.string),
                QueryItem(name: "encoding-type", value: "url"),
            ]
            if let marker {
                call.query.append(QueryItem(name: "key-marker", value: marker.key))
                call.query.append(QueryItem(name: "upload-id-marker", value: marker.uploadID))
            }
            call.answerLimit = 8 << 20
            let response = try send(call)
            let document = try document(call, response, roots: ["ListMultipartUploadsResult"])
            let isEncoded = document.value("EncodingType") == "url"
            func key(_ element: XMLElement, _ name: String) -> ObjectKey? {
                element[name].map { isEncoded ? ObjectKey(urlDecoded($0.text)) : ObjectKey($0.text) }
            }
            for element in document.all("Upload") {
                guard let uploadID = element.value("UploadId"), key(element, "Key") == address.key else { continue }
                uploads.append(
                    OpenUpload(
                        key: address.key,
                        uploadID: uploadID,
                        initiated: element.value("Initiated").flatMap(UTCTime.init(iso8601:)),
                        initiator: element["Initiator"]?.value("ID")
                    )
                )
            }
            guard document.value("IsTruncated") == "true" else { return uploads }
            let next = (key(document, "NextKeyMarker")?.string ?? "", document.value("NextUploadIdMarker") ?? "")
            guard !next.0.isEmpty, marker.map({ $0 != next }) ?? true else {
                throw fail(call, .unreadable(status: response.status, reason: "the list of uploads does not go on"))
            }
            marker = next
        }
    }

    private func multipart(
        _ operation: S3Operation,
        _ method: String,
        _ address: ObjectAddress,
        query: [QueryItem]
    ) -> S3Call {
        S3Call(operation: operation, method: method, bucket: address.bucket, key: address.key, query: query)
    }

    /// The answer's document, which must have one of these roots; an `Error` in its place is thrown as the store's error.
    private func document(_ call: S3Call, _ response: HTTPResponse, roots: [String]) throws(S3Error) -> XMLElement {
        let document: XMLElement
        do {
            document = try XMLReader.parse(response.body)
        } catch {
            throw fail(call, .unreadable(status: response.status, reason: error.reason))
        }
        if roots.contains(document.name) { return document }
        if document.name == "Error" { throw self.error(call, response, document: document) }
        throw fail(call, .unreadable(status: response.status, reason: "\(document.name) in place of \(roots[0])"))
    }
}

/// The bytes of a key in a listing of `encoding-type=url`, where a space is `+`.
private func urlDecoded(_ text: String) -> [UInt8] {
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
