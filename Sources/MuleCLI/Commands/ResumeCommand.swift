import MuleLedger
import MulePlan
import MuleS3
import MuleUpload

/// `mule resume`
struct ResumeCommand {
    let session: Session

    func run() throws(CommandFailure) -> ExitStatus {
        let ledger = try session.openLedger()
        let records = try session.records(ledger, ids: session.typed.operands) { ledger throws(LedgerError) in
            try ledger.unfinished().filter(\.isOpen)
        }
        let printer = EventPrinter(console: session.console)
        var failures: [UploadFailure] = []
        var jobs: [UploadJob] = []
        var stores: [StoreAddress: Session.Store] = [:]
        for record in records {
            do throws(UploadFailure) {
                guard try isReadable(record) else { continue }
                guard let (current, lease) = try claim(record, ledger) else {
                    throw UploadFailure(
                        .held,
                        "Another mule is carrying \(record.id) to \(record.upload.destination); this one leaves it alone.",
                        isResumable: true
                    )
                }
                // It may have ended between the list and the lease.
                if current.state == .done || current.state == .aborted { continue }
                let store = try store(of: record, &stores)
                if current.abortRequested {
                    try session.abortRun(ledger, printer).abort(current, lease, service: store.service)
                    session.console.note("\(record.id) was to be given up; its parts are removed")
                    continue
                }
                guard let source = current.upload.source else { continue }
                jobs.append(
                    UploadJob(
                        source: .file(source.path),
                        destination: current.upload.destination,
                        row: .claimed(current, lease),
                        service: store.service
                    )
                )
            } catch {
                printer.print(
                    .failed(
                        id: record.id,
                        source: record.upload.source?.path,
                        destination: record.upload.destination,
                        error
                    )
                )
                failures.append(error)
            }
        }
        if jobs.isEmpty && failures.isEmpty && records.isEmpty { session.console.note("nothing is pending") }
        return session.carry(jobs, ledger, failuresBefore: failures)
    }

    /// One service for all uploads to a store, so that its connections are shared.
    private func store(
        of record: UploadRecord,
        _ stores: inout [StoreAddress: Session.Store]
    ) throws(UploadFailure) -> Session.Store {
        if let known = stores[record.upload.store] { return known }
        let store = try session.storeOrFailure(of: record)
        stores[record.upload.store] = store
        return store
    }

    /// A stream can't be resumed. That is an error where it was asked for by name, and a reminder otherwise.
    private func isReadable(_ record: UploadRecord) throws(UploadFailure) -> Bool {
        guard record.upload.source == nil, !record.abortRequested else { return true }
        let message =
            "\(record.id) came from standard input, which can't be read again: send it from the start, and remove what this "
            + "one left with \"mule abort \(record.id)\"."
        if !session.typed.operands.isEmpty { throw UploadFailure(.source, message) }
        session.console.note(message)
        return false
    }

    private func claim(
        _ record: UploadRecord,
        _ ledger: Ledger
    ) throws(UploadFailure) -> (UploadRecord, Lease)? {
        do {
            return try ledger.claim(record.number)
        } catch {
            throw UploadFailure(ledger: error, path: TextSafety.displayName(ledger.path))
        }
    }
}

extension Session {
    func abortRun(_ ledger: Ledger, _ printer: EventPrinter) -> AbortRun {
        AbortRun(ledger: ledger, settings: runSettings, cancellation: cancellation) { printer.print($0) }
    }

    /// The uploads with these IDs, or all that `otherwise` gives when none is named, but for those at other stores than the
    /// one that the command line names, unless `everywhere` is meant.
    func records(
        _ ledger: Ledger,
        ids: [[UInt8]],
        everywhere: Bool = false,
        otherwise: (Ledger) throws(LedgerError) -> [UploadRecord]
    ) throws(CommandFailure) -> [UploadRecord] {
        let endpoint = everywhere ? nil : try namedEndpoint()
        var records: [UploadRecord] = []
        var unknown: [String] = []
        do throws(LedgerError) {
            if ids.isEmpty {
                records = try otherwise(ledger)
                let count = records.count
                if let endpoint { records.removeAll { $0.upload.store.endpoint != endpoint } }
                if records.count < count {
                    console.note(
                        "\(count - records.count) of \(count) uploads are at other stores than \(endpoint ?? ""); they are left alone"
                    )
                }
                return records
            }
            for id in ids {
                if let record = try ledger.upload(id: String(decoding: id, as: UTF8.self)) {
                    if !records.contains(where: { $0.number == record.number }) { records.append(record) }
                } else {
                    unknown.append(TextSafety.displayName(id))
                }
            }
        } catch {
            throw ledgerFailure(error, ledger)
        }
        guard unknown.isEmpty else {
            throw CommandFailure(
                status: .usage,
                message:
                    "The ledger knows no upload \(unknown.joined(separator: ", ")): \"mule status --all\" lists all."
            )
        }
        return records
    }

    func storeOrFailure(of record: UploadRecord) throws(UploadFailure) -> Store {
        try storeOrFailure(at: record.upload.store, followsOptions: true)
    }

    func storeOrFailure(at address: StoreAddress, followsOptions: Bool) throws(UploadFailure) -> Store {
        do {
            return try store(at: address, followsOptions: followsOptions)
        } catch {
            throw failure(error)
        }
    }
}
