// Claims uploads of streams: finds an unfinished one that may be resumed.

import MulePlan
import MuleSQLite

extension Ledger {
    package struct StreamClaim: Sendable {
        package var claim: Claim
        /// Unfinished uploads of the same kind of stream to the same object that do not match and stay unchanged.
        package var others: [UploadRecord]
    }

    /// Finds the latest matching unfinished upload of a stream to the same object, or creates a row, and takes its
    /// lease in one step. Streams differ only in their content, which is unknown until they are read: the upload found
    /// may belong to another stream.
    ///
    /// - Parameters:
    ///   - upload: has a stream.
    ///   - choice: chooses the unfinished upload to resume, given the latest first; nil for none.
    /// - Returns: `began`, `found` or `heldElsewhere`.
    package func claimStream(
        _ upload: NewUpload,
        choosing choice: ([UploadRecord]) -> UploadRecord?
    ) throws(LedgerError) -> StreamClaim {
        // Called only by `StreamRegistration`, which builds it from a `StreamIntent`.
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
