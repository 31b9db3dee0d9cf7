import MuleDigest

/// CreateMultipartUpload, UploadPart and AbortMultipartUpload.
extension ServerState {
    mutating func createUpload(_ request: RecordedRequest) throws(StoreError) -> FakeReply {
        var declared: (ChecksumAlgorithm, FakeChecksum.Kind)?
        if profile.handlesChecksums { declared = try StatedChecksum.declared(request) }
        created += 1
        // The characters that must be escaped in a query occur in the IDs of R2, MinIO and Ceph.
        let id = "up+load/\(created)~\(randomHex())=="
        var upload = FakeUpload(id: id, key: request.key, initiated: now)
        upload.attributes = FakeAttributes(request)
        upload.checksumAlgorithm = declared?.0
        upload.checksumKind = declared?.1
        store.buckets[request.bucket]?.uploads[id] = upload
        var headers = abortHeaders
        if let declared, profile.createEchoesChecksum {
            headers.append(FakeHeader("x-amz-checksum-algorithm", declared.0.rawValue))
            headers.append(FakeHeader("x-amz-checksum-type", declared.1.rawValue))
        }
        let root = FakeXML(
            "InitiateMultipartUploadResult",
            children: [
                FakeXML("Bucket", request.bucket), FakeXML("Key", request.keyText), FakeXML("UploadId", id),
            ]
        )
        return .document(root, headers: headers)
    }

    var abortHeaders: [FakeHeader] {
        guard let date = profile.abortDate else { return [] }
        return [FakeHeader("x-amz-abort-date", date), FakeHeader("x-amz-abort-rule-id", profile.abortRuleID)]
    }

    mutating func uploadPart(_ request: RecordedRequest, _ body: ReceivedBody) throws(StoreError) -> FakeReply {
        // Only two fields are taken out: a copy of the upload would make the change below copy all its parts.
        let (uploadID, declared) = try Self.identity(openUpload(request))
        let stated = try StatedChecksum(request, profile: profile).value
        if profile.handlesChecksums, let expected = declared, stated?.algorithm != expected {
            throw .invalidRequest(
                "Checksum Type mismatch occurred, expected checksum Type: \(expected.rawValue.lowercased()),"
                    + " actual checksum Type: \(stated?.algorithm.rawValue.lowercased() ?? "null")"
            )
        }
        let checksum = try verify(request, body)
        let number = request.partNumber ?? 0
        var part = FakePart(
            number: number,
            size: body.count,
            eTag: eTag(md5: Self.tagDigest(body.md5, request)),
            checksum: checksum,
            content: body.content,
            lastModified: now
        )
        part.md5 = Self.tagDigest(body.md5, request)
        if let earlier = store.buckets[request.bucket]?.uploads[uploadID]?.parts.updateValue(part, forKey: number) {
            store.buckets[request.bucket]?.uploads[uploadID]?.superseded.append(earlier)
        }
        var headers = [eTagHeader(part.eTag)]
        if stated != nil, let checksum, profile.handlesChecksums {
            headers.append(FakeHeader(checksum.algorithm.headerName, checksum.base64))
        }
        return FakeReply(200, headers: headers + googleHeaders(part))
    }

    mutating func abortUpload(_ request: RecordedRequest) throws(StoreError) -> FakeReply {
        let upload = try openUpload(request)
        store.buckets[request.bucket]?.uploads[upload.id] = nil
        return FakeReply(204)
    }

    private static func identity(_ upload: FakeUpload) -> (id: String, algorithm: ChecksumAlgorithm?) {
        (upload.id, upload.checksumAlgorithm)
    }

    func openUpload(_ request: RecordedRequest) throws(StoreError) -> FakeUpload {
        let id = request.uploadID ?? ""
        guard let upload = store.buckets[request.bucket]?.uploads[id], upload.key == request.key else {
            throw .noSuchUpload(id, profile: profile)
        }
        return upload
    }
}
