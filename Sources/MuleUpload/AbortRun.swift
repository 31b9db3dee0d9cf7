package import MuleLedger
import MulePlan
package import MuleS3
package import MuleSystem

/// Gives up uploads by hand: the wish is made durable first, then the store is told, then the row is closed.
package struct AbortRun {
    private let inquiry: StoreInquiry
    private var run: UploadRun { inquiry.run }

    /// - Parameter onEvent: hears of what could not be made sure.
    package init(
        ledger: Ledger,
        settings: RunSettings,
        cancellation: Cancellation,
        onEvent: @escaping @Sendable (UploadEvent) -> Void
    ) {
        self.init(
            StoreInquiry(ledger: ledger, settings: settings, cancellation: cancellation, onEvent: onEvent)
        )
    }

    init(_ inquiry: StoreInquiry) {
        self.inquiry = inquiry
    }

    /// Removes the upload's parts at the store and closes its row.
    ///
    /// - Throws: a failure after which the wish stays in the ledger, so that the next `resume` or `abort` goes on.
    package func abort(_ record: UploadRecord, _ lease: Lease, service: S3Service) throws(UploadFailure) {
        let wanted: UploadRecord
        do {
            wanted = try run.ledger.requestAbort(record)
        } catch {
            throw run.failure(error)
        }
        inquiry.prepare(service)
        let transfer = Transfer(
            UploadJob(
                source: .file(record.upload.source?.path ?? []),
                destination: record.upload.destination,
                row: .claimed(wanted, lease),
                service: service
            )
        )
        if wanted.mayHoldParts {
            let removal: Removal
            do throws(UploadFailure) {
                removal = try inquiry.worker.removeParts(of: wanted, transfer)
            } catch {
                throw run.reasonToStop(error)
            }
            if case .refused(let error) = removal {
                throw .refused(error, sending: record.upload.destination.description)
            }
        }
        do {
            try run.ledger.commit([
                .upload(Ledger.FinishedUpload(upload: record.number, outcome: .aborted, bytesSent: 0))
            ])
        } catch {
            throw run.failure(error)
        }
    }
}
