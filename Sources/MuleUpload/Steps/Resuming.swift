// Queues the parts of an upload: all parts of a new one, and the parts that the store does not have of a resumed one.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleTransport
import Synchronization

extension Worker {
    func sendAll(_ source: SourceFile, _ transfer: Transfer) {
        // Create ran before, and only for uploads with a part size.
        guard let plan = transfer.record.flatMap(run.plan) else { fatalError("parts without a plan") }
        transfer.enter(.sending)
        run.queue.add(
            parts: (1...plan.count).map { Self.work($0, plan, source: source) },
            of: transfer
        )
    }

    static func work(
        _ number: Int,
        _ plan: PartPlan,
        source: SourceFile,
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

    /// Resumes an upload that differs at the store from its records. No other worker works on it.
    func reconcile(_ transfer: Transfer, isGone: Bool) throws(UploadFailure) {
        guard let source = transfer.source, let record = transfer.record else {
            // Only uploads with a source and an upload ID ask for another look.
            fatalError("a stream cannot be read again")
        }
        if let lower = transfer.change({ $0.rungToRestart }) {
            // Later uploads to this endpoint start with this mode, and so does this one.
            run.facts.learn(lower, of: record.upload.store.endpoint)
            run.emit(
                .notice(
                    id: record.id,
                    "The store accepted the checksum of \(transfer.name) at CreateMultipartUpload and refuses it with "
                        + "the parts: restarting the upload with \(lower.words)."
                )
            )
            let fresh = record.uploadID == nil ? record : try abandon(record, for: record.upload, transfer)
            return try startAgain(source, transfer, fresh: fresh)
        }
        // Postponed while the upload was created again.
        guard record.uploadID != nil else { return try startAgain(source, transfer, fresh: record) }
        try resume(source, transfer, record: record, isGone: isGone)
    }

    /// Resumes an upload that has an ID, from the ledger and what the store lists.
    ///
    /// - Parameter isGone: whether the store has said that it does not know the upload; used if its parts cannot be
    ///   listed.
    func resume(
        _ source: SourceFile,
        _ transfer: Transfer,
        record: UploadRecord,
        isGone: Bool = false
    ) throws(UploadFailure) {
        guard let uploadID = record.uploadID, let plan = run.plan(of: record) else {
            // `begin` calls this only with both; streams, which have no source, are never reconciled.
            fatalError("resumed without an upload ID or a plan")
        }
        try remote.awaitEarlierComplete(record, transfer)
        let rows = try run.ledger.reporting { ledger throws(LedgerError) in try ledger.parts(of: record.number) }
        transfer.countPartsAgain()
        let checksumMode = transfer.checksumMode
        // Only CRCs of one kind can be combined.
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
            record: record,
            isGone: isGone,
            // Parts that are already queued must not be queued again.
            after: { ahead.eTags.isEmpty ? self.earlier : nil }
        ) { page, through in
            let numbers = ahead.through + 1...max(through, ahead.through + 1)
            guard ahead.failure == nil, through > ahead.through, through <= plan.count,
                case .proceed(let actions) = decide(.parts(Self.listed(page.newest, transfer)), numbers)
            else { return }
            let newest = page.newest
            let work = zip(numbers, actions).compactMap { number, action in
                action == .verify ? Self.work(number, plan, source: source, candidate: newest[number]) : nil
            }
            self.begin(work, ahead: &ahead, through: through, rows, transfer: transfer, record: record)
        }
        if let failure = ahead.failure { throw failure }
        guard ahead.isIn(listing) else { throw .otherListing(transfer) }
        let decision = decide(listing)
        switch decision {
        case .reconcile:
            try reconcileVanished(source, transfer, record: record)
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
                        Self.work(number, plan, source: source, candidate: action == .verify ? stored[number] : nil)
                    )
                }
            }
            try run.ledger.reporting { ledger throws(LedgerError) in
                try ledger.forgetParts(forgotten, of: record.number)
            }
            let keptParts = plan.count - work.count - ahead.eTags.count
            transfer.partsDone.add(keptParts, ordering: .relaxed)
            transfer.bytesDone.add(keptBytes, ordering: .relaxed)
            // A second look counts parts that this run has sent.
            if !transfer.hasLookedAgain { transfer.bytesSkipped.add(keptBytes, ordering: .relaxed) }
            transfer.enter(.sending)
            run.emit(.resumed(record, parts: keptParts, bytes: keptBytes))
            run.watchAbortDate(of: transfer)
            run.queue.add(parts: work, of: transfer)
            // Last, because parts that went ahead are being recorded at the same time; exactly one caller sees the last
            // part.
            if transfer.change({ $0.addRecorded(parts: keptParts) }), !transfer.isStopped {
                run.queue.add(completionOf: transfer)
            }
        }
    }

    /// Queues parts that must be compared with the file while the rest of the list is fetched.
    private func begin(
        _ work: [PartWork],
        ahead: inout PartsAhead,
        through: Int,
        _ rows: [PartRecord],
        transfer: Transfer,
        record: UploadRecord
    ) {
        // A second look follows a failure: one step at a time.
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
        record: UploadRecord,
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
    /// ETags by part number, as the store listed them.
    var eTags: [Int: String] = [:]
    /// Parts up to this number are decided.
    var through = 0
    var failure: UploadFailure?

    /// Whether the complete list agrees: it may have been requested again from its start.
    func isIn(_ listing: Listing) -> Bool {
        if eTags.isEmpty { return true }
        guard case .parts(let parts) = listing else { return false }
        let listed = Dictionary(parts.map { ($0.number, $0.eTag) }, uniquingKeysWith: { first, _ in first })
        return eTags.allSatisfy { listed[$0.key] == $0.value }
    }
}

extension UploadFailure {
    /// The list of parts changed or was refused after some of its parts were queued.
    fileprivate static func otherListing(_ transfer: Transfer) -> UploadFailure {
        var failure = UploadFailure(
            .store,
            "The store's list of the parts of \(transfer.name) changed while it was read. Run the same command again.",
            isResumable: true
        )
        failure.needsReconciling = true
        return failure
    }
}

extension S3Error {
    /// 404 for an upload ID. Stores use different codes; a 404 from something that is not S3 does not count.
    var isVanishedUpload: Bool {
        code == "NoSuchUpload" || (status == 404 && code != "NoSuchBucket" && isOfS3)
    }

    var isMissingPermission: Bool { status == 403 && retryClass == .fatal }
}
