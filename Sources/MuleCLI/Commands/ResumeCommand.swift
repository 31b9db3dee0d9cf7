import MuleLedger
import MulePlan
import MuleS3
import MuleUpload

/// `mule resume`
struct ResumeCommand {
    let session: Session

    func run() throws(CommandFailure) -> ExitStatus {
        let ledger = try session.openLedger()
        var uploads = try session.uploads(ledger, ids: session.arguments.operands, .open, limit: Self.batch)
        var isEmpty = true
        let printer = EventPrinter(console: session.console)
        let stores = StoreCache(session, followsOptions: true)
        var failures = FailureTally()
        let feed = JobFeed { () throws(UploadFailure) in
            guard let records = try known({ () throws(LedgerError) in try uploads.next() }, ledger) else {
                if isEmpty { session.console.note("no unfinished uploads") }
                return nil
            }
            isEmpty = false
            var jobs: [UploadJob] = []
            for record in records {
                do throws(UploadFailure) {
                    if let job = try job(record, ledger, stores: stores, printer: printer) { jobs.append(job) }
                } catch {
                    failures.add(error)
                    printer.print(.failed(FailedUpload(record, error)))
                }
            }
            return jobs
        }
        return session.upload(feed, ledger, printer: printer, failuresBeside: { failures })
    }

    /// Uploads that are claimed at a time.
    private static let batch = 32

    /// The upload with its lease; nil if there is nothing to upload.
    private func job(
        _ record: UploadRecord,
        _ ledger: Ledger,
        stores: StoreCache,
        printer: EventPrinter
    ) throws(UploadFailure) -> UploadJob? {
        guard try isReadable(record) else { return nil }
        let claim = try known({ () throws(LedgerError) in try ledger.claim(record.number) }, ledger)
        guard let (current, lease) = claim else { throw .heldElsewhere(record) }
        // It may have ended between the list and the lease.
        if current.state == .done || current.state == .aborted { return nil }
        let service = try stores.service(of: record)
        if current.abortRequested {
            let end = try session.abortRun(ledger, printer).abort(current, lease, service: service)
            session.console.note(
                end == .wasDone
                    ? "\(record.id) had an abort pending, but was already complete; its object is kept"
                    : "aborted \(record.id), whose abort was pending; its parts are removed"
            )
            return nil
        }
        guard let source = current.upload.source else { return nil }
        return UploadJob(
            source: .file(source.path),
            destination: current.upload.destination,
            row: .claimed(current, lease),
            service: service
        )
    }

    /// Reports streams, which cannot be resumed here because their origin is not stored: an error for a named upload,
    /// otherwise a note.
    private func isReadable(_ record: UploadRecord) throws(UploadFailure) -> Bool {
        guard record.upload.source == nil, !record.abortRequested else { return true }
        let origin =
            switch record.upload.stream {
            case .command: "a --stdin-command, which is never stored"
            case .standardInput, nil: "standard input, which mule cannot read again"
            }
        let message =
            "Cannot resume \(record.id) from here: its source is \(origin). Run the original command again, which "
            + "skips the parts that the store has, or run \"mule abort \(record.id)\"."
        if !session.arguments.operands.isEmpty { throw UploadFailure(.source, message) }
        session.console.note(message)
        return false
    }

    private func known<Result>(
        _ look: () throws(LedgerError) -> Result,
        _ ledger: Ledger
    ) throws(UploadFailure) -> Result {
        do {
            return try look()
        } catch {
            throw UploadFailure(ledger: error, path: TextSafety.displayName(ledger.path))
        }
    }
}

/// The uploads of a command, in batches.
enum UploadList {
    case named([UploadRecord])
    case selected(UploadCursor)

    /// The next uploads, at least one; nil at the end.
    mutating func next() throws(LedgerError) -> [UploadRecord]? {
        let slice: [UploadRecord]
        switch self {
        case .named(let records):
            slice = records
            self = .named([])
        case .selected(var cursor):
            slice = try cursor.next()
            self = .selected(cursor)
        }
        return slice.isEmpty ? nil : slice
    }

    /// Whether a selection includes the upload.
    func covers(_ record: UploadRecord) -> Bool {
        if case .selected(let cursor) = self { cursor.covers(record) } else { false }
    }
}

extension Session {
    func abortRun(_ ledger: Ledger, _ printer: EventPrinter) -> AbortRun {
        AbortRun(ledger: ledger, settings: runSettings, cancellation: cancellation) { printer.print($0) }
    }

    /// The uploads with these IDs, or a selection if none is named. A selection excludes uploads at other stores than
    /// the one named on the command line, unless `everywhere` is set.
    ///
    /// - Parameter limit: maximum number of uploads in a batch of a selection.
    func uploads(
        _ ledger: Ledger,
        ids: [[UInt8]],
        _ selection: UploadSelection,
        everywhere: Bool = false,
        limit: Int = 500
    ) throws(CommandFailure) -> UploadList {
        guard ids.isEmpty else { return .named(try records(ledger, ids: ids)) }
        let endpoint = everywhere ? nil : try namedEndpoint()
        do throws(LedgerError) {
            if let endpoint {
                let (all, here) = try ledger.count(selection, at: endpoint)
                if here < all { noteSkipped(all - here, of: all, at: endpoint) }
            }
            return .selected(try UploadCursor(ledger, selection, at: endpoint, limit: limit))
        } catch {
            throw ledgerFailure(error, ledger)
        }
    }

    private func records(_ ledger: Ledger, ids: [[UInt8]]) throws(CommandFailure) -> [UploadRecord] {
        var records: [UploadRecord] = []
        var unknown: [String] = []
        do throws(LedgerError) {
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
                    "Not in the ledger: \(unknown.joined(separator: ", ")). \"mule status --all\" lists all uploads."
            )
        }
        return records
    }

    func noteSkipped(_ count: Int, of all: Int, at endpoint: String) {
        console.note("skipped \(count) of \(Wording.count(all, "upload")) at other stores than \(endpoint)")
    }

    func storeOrFailure(
        at address: StoreAddress,
        for bucket: String,
        followsOptions: Bool
    ) throws(UploadFailure) -> Store {
        do {
            return try store(at: address, for: bucket, followsOptions: followsOptions)
        } catch {
            throw failure(error)
        }
    }
}
