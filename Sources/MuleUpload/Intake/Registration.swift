package import MuleLedger
package import MulePlan
package import MuleSystem

/// A file to upload to a destination, before the ledger is asked about it.
package struct UploadIntent: Sendable {
    /// The path as the user gave it.
    package var path: [UInt8]
    /// The status from the directory walk, not following links; nil if the file was not visited.
    package var seen: FileStatus?
    package var destination: ObjectAddress
    package var store: StoreAddress
    package var sizing: PartSizing
    package var attributes: ObjectAttributes
    package var onlyIfAbsent: Bool
    package var integrity: IntegrityOptions
    /// What is known of the store besides what the ledger has learned.
    package var limits = StoreLimits.amazon
    package var changing: ChangingSource
    /// The ETag that the object must have to be replaced; nil for any.
    package var ifMatch: String?
    /// Whether to send even what was confirmed before.
    package var force: Bool
    /// Whether to abort a pending upload and start over.
    package var restart: Bool
    /// The same, if the file is not the one that the upload started with.
    package var restartsChanged = false
    /// Whether another file of the same job may have the same destination.
    package var sharesKey = false
    /// Whether the job knows that the file has failed before.
    package var isKnown = false
    /// Explicit command-line options, which a pending upload must match.
    package var demandedPartSize: Int64?
    package var demandedChecksum: String?

    package init(
        path: [UInt8],
        seen: FileStatus? = nil,
        destination: ObjectAddress,
        store: StoreAddress,
        sizing: PartSizing,
        attributes: ObjectAttributes,
        onlyIfAbsent: Bool,
        integrity: IntegrityOptions,
        changing: ChangingSource = .refuse,
        force: Bool = false,
        restart: Bool = false,
        demandedPartSize: Int64? = nil,
        demandedChecksum: String? = nil
    ) {
        self.path = path
        self.seen = seen
        self.destination = destination
        self.store = store
        self.sizing = sizing
        self.attributes = attributes
        self.onlyIfAbsent = onlyIfAbsent
        self.integrity = integrity
        self.changing = changing
        self.force = force
        self.restart = restart
        self.demandedPartSize = demandedPartSize
        self.demandedChecksum = demandedChecksum
    }
}

/// Finds or creates the rows of uploads, and decides for each whether to start, resume or refuse it.
package struct Registration {
    package enum Entry: Sendable {
        /// Ready to upload; `restartsAs` if the pending upload must be aborted first.
        case job(UploadJob.Row, restartsAs: NewUpload?)
        case refused(UploadFailure)
    }

    let ledger: Ledger
    private let run: JobRun?

    /// - Parameter run: the run of an archive job, if the files belong to one.
    package init(_ ledger: Ledger, for run: JobRun? = nil) {
        self.ledger = ledger
        self.run = run
    }

    /// Returns one entry per intent, in order, from a single transaction. Keep batches small enough not to block other
    /// processes. All rows are durable on return, so a killed run can be resumed with all its files.
    package func register(_ intents: [UploadIntent]) throws(LedgerError) -> [Entry] {
        var entries: [Entry?] = Array(repeating: nil, count: intents.count)
        var planned: [(index: Int, upload: NewUpload)] = []
        var limits: [LimitQuestion: StoreLimits] = [:]
        // For one batch only, because a directory may be replaced at any time.
        var paths = CanonicalPaths()
        for (index, intent) in intents.enumerated() {
            let question = LimitQuestion(
                endpoint: intent.store.endpoint,
                profile: intent.limits,
                asked: intent.sizing.partSize
            )
            let allowed = if let known = limits[question] { known } else { try question.answer(by: ledger) }
            limits[question] = allowed
            do throws(UploadFailure) {
                planned.append((index, try Self.plan(intent, limits: allowed, &paths)))
            } catch {
                entries[index] = .refused(error)
            }
        }
        if !planned.isEmpty {
            let claims = try ledger.claim(
                planned.map(\.upload),
                as: run.map { run in
                    Ledger.NewItems(
                        run: run,
                        items: planned.map { place, _ in
                            Ledger.NewItem(
                                source: intents[place].path,
                                sharesKey: intents[place].sharesKey,
                                isKnown: intents[place].isKnown
                            )
                        }
                    )
                }
            ) { place, done in
                let (index, upload) = planned[place]
                return Self.isDone(upload, intents[index], before: done)
            }
            for ((index, upload), claim) in zip(planned, claims) {
                entries[index] = try judge(claim, upload, intent: intents[index])
            }
        }
        return entries.map { entry in
            guard let entry else { fatalError("every intent has its entry") }
            return entry
        }
    }

    private struct LimitQuestion: Hashable {
        var endpoint: String
        var profile: StoreLimits
        var asked: Int64?

        func answer(by ledger: Ledger) throws(LedgerError) -> StoreLimits {
            try ledger.limits(of: endpoint, profile, asked: asked)
        }
    }

    // MARK: Dry run

    /// What registering a file would do.
    package enum Outlook: Sendable {
        case begins(NewUpload)
        case resumes(UploadRecord)
        /// Aborts the pending upload first.
        case restarts(UploadRecord, NewUpload)
        /// Asks the store whether it still has the object.
        case asks(UploadRecord, NewUpload)
        case refused(UploadFailure)
    }

    /// What `register` would answer now, without creating a row or taking a lease.
    ///
    /// - Parameter ledger: nil if it does not exist yet.
    package static func foresee(_ intent: UploadIntent, _ ledger: Ledger?) throws(LedgerError) -> Outlook {
        let limits =
            try ledger?.limits(of: intent.store.endpoint, intent.limits, asked: intent.sizing.partSize)
            ?? intent.limits.allowing(partSize: intent.sizing.partSize)
        var paths = CanonicalPaths()
        let upload: NewUpload
        do throws(UploadFailure) {
            upload = try plan(intent, limits: limits, &paths)
        } catch {
            return .refused(error)
        }
        guard let ledger else { return .begins(upload) }
        guard let record = try ledger.unfinished(like: upload) else {
            guard let source = upload.source,
                let done = try ledger.lastDone(
                    source: source.path,
                    destination: upload.destination,
                    endpoint: upload.store.endpoint
                ), isDone(upload, intent, before: done)
            else { return .begins(upload) }
            return .asks(done, upload)
        }
        if ledger.isActive(record) { return .refused(.heldElsewhere(record)) }
        guard record.mayHoldParts else { return .begins(upload) }
        if restarts(record, upload, intent: intent) { return .restarts(record, upload) }
        return conflict(record, upload, intent: intent).map { .refused($0) } ?? .resumes(record)
    }

    private static func restarts(_ record: UploadRecord, _ upload: NewUpload, intent: UploadIntent) -> Bool {
        intent.restart || record.abortRequested || (intent.restartsChanged && hasChanged(record, upload))
    }

    private static func plan(
        _ intent: UploadIntent,
        limits: StoreLimits,
        _ paths: inout CanonicalPaths
    ) throws(UploadFailure) -> NewUpload {
        let source = try SourceFile.identity(path: intent.path, seen: intent.seen, &paths)
        let method: UploadMethod
        do {
            method = try intent.sizing.method(size: source.size, limits: limits)
        } catch {
            throw UploadFailure(.usage, error.sentence(for: LossyUTF8.string(intent.path)))
        }
        let partSize: Int64? = if case .multipart(let size) = method { size } else { nil }
        return NewUpload(
            source: source,
            store: intent.store,
            destination: intent.destination,
            attributes: intent.attributes,
            onlyIfAbsent: intent.onlyIfAbsent,
            integrity: intent.integrity,
            partSize: partSize,
            changing: intent.changing,
            ifMatch: intent.ifMatch
        )
    }

    private static func hasChanged(_ record: UploadRecord, _ upload: NewUpload) -> Bool {
        guard let now = upload.source, let before = record.upload.source else { return false }
        return now.verdict(since: before, changing: upload.changing).isChanged
    }

    private static func isDone(_ upload: NewUpload, _ intent: UploadIntent, before done: UploadRecord) -> Bool {
        guard !intent.force, !intent.restart, let source = upload.source, let before = done.upload.source else {
            return false
        }
        // If the facts are not enough, the content is compared before anything is skipped.
        return !source.verdict(since: before).isChanged && done.upload.attributes == upload.attributes
            && done.upload.store.customerKey == upload.store.customerKey
    }

    private func judge(
        _ claim: Ledger.Claim,
        _ upload: NewUpload,
        intent: UploadIntent
    ) throws(LedgerError) -> Entry {
        switch claim {
        case .heldElsewhere(let record):
            return .refused(.heldElsewhere(record))
        case .taken(let other):
            let name = LossyUTF8.string(intent.path)
            return .refused(.taken(upload.destination, name, by: LossyUTF8.string(other)))
        case .doneBefore(let done):
            return .job(.doneBefore(done, again: upload), restartsAs: nil)
        case .began(let record, let lease):
            return .job(.claimed(record, lease), restartsAs: nil)
        case .found(let record, let lease):
            if !record.mayHoldParts {
                // The store has nothing of it, so the new plan applies. If the plan is the same, the row keeps its
                // token, which identifies an object whose answer was lost.
                return .job(.claimed(try plan(record, as: upload), lease), restartsAs: nil)
            }
            if Self.restarts(record, upload, intent: intent) {
                return .job(.claimed(record, lease), restartsAs: upload)
            }
            if let failure = Self.conflict(record, upload, intent: intent) { return .refused(failure) }
            let carried =
                record.upload.changing == upload.changing ? record : try ledger.bear(upload.changing, in: record)
            return .job(.claimed(carried, lease), restartsAs: nil)
        }
    }

    private func plan(_ record: UploadRecord, as upload: NewUpload) throws(LedgerError) -> UploadRecord {
        guard record.state == .pending, !Self.hasChanged(record, upload) else {
            return try ledger.replan(record, as: upload)
        }
        if record.upload == upload { return record }
        var same = upload
        same.source = record.upload.source
        guard record.upload == same, let source = upload.source else { return try ledger.replan(record, as: upload) }
        return try ledger.note(source, of: record)
    }

    private static func conflict(_ record: UploadRecord, _ upload: NewUpload, intent: UploadIntent) -> UploadFailure? {
        if let now = upload.source, let before = record.upload.source {
            if case .changed(let changes) = now.verdict(since: before, changing: upload.changing) {
                return .changed(now.path, changes, while: "since its upload \(record.id) started")
            }
        }
        if let failure = UploadFailure.otherCustomerKey(record, given: upload.store.customerKey) { return failure }
        var differences: [String] = []
        if let demanded = intent.demandedPartSize, let partSize = record.upload.partSize, demanded != partSize,
            upload.partSize != partSize
        {
            differences.append("a part size of \(ByteSize.format(partSize))")
        }
        if let demanded = intent.demandedChecksum, demanded != record.upload.integrity.checksumOption {
            differences.append("--checksum \(record.upload.integrity.checksumOption)")
        }
        if upload.attributes != record.upload.attributes { differences.append("other metadata, tags or headers") }
        if upload.onlyIfAbsent != record.upload.onlyIfAbsent {
            differences.append(record.upload.onlyIfAbsent ? "--no-overwrite" : "permission to overwrite")
        }
        if upload.ifMatch != record.upload.ifMatch {
            differences.append(record.upload.ifMatch.map { "--if-match \($0)" } ?? "no --if-match")
        }
        guard !differences.isEmpty else { return nil }
        return UploadFailure(
            .usage,
            "The pending upload \(record.id) to \(upload.destination) was started with "
                + "\(differences.joined(separator: ", ")), which cannot be changed now. Resume it with \"mule resume "
                + "\(record.id)\", or restart it with --restart."
        )
    }
}

extension UploadFailure {
    /// Another source of the same job has this destination.
    package static func taken(_ destination: ObjectAddress, _ name: String, by other: String) -> UploadFailure {
        UploadFailure(
            .exists,
            "\(name) would be uploaded to \(destination), as \(other) is; only that file is sent. Give each file its "
                + "own key in the job's destination."
        )
    }

    package static func heldElsewhere(_ record: UploadRecord) -> UploadFailure {
        UploadFailure(
            .held,
            "Another mule process is uploading \(record.upload.destination) (\(record.id)); skipped.",
            isResumable: true
        )
    }
}

extension PlanError {
    package func sentence(for name: String) -> String {
        switch self {
        case .objectTooLarge(let size, let maximum):
            "\(name) is too large for an object: \(ByteSize.format(size)), and the maximum is "
                + "\(ByteSize.format(maximum))."
        case .partSizeOutOfRange(let size, let minimum, let maximum):
            "A part size of \(ByteSize.format(size)) is not possible: it must be from \(ByteSize.format(minimum)) to "
                + "\(ByteSize.format(maximum))."
                + (size <= 5120 ? " A number without a unit is bytes: for MiB write \(size)MiB." : "")
        }
    }
}
