import MuleJSON
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleUpload

/// `mule status --remote`: what the ledger has beside what the stores have, and what only they have.
struct RemoteStatus {
    let session: Session
    let lines: StatusLines
    private let inquiry: StoreInquiry
    private let stores: StoreBook
    private let ledger: Ledger

    init(session: Session, ledger: Ledger) {
        self.session = session
        self.ledger = ledger
        lines = StatusLines(console: session.console, ledger: ledger)
        stores = StoreBook(session, followsOptions: true)
        let printer = EventPrinter(console: session.console)
        inquiry = StoreInquiry(
            ledger: ledger,
            settings: session.runSettings,
            cancellation: session.cancellation
        ) { printer.print($0) }
    }

    /// An operand with a slash names a bucket or a prefix; any other is an upload's ID.
    func run() throws(CommandFailure) -> ExitStatus {
        let operands = session.typed.operands
        let named = try session.places(operands.filter { $0.contains(UInt8(ascii: "/")) })
        let ids = operands.filter { !$0.contains(UInt8(ascii: "/")) }
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
                    // What is over is asked about only where it was named.
                    let isAsked = record.isOpen || !ids.isEmpty
                    lines.print(record, isAsked ? look(record, &unreachable, &failures) : nil)
                }
            }
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        var orphans = 0
        for place in try places(named, ids) where !session.cancellation.isCancelled {
            if unreachable.failure(of: place.address, place.bucket) != nil { continue }
            do throws(UploadFailure) {
                try list(place, shown, &orphans, &failures)
            } catch {
                failures.add(error)
                unreachable.note(error, of: place.address, place.bucket)
                if error.kind != .interrupted { session.console.error(TextSafety.displayName(error.message)) }
            }
        }
        if isEmpty && orphans == 0 && !session.console.isJSON { session.console.note("nothing is pending") }
        if orphans > 0 {
            session.console.note(
                "what this ledger does not know: \"mule adopt FILE BUCKET/KEY\" takes an upload over, \"mule clean "
                    + "--all-initiators BUCKET\" removes them"
            )
        }
        return ExitStatus(failures, FailureTally(stores.failures))
    }

    /// What was named, or wherever something is open; nothing where only IDs were named.
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
        _ failures: inout FailureTally
    ) -> RemoteView {
        let bucket = record.upload.destination.bucket
        guard unreachable.failure(of: record.upload.store, bucket) == nil else { return .notAsked }
        do throws(UploadFailure) {
            let holding = try inquiry.holding(of: record, try stores.service(of: record.upload.store))
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
        _ orphans: inout Int,
        _ failures: inout FailureTally
    ) throws(UploadFailure) {
        var marker: UploadMarker?
        var ofOthers = 0
        repeat {
            let page = try inquiry.page(of: place, after: marker)
            marker = page.next
            for listed in page.uploads where !session.cancellation.isCancelled {
                switch listed.standing {
                case .open(let record):
                    if shown.covers(record) { continue }
                    lines.print(record, RemoteView(try inquiry.holding(of: record, place.service)))
                case .unknown(isOwn: false): ofOthers += 1
                case .over, .unknown:
                    let holding = try inquiry.holding(of: listed.upload.uploadID, at: listed.address, place.service)
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
                "\(CleanLines.count(ofOthers)) in \(place.bucket) were begun by other users and are not shown"
            )
        }
    }
}

/// What a store says of an upload, as it is shown.
struct RemoteView {
    /// Nil where it is not known.
    var exists: Bool?
    var parts: Int?
    var bytes: Int64?
    var abortDate: String?
    var abortRuleID: String?
    var initiator: String?
    /// Whether only the store has it.
    var isOrphan = false
    var failure: UploadFailure?

    /// Nothing was asked, because an earlier question had no answer.
    static let notAsked = RemoteView()

    private init() {}

    /// - Parameter holding: nil where nothing was created.
    init(_ holding: Holding?) {
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

    /// A sentence without the full stop; the ledger's own count is said where it is another.
    func text(besides record: UploadRecord?) -> String {
        if let failure { return "at the store: not known, \(failure.message)" }
        guard let exists, let parts, let bytes else { return "at the store: not asked" }
        guard exists else {
            guard let record, record.uploadID != nil else { return "at the store: nothing yet" }
            return record.isOpen
                ? "at the store: not known any more; mule resume looks at the object, and begins anew if it is not there"
                : "at the store: nothing left"
        }
        var text = "at the store: \(parts) \(parts == 1 ? "part" : "parts"), \(ByteSize.format(bytes))"
        if let record, record.isOpen, record.partsDone != parts || record.bytesDone != bytes {
            text += " (on record: \(record.partsDone), \(ByteSize.format(record.bytesDone)))"
        }
        if let date = abortDate.flatMap(AbortDate.init) {
            text += "; given up at \(date.time.iso8601)"
            if let rule = abortRuleID { text += " by the rule \(rule)" }
        }
        return text
    }
}
