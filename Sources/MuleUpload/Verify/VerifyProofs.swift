// Proves that an object equals a file without reading the object, by the strongest available proof.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleTransport

extension VerifyRun {
    /// The strongest proof that the store's metadata gives.
    ///
    /// A different checksum proves a difference. A different ETag proves nothing: stores that encrypt or number their
    /// objects have ETags that look like MD5s but are not.
    func prove(_ subject: VerifySubject) throws(VerifyFailure) -> Verification.Proof {
        var doubts: [String] = []
        let digests = digests(of: subject)
        var evidence = ObjectChecksums(subject.head)
        if evidence.full == nil {
            let answer = try asking { () throws(UploadFailure) in
                try remote.attributes(of: subject.address, subject.head, subject.service)
            }
            switch answer {
            case .success(let attributes): evidence.add(attributes)
            case .failure(let error):
                if error.isMissingPermission {
                    doubts.append("GetObjectAttributes was refused (this needs \(error.operation.permission))")
                }
            }
        }
        if let proof = try proveFull(evidence, digests, subject: subject) { return proof }
        if let proof = try proveComposite(evidence, digests, subject: subject, doubts: &doubts) { return proof }
        if let proof = try proveETag(digests, subject, doubts: &doubts) { return proof }
        if let proof = try proveRecorded(digests, subject) { return proof }
        if doubts.isEmpty { doubts.append("the store shows no checksum") }
        throw VerifyFailure(
            .unproven,
            "Cannot prove from the store's metadata that \(subject.address) matches \(subject.named): "
                + "\(doubts.joined(separator: "; ")). To compare the bytes, run \"mule verify --download\"."
        )
    }

    func digests(of subject: VerifySubject) -> FileDigests {
        FileDigests(
            file: subject.source.file,
            name: subject.named,
            cancellation: client.cancellation,
            progress: progress,
            stallTimer: client.stallTimer
        )
    }

    // MARK: Checksums

    private func proveFull(
        _ evidence: ObjectChecksums,
        _ digests: FileDigests,
        subject: VerifySubject
    ) throws(VerifyFailure) -> Verification.Proof? {
        guard let full = evidence.full else { return nil }
        let mine = try digestWhole(subject.source.identity.size, full.checksum.algorithm, digests: digests)
        let text = full.checksum.base64
        if mine == full.checksum {
            return Verification.Proof(
                kind: .fullObjectChecksum,
                algorithm: mine.algorithm.rawValue,
                value: text
            )
        }
        guard full.isCertain else { return nil }
        throw VerifyFailure(
            .differs,
            "\(subject.address) differs from \(subject.named): the store's \(mine.algorithm.rawValue) of it is "
                + "\(text), and the file's is \(mine.base64)."
        )
    }

    private func proveComposite(
        _ evidence: ObjectChecksums,
        _ digests: FileDigests,
        subject: VerifySubject,
        doubts: inout [String]
    ) throws(VerifyFailure) -> Verification.Proof? {
        guard let composite = evidence.composite else { return nil }
        let algorithm = composite.checksum.algorithm
        let size = subject.source.identity.size
        if let parts = evidence.parts(of: size) {
            let slices = parts.slices(of: subject.source)
            let mine = try digest(slices, algorithm, digests: digests)
            if composite.isOf(mine) { return proof(composite, mine.count) }
            let wrong = zip(parts.all, mine).first { part, mine in
                part.checksums[algorithm].map { $0 != mine.base64 } ?? false
            }
            let place = wrong.map { part, _ in ", and part \(part.number) is the first that differs" } ?? ""
            throw VerifyFailure(
                .differs,
                "\(subject.address) differs from \(subject.named): the store's \(algorithm.rawValue) of its "
                    + "\(mine.count) parts is \(composite.checksum.base64)\(place)."
            )
        }
        guard let count = composite.partCount ?? evidence.partCount else {
            doubts.append("its \(algorithm.rawValue) is of an unknown number of parts")
            return nil
        }
        for partSize in try partSizes(subject, count: count) {
            let plan = PartPlan(objectSize: size, partSize: partSize)
            let mine = try digest(plan.slices(of: subject.source), algorithm, digests: digests)
            if composite.isOf(mine) { return proof(composite, count) }
        }
        doubts.append(
            "its \(algorithm.rawValue) is of \(count) parts of unknown size, and matches the file with no likely part "
                + "size"
        )
        return nil
    }

    private func digest(
        _ slices: [FileSlice],
        _ algorithm: ChecksumAlgorithm,
        digests: FileDigests
    ) throws(VerifyFailure) -> [Checksum] {
        try asking { () throws(UploadFailure) in
            try digests.digest(
                slices,
                crc: CRCAlgorithm(algorithm) ?? .crc64nvme,
                withSHA256: algorithm == .sha256,
                withMD5: algorithm == .md5
            )
        }.compactMap { $0.checksum(algorithm) }
    }

    private func digestWhole(
        _ size: Int64,
        _ algorithm: ChecksumAlgorithm,
        digests: FileDigests
    ) throws(VerifyFailure) -> Checksum {
        try asking { () throws(UploadFailure) in try digests.digestWhole(size: size, algorithm) }
    }

    private func proof(_ composite: ObjectChecksums.Composite, _ count: Int) -> Verification.Proof {
        Verification.Proof(
            kind: .compositeChecksum,
            algorithm: composite.checksum.algorithm.rawValue,
            value: composite.checksum.base64 + "-\(count)"
        )
    }

    // MARK: ETags

    private func proveETag(
        _ digests: FileDigests,
        _ subject: VerifySubject,
        doubts: inout [String]
    ) throws(VerifyFailure) -> Verification.Proof? {
        guard let text = subject.head.object.eTag else { return nil }
        if let encryption = subject.head.encryption, !encryption.keepsMD5 {
            doubts.append("it is encrypted with a KMS or customer key, so its ETag is not a digest")
            return nil
        }
        guard let eTag = DigestETag(text) else {
            doubts.append("its ETag is not an MD5")
            return nil
        }
        if eTag.partCount != nil, subject.service.profile?.eTags == .md5ForOneRequest {
            doubts.append("its ETag is not an MD5, because this store makes up those of multipart uploads")
            return nil
        }
        let size = subject.source.identity.size
        guard let count = eTag.partCount else {
            if try digestWhole(size, .md5, digests: digests) == eTag.md5 {
                return Verification.Proof(kind: .eTagMD5, algorithm: "MD5", value: text)
            }
            doubts.append("its ETag is not the file's MD5 (the bytes differ, or this store's ETags are not MD5s)")
            return nil
        }
        for partSize in try partSizes(subject, count: count) {
            let plan = PartPlan(objectSize: size, partSize: partSize)
            if eTag.md5 == DigestETag.md5(ofParts: try digest(plan.slices(of: subject.source), .md5, digests: digests))
            {
                return Verification.Proof(kind: .multipartETagMD5, algorithm: "MD5", value: text)
            }
        }
        doubts.append(
            "its ETag is not the MD5 of the file in \(count) parts of any likely size (the bytes differ, the part "
                + "sizes are unusual, or this store's ETags are not MD5s)"
        )
        return nil
    }

    /// Part sizes that result in this number of parts, the most likely first.
    private func partSizes(_ subject: VerifySubject, count: Int) throws(VerifyFailure) -> [Int64] {
        let size = subject.source.identity.size
        var known = [subject.record?.upload.partSize].compactMap { $0 }
        let answer = try asking { () throws(UploadFailure) in
            try client.retrying(with: subject.service) { (connection) throws(S3Error) in
                try connection.headPart(subject.address, number: 1)
            }
        }
        if case .success(let first?, _) = answer, first.partCount == count, first.eTag == subject.head.object.eTag,
            let partSize = first.size
        {
            // The store itself names it, so no other size needs to be tried.
            let certain = PartSizeGuess.candidates(objectSize: size, partCount: count, known: [partSize])
            if certain.first == partSize { return [partSize] }
            known.append(partSize)
        }
        return PartSizeGuess.candidates(objectSize: size, partCount: count, known: known)
    }

    // MARK: The ledger's record

    /// The object was made by an upload of this ledger, as its token, which cannot be guessed, and its ETag show. The
    /// store checked that upload's bytes; the file must still have them.
    private func proveRecorded(
        _ digests: FileDigests,
        _ subject: VerifySubject
    ) throws(VerifyFailure) -> Verification.Proof? {
        guard let record = subject.record, let eTag = record.proof.eTag, eTag == subject.head.object.eTag,
            !record.token.isEmpty, subject.head.metadata[UploadToken.metadataName] == record.token,
            record.proof.checksumType == ChecksumType.fullObject.rawValue,
            let algorithm = record.proof.checksumAlgorithm.flatMap(ChecksumAlgorithm.init(rawValue:)),
            let value = record.proof.checksumValue,
            let sent = Checksum(algorithm: algorithm, base64: value)
        else { return nil }
        let mine = try digestWhole(subject.source.identity.size, algorithm, digests: digests)
        guard mine == sent else {
            throw VerifyFailure(
                .differs,
                "\(subject.address) is what the upload \(record.id) sent, but \(subject.named) has changed since: its "
                    + "\(algorithm.rawValue) was \(value) and is \(mine.base64)."
            )
        }
        return Verification.Proof(kind: .recordedChecksum, algorithm: algorithm.rawValue, value: value)
    }
}

extension PartPlan {
    func slices(of source: SourceFile) -> [FileSlice] {
        (1...count).map { number in
            FileSlice(file: source.file, offset: range(of: number).lowerBound, length: size(of: number))
        }
    }
}
