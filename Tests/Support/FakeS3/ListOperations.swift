import MuleDigest

/// ListParts and ListMultipartUploads, page by page.
extension ServerState {
    func listParts(_ request: RecordedRequest) throws(StoreError) -> FakeReply {
        let upload = try openUpload(request)
        let marker = request.parameter("part-number-marker").flatMap { Int($0) } ?? 0
        let limit = min(request.parameter("max-parts").flatMap { Int($0) } ?? .max, profile.listPartsPageSize)
        var parts = Array(upload.parts.values)
        if profile.listPartsShowsSuperseded { parts += upload.superseded }
        // Versions of one number stay on one page, the newest last.
        parts = parts.filter { $0.number > marker }
            .sorted { ($0.number, $0.lastModified) < ($1.number, $1.lastModified) }
        let numbers = Set(parts.map(\.number)).sorted().prefix(limit)
        let last = numbers.last ?? marker
        let page = parts.filter { $0.number <= last }
        let isTruncated = page.count < parts.count
        var children = [
            FakeXML("Bucket", request.bucket), FakeXML("Key", request.keyText), FakeXML("UploadId", upload.id),
            person("Initiator", upload.initiatorID), person("Owner", "owner"),
            FakeXML("StorageClass", upload.attributes.storageClass), FakeXML("PartNumberMarker", "\(marker)"),
            FakeXML("NextPartNumberMarker", "\(last)"), FakeXML("MaxParts", "\(limit)"),
            FakeXML("IsTruncated", "\(isTruncated)"),
        ]
        if let algorithm = upload.checksumAlgorithm, let kind = upload.checksumKind {
            children.append(FakeXML("ChecksumAlgorithm", algorithm.rawValue))
            children.append(FakeXML("ChecksumType", kind.rawValue))
        }
        for part in page {
            var fields = [
                FakeXML("PartNumber", "\(part.number)"),
                FakeXML("LastModified", StoreClock.iso8601(part.lastModified)), eTagElement(part.eTag),
                FakeXML("Size", "\(part.size)"),
            ]
            if let checksum = part.checksum, !profile.listPartsOmitsChecksums, profile.handlesChecksums {
                fields.append(FakeXML(checksum.algorithm.xmlElement, checksum.base64))
            }
            children.append(FakeXML("Part", children: fields))
        }
        return .document(FakeXML("ListPartsResult", children: children), headers: abortHeaders)
    }

    func listUploads(_ request: RecordedRequest) throws(StoreError) -> FakeReply {
        let prefix = request.parameter("prefix") ?? ""
        let keyMarker = request.parameter("key-marker") ?? ""
        let idMarker = request.parameter("upload-id-marker") ?? ""
        let encodesKeys = request.parameter("encoding-type") == "url"
        let limit = min(request.parameter("max-uploads").flatMap { Int($0) } ?? .max, profile.listUploadsPageSize)
        let all = (store.buckets[request.bucket]?.uploads.values).map(Array.init) ?? []
        let sorted = all.filter { $0.key.starts(with: prefix.utf8) }.sorted(by: Self.precedes)
        let rest = sorted.filter { upload in
            if keyMarker.isEmpty { return true }
            if upload.key != Array(keyMarker.utf8) { return keyMarker.utf8.lexicographicallyPrecedes(upload.key) }
            guard !idMarker.isEmpty else { return false }
            // A marker whose upload was aborted in the meantime still divides the list by its ID.
            guard let marker = sorted.first(where: { $0.id == idMarker }) else { return upload.id > idMarker }
            return Self.precedes(marker, upload)
        }
        let page = rest.prefix(limit)
        func name(_ key: [UInt8]) -> String {
            String(decoding: encodesKeys ? Percent.encode(key, keepingSlash: true) : key, as: UTF8.self)
        }
        var children = [
            FakeXML("Bucket", request.bucket), FakeXML("KeyMarker", name(Array(keyMarker.utf8))),
            FakeXML("UploadIdMarker", idMarker), FakeXML("Prefix", name(Array(prefix.utf8))),
        ]
        if page.count < rest.count, let last = page.last {
            children.append(FakeXML("NextKeyMarker", name(last.key)))
            children.append(FakeXML("NextUploadIdMarker", last.id))
        }
        if encodesKeys { children.append(FakeXML("EncodingType", "url")) }
        children.append(FakeXML("MaxUploads", "\(limit)"))
        children.append(FakeXML("IsTruncated", "\(page.count < rest.count)"))
        for upload in page {
            var fields = [
                FakeXML("Key", name(upload.key)), FakeXML("UploadId", upload.id),
                person("Initiator", upload.initiatorID), person("Owner", "owner"),
                FakeXML("StorageClass", upload.attributes.storageClass),
                FakeXML("Initiated", StoreClock.iso8601(upload.initiated)),
            ]
            if let algorithm = upload.checksumAlgorithm, let kind = upload.checksumKind {
                fields.append(FakeXML("ChecksumAlgorithm", algorithm.rawValue))
                fields.append(FakeXML("ChecksumType", kind.rawValue))
            }
            children.append(FakeXML("Upload", children: fields))
        }
        return .document(FakeXML("ListMultipartUploadsResult", children: children))
    }

    /// By key, then by time of creation.
    private static func precedes(_ left: FakeUpload, _ right: FakeUpload) -> Bool {
        if left.key != right.key { return left.key.lexicographicallyPrecedes(right.key) }
        return (left.initiated, left.id) < (right.initiated, right.id)
    }

    func person(_ role: String, _ id: String) -> FakeXML {
        FakeXML(role, children: [FakeXML("ID", id), FakeXML("DisplayName", id)])
    }
}
