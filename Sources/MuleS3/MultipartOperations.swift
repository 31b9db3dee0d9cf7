package import MuleDigest
package import MulePlan
import MuleSigning
package import MuleTransport
import MuleXML

/// The answer to CreateMultipartUpload.
package struct CreatedUpload: Sendable {
    package var uploadID: String
    /// The checksum algorithm that the store will check parts with, if it tells.
    package var checksumAlgorithm: ChecksumAlgorithm?
    package var checksumType: ChecksumType?
    /// When a lifecycle rule will abort the upload, as the store writes it.
    package var abortDate: String?
}

/// A part for CompleteMultipartUpload.
package struct CompletedPart: Sendable {
    package var number: Int
    /// From the store, without quotes.
    package var eTag: String
    /// Required if the upload was created with a checksum.
    package var checksum: Checksum?

    package init(number: Int, eTag: String, checksum: Checksum?) {
        self.number = number
        self.eTag = eTag
        self.checksum = checksum
    }
}

/// Properties of the whole object for CompleteMultipartUpload.
package struct WholeObject: Sendable {
    /// `x-amz-mp-object-size`.
    package var size: Int64?
    /// Base64, with the suffix `-N` for a composite one.
    package var checksum: (algorithm: ChecksumAlgorithm, type: ChecksumType, value: String)?
    package var onlyIfAbsent = false
    /// The ETag of the object that may be replaced, without quotes.
    package var ifMatch: String?

    package init() {}
}

extension S3Connection {
    package func createMultipartUpload(
        _ address: ObjectAddress,
        attributes: ObjectAttributes,
        checksum: ChecksumAlgorithm?
    ) throws(S3Error) -> CreatedUpload {
        var call = multipart(.createMultipartUpload, "POST", address: address, query: [QueryItem(name: "uploads")])
        call.headers = attributes.headers.map { ($0.name, $0.value) }
        if let checksum {
            call.headers.append(("x-amz-checksum-algorithm", checksum.rawValue))
            call.headers.append(("x-amz-checksum-type", checksum.multipartType.rawValue))
        }
        let response = try send(call)
        // rclone's server omits "Result"; only the ID matters.
        let document = try document(
            call,
            response,
            roots: ["InitiateMultipartUploadResult", "InitiateMultipartUpload"]
        )
        guard let uploadID = document.value("UploadId") else {
            throw fail(call, .unreadable(status: response.status, reason: "an answer without UploadId"))
        }
        guard uploadID.utf8.count <= StoreText.longestUploadID else {
            throw fail(call, .unreadable(status: response.status, reason: "an UploadId that is too long"))
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
        body: HTTPRequest.Body,
        proof: BodyProof,
        transfer: BodyTransfer
    ) throws(S3Error) -> StoredObject {
        let query = [
            QueryItem(name: "partNumber", value: String(number)), QueryItem(name: "uploadId", value: uploadID),
        ]
        var call = multipart(.uploadPart, "PUT", address: address, query: query)
        call.part = number
        call.headers = proof.headers
        call.body = body
        call.payload = proof.payload
        call.answerTimeout = Self.answerTimeout(forBody: body.length)
        call.transfer = transfer
        return StoredObject(try send(call))
    }

    /// Completes the upload. Only an answer with a `CompleteMultipartUploadResult` counts: stores send the status 200
    /// before they start, and an error may follow.
    package func completeMultipartUpload(
        _ address: ObjectAddress,
        uploadID: String,
        parts: [CompletedPart],
        whole: WholeObject
    ) throws(S3Error) -> StoredObject {
        var call = multipart(
            .completeMultipartUpload,
            "POST",
            address: address,
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
        if let eTag = whole.ifMatch { call.headers.append(("if-match", "\"\(eTag)\"")) }
        // For 10,000 parts the store may need minutes; it sends white space as a keep-alive.
        call.answerTimeout = service.longestWait
        call.dropsLeadingSpace = true
        let response = try send(call)
        let document = try document(
            call,
            response,
            roots: ["CompleteMultipartUploadResult", "CompleteMultipartUploadResponse"]
        )
        return StoredObject(document, response)
    }

    package func abortMultipartUpload(_ address: ObjectAddress, uploadID: String) throws(S3Error) {
        let query = [QueryItem(name: "uploadId", value: uploadID)]
        _ = try send(multipart(.abortMultipartUpload, "DELETE", address: address, query: query))
    }

    func multipart(
        _ operation: S3Operation,
        _ method: String,
        address: ObjectAddress,
        query: [QueryItem]
    ) -> S3Call {
        S3Call(operation: operation, method: method, bucket: address.bucket, key: address.key, query: query)
    }

    /// The answer's document, which must have one of these roots. An `Error` root is thrown as the store's error.
    func document(_ call: S3Call, _ response: HTTPResponse, roots: [String]) throws(S3Error) -> XMLElement {
        let document: XMLElement
        do {
            document = try XMLReader.parse(response.body)
        } catch {
            throw fail(call, .unreadable(status: response.status, reason: error.reason))
        }
        if roots.contains(document.name) { return document }
        if document.name == "Error" { throw self.error(call, response, document: document) }
        throw fail(call, .unreadable(status: response.status, reason: "\(document.name) instead of \(roots[0])"))
    }
}
