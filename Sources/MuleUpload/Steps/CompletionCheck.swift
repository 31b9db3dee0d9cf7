// Whether an upload that the store no longer knows was completed.

import MuleLedger
import MulePlan
import MuleS3
import MuleSystem

/// What happened to an upload that the store no longer knows.
enum CompletionCheck: Sendable {
    /// The object comes from this upload and matches the records.
    case proven(ObjectProof, size: Int64)
    /// There is no object, or another program made it.
    case notOurs
    /// The object has this upload's token but differs from the records. The reason completes a sentence after a colon.
    case unproven(String)
    /// Reading the object's metadata is not permitted.
    case hidden(S3Error)
}

extension UploadRecord {
    /// Whether Complete may have been sent: only after all parts are recorded, which is unknown for a stream that has
    /// not ended. An adopted upload has no token to identify its object by.
    var mayHaveBeenCompleted: Bool {
        guard uploadID != nil, !isAdopted, partsDone > 0 else { return false }
        return partCount.map { partsDone >= $0 } ?? true
    }
}

extension RemoteSteps {
    /// Looks at the object.
    ///
    /// - Parameter rows: the parts on record, in order.
    func completion(
        of record: UploadRecord,
        _ rows: [PartRecord],
        _ transfer: Transfer
    ) throws(UploadFailure) -> CompletionCheck {
        let head: ObjectHead
        switch try headObject(transfer) {
        case .refused(let error, _): return .hidden(error)
        case .success(let found, _):
            guard let found, found.metadata[UploadToken.metadataName] == record.token else { return .notOurs }
            head = found
        }
        guard !rows.isEmpty, rows.map(\.number) == Array(1...rows.count) else {
            return .unproven("the object is from this upload, but the ledger does not have all of its parts")
        }
        let expected = ObjectProof(MultipartChecksum(rows, transfer.negotiated))
        let size = rows.reduce(0) { $0 + $1.size }
        do throws(UploadFailure) {
            return .proven(try proof(of: head, expected: expected, size: size, transfer), size: size)
        } catch {
            guard error.kind == .verification else { throw error }
            return .unproven("the object is from this upload, but differs from what the ledger recorded")
        }
    }
}

extension Ledger.Entry {
    static func end(of record: UploadRecord, _ outcome: Ledger.Outcome) -> Ledger.Entry {
        .upload(Ledger.FinishedUpload(upload: record.number, outcome: outcome, bytesSent: 0))
    }
}
