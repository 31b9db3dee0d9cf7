// Uploads of streams: what is found again of one that was begun before.

import MulePlan
import MuleSQLite

extension Ledger {
    package struct StreamClaim: Sendable {
        package var claim: Claim
        /// Unfinished uploads of the same kind of stream to the same object that do not fit and are left as they are.
        package var others: [UploadRecord]
    }

    /// Finds the latest unfinished upload of such a stream to the same object that fits, or makes a row, and takes its lease:
    /// all in one step. Nothing tells two streams apart but what they are made of, which nobody knows before they are read:
    /// what is found may be the beginning of another one.
    ///
    /// - Parameters:
    ///   - upload: has a stream.
    ///   - choice: which of the unfinished ones, the latest first, is carried on as this one; nil for none.
    /// - Returns: `began`, `found` or `heldElsewhere`.
    package func claimStream(
        _ upload: NewUpload,
        choosing choice: ([UploadRecord]) -> UploadRecord?
    ) throws(LedgerError) -> StreamClaim {
        // `StreamRegistration` alone calls this, with what it makes of a `StreamIntent`.
        guard let stream = upload.stream else { fatalError("not a stream") }
        return try transaction { database throws(SQLiteError) in
            let open = try records(
                in: database,
                """
                WHERE source = ? AND bucket = ? AND key = ? AND endpoint = ? AND state NOT IN ('done', 'aborted')
                ORDER BY number DESC
                """,
                [
                    .blob(Array(stream.rawValue.utf8)), .text(upload.destination.bucket),
                    .blob(upload.destination.key.utf8), .text(upload.store.endpoint),
                ]
            ).filter { !$0.abortRequested }
            guard let record = choice(open) else {
                let record = try insert(upload, in: database)
                let claim: Claim = try lease(record).map { .began(record, $0) } ?? .heldElsewhere(record)
                return StreamClaim(claim: claim, others: open)
            }
            let claim: Claim = try lease(record).map { .found(record, $0) } ?? .heldElsewhere(record)
            return StreamClaim(claim: claim, others: open.filter { $0.number != record.number })
        }
    }
}
