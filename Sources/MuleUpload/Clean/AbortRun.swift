package import MuleLedger
import MulePlan
package import MuleS3
package import MuleSystem

/// Aborts single uploads: records the abort request durably, then removes the parts at the store, then closes the row.
package struct AbortRun {
    private let remoteUploads: RemoteUploads
    private var remote: RemoteSteps { remoteUploads.remote }
    private var ledger: Ledger { remote.ledger }

    /// - Parameter onEvent: receives notices about what could not be verified.
    package init(
        ledger: Ledger,
        settings: RunSettings,
        cancellation: Cancellation,
        onEvent: @escaping @Sendable (UploadEvent) -> Void
    ) {
        self.init(
            RemoteUploads(ledger: ledger, settings: settings, cancellation: cancellation, onEvent: onEvent)
        )
    }

    init(_ remoteUploads: RemoteUploads) {
        self.remoteUploads = remoteUploads
    }

    package enum End: Sendable {
        case aborted
        /// The upload was already completed and only the answer was lost: the row becomes done and the object stays.
        case wasDone
    }

    /// Removes the upload's parts at the store and closes its row.
    ///
    /// - Throws: a failure that leaves the request in the ledger, so that the next `resume` or `abort` continues; or
    ///   `verification` if the object exists but cannot be proven.
    @discardableResult
    package func abort(_ record: UploadRecord, _ lease: Lease, service: S3Service) throws(UploadFailure) -> End {
        let wanted = try ledger.reporting { ledger throws(LedgerError) in try ledger.requestAbort(record) }
        remoteUploads.prepare(service)
        let transfer = Transfer(
            UploadJob(
                source: .file(record.upload.source?.path ?? []),
                destination: record.upload.destination,
                row: .claimed(wanted, lease),
                service: service
            )
        )
        // The checksums of the rows are of this mode.
        if let settled = wanted.negotiated.flatMap(NegotiatedIntegrity.init(text:)) { transfer.use(settled) }
        if wanted.mayHoldParts {
            if case .refused(let error) = try remote.removeParts(of: wanted, transfer) {
                throw .refused(error, sending: record.upload.destination.description)
            }
        }
        let completion = try completion(of: wanted, transfer)
        switch completion {
        case .notOurs: try close(record, .aborted)
        case .proven(let proof, let size):
            let partCount = wanted.partCount ?? wanted.partsDone
            try close(record, .done(proof, size: size, partCount: partCount))
            return .wasDone
        case .hidden(let error):
            remote.emit(
                .notice(
                    id: record.id,
                    "Cannot tell whether \(transfer.name) was completed before (\(error.shortReason)); this needs "
                        + "\(error.operation.permission)."
                )
            )
            try close(record, .aborted)
        case .unproven(let reason):
            let failure = UploadFailure.unknownOutcome(transfer, reason)
            try close(record, .stopped(.unknown, error: failure.message))
            throw failure
        }
        return .aborted
    }

    /// Closes the row without asking the store, which may hold parts. The caller holds the lease.
    package static func forget(_ record: UploadRecord, in ledger: Ledger) throws(UploadFailure) {
        try ledger.reporting { ledger throws(LedgerError) in try ledger.commit([.end(of: record, .aborted)]) }
    }

    private func close(_ record: UploadRecord, _ outcome: Ledger.Outcome) throws(UploadFailure) {
        try ledger.reporting { ledger throws(LedgerError) in try ledger.commit([.end(of: record, outcome)]) }
    }

    /// Whether this upload produced an object: for a completed upload too, a store answers that the upload is unknown
    /// or removed.
    private func completion(of record: UploadRecord, _ transfer: Transfer) throws(UploadFailure) -> CompletionCheck {
        guard record.mayHaveBeenCompleted else { return .notOurs }
        let rows = try ledger.reporting { ledger throws(LedgerError) in try ledger.parts(of: record.number) }
        return try remote.completion(of: record, rows, transfer)
    }
}
