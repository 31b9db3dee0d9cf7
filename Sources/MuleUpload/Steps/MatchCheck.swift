// `--if-match`: the object is replaced only if it has the ETag that the user has seen.

import MuleLedger
import MulePlan
import MuleS3

extension Worker {
    /// Why the object must not be replaced: it has another ETag, or does not exist; nil if it may, or if mule has no
    /// permission to look and the store decides. The look before the request that writes protects objects at stores
    /// that ignore `If-Match`, too.
    ///
    /// - Throws: `store` if the look is refused for another reason: with a customer key, S3 answers 400 for an object
    ///   without one.
    func mismatch(_ record: UploadRecord, _ transfer: Transfer) throws(UploadFailure) -> UploadFailure? {
        guard let wanted = record.upload.ifMatch else { return nil }
        let head: ObjectHead?
        switch try remote.headObject(transfer) {
        case .success(let found, _): head = found
        case .refused(let error, _):
            if error.status == 403 { return nil }
            throw .cannotMatch(transfer, error)
        }
        guard let head else { return .unmatched(transfer, record, isMissing: true) }
        guard let eTag = head.object.eTag, eTag != wanted else { return nil }
        return .unmatched(transfer, record, eTag: eTag)
    }
}

extension S3Error {
    /// Whether the condition was the reason: 412, or 404 for an object that does not exist, or 409 for one that another
    /// program is writing.
    func failsMatch(_ record: UploadRecord) -> Bool {
        guard record.upload.ifMatch != nil else { return false }
        return status == 412 || code == "NoSuchKey" || code == "ConditionalRequestConflict"
    }
}

extension UploadFailure {
    fileprivate static func cannotMatch(_ transfer: Transfer, _ error: S3Error) -> UploadFailure {
        UploadFailure(
            .store,
            "The store does not show \(transfer.name) (\(error.shortReason)), so --if-match cannot be guaranteed, and "
                + "nothing was written. With --sse-c-key-file, the object may have no key, or another one.",
            evidence: error
        )
    }

    /// - Parameter eTag: the object's ETag now; nil if mule may not look at it.
    static func unmatched(
        _ transfer: Transfer,
        _ record: UploadRecord,
        eTag: String? = nil,
        isMissing: Bool = false
    ) -> UploadFailure {
        let wanted = record.upload.ifMatch ?? ""
        let found =
            isMissing
            ? "does not exist, and only an object with the ETag \(wanted) may be replaced"
            : eTag.map { "has the ETag \($0) now, and not \(wanted)" }
                ?? "does not have the ETag \(wanted) any more, as the store says"
        return UploadFailure(
            .exists,
            "\(transfer.name) \(found) (--if-match). Nothing was replaced. To replace the object as it is now, run the "
                + "command with its ETag and --restart."
        )
    }
}
