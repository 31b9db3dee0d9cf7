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

    /// Takes up an upload that is not at the store as it was recorded. Nobody else works on it.
    func lookAgain(_ transfer: Transfer, isGone: Bool) throws(UploadFailure) {
        guard let source = transfer.state.withLock({ $0.source }), let record = transfer.record else {
            // Only failures of what has a source, and an upload ID, ask for another look.
            fatalError("a second look at what can't be read again")
        }
        try resume(source, transfer, record, isGone: isGone)
    }

    /// Goes on with an upload that has an ID: by the ledger, and by what the store lists.
    ///
    /// - Parameter isGone: whether the store has said that it does not know the upload; that holds where it can't be asked
    ///   for the parts.
    func resume(
        _ source: SourceFile,
        _ transfer: Transfer,
        _ record: UploadRecord,
        isGone: Bool = false
    ) throws(UploadFailure) {
        guard let uploadID = record.uploadID, let before = record.upload.source, let plan = run.plan(of: record) else {
            // `begin` sends here what has both; streams, which have no source, never come back.
            fatalError("resumed without an upload ID or a plan")
        }
        let rows: [PartRecord]
        do {
            rows = try run.ledger.parts(of: record.number)
        } catch {
            throw run.failure(error)
        }
        let (listing, stored) = try list(uploadID, transfer, record, isGone: isGone)
        let protection = transfer.protection
        let decision = ResumeDecision.decide(
            plan: plan,
            recordedSource: before,
            begunAt: record.createdAt,
            currentSource: source.identity,
            changing: record.upload.changing,
            // The whole can be combined only from CRCs of one kind.
            recorded: rows.filter { $0.isDigested(for: protection) }.map { row in
                RecordedPart(
                    number: row.number,
                    size: row.size,
                    eTag: row.eTag,
                    checksum: Self.checksum(of: row, protection)?.base64
                )
            },
            listing: listing
        )
        switch decision {
        case .refuse(let changes):
            throw .changed(source.identity.path, changes, while: "since the upload was begun")
        case .reconcile:
            try reconcileVanished(source, transfer, record)
        case .proceed(let actions):
            let sizes = Dictionary(rows.map { ($0.number, $0.size) }, uniquingKeysWith: { first, _ in first })
            var work: [PartWork] = []
            var forgotten: [Int] = []
            var keptBytes: Int64 = 0
            for (index, action) in actions.enumerated() {
                let number = index + 1
                switch action {
                case .keep: keptBytes += plan.size(of: number)
                case .verify, .send:
                    if sizes[number] != nil { forgotten.append(number) }
                    work.append(
                        Self.work(number, plan, source, candidate: action == .verify ? stored[number] : nil)
                    )
                }
            }
            do {
                try run.ledger.forgetParts(forgotten, of: record.number)
            } catch {
                throw run.failure(error)
            }
            let keptParts = plan.count - work.count
            let isFirstLook = transfer.state.withLock { state in
                state.recordedParts = keptParts
                state.phase = .sending
                return !state.hasLookedAgain
            }
            transfer.partsDone.store(keptParts, ordering: .relaxed)
            transfer.bytesDone.store(keptBytes, ordering: .relaxed)
            // A second look finds what this run has sent itself.
            if isFirstLook { transfer.bytesSkipped.store(keptBytes, ordering: .relaxed) }
            run.emit(.resumed(record, parts: keptParts, bytes: keptBytes))
            run.watchAbortDate(of: transfer)
            if work.isEmpty {
                run.queue.add(completionOf: transfer)
            } else {
                run.queue.add(parts: work, of: transfer)
            }
        }
    }

    private func list(
        _ uploadID: String,
        _ transfer: Transfer,
        _ record: UploadRecord,
        isGone: Bool
    ) throws(UploadFailure) -> (Listing, [Int: StoredPart]) {
        let answer = try persist(transfer) { (connection) throws(S3Error) in
            try connection.listParts(transfer.job.destination, uploadID: uploadID)
        }
        switch answer {
        case .success(let listing, _):
            if let date = listing.abortDate { try learnAbortDate(date, transfer) }
            let newest = listing.newest
            let algorithm = transfer.protection.checksumAlgorithm
            let parts = newest.values.map { part in
                ListedPart(
                    number: part.number,
                    size: part.size,
                    eTag: part.eTag,
                    checksum: algorithm.flatMap { part.checksums[$0] }
                )
            }
            return (.parts(parts), newest)
        case .refused(let error, _):
            if error.isVanishedUpload { return (.noSuchUpload, [:]) }
            guard error.mayNotBeAsked else { throw refusal(error, transfer) }
            if isGone { return (.noSuchUpload, [:]) }
            run.emit(
                .notice(
                    id: record.id,
                    "The parts of \(transfer.name) can't be listed (\(error.shortReason)); the permission "
                        + "\(error.operation.permission) is missing. Going on by the ledger alone."
                )
            )
            return (.unavailable, [:])
        }
    }
}

extension S3Error {
    /// 404 for an upload ID. Stores differ in the code they give it.
    var isVanishedUpload: Bool {
        code == "NoSuchUpload" || (status == 404 && code != "NoSuchBucket")
    }

    var isMissingPermission: Bool { status == 403 && retryClass == .fatal }
}
