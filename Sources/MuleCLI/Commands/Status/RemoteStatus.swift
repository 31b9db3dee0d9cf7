import MuleJSON
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleUpload

/// `mule status --remote`: compares uploads of the ledger with the stores, and lists uploads that only the stores have.
struct RemoteStatus {
    let session: Session
    let lines: StatusLines
    private let remoteUploads: RemoteUploads
    private let stores: StoreCache
    private let ledger: Ledger

    init(session: Session, ledger: Ledger) {
        self.session = session
        self.ledger = ledger
        lines = StatusLines(console: session.console, ledger: ledger)
        stores = StoreCache(session, followsOptions: true)
        let printer = EventPrinter(console: session.console)
        remoteUploads = RemoteUploads(
            ledger: ledger,
            settings: session.runSettings,
            cancellation: session.cancellation
        ) { printer.print($0) }
    }

    func run() throws(CommandFailure) -> ExitStatus {
        let operands = session.arguments.operands
        let ids = try self.ids(among: operands)
        let named = try session.places(operands.filter { !ids.contains($0) })
        var uploads = UploadList.named([])
        if !ids.isEmpty || named.isEmpty { uploads = try session.uploads(ledger, ids: ids, session.selection) }
        let shown = uploads
        var failures = FailureTally()
        var isEmpty = true
        var unreachable = StoreFailures<StoreAddress>()
        do {
            while let records = try uploads.next() {
                isEmpty = false
                for record in records where !session.cancellation.isCancelled {
                    // Finished uploads are checked only if they are named.
                    let isAsked = record.isOpen || !ids.isEmpty
                    lines.print(record, isAsked ? look(record, &unreachable, failures: &failures) : nil)
                }
            }
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        var orphans = 0
        for place in try places(named, ids) where !session.cancellation.isCancelled {
            if unreachable.failure(of: place.address, place.bucket) != nil { continue }
            do throws(UploadFailure) {
                try list(place, shown, orphans: &orphans, failures: &failures)
            } catch {
                failures.add(error)
                unreachable.note(error, of: place.address, place.bucket)
                if error.kind != .interrupted { session.console.error(TextSafety.displayName(error.message)) }
            }
        }
        if isEmpty && orphans == 0 && !session.console.isJSON { session.console.note("no unfinished uploads") }
        if orphans > 0 {
            session.console.note(
                "\(CleanLines.count(orphans)) not in this ledger: \"mule adopt FILE BUCKET/KEY\" adopts one, \"mule "
                    + "clean --all-initiators BUCKET\" removes them"
            )
        }
        return ExitStatus(failures, FailureTally(stores.failures))
    }

    /// The operands that are IDs of uploads in the ledger; all others are buckets, or prefixes in them.
    private func ids(among operands: [[UInt8]]) throws(CommandFailure) -> [[UInt8]] {
        var ids: [[UInt8]] = []
        for operand in operands where !operand.contains(UInt8(ascii: "/")) {
            do throws(LedgerError) {
                if try ledger.upload(id: String(decoding: operand, as: UTF8.self)) != nil { ids.append(operand) }
            } catch {
                throw session.ledgerFailure(error, ledger)
            }
        }
        return ids
    }

    /// The named buckets and prefixes, or all with open uploads; none if only IDs were named.
    private func places(_ named: [ObjectAddress], _ ids: [[UInt8]]) throws(CommandFailure) -> [StorePlace] {
        guard named.isEmpty else { return named.compactMap { stores.place(named: $0) } }
        guard ids.isEmpty else { return [] }
        do {
            return try ledger.places(endedSince: nil).compactMap { stores.place(bucket: $0.bucket, at: $0.store) }
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
    }

    private func look(
        _ record: UploadRecord,
        _ unreachable: inout StoreFailures<StoreAddress>,
        failures: inout FailureTally
    ) -> RemoteView {
        let bucket = record.upload.destination.bucket
        guard unreachable.failure(of: record.upload.store, bucket) == nil else { return .notAsked }
        do throws(UploadFailure) {
            let holding = try remoteUploads.holding(
                of: record,
                try stores.service(of: record)
            )
            if case .hidden(let failure) = holding { failures.add(failure) }
            return RemoteView(holding)
        } catch {
            failures.add(error)
            unreachable.note(error, of: record.upload.store, bucket)
            if error.kind != .interrupted { session.console.error(TextSafety.displayName(error.message)) }
            return RemoteView(.hidden(error))
        }
    }

    private func list(
        _ place: StorePlace,
        _ shown: UploadList,
        orphans: inout Int,
        failures: inout FailureTally
    ) throws(UploadFailure) {
        var marker: UploadMarker?
        var ofOthers = 0
        repeat {
            let page = try remoteUploads.page(of: place, after: marker)
            marker = page.next
            for listed in page.uploads where !session.cancellation.isCancelled {
                switch listed.standing {
                case .open(let record):
                    if shown.covers(record) { continue }
                    lines.print(record, RemoteView(try remoteUploads.holding(of: record, place.service)))
                case .unknown(isOwn: false): ofOthers += 1
                case .over, .unknown:
                    let holding = try remoteUploads.holding(
                        of: listed.upload.uploadID,
                        at: listed.address,
                        place.service
                    )
                    if case .gone = holding { continue }
                    if case .hidden(let failure) = holding, failures.count == 0 { failures.add(failure) }
                    var view = RemoteView(holding)
                    view.initiator = view.initiator ?? listed.upload.initiator
                    view.isOrphan = true
                    if case .unknown = listed.standing { orphans += 1 }
                    lines.print(listed, view)
                }
            }
        } while marker != nil && !session.cancellation.isCancelled
        if ofOthers > 0 {
            session.console.note(
                "not shown: \(CleanLines.count(ofOthers)) in \(place.bucket) started by other users"
            )
        }
    }
}

/// The store's state of an upload, for display.
struct RemoteView {
    /// Nil if unknown.
    var exists: Bool?
    var parts: Int?
    var bytes: Int64?
    var abortDate: String?
    var abortRuleID: String?
    var initiator: String?
    /// Whether only the store has it.
    var isOrphan = false
    var failure: UploadFailure?

    /// Not asked, because an earlier request had no answer.
    static let notAsked = RemoteView()

    private init() {}

    /// - Parameter holding: nil if nothing was created.
    init(_ holding: RemoteState?) {
        switch holding {
        case nil: (exists, parts, bytes) = (false, 0, 0)
        case .gone?: (exists, parts, bytes) = (false, 0, 0)
        case .hidden(let failure)?: self.failure = failure
        case .parts(let listing)?:
            let newest = listing.newest.values
            exists = true
            parts = newest.count
            bytes = newest.reduce(0) { $0 + $1.size }
            abortDate = listing.abortDate
            abortRuleID = listing.abortRuleID
            initiator = listing.initiator
        }
    }

    var json: JSONValue {
        .object([
            "abortDate": JSONValue(abortDate.flatMap(AbortDate.init).map(\.time.iso8601)),
            "abortRule": JSONValue(abortRuleID),
            "bytes": JSONValue(bytes),
            "error": failure.map(EventPrinter.error) ?? .null,
            "exists": exists.map { .bool($0) } ?? .null,
            "initiator": JSONValue(initiator),
            "orphan": .bool(isOrphan),
            "parts": JSONValue(parts.map(Int64.init)),
        ])
    }

    /// A sentence without the full stop, with the ledger's own count if it differs.
    func text(besides record: UploadRecord?) -> String {
        if let failure { return "at the store: unknown, \(failure.message)" }
        guard let exists, let parts, let bytes else { return "at the store: not checked" }
        guard exists else {
            guard let record, record.uploadID != nil else { return "at the store: nothing yet" }
            return record.isOpen
                ? "at the store: upload no longer exists; mule resume checks for the object and restarts if it does "
                    + "not exist"
                : "at the store: nothing left"
        }
        var text = "at the store: \(Wording.count(parts, "part")), \(ByteSize.format(bytes))"
        if let record, record.isOpen, record.partsDone != parts || record.bytesDone != bytes {
            text += " (in the ledger: \(record.partsDone), \(ByteSize.format(record.bytesDone)))"
        }
        if let date = abortDate.flatMap(AbortDate.init) {
            text += "; will be aborted at \(LocalTime.text(date.time))"
            if let rule = abortRuleID { text += " by lifecycle rule \(rule)" }
        }
        return text
    }
}
