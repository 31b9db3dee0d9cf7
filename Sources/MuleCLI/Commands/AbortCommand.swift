import MuleJSON
import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload

/// `mule abort`
struct AbortCommand {
    let session: Session

    func run() throws(CommandFailure) -> ExitStatus {
        let ledger = try session.openLedger()
        var uploads = try session.uploads(ledger, ids: session.arguments.operands, .open)
        let printer = EventPrinter(console: session.console)
        var failures = FailureTally()
        var isEmpty = true
        while let records = try next(&uploads, ledger) {
            isEmpty = false
            for record in records {
                do throws(UploadFailure) {
                    try abort(record, ledger, printer: printer)
                } catch {
                    printer.print(.failed(FailedUpload(record, error)))
                    failures.add(error)
                }
            }
        }
        if isEmpty { session.console.note("no unfinished uploads") }
        if failures.resumable > 0 {
            session.console.error("Some parts are not removed yet. Run \"mule abort\" or \"mule resume\" to retry.")
        }
        return ExitStatus(failures)
    }

    private func next(_ uploads: inout UploadList, _ ledger: Ledger) throws(CommandFailure) -> [UploadRecord]? {
        do {
            return try uploads.next()
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
    }

    private func abort(
        _ record: UploadRecord,
        _ ledger: Ledger,
        printer: EventPrinter
    ) throws(UploadFailure) {
        let address = TextSafety.displayName(record.upload.destination.description)
        let claimed: (UploadRecord, Lease)?
        do {
            claimed = try ledger.claim(record.number)
        } catch {
            throw UploadFailure(ledger: error, path: TextSafety.displayName(ledger.path))
        }
        guard let (current, lease) = claimed else {
            let process = ledger.holders().holder(record.number).map { holder in
                "; process \(holder.process), since \(LocalTime.clock(milliseconds: holder.startedAt))"
            }
            throw UploadFailure(
                .held,
                "Another mule process is uploading \(address) (\(record.id)\(process ?? "")). Stop that one first.",
                isResumable: false
            )
        }
        switch current.state {
        case .done:
            session.console.note("\(record.id) is already complete; \(address) is kept")
            return
        case .aborted:
            session.console.note("\(record.id) was aborted before")
            return
        case .pending, .failed, .unknown: break
        }
        if session.arguments.forget { return try forget(current, lease, ledger: ledger, address: address) }
        let store = try session.storeOrFailure(
            at: record.upload.store,
            for: record.upload.destination.bucket,
            followsOptions: true
        )
        if try session.abortRun(ledger, printer).abort(current, lease, service: store.service) == .wasDone {
            session.console.note(
                "\(record.id) was already complete, only the store's answer was lost; \(address) is kept"
            )
            return
        }
        report(record, "aborted \(record.id); its parts of \(address) are removed")
    }

    /// Closes the row without contacting the store.
    private func forget(
        _ record: UploadRecord,
        _ lease: Lease,
        ledger: Ledger,
        address: String
    ) throws(UploadFailure) {
        try AbortRun.forget(record, in: ledger)
        withExtendedLifetime(lease) {}
        if record.mayHoldParts {
            let bucket = TextSafety.displayName(record.upload.destination.bucket)
            session.console.warn(
                "The store was not contacted. Parts of \(address) that it may have stay there and cost storage, until "
                    + "\"mule clean \(bucket)\" or a lifecycle rule of the bucket removes them."
            )
        }
        report(record, "forgot \(record.id); the store was not contacted about \(address)")
    }

    private func report(_ record: UploadRecord, _ sentence: String) {
        if session.console.isJSON {
            session.console.result(
                JSONValue.object([
                    "destination": .string(record.upload.destination.description),
                    "event": "aborted",
                    "id": .string(record.id),
                    "source": .string(record.upload.sourceName.map(TextSafety.jsonName) ?? "-"),
                ]).line
            )
        } else if !session.console.isQuiet {
            session.console.result(sentence)
        }
    }
}
