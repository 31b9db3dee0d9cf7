import MuleDigest

/// PutObject, HeadObject and GetObject.
extension ServerState {
    mutating func putObject(_ request: RecordedRequest, _ body: ReceivedBody) throws(StoreError) -> FakeReply {
        try checkAbsence(request)
        let checksum = try verify(request, body)
        let part = FakePart(
            number: 1,
            size: body.count,
            eTag: eTag(md5: Self.tagDigest(body.md5, request)),
            checksum: checksum,
            content: body.content,
            lastModified: now
        )
        var object = FakeObject(
            parts: [part],
            eTag: part.eTag,
            attributes: FakeAttributes(request),
            checksum: checksum.map {
                FakeChecksum(algorithm: $0.algorithm, kind: .fullObject, value: $0.base64)
            },
            lastModified: now,
            uploadID: nil
        )
        object.versionID = newVersionID()
        object.generation = newGeneration()
        store.buckets[request.bucket]?.objects[request.key] = object
        let headers = [eTagHeader(object.eTag)] + versionHeaders(object) + googleHeaders(object)
        return FakeReply(200, headers: headers + checksumHeaders(object.checksum))
    }

    /// Nil in buckets without versions.
    func newVersionID() -> String? {
        profile.hasVersions ? String(UInt64.random(in: .min ... .max), radix: 36) : nil
    }

    func versionHeaders(_ object: FakeObject) -> [FakeHeader] {
        object.versionID.map { [FakeHeader("x-amz-version-id", $0)] } ?? []
    }

    /// `If-None-Match: *` or `If-Match`.
    func checkAbsence(_ request: RecordedRequest) throws(StoreError) {
        // Google has these for reading only.
        if profile.isGoogle { return }
        if let condition = request.header("if-match") {
            guard let object = store.buckets[request.bucket]?.objects[request.key] else {
                throw .noSuchKey(request.key)
            }
            if condition != "\"\(object.eTag)\"" {
                throw StoreError(412, "PreconditionFailed", elements: [FakeXML("Condition", "If-Match")])
            }
        }
        guard let condition = request.header("if-none-match") else { return }
        guard condition == "*" else {
            throw StoreError(501, "NotImplemented", "If-None-Match takes only *.")
        }
        if store.buckets[request.bucket]?.objects[request.key] != nil {
            throw StoreError(412, "PreconditionFailed", elements: [FakeXML("Condition", "If-None-Match")])
        }
    }

    func readObject(_ request: RecordedRequest) throws(StoreError) -> FakeReply {
        guard let object = store.buckets[request.bucket]?.objects[request.key] else { throw .noSuchKey(request.key) }
        if let condition = request.header("if-match"), condition != "\"\(object.eTag)\"" {
            throw StoreError(412, "PreconditionFailed", elements: [FakeXML("Condition", "If-Match")])
        }
        var reply = FakeReply(200)
        let attributes = object.attributes
        reply.headers = [
            eTagHeader(object.eTag), FakeHeader("Last-Modified", StoreClock.httpDate(object.lastModified)),
            FakeHeader("Accept-Ranges", "bytes"), FakeHeader("Content-Type", attributes.contentType),
        ]
        reply.headers += attributes.contentHeaders
        reply.headers += attributes.metadata.sorted { $0.key < $1.key }
            .map { FakeHeader("x-amz-meta-\($0.key)", $0.value) }
        reply.headers += versionHeaders(object) + googleHeaders(object)
        if attributes.storageClass != "STANDARD" {
            reply.headers.append(FakeHeader("x-amz-storage-class", attributes.storageClass))
        }
        if let tagging = attributes.tagging {
            let count = tagging.utf8.split(separator: UInt8(ascii: "&")).count
            reply.headers.append(FakeHeader("x-amz-tagging-count", "\(count)"))
        }
        if request.header("x-amz-checksum-mode")?.uppercased() == "ENABLED", !profile.headOmitsChecksum {
            reply.headers += checksumHeaders(object.checksum)
        }
        let shown =
            (profile.encrypts ? ["x-amz-server-side-encryption"] : ["x-amz-server-side-encryption-customer"])
            + (profile.keepsLocks ? ["x-amz-object-lock"] : [])
        reply.headers += attributes.otherHeaders.filter { header in shown.contains { header.name.hasPrefix($0) } }
        reply.payload = FakeReply.Payload(segments: object.segments ?? [], range: 0..<object.size)
        if profile.knowsPartNumbers, let number = request.partNumber { try cut(&reply, toPart: number, of: object) }
        guard request.operation == .getObject else { return reply }
        guard object.segments != nil else {
            throw StoreError(501, "NotImplemented", "This fake does not keep the bytes of objects.")
        }
        if let range = request.header("range") { try cut(&reply, to: range, size: object.size) }
        return reply
    }

    private func cut(_ reply: inout FakeReply, toPart number: Int, of object: FakeObject) throws(StoreError) {
        guard (1...max(1, object.parts.count)).contains(number) else {
            throw StoreError(416, "InvalidPartNumber", "The requested partnumber is not satisfiable")
        }
        let start = object.parts.prefix(number - 1).reduce(0) { $0 + $1.size }
        reply.status = 206
        reply.payload?.range = start..<(start + object.parts[number - 1].size)
        if object.uploadID != nil {
            reply.headers.append(FakeHeader("x-amz-mp-parts-count", "\(object.parts.count)"))
        }
    }

    /// GetObjectAttributes. As AWS, it lists the parts only of objects whose upload had a checksum of its own.
    func objectAttributes(_ request: RecordedRequest) throws(StoreError) -> FakeReply {
        guard profile.knowsAttributes else { return try readObject(request) }
        guard let object = store.buckets[request.bucket]?.objects[request.key] else { throw .noSuchKey(request.key) }
        guard request.header("x-amz-object-attributes") != nil else {
            throw .invalidRequest("The x-amz-object-attributes header is missing.")
        }
        var children = [FakeXML("ETag", object.eTag)]
        let isShown = !profile.headOmitsChecksum || profile.attributesShowOmitted
        if let checksum = object.checksum, profile.handlesChecksums, isShown {
            let value = String(checksum.value.prefix { $0 != "-" })
            children.append(
                FakeXML(
                    "Checksum",
                    children: [
                        FakeXML(checksum.algorithm.xmlElement, value), FakeXML("ChecksumType", checksum.kind.rawValue),
                    ]
                )
            )
        }
        if object.uploadID != nil { children.append(partList(object, request)) }
        children.append(FakeXML("StorageClass", object.attributes.storageClass))
        children.append(FakeXML("ObjectSize", "\(object.size)"))
        return .document(FakeXML("GetObjectAttributesResponse", children: children))
    }

    private func partList(_ object: FakeObject, _ request: RecordedRequest) -> FakeXML {
        var fields = [FakeXML("PartsCount", "\(object.parts.count)")]
        guard object.declaredChecksum, profile.handlesChecksums else { return FakeXML("ObjectParts", children: fields) }
        let marker = request.header("x-amz-part-number-marker").flatMap { Int($0) } ?? 0
        let limit = min(request.header("x-amz-max-parts").flatMap { Int($0) } ?? 1_000, profile.listPartsPageSize)
        let rest = object.parts.filter { $0.number > marker }
        let page = rest.prefix(limit)
        fields += [
            FakeXML("PartNumberMarker", "\(marker)"), FakeXML("NextPartNumberMarker", "\(page.last?.number ?? marker)"),
            FakeXML("MaxParts", "\(limit)"), FakeXML("IsTruncated", "\(page.count < rest.count)"),
        ]
        fields += page.map { part in
            var elements = [FakeXML("PartNumber", "\(part.number)"), FakeXML("Size", "\(part.size)")]
            if let checksum = part.checksum {
                elements.append(FakeXML(checksum.algorithm.xmlElement, checksum.base64))
            }
            return FakeXML("Part", children: elements)
        }
        return FakeXML("ObjectParts", children: fields)
    }

    private func cut(_ reply: inout FakeReply, to header: String, size: Int64) throws(StoreError) {
        let bounds = header.dropFirst("bytes=".count).split(separator: "-", omittingEmptySubsequences: false)
        guard header.hasPrefix("bytes="), bounds.count == 2, let first = Int64(bounds[0]), first < size else {
            throw StoreError(416, "InvalidRange", "The requested range is not satisfiable")
        }
        let end = min(Int64(bounds[1]).map { $0 + 1 } ?? size, size)
        guard end > first else { throw StoreError(416, "InvalidRange", "The requested range is not satisfiable") }
        reply.status = 206
        reply.payload?.range = first..<end
        reply.headers.append(FakeHeader("Content-Range", "bytes \(first)-\(end - 1)/\(size)"))
    }

    /// What is echoed of an object's or a part's checksum.
    func checksumHeaders(_ checksum: FakeChecksum?) -> [FakeHeader] {
        guard let checksum, profile.handlesChecksums else { return [] }
        return [
            FakeHeader(checksum.algorithm.headerName, checksum.value),
            FakeHeader("x-amz-checksum-type", checksum.kind.rawValue),
        ]
    }
}

extension FakeAttributes {
    /// Collects what PutObject and CreateMultipartUpload say about an object.
    init(_ request: RecordedRequest) {
        for field in request.headers {
            let name = field.name.lowercased()
            switch name {
            case "content-type": contentType = field.value
            case "cache-control", "content-disposition", "content-encoding", "content-language", "expires":
                contentHeaders.append(field)
            case "x-amz-tagging": tagging = field.value
            case "x-amz-server-side-encryption-customer-key": break
            case "x-amz-server-side-encryption-customer-key-md5": customerKeyMD5 = field.value
            case "x-amz-request-payer", "x-amz-expected-bucket-owner": break
            case "x-amz-storage-class", "x-goog-storage-class": storageClass = field.value
            case "x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-sdk-checksum-algorithm": break
            default:
                if name.hasPrefix("x-goog-meta-") {
                    metadata[String(name.dropFirst("x-goog-meta-".count))] = field.value
                } else if name.hasPrefix("x-amz-meta-") {
                    metadata[String(name.dropFirst("x-amz-meta-".count))] = field.value
                } else if name.hasPrefix("x-amz-"), !name.hasPrefix("x-amz-checksum-") {
                    otherHeaders.append(FakeHeader(name, field.value))
                }
            }
        }
    }
}
