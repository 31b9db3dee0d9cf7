// Proves that the object at the store is this upload's and complete.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import Synchronization

/// The random token that tells this upload's object from any other under the same key.
enum UploadToken {
    /// User metadata, without the prefix `x-amz-meta-`.
    static let metadataName = "mule-upload"
}

extension RemoteSteps {
    /// - Parameter earlier: as for `StoreClient.retrying`.
    func headObject(
        _ transfer: Transfer,
        after earlier: EarlierFailures? = nil
    ) throws(UploadFailure) -> Answer<ObjectHead?> {
        try client.retrying(transfer, after: earlier) { (connection) throws(S3Error) in
            try connection.headObject(transfer.job.destination)
        }
    }

    /// The proof that the object at the store is this upload's; nil if it is not, or does not exist.
    ///
    /// - Throws: `verification` if mule cannot tell, because reading the object's metadata is not permitted.
    func ownObject(
        size: Int64,
        _ record: UploadRecord,
        _ transfer: Transfer
    ) throws(UploadFailure) -> ObjectProof? {
        guard let head = try ownHead(size: size, record, transfer) else { return nil }
        if record.isAdopted { return try adoptedObject(head, size: size, record, transfer: transfer) }
        return try proof(of: head, expected: nil, size: size, transfer)
    }

    /// The object's HEAD, if it has this upload's token and size; for an adopted upload any token matches.
    func ownHead(
        size: Int64,
        _ record: UploadRecord,
        _ transfer: Transfer
    ) throws(UploadFailure) -> ObjectHead? {
        switch try headObject(transfer) {
        case .success(let head, _):
            guard let head, head.size == size,
                record.isAdopted || head.metadata[UploadToken.metadataName] == record.token
            else { return nil }
            return head
        case .refused(let error, _):
            throw .unknownOutcome(
                transfer,
                error.shortReason + "; this needs " + error.operation.permission
            )
        }
    }

    /// Checks with HEAD what Complete or PutObject returned.
    func confirm(
        _ stored: StoredObject,
        _ mine: ObjectProof,
        size: Int64,
        record: UploadRecord,
        transfer: Transfer
    ) throws(UploadFailure) -> ObjectProof {
        if let algorithm = mine.checksumAlgorithm.flatMap(ChecksumAlgorithm.init(rawValue:)),
            let theirs = stored.checksums[algorithm],
            stored.checksumType?.rawValue ?? mine.checksumType == mine.checksumType,
            theirs != mine.checksumValue
        {
            throw .otherChecksum(transfer, algorithm, theirs, mine: mine.checksumValue ?? "")
        }
        var proven = mine
        proven.eTag = stored.eTag
        proven.versionID = stored.versionID
        // Some stores need a moment to show what they have just confirmed.
        for pauseSeconds in [0, 0.2, 0.5, 1, 2, 4] {
            sleep(until: Moment.now().adding(seconds: pauseSeconds), cancellation)
            switch try headObject(transfer) {
            case .refused(let error, _):
                guard stored.eTag != nil else { throw .unknownOutcome(transfer, error.shortReason) }
                emit(
                    .notice(
                        id: record.id,
                        "The store confirmed \(transfer.name), but the object cannot be checked "
                            + "(\(error.shortReason)); this needs \(error.operation.permission)."
                    )
                )
                return proven
            case .success(nil, _): continue
            case .success(let head?, _):
                guard try isConfirmed(head, by: stored, size: size, record, transfer: transfer) else {
                    let isOfS3 = head.object.isOfS3 && stored.isOfS3
                    throw isOfS3
                        ? .unknownOutcome(transfer, "another program has written a different object there since")
                        : .noStore(transfer)
                }
                let seen = try proof(of: head, expected: mine, size: size, transfer)
                noteMissingLock(head, record, transfer)
                noteMissingEncryption(head.encryption, record, transfer)
                proven.eTag = stored.eTag ?? seen.eTag
                proven.versionID = stored.versionID ?? seen.versionID
                return proven
            }
        }
        throw stored.isOfS3 ? .unknownOutcome(transfer, "the store does not show the object") : .noStore(transfer)
    }

    /// Whether the answer to PutObject leaves open if the object is protected as wanted. It never shows a lock; not all
    /// stores show encryption there, so one object of a run is looked at.
    func mustLookForProtection(_ stored: StoredObject, _ record: UploadRecord, _ transfer: Transfer) -> Bool {
        let attributes = record.upload.attributes
        if attributes.isLocked { return true }
        return attributes[ObjectHeader.sse.name] != nil && stored.encryption == nil
            && client.context.store(transfer.job.service).isFirstLookForEncryption()
    }

    /// Warns, once per store and run, if the object does not show the lock that it was sent with: a store that does not
    /// know Object Lock may ignore its headers.
    func noteMissingLock(_ head: ObjectHead, _ record: UploadRecord, _ transfer: Transfer) {
        let missing = ObjectHeader.locks.filter {
            record.upload.attributes[$0.name] != nil && !head.locks.contains($0.name)
        }
        guard let first = missing.first, client.context.store(transfer.job.service).isFirstMissingLock() else { return }
        emit(
            .notice(
                id: record.id,
                "The store does not show the Object Lock of \(transfer.name) (\(first.name)). Either it ignores the "
                    + "option, and the object can be deleted, or you may not read the lock, which needs "
                    + "s3:GetObjectRetention and s3:GetObjectLegalHold."
            )
        )
    }

    /// The same for encryption by the store (`--sse`), which S3 shows to all who may read the object.
    func noteMissingEncryption(_ shown: ObjectEncryption?, _ record: UploadRecord, _ transfer: Transfer) {
        guard record.upload.attributes[ObjectHeader.sse.name] != nil, shown == nil,
            client.context.store(transfer.job.service).isFirstMissingEncryption()
        else { return }
        emit(
            .notice(
                id: record.id,
                "The store does not say that \(transfer.name) is encrypted: it may ignore --\(ObjectHeader.sse.flag)."
            )
        )
    }

    /// The proof from HEAD, if it matches what is expected.
    func proof(
        of head: ObjectHead,
        expected: ObjectProof?,
        size: Int64,
        _ transfer: Transfer
    ) throws(UploadFailure) -> ObjectProof {
        if let theirs = head.size, theirs != size {
            throw .differs(transfer, "\(theirs) bytes, and \(size) were sent")
        }
        if transfer.job.service.terms.customerKey != nil, head.encryption != .customerKey {
            throw .customerKeyIgnored(transfer, isComplete: true)
        }
        var proof = ObjectProof(eTag: head.object.eTag, versionID: head.object.versionID)
        let mine: ObjectProof?
        if let expected { mine = expected } else { mine = try computedProof(transfer) }
        proof.checksumAlgorithm = mine?.checksumAlgorithm
        proof.checksumType = mine?.checksumType
        proof.checksumValue = mine?.checksumValue
        if let mine, let algorithm = mine.checksumAlgorithm.flatMap(ChecksumAlgorithm.init(rawValue:)),
            let theirs = head.object.checksums[algorithm],
            head.object.checksumType.map({ $0.rawValue == mine.checksumType }) ?? true, theirs != mine.checksumValue
        {
            throw .otherChecksum(transfer, algorithm, theirs, mine: mine.checksumValue ?? "")
        }
        return proof
    }

    /// The whole object's checksum, combined from the recorded parts; nil if there are none.
    func computedProof(_ transfer: Transfer) throws(UploadFailure) -> ObjectProof? {
        guard let record = transfer.record, record.uploadID != nil else { return nil }
        let rows = try ledger.reporting { ledger throws(LedgerError) in try ledger.parts(of: record.number) }
        guard !rows.isEmpty, rows.count == transfer.partCount else { return nil }
        return ObjectProof(MultipartChecksum(rows, transfer.negotiated))
    }
}

extension UploadFailure {
    static func differs(_ transfer: Transfer, _ what: String) -> UploadFailure {
        UploadFailure(
            .verification,
            "\(transfer.name) differs from what was sent: the store has \(what). Keep the source file, and upload it "
                + "again with --restart."
        )
    }

    /// A store that has the name of an algorithm and not the algorithm does not show that the object differs.
    static func otherChecksum(
        _ transfer: Transfer,
        _ algorithm: ChecksumAlgorithm,
        _ theirs: String,
        mine: String
    ) -> UploadFailure {
        let digits = String(theirs.split(separator: "-", maxSplits: 1).first ?? "")
        guard Checksum(algorithm: algorithm, base64: digits) == nil else {
            return .differs(transfer, "the checksum \(theirs), and the one computed here is \(mine)")
        }
        return UploadFailure(
            .verification,
            "\(transfer.name) cannot be proven: the store's \(algorithm.rawValue) is \"\(theirs)\", which has the "
                + "wrong length, so the store does not compute this checksum. Keep the source file, and upload it again with "
                + "--restart --checksum md5."
        )
    }

    /// Successful answers without anything specific to S3.
    static func noStore(_ transfer: Transfer) -> UploadFailure {
        .unknownOutcome(transfer, "\(transfer.job.service.endpoint.address) is not an S3 store")
    }

    static func unknownOutcome(_ transfer: Transfer, _ reason: String) -> UploadFailure {
        let address = transfer.job.destination
        let key = address.key.string.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
        return UploadFailure(
            .verification,
            "Cannot tell whether \(transfer.name) was completed: \(reason). Keep the source file. Check with: aws "
                + "s3api head-object --bucket \(address.bucket) --key '\(key)'",
            isResumable: true
        )
    }
}
