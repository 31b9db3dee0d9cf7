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
            throw .differs(transfer, "the checksum \(theirs), and the one computed here is \(mine.checksumValue ?? "")")
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
                proven.eTag = stored.eTag ?? seen.eTag
                proven.versionID = stored.versionID ?? seen.versionID
                return proven
            }
        }
        throw stored.isOfS3 ? .unknownOutcome(transfer, "the store does not show the object") : .noStore(transfer)
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
            throw .differs(transfer, "the checksum \(theirs), and the one computed here is \(mine.checksumValue ?? "")")
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
