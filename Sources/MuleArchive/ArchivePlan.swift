package import MuleLedger
package import MulePlan
import MuleSQLite
import MuleSources
package import MuleSystem
package import MuleUpload

/// What a run would do with a file.
package struct PlannedFile: Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        /// Never archived: will be sent.
        case new
        /// Differs from what was archived or started: will be sent.
        case changed
        /// Started by an earlier run: the rest will be sent.
        case pending
        /// Archived. The store is asked for the object, or the file's content is compared with what was archived; if
        /// that fails, the file is sent again.
        case check
        /// Archived; its action is not done yet.
        case unfinished
        case unchanged
        case tooYoung
        /// Quarantined, because it failed permanently too often.
        case quarantined
        /// Cannot be archived.
        case problem
    }

    package var kind: Kind
    package var source: [UInt8]
    /// Nil if the key is unknown.
    package var destination: ObjectAddress?
    /// The file's size, and the bytes to send.
    package var size: Int64 = 0
    package var bytes: Int64 = 0
    /// Parts to send; 0 for a file sent in one request.
    package var parts = 0
    /// Requests if none fails.
    package var requests = 0
    package var failure: UploadFailure?
}

/// What a run would do, in total.
package struct PlanTotals: Sendable {
    package var files: [PlannedFile.Kind: Int] = [:]
    package var bytes: Int64 = 0
    package var parts = 0
    package var requests = 0
    /// Bodies: parts, and files sent in one request.
    package var bodies = 0
    /// Files of less than `RunSettings.smallFileSize` bytes among them.
    package var smallFiles = 0
    package var failures = FailureTally()

    mutating func count(_ file: PlannedFile) {
        files[file.kind, default: 0] += 1
        bytes += file.bytes
        parts += file.parts
        requests += file.requests
        switch file.kind {
        case .new, .changed, .pending:
            bodies += max(1, file.parts)
            if file.parts == 0, file.size < RunSettings.smallFileSize { smallFiles += 1 }
        case .check, .unfinished, .unchanged, .tooYoung, .quarantined, .problem: break
        }
        if let failure = file.failure { failures.add(failure) }
    }
}

/// Plans a job: decides like a run, but asks no store and changes neither files nor the ledger. Ignores the run's
/// limits, which depend on its speed.
package final class ArchivePlanner {
    private let job: ArchiveJob
    private let number: Int64?
    private let ledger: Ledger?
    private let cancellation: Cancellation
    private let policy: ArchivePolicy
    private let onFile: (PlannedFile) -> Void
    private var totals = PlanTotals()
    private var places: SourcePlaces?
    /// Keys that several files may have, with the first file of each.
    private var taken: SpillNames?

    private static let batch = 512

    /// - Parameters:
    ///   - number: the job's number in the ledger; nil if it has never run.
    ///   - ledger: nil if it does not exist.
    package init(
        _ job: ArchiveJob,
        number: Int64?,
        ledger: Ledger?,
        cancellation: Cancellation,
        onFile: @escaping (PlannedFile) -> Void
    ) {
        self.job = job
        self.number = number
        self.ledger = ledger
        self.cancellation = cancellation
        self.onFile = onFile
        policy = ArchivePolicy(job: job, now: ledger?.now ?? wallClockMilliseconds)
    }

    /// Call once.
    package func plan() throws(UploadFailure) -> PlanTotals {
        try planLeftovers()
        try planCandidates()
        return totals
    }

    private func note(_ file: PlannedFile) {
        totals.count(file)
        onFile(file)
    }

    // MARK: Items of earlier runs

    private func planLeftovers() throws(UploadFailure) {
        guard let number, let ledger else { return }
        var last: [UInt8]?
        while !cancellation.isCancelled {
            let items = try known { () throws(LedgerError) in
                try ledger.openItems(of: number, after: last, limit: Self.batch)
            }
            guard let end = items.last else { return }
            last = end.source
            for item in items { try plan(left: item, ledger) }
        }
    }

    private func plan(left item: JobItem, _ ledger: Ledger) throws(UploadFailure) {
        var file = PlannedFile(kind: .unfinished, source: item.source)
        switch policy.decide(left: item) {
        // The walk finds the file if it is still selected.
        case .nothing, .abort: return
        case .finish(.decided(.settled, _)), .finish(.decided(.proved, _)): file.kind = .unchanged
        case .finish: break
        case .skip: file = quarantined(item)
        case .ask(let upload):
            file.kind = .check
            file.requests = 1
            file.destination = try record(upload, ledger)?.upload.destination
        case .resume(let upload):
            guard let record = try record(upload, ledger) else { return }
            if ledger.isActive(record) {
                file.kind = .problem
                file.failure = .heldElsewhere(record)
            } else if record.abortRequested {
                return
            } else {
                file = pending(item.source, record)
            }
        }
        note(file)
    }

    private func pending(_ source: [UInt8], _ record: UploadRecord) -> PlannedFile {
        var file = PlannedFile(kind: .pending, source: source, destination: record.upload.destination)
        file.size = record.upload.source?.size ?? 0
        guard record.mayHoldParts else { return sending(file, record.upload) }
        file.bytes = file.size - record.bytesDone
        file.parts = (record.partCount ?? 0) - record.partsDone
        // Existing parts are listed, a thousand at a time.
        file.requests = max(1, (record.partsDone + 999) / 1000) + file.parts + Self.requestsToComplete
        return file
    }

    private func sending(_ file: PlannedFile, _ upload: NewUpload) -> PlannedFile {
        var file = file
        file.size = upload.source?.size ?? 0
        file.bytes = file.size
        file.destination = upload.destination
        // First checks whether the object exists.
        file.requests += upload.onlyIfAbsent ? 1 : 0
        if let partSize = upload.partSize {
            file.parts = PartPlan(objectSize: file.size, partSize: partSize).count
            file.requests += 1 + file.parts + Self.requestsToComplete
        } else {
            file.requests += 1
        }
        return file
    }

    /// Complete, and HEAD of the object.
    private static let requestsToComplete = 2

    private func quarantined(_ item: JobItem) -> PlannedFile {
        let kind = item.lastError.flatMap { UploadFailure.Kind(rawValue: $0.kind) } ?? .source
        var file = PlannedFile(kind: .quarantined, source: item.source)
        file.failure = UploadFailure(kind, item.lastError?.message ?? "")
        return file
    }

    // MARK: Files found

    private func planCandidates() throws(UploadFailure) {
        var walk = OrderedWalk(
            SourceWalk([job.source], isRecursive: true, selection: job.selection, now: policy.now() * 1_000_000),
            order: job.order
        )
        var found: [ArchivePolicy.Found] = []
        places = number.flatMap { number in ledger.map { SourcePlaces(job, JobRun(job: number, run: 0), $0) } }
        while !cancellation.isCancelled {
            let step: SourceWalk.Step?
            do {
                step = try walk.next()
            } catch {
                throw UploadFailure(.source, "The list of files found cannot be kept on disk: \(error.reason).")
            }
            guard let step else { break }
            switch step {
            case .file(let file):
                places?.note(file)
                switch policy.look(at: file) {
                case .file(let next): found.append(next)
                case .tooYoung: note(PlannedFile(kind: .tooYoung, source: file.path))
                case .nothing: break
                }
            case .problem(let file, let problem): try plan(file, problem)
            case .leftOut(let file, _): places?.note(file)
            case .idle: break
            }
            if found.count == Self.batch {
                try plan(found)
                found = []
            }
        }
        try plan(found)
        guard !cancellation.isCancelled, let places else { return }
        if let failure = try known({ () throws(LedgerError) in try places.obstacleAtEnd() }) {
            fail(job.source, failure)
        }
    }

    private func plan(_ file: SourceWalk.Found, _ problem: SourceProblem) throws(UploadFailure) {
        if policy.isOver(file, problem) { return }
        if let item = try items([file.path])[0], policy.isQuarantined(item), item.upload == nil {
            return note(quarantined(item))
        }
        fail(file.path, UploadFailure(.source, problem.sentence(for: LossyUTF8.string(file.path))))
    }

    private func fail(_ path: [UInt8], to destination: ObjectAddress? = nil, _ failure: UploadFailure) {
        note(PlannedFile(kind: .problem, source: path, destination: destination, failure: failure))
    }

    private func plan(_ found: [ArchivePolicy.Found]) throws(UploadFailure) {
        for (file, item) in zip(found, try items(found.map(\.file.path))) where !cancellation.isCancelled {
            do throws(UploadFailure) {
                try plan(file, item)
            } catch {
                guard error.kind != .ledger else { throw error }
                fail(file.file.path, error)
            }
        }
    }

    private func plan(_ found: ArchivePolicy.Found, _ item: JobItem?) throws(UploadFailure) {
        guard let item, let ledger else { return try send(found, as: .new) }
        places?.noteKnown(found.file)
        if item.state != .settled {
            switch policy.decide(left: item) {
            case .abort: return try send(found, as: .changed, requests: Self.requestsToAbort)
            case .resume(let upload):
                guard let record = try record(upload, ledger), record.abortRequested else { return }
                return try send(found, as: .new, requests: Self.requestsToAbort)
            case .finish, .ask, .skip: return
            case .nothing: break
            }
        }
        switch policy.decide(found, item) {
        case .send, .again: try send(found, as: item.upload?.state == .done ? .changed : .new)
        case .ask(let upload):
            guard let record = try record(upload, ledger) else { return }
            try register(found, to: record.upload.destination, as: .changed)
        case .compare: note(PlannedFile(kind: .check, source: found.file.path, size: found.status.size))
        case .unchanged: note(PlannedFile(kind: .unchanged, source: found.file.path, size: found.status.size))
        case .skip: note(quarantined(item))
        case .pass: break
        }
    }

    /// Abort, and listing the remaining parts.
    private static let requestsToAbort = 2

    private func send(
        _ found: ArchivePolicy.Found,
        as kind: PlannedFile.Kind,
        requests: Int = 0
    ) throws(UploadFailure) {
        // A run creates a UUID for each file.
        let uuid = job.destination.needsUUID ? [UInt8](repeating: 0, count: 16) : nil
        let address = try policy.address(of: found, uuid: uuid, cancellation)
        try register(found, to: address, as: kind, requests: requests)
    }

    private func register(
        _ found: ArchivePolicy.Found,
        to address: ObjectAddress,
        as kind: PlannedFile.Kind,
        requests: Int = 0
    ) throws(UploadFailure) {
        let intent = try policy.intent(found, to: address)
        if intent.sharesKey, let other = try rival(of: intent) {
            let name = LossyUTF8.string(intent.path)
            return fail(intent.path, to: address, .taken(address, name, by: LossyUTF8.string(other)))
        }
        var file = PlannedFile(kind: kind, source: found.file.path, destination: address, requests: requests)
        file.size = found.status.size
        switch try known({ () throws(LedgerError) in try Registration.foresee(intent, ledger) }) {
        case .begins(let upload): note(sending(file, upload))
        case .resumes(let record): note(pending(found.file.path, record))
        case .restarts(_, let upload):
            file.kind = .changed
            file.requests += Self.requestsToAbort
            note(sending(file, upload))
        case .asks:
            file.kind = .check
            file.requests += 1
            note(file)
        case .refused(let failure): fail(intent.path, to: address, failure)
        }
    }

    /// The other file with the same key, in this plan or unfinished from an earlier run.
    private func rival(of intent: UploadIntent) throws(UploadFailure) -> [UInt8]? {
        let key = intent.destination.key
        if let number, let ledger,
            let other = try known({ () throws(LedgerError) in try ledger.rival(of: intent.path, for: key, in: number) })
        {
            return other
        }
        do {
            let taken = if let begun = self.taken { begun } else { try SpillNames() }
            self.taken = taken
            return try taken.take(key.utf8, for: intent.path)
        } catch {
            throw UploadFailure(.source, "The list of keys found cannot be kept on disk: \(error.reason).")
        }
    }

    // MARK: The ledger

    private func items(_ paths: [[UInt8]]) throws(UploadFailure) -> [JobItem?] {
        guard let number, let ledger else { return paths.map { _ in nil } }
        return try known { () throws(LedgerError) in try ledger.items(of: number, at: paths) }
    }

    private func record(_ upload: ItemUpload, _ ledger: Ledger) throws(UploadFailure) -> UploadRecord? {
        try known { () throws(LedgerError) in try ledger.upload(number: upload.number) }
    }

    private func known<Result>(_ look: () throws(LedgerError) -> Result) throws(UploadFailure) -> Result {
        do {
            return try look()
        } catch {
            throw UploadFailure(ledger: error, path: LossyUTF8.string(ledger?.path ?? []))
        }
    }
}
