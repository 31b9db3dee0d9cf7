// What a store can tell about an object besides HEAD, to prove it equal to a file.

package import MuleDigest
package import MulePlan
import MuleSigning
package import MuleTransport
import MuleXML

/// The answer to GetObjectAttributes.
package struct ObjectAttributesAnswer: Sendable {
    /// Without quotes.
    package var eTag: String?
    package var size: Int64?
    /// Base64. A composite one lacks the `-N` that HEAD appends.
    package var checksums: [ChecksumAlgorithm: String]
    package var checksumType: ChecksumType?
    /// Number of parts of the multipart upload that made it; nil for other objects.
    package var partCount: Int?
    /// The parts in order, if the store lists them: AWS only does for uploads with a checksum.
    package var parts: [Part]

    package struct Part: Sendable {
        package var number: Int
        package var size: Int64
        package var checksums: [ChecksumAlgorithm: String]
    }
}

/// The answer to HEAD for one part of an object.
package struct PartHead: Sendable {
    package var eTag: String?
    package var size: Int64?
    /// Number of parts of the whole object.
    package var partCount: Int?
}

extension S3Connection {
    /// Checksums, parts and size, over all pages of parts.
    ///
    /// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
    package func objectAttributes(_ address: ObjectAddress) throws(S3Error) -> ObjectAttributesAnswer {
        var found: ObjectAttributesAnswer?
        var marker: String?
        while true {
            var call = S3Call(operation: .getObjectAttributes, method: "GET", bucket: address.bucket, key: address.key)
            call.query = [QueryItem(name: "attributes")]
            call.headers = [
                ("x-amz-object-attributes", "ETag,Checksum,ObjectParts,ObjectSize"), ("x-amz-max-parts", "1000"),
            ]
            if let marker { call.headers.append(("x-amz-part-number-marker", marker)) }
            call.answerLimit = 4 << 20
            let response = try send(call)
            let document = try document(
                call,
                response,
                roots: ["GetObjectAttributesResponse", "GetObjectAttributesOutput", "GetObjectAttributesResult"]
            )
            let list = document["ObjectParts"]
            var answer = found ?? ObjectAttributesAnswer(document, list)
            for element in list?.all("Part") ?? [] {
                guard let number = element.value("PartNumber").flatMap({ Int($0) }),
                    let size = element.value("Size").flatMap({ Int64($0) })
                else {
                    throw fail(call, .unreadable(status: response.status, reason: "a part without number or size"))
                }
                answer.parts.append(
                    ObjectAttributesAnswer.Part(
                        number: number,
                        size: size,
                        checksums: StoredObject.checksums { element.value($0.xmlElement) }
                    )
                )
            }
            found = answer
            guard let list, list.value("IsTruncated") == "true" else { return answer }
            let next = list.value("NextPartNumberMarker") ?? answer.parts.last.map { String($0.number) }
            guard let next, next != marker else {
                throw fail(
                    call,
                    .unreadable(
                        status: response.status,
                        reason: "the next page of the part list cannot "
                            + "be requested"
                    )
                )
            }
            marker = next
        }
    }

    /// The size of one part of an object, and the number of parts; nil if there is no such part.
    package func headPart(_ address: ObjectAddress, number: Int) throws(S3Error) -> PartHead? {
        var call = S3Call(operation: .headObject, method: "HEAD", bucket: address.bucket, key: address.key)
        call.query = [QueryItem(name: "partNumber", value: String(number))]
        let response: HTTPResponse
        do {
            response = try send(call)
        } catch {
            if error.status == 404 || error.status == 416 { return nil }
            throw error
        }
        return PartHead(
            eTag: response[header: "etag"].map(unquoted),
            size: response[header: "content-length"].flatMap { Int64($0) },
            partCount: response[header: "x-amz-mp-parts-count"].flatMap { Int($0) }
        )
    }

    /// Reads the object from `offset` to its end into the reader.
    ///
    /// - Parameter eTag: the store answers 412 if the object has another ETag; nil accepts any object.
    package func getObject(
        _ address: ObjectAddress,
        from offset: Int64,
        ifMatch eTag: String?,
        reader: any AnswerReader
    ) throws(S3Error) {
        var call = S3Call(operation: .getObject, method: "GET", bucket: address.bucket, key: address.key)
        if offset > 0 { call.headers.append(("range", "bytes=\(offset)-")) }
        if let eTag { call.headers.append(("if-match", "\"\(eTag)\"")) }
        call.reader = reader
        _ = try send(call)
    }
}

extension ObjectAttributesAnswer {
    fileprivate init(_ document: XMLElement, _ list: XMLElement?) {
        let checksum = document["Checksum"]
        eTag = document.value("ETag").map(unquoted)
        size = document.value("ObjectSize").flatMap { Int64($0) }
        checksums = StoredObject.checksums { checksum?.value($0.xmlElement) }
        checksumType = checksum?.value("ChecksumType").flatMap(ChecksumType.init(rawValue:))
        // The API's documentation calls it TotalPartsCount, its XML PartsCount.
        partCount = (list?.value("PartsCount") ?? list?.value("TotalPartsCount")).flatMap { Int($0) }
        parts = []
    }
}
