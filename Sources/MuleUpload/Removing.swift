// Giving up an upload: its parts are removed at the store, and only then forgotten here.

import MuleLedger
import MulePlan
import MuleS3
import MuleSystem

/// How a removal ended.
enum Removal: Sendable {
    case removed
    case refused(S3Error)
}

extension Worker {
    /// Removes what the upload has left at the store.
    ///
    /// A part that is under way when the upload is aborted may land afterwards, so the abort is repeated until the store
    /// lists nothing any more.
    func removeParts(of record: UploadRecord, _ transfer: Transfer) throws(UploadFailure) -> Removal {
        guard let uploadID = record.uploadID else {
            return try removeUnanswered(record, transfer)
        }
        return try abort(uploadID, record, transfer)
    }

    private func abort(
        _ uploadID: String,
        _ record: UploadRecord,
        _ transfer: Transfer
    ) throws(UploadFailure) -> Removal {
        let address = record.upload.destination
        for round in 0..<5 {
            if round > 0 { pause(until: Moment.now().adding(seconds: 0.2 * Double(round)), run.cancellation) }
            let aborted = try persist(transfer) { (connection) throws(S3Error) in
                try connection.abortMultipartUpload(address, uploadID: uploadID)
            }
            if case .refused(let error, _) = aborted {
                return error.leavesNothing ? .removed : .refused(error)
            }
            let listed = try persist(transfer) { (connection) throws(S3Error) in
                try connection.listParts(address, uploadID: uploadID)
            }
            switch listed {
            case .refused: return .removed  // NoSuchUpload; or it may not be listed, and the 204 has to do.
            case .success(let listing, _): if listing.parts.isEmpty { return .removed }
            }
        }
        throw UploadFailure(
            .store,
            "The store still lists parts of \(transfer.name) after it was aborted several times: another process may be "
                + "sending them. Run the same command again when it has ended.",
            isResumable: true
        )
    }

    /// Create was tried and its answer never recorded: uploads of this key that were begun since then and hold no part.
    private func removeUnanswered(_ record: UploadRecord, _ transfer: Transfer) throws(UploadFailure) -> Removal {
        guard let attempted = record.createAttemptedAt else { return .removed }
        let address = record.upload.destination
        let answer = try persist(transfer) { (connection) throws(S3Error) in
            for upload in try connection.listMultipartUploads(of: address) {
                guard let initiated = upload.initiated?.millisecondsSince1970,
                    abs(initiated - attempted) < Self.createWindow,
                    try connection.listParts(address, uploadID: upload.uploadID).parts.isEmpty
                else { continue }
                try connection.abortMultipartUpload(address, uploadID: upload.uploadID)
            }
        }
        if case .refused(let error, _) = answer, !error.leavesNothing { return .refused(error) }
        return .removed
    }

    /// Milliseconds around the attempt in which an upload without parts is taken for the lost one.
    private static let createWindow: Int64 = 60_000
}

extension S3Error {
    /// Whether there is nothing left that could be removed: the upload, or its whole bucket, is gone.
    fileprivate var leavesNothing: Bool { isVanishedUpload || code == "NoSuchBucket" }
}
