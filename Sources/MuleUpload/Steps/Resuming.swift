// The parts of an upload: all of a new one, and of an old one those that the store does not have.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleTransport
import Synchronization

extension Worker {
    func sendAll(_ source: SourceFile, _ transfer: Transfer) {
        // Create comes before, and it is for uploads with a part size only.
        guard let plan = transfer.record.flatMap(run.plan) else { fatalError("parts without a plan") }
        transfer.enter(.sending)
        run.queue.add(
            parts: (1...plan.count).map { Self.work($0, plan, source) },
            of: transfer
        )
    }

    static func work(
        _ number: Int,
        _ plan: PartPlan,
        _ source: SourceFile,
        candidate: StoredPart? = nil
    ) -> PartWork {
        let range = plan.range(of: number)
        return PartWork(
            number: number,
            slice: FileSlice(
                file: source.file,
                offset: range.lowerBound,
                length: range.upperBound - range.lowerBound
            ),
            candidate: candidate
        )
    }

    // MARK: Resuming

    /// Resumes an upload that is not at the store as it was recorded. No other worker works on it.
    func reconcile(_ transfer: Transfer, isGone: Bool) throws(UploadFailure) {
        guard let source = transfer.source, let record = transfer.record else {
            // Only failures of what has a source, and an upload ID, ask for another look.
            fatalError("a stream cannot be read again")
        }
        if let lower = transfer.change({ $0.rungToRestart }) {
            // Other uploads to this endpoint start on it as well, and so does this one.
            run.facts.learn(lower, of: record.upload.store.endpoint)
            run.emit(
                .notice(
                    id: record.id,
                    "The store accepted the checksum of \(transfer.name) at CreateMultipartUpload and refuses it with "
                        + "the parts: restarting the upload with \(lower.words)."
                )
            )
            let fresh = record.uploadID == nil ? record : try abandon(record, for: record.upload, transfer)
            return try startAgain(source, transfer, fresh)
        }
        // Postponed when the upload was created once more.
        guard record.uploadID != nil else { return try startAgain(source, transfer, record) }
        try resume(source, transfer, record, isGone: isGone)
    }

    /// Resumes an upload that has an ID: by the ledger, and by what the store lists.
    ///
    /// - Parameter isGone: whether the store has said that it does not know the upload; that holds where it can't be asked
    ///   for the parts.
    func resume(
        _ source: SourceFile,
        _ transfer: Transfer,
        _ record: UploadRecord,
        isGone: Bool = false
    ) throws(UploadFailure) {
        guard let uploadID = record.uploadID, let plan = run.plan(of: record) else {
            // `begin` sends here what has both; streams, which have no source, never come back.
            fatalError("resumed without an upload ID or a plan")
        }
        let rows = try run.ledger.reporting { ledger throws(LedgerError) in try ledger.parts(of: record.number) }
        transfer.countPartsAgain()
        let checksumMode = transfer.checksumMode
        // The whole can be combined only from CRCs of one kind.
        let recorded = rows.filter { $0.isDigested(for: checksumMode) }.map { row in
            RecordedPart(
                number: row.number,
                size: row.size,
                eTag: row.eTag,
                checksum: Self.checksum(of: row, checksumMode)?.base64
            )
        }
        func decide(_ listing: Listing, _ numbers: ClosedRange<Int>? = nil) -> ResumeDecision {
            ResumeDecision.decide(
                plan: plan,
                recorded: recorded,
                listing: listing,
                numbers: numbers
            )
        }
        var ahead = PartsAhead()
        let (listing, stored) = try list(
            uploadID,
            transfer,
            record,
            isGone: isGone,
            // What has been given to others can't be given again.
            after: { ahead.eTags.isEmpty ? self.earlier : nil }
        ) { page, through in
            let numbers = ahead.through + 1...max(through, ahead.through + 1)
            guard ahead.failure == nil, through > ahead.through, through <= plan.count,
                case .proceed(let actions) = decide(.parts(Self.listed(page.newest, transfer)), numbers)
            else { return }
            let newest = page.newest
            let work = zip(numbers, actions).compactMap { number, action in
                action == .verify ? Self.work(number, plan, source, candidate: newest[number]) : nil
            }
            self.begin(work, ahead: &ahead, through: through, rows, transfer, record)
        }
        if let failure = ahead.failure { throw failure }
        guard ahead.isIn(listing) else { throw .otherListing(transfer) }
        let decision = decide(listing)
        switch decision {
        case .reconcile:
            try reconcileVanished(source, transfer, record)
        case .proceed(let actions):
            let sizes = Dictionary(rows.map { ($0.number, $0.size) }, uniquingKeysWith: { first, _ in first })
            var work: [PartWork] = []
            var forgotten: [Int] = []
            var keptBytes: Int64 = 0
            for (index, action) in actions.enumerated() {
                let number = index + 1
                if ahead.eTags[number] != nil { continue }
                switch action {
                case .keep: keptBytes += plan.size(of: number)
                case .verify, .send:
                    if sizes[number] != nil { forgotten.append(number) }
                    work.append(
                        Self.work(number, plan, source, candidate: action == .verify ? stored[number] : nil)
                    )
                }
            }
            try run.ledger.reporting { ledger throws(LedgerError) in
                try ledger.forgetParts(forgotten, of: record.number)
            }
            let keptParts = plan.count - work.count - ahead.eTags.count
            transfer.partsDone.add(keptParts, ordering: .relaxed)
            transfer.bytesDone.add(keptBytes, ordering: .relaxed)
            // A second look finds what this run has sent itself.
            if !transfer.hasLookedAgain { transfer.bytesSkipped.add(keptBytes, ordering: .relaxed) }
            transfer.enter(.sending)
            run.emit(.resumed(record, parts: keptParts, bytes: keptBytes))
            run.watchAbortDate(of: transfer)
            run.queue.add(parts: work, of: transfer)
            // Last: those that went ahead are being recorded meanwhile, and one of all finds that it was the last.
            if transfer.change({ $0.addRecorded(parts: keptParts) }), !transfer.isStopped {
                run.queue.add(completionOf: transfer)
            }
        }
    }

    /// Gives parts that are to be compared with the file to others while the rest of the list is fetched.
    private func begin(
        _ work: [PartWork],
        ahead: inout PartsAhead,
        through: Int,
        _ rows: [PartRecord],
        _ transfer: Transfer,
        _ record: UploadRecord
    ) {
        // A second look is there for what did not go well: one thing after the other.
        guard !transfer.hasLookedAgain else { return }
        ahead.through = through
        guard !work.isEmpty else { return }
        let numbers = Set(work.map(\.number))
        do {
            try run.ledger.forgetParts(rows.map(\.number).filter(numbers.contains), of: record.number)
        } catch {
            return ahead.failure = run.failure(error)
        }
        for part in work { ahead.eTags[part.number] = part.candidate?.eTag }
        run.queue.add(parts: work, of: transfer)
        if run.queue.wantsWorker() { run.startWorker() }
    }

    static func listed(_ newest: [Int: StoredPart], _ transfer: Transfer) -> [ListedPart] {
        let algorithm = transfer.checksumMode.checksumAlgorithm
        return newest.values.map { part in
            ListedPart(
                number: part.number,
                size: part.size,
                eTag: part.eTag,
                checksum: algorithm.flatMap { part.checksums[$0] }
            )
        }
    }

    func list(
        _ uploadID: String,
        _ transfer: Transfer,
        _ record: UploadRecord,
        isGone: Bool = false,
        after earlier: () -> EarlierFailures? = { nil },
        onPage: (_ listing: PartListing, _ through: Int) -> Void = { _, _ in }
    ) throws(UploadFailure) -> (Listing, [Int: StoredPart]) {
        let answer = try client.retrying(transfer, after: earlier()) { (connection) throws(S3Error) in
            try connection.listParts(transfer.job.destination, uploadID: uploadID, onPage: onPage)
        }
        switch answer {
        case .success(let listing, _):
            if let date = listing.abortDate { try learnAbortDate(date, transfer) }
            let newest = listing.newest
            return (.parts(Self.listed(newest, transfer)), newest)
        case .refused(let error, _):
            if error.isVanishedUpload { return (.noSuchUpload, [:]) }
            guard error.mayNotBeAsked else { throw refusal(error, transfer) }
            if isGone { return (.noSuchUpload, [:]) }
            run.emit(
                .notice(
                    id: record.id,
                    "The parts of \(transfer.name) cannot be listed (\(error.shortReason)); this needs "
                        + "\(error.operation.permission). Resuming from the ledger alone."
                )
            )
            return (.unavailable, [:])
        }
    }
}

/// Parts that are compared with the file while the rest of the list is fetched.
private struct PartsAhead {
    /// By number: as the store listed them.
    var eTags: [Int: String] = [:]
    /// All that is known of the parts up to this number is decided.
    var through = 0
    var failure: UploadFailure?

    /// Whether the whole list says the same of them: it may have been requested again, from its start.
    func isIn(_ listing: Listing) -> Bool {
        if eTags.isEmpty { return true }
        guard case .parts(let parts) = listing else { return false }
        let listed = Dictionary(parts.map { ($0.number, $0.eTag) }, uniquingKeysWith: { first, _ in first })
        return eTags.allSatisfy { listed[$0.key] == $0.value }
    }
}

extension UploadFailure {
    /// The list of parts changed, or ended in a refusal, when parts of it were already being dealt with.
    fileprivate static func otherListing(_ transfer: Transfer) -> UploadFailure {
        var failure = UploadFailure(
            .store,
            "The store's list of the parts of \(transfer.name) changed while it was read. Run the same command again.",
            isResumable: true
        )
        failure.asksForAnotherLook = true
        return failure
    }
}

extension S3Error {
    /// 404 for an upload ID. Stores differ in the code they give it; a 404 of what is no store says nothing.
    var isVanishedUpload: Bool {
        code == "NoSuchUpload" || (status == 404 && code != "NoSuchBucket" && isOfS3)
    }

    var isMissingPermission: Bool { status == 403 && retryClass == .fatal }
}
