// `--if-match`: the object is replaced only if it has the ETag that the user has seen.

import MuleLedger
import MulePlan
import MuleS3

extension Worker {
    /// Why the object must not be replaced: it has another ETag, or does not exist; nil if it may, or if only the store
    /// can tell. The look before the request that writes protects objects at stores that ignore `If-Match`, too.
    func mismatch(_ record: UploadRecord, _ transfer: Transfer) throws(UploadFailure) -> UploadFailure? {
        guard let wanted = record.upload.ifMatch, case .success(let head, _) = try remote.headObject(transfer) else {
            return nil
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
