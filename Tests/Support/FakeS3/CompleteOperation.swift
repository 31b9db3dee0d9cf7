import MuleDigest

/// CompleteMultipartUpload, with AWS's rules in AWS's order.
extension ServerState {
    mutating func completeUpload(_ request: RecordedRequest) throws(StoreError) -> FakeReply {
        if profile.completeChecksPreconditionFirst { try checkAbsence(request) }
        let upload = try openUpload(request)
        try checkAbsence(request)
        if request.header("content-type")?.hasPrefix("application/x-www-form-urlencoded") == true {
            violations.append("CompleteMultipartUpload sent as a form: \(request.target)")
        }
        let listed = try Self.listedParts(request.document)
        let parts = try chosenParts(listed, of: upload)
        try checkSizes(parts, request)
        try checkChecksumKind(request, upload)
        let checksum = try objectChecksum(parts, of: upload)
        if profile.handlesChecksums,
            let algorithm = ChecksumAlgorithm.allCases.first(where: { algorithm in
                request.header(algorithm.headerName) != nil
            })
        {
            let stated = request.header(algorithm.headerName)
            let actual = checksum?.algorithm == algorithm ? checksum : try fullObjectChecksum(algorithm, parts)
            // With checks off parts have no digests to combine; the statement is then believed.
            if let actual, actual.value != stated {
                throw StoreError(
                    400,
                    "BadDigest",
                    "The \(algorithm.rawValue) you specified did not match the calculated checksum."
                )
            }
        }
        // As documented, an object of parts has no MD5.
        let md5s = profile.isGoogle ? [] : parts.compactMap(\.md5)
        let tagDigest = md5s.count == parts.count ? BodyDigests.checksum(.md5, of: md5s.flatMap(\.self))?.bytes : nil
        var object = FakeObject(
            parts: parts,
            eTag: eTag(md5: tagDigest, parts: parts.count),
            attributes: upload.attributes,
            checksum: checksum,
            lastModified: now,
            uploadID: upload.id
        )
        object.declaredChecksum = upload.checksumAlgorithm != nil
        object.versionID = newVersionID()
        object.generation = newGeneration()
        if profile.isGoogle { object.eTag = "-\(randomHex().prefix(10))=" }
        store.buckets[request.bucket]?.uploads[upload.id] = nil
        store.buckets[request.bucket]?.objects[request.key] = object
        var children = [
            FakeXML("Location", "http://\(request.bucket).\(baseDomain)/\(request.keyText)"),
            FakeXML("Bucket", request.bucket), FakeXML("Key", request.keyText), eTagElement(object.eTag),
        ]
        if let checksum, profile.handlesChecksums {
            children.append(FakeXML(checksum.algorithm.xmlElement, checksum.value))
            children.append(FakeXML("ChecksumType", checksum.kind.rawValue))
        }
        return .document(
            FakeXML("CompleteMultipartUploadResult", children: children),
            headers: versionHeaders(object)
        )
    }

    private struct ListedPart {
        var number: Int
        var eTag: String
        var checksums: [String: String]
    }

    private static func listedParts(_ document: [UInt8]) throws(StoreError) -> [ListedPart] {
        guard let root = FakeXML(parsing: document), root.name == "CompleteMultipartUpload", !root.children.isEmpty
        else { throw StoreError(400, "MalformedXML") }
        var parts: [ListedPart] = []
        for element in root.children {
            guard element.name == "Part", let number = element.child("PartNumber").flatMap({ Int($0.text) }),
                let eTag = element.child("ETag")?.text
            else { throw StoreError(400, "MalformedXML") }
            let checksums = element.children.filter { $0.name.hasPrefix("Checksum") }.map { ($0.name, $0.text) }
            parts.append(
                ListedPart(
                    number: number,
                    eTag: eTag.filter { $0 != "\"" },
                    checksums: Dictionary(checksums) { first, _ in first }
                )
            )
        }
        return parts
    }

    private func chosenParts(_ listed: [ListedPart], of upload: FakeUpload) throws(StoreError) -> [FakePart] {
        var parts: [FakePart] = []
        for (index, item) in listed.enumerated() {
            if index > 0, item.number <= listed[index - 1].number { throw StoreError(400, "InvalidPartOrder") }
            // With a declared checksum the numbers must run from 1 without a gap (API reference, CompletedPart).
            if upload.checksumAlgorithm != nil, item.number != index + 1 { throw StoreError(400, "InvalidPartOrder") }
            guard let part = upload.parts[item.number], part.eTag == item.eTag else { throw invalidPart(upload, item) }
            if profile.handlesChecksums {
                for (name, value) in item.checksums {
                    guard let checksum = part.checksum, checksum.algorithm.xmlElement == name else {
                        if profile.verifiesChecksums { throw invalidPart(upload, item) }
                        continue
                    }
                    if checksum.base64 != value { throw invalidPart(upload, item) }
                }
                if upload.checksumKind == .composite, item.checksums.isEmpty {
                    let algorithm = upload.checksumAlgorithm?.rawValue.lowercased() ?? ""
                    throw .invalidRequest(
                        "The upload was created using a \(algorithm) checksum. The complete request must include the"
                            + " checksum for each part. It was missing for part \(item.number) in the request."
                    )
                }
            }
            parts.append(part)
        }
        return parts
    }

    private func invalidPart(_ upload: FakeUpload, _ item: ListedPart) -> StoreError {
        StoreError(
            400,
            "InvalidPart",
            elements: [
                FakeXML("UploadId", upload.id), FakeXML("PartNumber", "\(item.number)"),
                FakeXML("ETag", item.eTag),
            ]
        )
    }

    private func checkSizes(_ parts: [FakePart], _ request: RecordedRequest) throws(StoreError) {
        for part in parts.dropLast() where part.size < profile.minimumPartSize {
            throw StoreError(
                400,
                "EntityTooSmall",
                elements: [
                    FakeXML("ProposedSize", "\(part.size)"),
                    FakeXML("MinSizeAllowed", "\(profile.minimumPartSize)"),
                    FakeXML("PartNumber", "\(part.number)"), FakeXML("ETag", part.eTag),
                ]
            )
        }
        if profile.partsMustBeEqual, let first = parts.first, let last = parts.last {
            let isEven = parts.dropLast().allSatisfy { $0.size == first.size } && last.size <= first.size
            if !isEven {
                throw StoreError(400, "InvalidPart", "All non-trailing parts must have the same length.")
            }
        }
        if let stated = request.header("x-amz-mp-object-size") {
            let size = parts.reduce(0) { $0 + $1.size }
            guard Int64(stated) == size else {
                throw .invalidRequest(
                    "The provided 'x-amz-mp-object-size' header value \(stated) does not match what was computed:"
                        + " \(size)"
                )
            }
        }
    }

    private func checkChecksumKind(_ request: RecordedRequest, _ upload: FakeUpload) throws(StoreError) {
        guard profile.handlesChecksums, let stated = request.header("x-amz-checksum-type"),
            let kind = upload.checksumKind, kind.rawValue != stated.uppercased()
        else { return }
        throw .invalidRequest(
            "The upload was created using the \(kind.rawValue) checksum mode. The complete request must use the same"
                + " checksum mode."
        )
    }

    /// The object's checksum; nil if the store keeps none.
    private func objectChecksum(_ parts: [FakePart], of upload: FakeUpload) throws(StoreError) -> FakeChecksum? {
        guard let algorithm = upload.checksumAlgorithm ?? profile.ownAlgorithm else { return nil }
        guard upload.checksumKind == .composite else { return try fullObjectChecksum(algorithm, parts) }
        let digests = parts.compactMap { $0.checksum?.bytes }
        guard digests.count == parts.count, let whole = BodyDigests.checksum(algorithm, of: digests.flatMap(\.self))
        else { return nil }
        return FakeChecksum(algorithm: algorithm, kind: .composite, value: "\(whole.base64)-\(parts.count)")
    }

    /// Combined from the parts' values, or computed from their bytes; nil when neither is at hand.
    private func fullObjectChecksum(
        _ algorithm: ChecksumAlgorithm,
        _ parts: [FakePart]
    ) throws(StoreError) -> FakeChecksum? {
        guard let crc = CRCAlgorithm(algorithm) else {
            throw .invalidRequest("A full object checksum cannot be of the algorithm \(algorithm.rawValue).")
        }
        var whole = CRCDigest(crc).checksum
        for part in parts {
            var checksum = part.checksum?.algorithm == algorithm ? part.checksum : nil
            if checksum == nil, profile.verifiesChecksums, let content = part.content {
                var digest = CRCDigest(crc)
                digest.update(UnsafeRawBufferPointer(content.buffer))
                checksum = digest.checksum
            }
            guard let checksum else { return nil }
            whole = CRCDigest.combine(whole, checksum, secondLength: part.size)
        }
        return FakeChecksum(algorithm: algorithm, kind: .fullObject, value: whole.base64)
    }
}
