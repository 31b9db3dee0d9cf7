// Creates uploads at the store: the upload ID is durable before any part is sent.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleTransport
import Synchronization

extension Worker {
    /// Aborts what an earlier run started, and gives the row a new plan.
    func abandon(
        _ record: UploadRecord,
        for fresh: NewUpload,
        _ transfer: Transfer
    ) throws(UploadFailure) -> UploadRecord {
        let removal: Removal = record.mayHoldParts ? try remote.removeParts(of: record, transfer) : .removed
        let replanned: UploadRecord
        switch removal {
        case .removed:
            replanned = try run.ledger.reporting { ledger throws(LedgerError) in try ledger.replan(record, as: fresh) }
        case .refused(let error):
            let left: UploadRecord
            (left, replanned) = try run.ledger.reporting { ledger throws(LedgerError) in
                try ledger.leaveBehind(record, error.shortReason, andReplanAs: fresh)
            }
            run.emit(
                .notice(
                    id: record.id,
                    "The parts of the earlier upload of \(transfer.name) could not be removed "
                        + "(\(error.operation.rawValue): \(error.shortReason)). The store bills for them until they "
                        + "are removed; \"mule abort \(left.id)\" retries."
                )
            )
        }
        transfer.change { $0.replan(replanned) }
        return replanned
    }

    /// Creates the multipart upload and records its ID durably before any part is sent.
    func create(_ transfer: Transfer, _ record: UploadRecord) throws(UploadFailure) {
        let wasTriedBefore = record.createAttemptedAt != nil
        var record = record
        if record.upload.onlyIfAbsent {
            if try presentObject(transfer) != nil { throw .exists(transfer.name) }
            // After the look, whose answer may be the first to show what store this is.
            if transfer.job.service.conditionIsGeneration { throw .noMultipartCondition(transfer) }
        }
        if let failure = try mismatch(record, transfer) { throw failure }
        record = try run.ledger.reporting { ledger throws(LedgerError) in try ledger.recordCreateAttempt(record) }
        transfer.update(record)
        let attributes = run.attributes(of: record, at: transfer.job.service.now())
        // Whether the store may have an upload without a row. An attempt that never connected has created nothing, and
        // must not leave a row that only the store could clear.
        var isUnanswered = wasTriedBefore
        do throws(UploadFailure) {
            while true {
                let checksumMode = transfer.checksumMode
                let answer = try client.retrying(transfer, after: earlier) { (connection) throws(S3Error) in
                    do throws(S3Error) {
                        return try connection.createMultipartUpload(
                            transfer.job.destination,
                            attributes: attributes,
                            checksum: checksumMode.checksumAlgorithm
                        )
                    } catch {
                        if error.mayHaveSucceeded { isUnanswered = true }
                        throw error
                    }
                }
                switch answer {
                case .refused(let error, _):
                    guard let lower = run.lowerRung(checksumMode, after: error, record) else {
                        throw refusal(error, transfer)
                    }
                    transfer.use(NegotiatedIntegrity(checksumMode: lower, wholeObject: nil))
                case .success(let created, _):
                    transfer.change { $0.noteCreated(for: checksumMode.checksumAlgorithm != nil) }
                    let mayHaveSiblings = isUnanswered
                    isUnanswered = true
                    return try recordCreated(created, transfer, record: record, mayHaveSiblings: mayHaveSiblings)
                }
            }
        } catch {
            if !isUnanswered, transfer.record?.uploadID == nil { try forgetAttempt(record, transfer) }
            throw error
        }
    }

    /// No attempt can have created the upload: the store has nothing of it.
    private func forgetAttempt(_ record: UploadRecord, _ transfer: Transfer) throws(UploadFailure) {
        transfer.update(
            try run.ledger.reporting { ledger throws(LedgerError) in try ledger.forgetCreateAttempt(record) }
        )
    }

    func recordCreated(
        _ created: CreatedUpload,
        _ transfer: Transfer,
        record: UploadRecord,
        mayHaveSiblings: Bool
    ) throws(UploadFailure) {
        let negotiated = NegotiatedIntegrity(created, transfer.checksumMode)
        let checksumMode = negotiated.checksumMode
        let recorded = try run.ledger.reporting { ledger throws(LedgerError) in
            try ledger.recordCreated(
                record,
                uploadID: created.uploadID,
                negotiated: negotiated.text,
                abortDate: created.abortDate,
                mayHaveSiblings: mayHaveSiblings
            )
        }
        transfer.update(recorded)
        transfer.use(negotiated)
        run.watchAbortDate(of: transfer)
        // If Create did not promise a checksum, the store may still echo it for a part; in other cases the mode is
        // settled.
        if checksumMode.isConfirmed || checksumMode.checksumAlgorithm == nil { run.learn(checksumMode, transfer) }
    }

    /// For stores without `If-None-Match`: a look before anything is sent. Where the header is supported, it closes the
    /// gap between this look and the end.
    func presentObject(_ transfer: Transfer) throws(UploadFailure) -> ObjectHead? {
        guard case .success(let head, _) = try remote.headObject(transfer, after: earlier) else { return nil }
        return head
    }

    /// Whether looking at the object is not permitted. A failed condition then only shows that it exists. With a
    /// customer key, S3 refuses to show an object without one: 400.
    func isHidden(_ transfer: Transfer) throws(UploadFailure) -> Bool {
        guard case .refused(let error, _) = try remote.headObject(transfer) else { return false }
        return error.status == 403 || (error.status == 400 && transfer.job.service.terms.customerKey != nil)
    }

    /// Whether a look has shown that the object does not exist. Without that, a store without conditional writes must
    /// not be asked to write unconditionally.
    func isKnownAbsent(_ transfer: Transfer) throws(UploadFailure) -> Bool {
        guard case .success(let head, _) = try remote.headObject(transfer) else { return false }
        if head != nil { throw .exists(transfer.name) }
        return true
    }
}

extension UploadEvent {
    static func noCondition(_ record: UploadRecord, _ transfer: Transfer) -> UploadEvent {
        .notice(
            id: record.id,
            "This store does not support conditional writes; for --no-overwrite mule checks just before writing that "
                + "\(transfer.name) does not exist."
        )
    }
}

extension UploadFailure {
    /// `--no-overwrite` cannot be guaranteed, neither by the store nor by a look.
    static func cannotKnow(_ transfer: Transfer) -> UploadFailure {
        UploadFailure(
            .store,
            "This store does not support conditional writes, and mule may not check whether \(transfer.name) exists: "
                + "--no-overwrite cannot be guaranteed, so nothing was written. This needs "
                + "\(S3Operation.headObject.permission)."
        )
    }

    /// The store has a condition for objects in one request, and would ignore one at Complete.
    fileprivate static func noMultipartCondition(_ transfer: Transfer) -> UploadFailure {
        let cure =
            transfer.source == nil
            ? "A stream that fits into one part is sent in one request; otherwise upload it without --no-overwrite."
            : "Up to 5 GiB, --multipart-threshold 5GiB sends a file in one request, with the condition; otherwise upload "
                + "it without --no-overwrite (\"overwrite\": \"allow\" in a job)."
        return UploadFailure(
            .store,
            "Google Cloud Storage has no condition for multipart uploads, so --no-overwrite cannot be guaranteed for "
                + "\(transfer.name). Nothing was sent. \(cure)"
        )
    }

    /// The answer to a PUT with Google's condition is not Google's.
    static func noGeneration(_ transfer: Transfer) -> UploadFailure {
        UploadFailure(
            .verification,
            "\(transfer.job.service.endpoint.address) accepted \(transfer.name) without x-goog-generation, so it is not "
                + "Google Cloud Storage, and may have replaced an object: use its own --provider, or none. Keep the source "
                + "file, and check the object."
        )
    }

    static func exists(_ object: String) -> UploadFailure {
        UploadFailure(
            .exists,
            "\(object) already exists and must not be replaced (--no-overwrite, or a job that never overwrites). "
                + "Nothing was changed."
        )
    }
}
