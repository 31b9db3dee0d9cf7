// Objects that go in one request.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleTransport
import Synchronization

extension Worker {
    func putFile(_ source: SourceFile, _ transfer: Transfer, _ record: UploadRecord) throws(UploadFailure) {
        let slice = FileSlice(file: source.file, offset: 0, length: source.size)
        let proof = try put(slice, transfer, record) { () throws(UploadFailure) in try source.checkUnchanged() }
        let confirmed = try confirmSource(
            source,
            RecordedContent(proof, size: source.size, partSize: nil),
            record,
            transfer
        )
        run.completed(transfer, confirmed, proof)
    }

    /// Sends an object in one request and proves it.
    func put(
        _ slice: FileSlice,
        _ transfer: Transfer,
        _ record: UploadRecord,
        check: () throws(UploadFailure) -> Void
    ) throws(UploadFailure) -> ObjectProof {
        transfer.enter(.sending)
        var onlyIfAbsent = record.upload.onlyIfAbsent
        if onlyIfAbsent, let head = try presentObject(transfer) {
            // It may be this very upload, whose answer an earlier run did not live to hear.
            guard head.metadata[UploadToken.metadataName] == record.token,
                let proof = try ownBody(slice, record, transfer)
            else { throw .exists(transfer.name) }
            return proof
        }
        let attributes = run.attributes(of: record)
        var conflicts = 0
        var isFirst = true
        // Once: a look that is answered is no progress of a request that never is.
        var looksAfterSilence = true
        while true {
            // At first it has just been opened.
            if !isFirst { try check() }
            isFirst = false
            let checksumMode = transfer.checksumMode
            let answer: Answer<SentBody>
            do throws(UploadFailure) {
                answer = try send(slice, of: transfer, endsUnanswered: looksAfterSilence) {
                    (connection, body, proof, options) throws(S3Error) in
                    try connection.putObject(
                        transfer.job.destination,
                        body: body,
                        proof: proof,
                        attributes: attributes,
                        onlyIfAbsent: onlyIfAbsent,
                        transfer: options
                    )
                }
            } catch {
                guard
                    let proof = objectDespite(
                        error,
                        { () throws(UploadFailure) in
                            try ownBody(slice, record, transfer)
                        }
                    )
                else { throw error }
                return proof
            }
            switch answer {
            case .success(let body, _):
                transfer.enter(.completing)
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
                    proven = try remote.confirm(body.stored, mine, size: slice.length, record, transfer)
                }
                transfer.bytesInFlight.subtract(body.bytesInFlight, ordering: .relaxed)
                transfer.bytesDone.add(slice.length, ordering: .relaxed)
                return proven
            case .refused(let error, let ambiguous):
                if error.isUnanswered {
                    // It may have been carried out: a look is less than to send it all again.
                    looksAfterSilence = false
                    if let proof = try? ownBody(slice, record, transfer) { return proof }
                } else if error.retryClass == .reconcile, onlyIfAbsent {
                    // Even the first 412 that is heard may answer a repetition: libcurl sends a request again by itself
                    // when a warm connection closes without an answer. The object tells whose it is.
                    if error.status == 412, !ambiguous, try isHidden(transfer) { throw .exists(transfer.name) }
                    if let proof = try ownBody(slice, record, transfer) { return proof }
                    // 409: somebody changed the object at the same moment, and the store asks to be asked again.
                    conflicts += error.code == "ConditionalRequestConflict" ? 1 : 0
                    guard (1...2).contains(conflicts), try presentObject(transfer) == nil else {
                        throw conflicts > 2 ? refusal(error, transfer) : .exists(transfer.name)
                    }
                } else if error.retryClass == .unsupported, onlyIfAbsent, try isKnownAbsent(transfer) {
                    onlyIfAbsent = false
                } else if let lower = run.lowerRung(checksumMode, after: error, record) {
                    // Without the condition it was refused as well, so that was not the reason.
                    onlyIfAbsent = record.upload.onlyIfAbsent
                    transfer.use(NegotiatedIntegrity(checksumMode: lower, wholeObject: nil))
                } else if error.retryClass == .unsupported, onlyIfAbsent {
                    throw .cannotKnow(transfer)
                } else {
                    throw refusal(error, transfer)
                }
            }
        }
    }

    /// The proof that the object at the store is this upload's and holds these bytes; nil when it is not, or there is none.
    ///
    /// Its token says whose it is, not that it arrived whole: nobody heard the answer to the request that made it, or
    /// that answer proved nothing.
    private func ownBody(
        _ slice: FileSlice,
        _ record: UploadRecord,
        _ transfer: Transfer
    ) throws(UploadFailure) -> ObjectProof? {
        guard let head = try remote.ownHead(size: slice.length, record, transfer) else { return nil }
        let shown = head.object.checksumType == .composite ? [:] : head.object.checksums
        let crc = shown.keys.compactMap { CRCAlgorithm($0) }.first ?? transfer.checksumMode.wholeObjectCRC
        let digest = try digest(slice, transfer, crc: crc, withSHA256: shown[.sha256] != nil, withMD5: true)
        let whole =
            shown[.sha256] != nil
            ? WholeChecksum(digest, .checksum(.sha256, confirmed: true))
            : WholeChecksum(algorithm: crc.checksumAlgorithm, value: digest.crc.base64)
        if shown[whole.algorithm] == nil, let eTag = head.object.eTag, isMD5(eTag),
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

/// The checksum of an object that went in one request.
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
