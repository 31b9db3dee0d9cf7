// Proves an adopted upload, whose object has no token, or one that this ledger does not know.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem

extension RemoteSteps {
    /// The proof that the object comes from the adopted upload; nil if it comes from another one.
    ///
    /// - Throws: `verification` when mule cannot tell.
    func adoptedObject(
        _ head: ObjectHead,
        size: Int64,
        _ record: UploadRecord,
        transfer: Transfer
    ) throws(UploadFailure) -> ObjectProof? {
        guard let mine = try computedProof(transfer) else {
            throw .unknownOutcome(
                transfer,
                "there is an object of the same size, and the ledger does not have all of "
                    + "its parts"
            )
        }
        if let algorithm = mine.checksumAlgorithm.flatMap(ChecksumAlgorithm.init(rawValue:)),
            let theirs = head.object.checksums[algorithm],
            head.object.checksumType.map({ $0.rawValue == mine.checksumType }) ?? true
        {
            return theirs == mine.checksumValue ? try proof(of: head, expected: mine, size: size, transfer) : nil
        }
        let rows = try ledger.reporting { ledger throws(LedgerError) in try ledger.parts(of: record.number) }
        // On stores whose ETags are MD5s, the ETag identifies these parts. A different ETag proves nothing.
        let parts = rows.compactMap { DigestETag($0.eTag)?.md5 }
        if parts.count == rows.count, let eTag = head.object.eTag.flatMap(DigestETag.init),
            eTag.partCount == rows.count, eTag.md5 == DigestETag.md5(ofParts: parts)
        {
            return try proof(of: head, expected: mine, size: size, transfer)
        }
        // Some stores have the MD5 of the whole object as its ETag, in whatever way it was sent.
        if let eTag = head.object.eTag.flatMap(DigestETag.init), eTag.partCount == nil, let source = transfer.source,
            head.encryption?.keepsMD5 ?? true
        {
            let digests = FileDigests(
                file: source.file,
                name: transfer.name,
                shouldStop: { [cancellation] in cancellation.isCancelled },
                onProgress: { [stallTimer = client.stallTimer] in stallTimer.noteProgress() }
            )
            if try digests.digestWhole(size: size, .md5) == eTag.md5 {
                return try proof(of: head, expected: mine, size: size, transfer)
            }
        }
        throw .unknownOutcome(
            transfer,
            "the upload was started elsewhere, and the object has neither a token of this ledger nor a checksum to "
                + "identify it by"
        )
    }

    /// Whether HEAD shows the object that Complete returned.
    func isConfirmed(
        _ head: ObjectHead,
        by stored: StoredObject,
        size: Int64,
        _ record: UploadRecord,
        transfer: Transfer
    ) throws(UploadFailure) -> Bool {
        if let eTag = stored.eTag, eTag == head.object.eTag {
            let token = head.metadata[UploadToken.metadataName]
            return record.isAdopted || token == nil || token == record.token
        }
        if record.isAdopted { return try adoptedObject(head, size: size, record, transfer: transfer) != nil }
        return head.metadata[UploadToken.metadataName] == record.token
    }
}
