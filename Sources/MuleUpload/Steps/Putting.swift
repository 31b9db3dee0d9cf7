// Objects sent in one request.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleTransport
import Synchronization

extension Worker {
    func putFile(_ source: SourceFile, _ transfer: Transfer, record: UploadRecord) throws(UploadFailure) {
        let slice = FileSlice(file: source.file, offset: 0, length: source.size)
        let proof = try put(slice, transfer, record: record) { () throws(UploadFailure) in try source.checkUnchanged() }
        let confirmed = try confirmSource(
            source,
            RecordedContent(proof, size: source.size, partSize: nil),
            record: record,
            transfer: transfer
        )
        run.completed(transfer, confirmed, proof: proof)
    }

    /// Sends an object in one request and proves it.
    func put(
        _ slice: FileSlice,
        _ transfer: Transfer,
        record: UploadRecord,
        check: () throws(UploadFailure) -> Void
    ) throws(UploadFailure) -> ObjectProof {
        transfer.enter(.sending)
        let service = transfer.job.service
        var onlyIfAbsent = record.upload.onlyIfAbsent
        if onlyIfAbsent, let head = try presentObject(transfer) {
            // It may come from this upload, if an earlier run did not receive the answer.
            guard head.metadata[UploadToken.metadataName] == record.token,
                let proof = try ownBody(slice, record, transfer: transfer)
            else { throw .exists(transfer.name) }
            return proof
        }
        if let failure = try mismatch(record, transfer) {
            // An earlier run may have replaced the object without receiving the answer.
            if let proof = try ownBody(slice, record, transfer: transfer) { return proof }
            throw failure
        }
        if onlyIfAbsent, service.conditionIsGeneration, !service.canSendGeneration {
            // The store would ignore the only condition that this host can send.
            guard try isKnownAbsent(transfer) else { throw .cannotKnow(transfer) }
            onlyIfAbsent = false
        }
        if onlyIfAbsent, service.conditionIsGeneration, record.upload.integrity.isAutomatic,
            transfer.checksumMode.checksumAlgorithm != nil
        {
            // The look has shown whose store it is, which has no checksum headers.
            transfer.use(NegotiatedIntegrity(checksumMode: .md5WithCRC32C, wholeObject: nil))
        }
        let hasCondition = onlyIfAbsent
        let attributes = run.attributes(of: record, at: service.now())
        var conflicts = 0
        var isFirst = true
        // Once: answered looks are no progress if the upload itself is never answered.
        var looksAfterSilence = true
        while true {
            // The first time it has just been opened.
            if !isFirst { try check() }
            isFirst = false
            let checksumMode = transfer.checksumMode
            let answer: Answer<SentBody>
            do throws(UploadFailure) {
                answer = try send(slice, of: transfer, returnsAfter: { looksAfterSilence && $0.isUnanswered }) {
                    (connection, body, proof, options) throws(S3Error) in
                    try connection.putObject(
                        transfer.job.destination,
                        body: body,
                        proof: proof,
                        attributes: attributes,
                        onlyIfAbsent: onlyIfAbsent,
                        ifMatch: record.upload.ifMatch,
                        transfer: options
                    )
                }
            } catch {
                guard
                    let proof = objectDespite(
                        error,
                        { () throws(UploadFailure) in
                            try ownBody(slice, record, transfer: transfer)
                        }
                    )
                else { throw error }
                return proof
            }
            switch answer {
            case .success(let body, _):
                transfer.enter(.completing)
                if onlyIfAbsent, service.conditionIsGeneration, body.stored.generation == nil {
                    throw .noGeneration(transfer)
                }
                if !checksumMode.isConfirmed { run.learn(transfer.checksumMode, transfer) }
                if record.upload.onlyIfAbsent && !onlyIfAbsent {
                    run.emit(.noCondition(record, transfer))
                }
                let whole = WholeChecksum(body.digest, transfer.checksumMode)
                let mine = ObjectProof(
                    eTag: body.stored.eTag,
                    versionID: body.stored.versionID,
                    checksumAlgorithm: whole.algorithm.rawValue,
                    checksumType: ChecksumType.fullObject.rawValue,
                    checksumValue: whole.value
                )
                var proven = mine
                if !body.isProven || body.stored.eTag == nil {
                    try check()
                    proven = try remote.confirm(
                        body.stored,
                        mine,
                        size: slice.length,
                        record: record,
                        transfer: transfer
                    )
                } else if remote.mustLookForProtection(body.stored, record, transfer),
                    case .success(let head?, _)? = try? remote.headObject(transfer)
                {
                    remote.noteMissingLock(head, record, transfer)
                    remote.noteMissingEncryption(head.encryption, record, transfer)
                }
                transfer.bytesInFlight.subtract(body.bytesInFlight, ordering: .relaxed)
                transfer.bytesDone.add(slice.length, ordering: .relaxed)
                return proven
            case .refused(let error, let ambiguous):
                if error.isUnanswered {
                    // The store may have executed it: a look costs less than sending everything again.
                    looksAfterSilence = false
                    if let proof = try? ownBody(slice, record, transfer: transfer) { return proof }
                } else if error.failsMatch(record) {
                    if error.status == 412, !ambiguous, try isHidden(transfer) { throw .unmatched(transfer, record) }
                    if let proof = try ownBody(slice, record, transfer: transfer) { return proof }
                    throw try mismatch(record, transfer) ?? .unmatched(transfer, record)
                } else if error.retryClass == .reconcile, onlyIfAbsent {
                    // Even the first 412 may answer a repeated request: libcurl resends a request on its own if a
                    // reused connection closes without an answer. The object shows whose it is.
                    if error.status == 412, !ambiguous, try isHidden(transfer) { throw .exists(transfer.name) }
                    if let proof = try ownBody(slice, record, transfer: transfer) { return proof }
                    // 409: another client changed the object at the same time, and the store asks for a retry.
                    conflicts += error.code == "ConditionalRequestConflict" ? 1 : 0
                    guard (1...2).contains(conflicts), try presentObject(transfer) == nil else {
                        throw conflicts > 2 ? refusal(error, transfer) : .exists(transfer.name)
                    }
                } else if error.retryClass == .unsupported, onlyIfAbsent, try isKnownAbsent(transfer) {
                    onlyIfAbsent = false
                } else if let lower = run.lowerRung(checksumMode, after: error, record) {
                    // The request was refused without the condition too, so the condition was not the reason.
                    onlyIfAbsent = hasCondition
                    transfer.use(NegotiatedIntegrity(checksumMode: lower, wholeObject: nil))
                } else if error.retryClass == .unsupported, onlyIfAbsent {
                    throw .cannotKnow(transfer)
                } else {
                    throw refusal(error, transfer)
                }
            }
        }
    }

    /// The proof that the object at the store is this upload's and holds these bytes; nil if it is not, or does not
    /// exist.
    ///
    /// Its token shows who made it, not that it is complete: the answer to the request that made it was lost or proved
    /// nothing.
    private func ownBody(
        _ slice: FileSlice,
        _ record: UploadRecord,
        transfer: Transfer
    ) throws(UploadFailure) -> ObjectProof? {
        guard let head = try remote.ownHead(size: slice.length, record, transfer) else { return nil }
        let shown = head.object.checksumType == .composite ? [:] : head.object.checksums
        let crc = shown.keys.compactMap { CRCAlgorithm($0) }.first ?? transfer.checksumMode.wholeObjectCRC
        let digest = try digest(slice, transfer, crc: crc, withSHA256: shown[.sha256] != nil, withMD5: true)
        let whole =
            shown[.sha256] != nil
            ? WholeChecksum(digest, .checksum(.sha256, confirmed: true))
            : WholeChecksum(algorithm: crc.checksumAlgorithm, value: digest.crc.base64)
        if shown[whole.algorithm] == nil, let eTag = head.object.eTag, isMD5(eTag), head.encryption?.keepsMD5 ?? true,
            digest.md5.map(Hex.encode) != eTag.lowercased()
        {
            throw .unknownOutcome(
                transfer,
                "its ETag is not the MD5 of the file, and the store shows no checksum of it"
            )
        }
        let mine = ObjectProof(
            checksumAlgorithm: whole.algorithm.rawValue,
            checksumType: ChecksumType.fullObject.rawValue,
            checksumValue: whole.value
        )
        return try remote.proof(of: head, expected: mine, size: slice.length, transfer)
    }
}

/// The checksum of an object sent in one request.
struct WholeChecksum {
    var algorithm: ChecksumAlgorithm
    var value: String

    init(algorithm: ChecksumAlgorithm, value: String) {
        self.algorithm = algorithm
        self.value = value
    }

    init(_ digest: SliceDigest, _ checksumMode: ChecksumMode) {
        if checksumMode.checksumAlgorithm == .sha256, let sha256 = digest.sha256 {
            algorithm = .sha256
            value = Base64.encode(sha256)
        } else {
            algorithm = digest.crc.algorithm
            value = digest.crc.base64
        }
    }
}
