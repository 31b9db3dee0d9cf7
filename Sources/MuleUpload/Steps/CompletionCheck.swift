// Whether an upload that the store does not know any more had been completed.

import MuleLedger
import MulePlan
import MuleS3
import MuleSystem

/// What happened to an upload that is gone at the store.
enum CompletionCheck: Sendable {
    /// The object is its, and what is on record.
    case proven(ObjectProof, size: Int64)
    /// There is no object, or one that another program made.
    case notOurs
    /// The object has its token, and differs from the record. Why, in words that follow a colon.
    case unproven(String)
    /// Reading the object's metadata is not permitted.
    case hidden(S3Error)
}

extension UploadRecord {
    /// Whether Complete may have been sent: not before all parts are on record, how many ever a stream has. What was started
    /// elsewhere has no token to identify it by.
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
        switch try lookAtObject(transfer) {
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
