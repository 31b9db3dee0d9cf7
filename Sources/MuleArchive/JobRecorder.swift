import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload

/// Records the result of each file of a run and performs its action, on a thread next to the workers, many files at a
/// time, each step durable before the next.
final class JobRecorder: Sendable {
    private enum Entry: Sendable {
        case archived(UploadSummary)
        case failed(FailedUpload)
        /// From an earlier run: archived but not recorded, or recorded but not acted on.
        case left(JobItem, ArchivePolicy.Remainder)
    }

    private struct State {
        var waiting: [Entry] = []
        var isClosed = false
        var counts = RunCounts()
        var actions = ActionCounts()
        var failures = FailureTally()
        var receipts: Int64 = 0
        var unsettled = 0
        var undone = 0
        var failure: LedgerError?
        var obstacle: UploadFailure?
        /// Paths of due files, until the store has been asked again.
        var due: Set<[UInt8]> = []
        /// When the upload of a file started.
        var startedAt: [[UInt8]: Int64] = [:]
    }

    private let job: ArchiveJob
    private let policy: ArchivePolicy
    private let run: JobRun
    private let ledger: Ledger
    private let cancellation: Cancellation
    private let onEvent: @Sendable (ArchiveEvent) -> Void
    private let onFailure: @Sendable (LedgerError) -> Void
    let onSign: @Sendable () -> Void
    private let state = Monitor(State())

    /// Entries to process at once.
    private static let batch = 256
    /// Entries from which on adding waits: actions may be slower than the store.
    private static let most = 4096

    /// - Parameters:
    ///   - onFailure: called if the ledger cannot be written; no more actions are performed then.
    ///   - onSign: called regularly during actions: a copy to another file system may take hours in which no worker
    ///     makes progress.
    init(
        _ job: ArchiveJob,
        _ run: JobRun,
        _ ledger: Ledger,
        cancellation: Cancellation,
        onEvent: @escaping @Sendable (ArchiveEvent) -> Void,
        onFailure: @escaping @Sendable (LedgerError) -> Void,
        onSign: @escaping @Sendable () -> Void = {}
    ) {
        self.job = job
        policy = ArchivePolicy(job: job, now: ledger.now)
        self.run = run
        self.ledger = ledger
        self.cancellation = cancellation
        self.onEvent = onEvent
        self.onFailure = onFailure
        self.onSign = onSign
    }

    func start() throws(SystemError) -> Thread {
        try Thread(name: "recorder") { self.work() }
    }

    /// No more entries follow.
    func close() {
        state.update { $0.isClosed = true }
    }

    var counts: RunCounts { state.withLock { $0.counts } }
    var actions: ActionCounts { state.withLock { $0.actions } }
    var failures: FailureTally { state.withLock { $0.failures } }

    /// A reason that left files unchanged, in addition to the failure of each.
    var obstacle: UploadFailure? { state.withLock { $0.obstacle } }

    /// Files that are too young.
    var unsettled: Int { state.withLock { $0.unsettled } }

    /// Why recording ended early.
    var failure: LedgerError? { state.withLock { $0.failure } }

    /// Actions that the stopped run did not perform.
    var undone: Int { state.withLock { $0.undone } }

    /// A file is too young and waits for the next run.
    func leaveForLater() { state.withLock { $0.unsettled += 1 } }

    func count(_ change: @Sendable (inout RunCounts) -> Void) {
        state.withLock { change(&$0.counts) }
    }

    /// A due file: its action is performed once the store has shown its object again.
    func expectDue(_ source: [UInt8]) {
        state.withLock { _ = $0.due.insert(source) }
    }

    /// Handles an event of the run's uploads.
    func note(_ event: UploadEvent) {
        // Before any action, so that messages appear in order.
        onEvent(.upload(event))
        switch event {
        case .started(let record):
            // For small files the end is enough: there may be a million.
            guard let source = record.upload.source?.path, record.upload.partSize != nil else { break }
            state.withLock { $0.startedAt[source] = ledger.now() }
        case .completed(let summary): add(.archived(summary))
        case .failed(let end): add(.failed(end))
        case .resumed, .notice: break
        }
    }

    /// A file that cannot be sent.
    func fail(_ end: FailedUpload) {
        onEvent(.upload(.failed(end)))
        add(.failed(end))
    }

    /// A quarantined file: not reported again, but it counts as a failure.
    func skip(_ item: JobItem) {
        let kind = item.lastError.flatMap { UploadFailure.Kind(rawValue: $0.kind) } ?? .source
        state.withLock { state in
            state.counts.quarantined += 1
            state.failures.add(UploadFailure(kind, item.lastError?.message ?? ""))
        }
    }

    /// Finishes what an earlier run left to do for a file.
    func finish(_ item: JobItem, _ rest: ArchivePolicy.Remainder) { add(.left(item, rest)) }

    private func add(_ entry: Entry) {
        state.wait { state in state.waiting.count < Self.most || state.isClosed ? () : nil }
        state.update { $0.waiting.append(entry) }
    }

    // MARK: Working

    private func work() {
        while true {
            let entries: [Entry]? = state.wait { state in
                if state.waiting.isEmpty { return state.isClosed ? .some(nil) : nil }
                let taken = Array(state.waiting.prefix(Self.batch))
                state.waiting.removeFirst(taken.count)
                return taken
            }
            state.update { _ in }
            guard let entries else { return }
            do {
                try deal(with: entries)
            } catch {
                onFailure(error)
                // The next run finds what was not recorded.
                state.update { state in
                    state.failure = error
                    state.isClosed = true
                    state.waiting = []
                }
                return
            }
        }
    }

    /// A file to act on, with its receipt.
    private struct Case {
        var plan: AfterActionExecutor.Plan
        var receipt: Receipt
        /// The number of its receipt in this run.
        var number: Int64?
        var isLeft = false
    }

    private func deal(with entries: [Entry]) throws(LedgerError) {
        var steps: [Ledger.JobStep] = []
        var cases: [Case] = []
        for entry in entries {
            switch entry {
            case .failed(let end):
                if let step = failed(end) { steps.append(step) }
            case .archived(let summary):
                let (more, next) = archived(summary)
                steps += more
                if let next { cases.append(next) }
            case .left(let item, let rest):
                let (more, next) = try left(item, rest)
                steps += more
                if let next { cases.append(next) }
            }
        }
        try ledger.record(steps, of: run)
        if !cases.isEmpty { try act(on: cases) }
    }

    private func failed(_ end: FailedUpload) -> Ledger.JobStep? {
        // Uploads that were stopped or are held by other processes have not failed.
        guard !end.failure.isStop, end.failure.kind != .held, let source = end.name ?? end.source else {
            state.withLock { state in
                state.failures.add(end.failure)
                state.counts.unfinished += 1
            }
            return nil
        }
        let receipt = makeReceipt(
            upload: end.number,
            source,
            end.destination,
            result: .failed,
            failure: Receipt.Failure(kind: end.failure.kind.rawValue, message: end.failure.message)
        )
        state.withLock { state in
            state.failures.add(end.failure)
            if end.failure.isResumable { state.counts.unfinished += 1 } else { state.counts.failed += 1 }
            state.due.remove(source)
        }
        // A failure that stops the whole run says nothing about this file.
        return .failed(isFinal: end.failure.countsTowardsQuarantine && !isOnMissingDisk(end), receipt)
    }

    /// Whether the file is missing with its file system, which says nothing about the file.
    private func isOnMissingDisk(_ end: FailedUpload) -> Bool {
        guard end.failure.kind == .source, let path = end.source, let number = end.number,
            (try? FileStatus.of(path: path, followingLinks: false)) == nil,
            let source = try? ledger.upload(number: number)?.upload.source
        else { return false }
        return !HistorySweep.isGone(path, device: source.device)
    }

    private func archived(_ summary: UploadSummary) -> ([Ledger.JobStep], Case?) {
        let source = summary.name ?? summary.source ?? []
        var receipt = makeReceipt(upload: summary.number, source, summary.destination, result: .archived)
        receipt.bytesSent = summary.bytesSent
        receipt.bytesSkipped = summary.bytesSkipped
        let wasDue = state.withLock { state in
            if summary.wasThere, summary.evidence == nil {
                state.counts.unchanged += 1
            } else {
                state.counts.archived += 1
                state.counts.bytes += summary.size
                state.counts.bytesSent += summary.bytesSent
                state.counts.bytesSkipped += summary.bytesSkipped
            }
            return state.due.remove(source) != nil
        }
        let age = ObjectAge(summary, now: ledger.now())
        let isDue = wasDue && age.hasReached(job.after)
        let provedAt = wasDue ? age.provedAt : ledger.now()
        return next(
            after: receipt,
            summary.identity,
            summary.content,
            id: summary.id ?? "\(summary.number ?? 0)",
            isDue: isDue,
            provedAt: provedAt,
            doubt: age.doubt
        )
    }

    /// What to do with a file that was just archived.
    ///
    /// - Parameter doubt: why ages cannot be trusted.
    private func next(
        after receipt: Receipt,
        _ identity: SourceIdentity?,
        _ content: RecordedContent?,
        id: String,
        isDue: Bool,
        provedAt: Int64,
        doubt: UploadFailure?
    ) -> ([Ledger.JobStep], Case?) {
        let (state, action) = policy.fate(of: receipt.source, id: id, isDue: isDue, provedAt: provedAt)
        guard state == .acting, let action, let identity else { return ([.archived(state, action, receipt)], nil) }
        if job.dependsOnAge, let doubt { return (refuse(action, receipt, doubt: doubt), nil) }
        let plan = AfterActionExecutor.Plan(
            source: receipt.source,
            identity: identity,
            content: content,
            action: action,
            id: id
        )
        return ([.archived(.acting, action, receipt)], Case(plan: plan, receipt: receipt, number: receipt.number))
    }

    /// The file is archived; its action waits for a run with a correct clock, which asks the store again.
    private func refuse(_ action: ItemAction, _ receipt: Receipt, doubt: UploadFailure) -> [Ledger.JobStep] {
        holdBack(action, doubt)
        var receipt = receipt
        receipt.action = action
        receipt.actionError = doubt.message
        return [
            .archived(.proved, action, receipt),
            .acted(action, failure: doubt.message, receipt: receipt.number, receipt),
        ]
    }

    private func holdBack(_ action: ItemAction, _ obstacle: UploadFailure) {
        state.withLock { state in
            state.obstacle = obstacle
            state.counts.actionsFailed += 1
            state.actions.noteFailure(of: action)
        }
    }

    private func left(
        _ item: JobItem,
        _ rest: ArchivePolicy.Remainder
    ) throws(LedgerError) -> ([Ledger.JobStep], Case?) {
        guard let upload = item.upload, let record = try ledger.upload(number: upload.number) else { return ([], nil) }
        let action: ItemAction
        var steps: [Ledger.JobStep] = []
        switch rest {
        case .unnoted:
            let receipt = makeReceipt(upload: upload.number, item.source, record.upload.destination, result: .archived)
            state.withLock { state in
                state.counts.archived += 1
                state.counts.bytes += record.size ?? 0
            }
            return next(
                after: receipt,
                upload.source,
                RecordedContent(record),
                id: record.id,
                isDue: false,
                provedAt: ledger.now(),
                doubt: nil
            )
        case .started(let recorded): action = recorded
        case .decided(let newState, let decided):
            if let recorded = item.action, recorded != decided {
                AfterActionExecutor.discardCopy(of: AfterActionExecutor.Plan(item, upload, recorded))
            }
            if newState != item.state || decided != item.action {
                steps = [.planned(newState, decided, source: item.source)]
            }
            guard newState == .acting, let decided else {
                count { $0.unchanged += 1 }
                return (steps, nil)
            }
            action = decided
        }
        let receipt = makeReceipt(upload: upload.number, item.source, record.upload.destination, result: .settled)
        let plan = AfterActionExecutor.Plan(item, upload, action, RecordedContent(record))
        return (steps, Case(plan: plan, receipt: receipt, number: nil, isLeft: true))
    }

    private func makeReceipt(
        upload: Int64?,
        _ source: [UInt8],
        _ destination: ObjectAddress,
        result: Receipt.Result,
        failure: Receipt.Failure? = nil
    ) -> Receipt {
        let (number, startedAt) = state.withLock { state in
            state.receipts += 1
            return (state.receipts, state.startedAt.removeValue(forKey: source))
        }
        return Receipt(
            number: number,
            upload: upload,
            source: source,
            destination: destination.key.utf8.isEmpty ? nil : destination,
            result: result,
            failure: failure,
            startedAt: startedAt,
            endedAt: ledger.now()
        )
    }

    // MARK: Acting

    private func act(on cases: [Case]) throws(LedgerError) {
        var executor = AfterActionExecutor(isCancelled: { [cancellation, onSign] in
            onSign()
            return cancellation.isCancelled
        })
        var steps: [Ledger.JobStep] = []
        var events: [ArchiveEvent] = []
        let target = target
        let isAway = RequiredMounts.failure(of: job.requiredMounts)
        let isElsewhere = try target?.obstacle()
        for next in cases {
            onSign()
            if let obstacle = isAway ?? (next.plan.action.name == AfterActionExecutor.move ? isElsewhere : nil) {
                holdBack(next.plan.action, obstacle)
                var receipt = next.receipt
                receipt.action = next.plan.action
                receipt.actionError = obstacle.message
                steps.append(.acted(next.plan.action, failure: obstacle.message, receipt: next.number, receipt))
                continue
            }
            // Each is a separate step: what is not done stays recorded for the next run.
            guard !cancellation.isCancelled, let (step, event) = try act(on: next, &executor) else {
                state.withLock { $0.undone += 1 }
                continue
            }
            steps.append(step)
            if let event { events.append(event) }
        }
        do {
            try executor.sync()
        } catch {
            // A power cut may undo what was done. It stays recorded as in progress, and the next run checks it.
            let undone = events.compactMap { if case .acted(_, _, let action) = $0 { action } else { nil } }
            state.withLock { state in
                state.counts.acted -= undone.count
                for action in undone { state.actions.takeBack(action) }
            }
            events = []
            for next in cases { fail(next, "could not be synced to disk: \(error.reason)", events: &events) }
            steps = []
        }
        try ledger.record(steps, of: run)
        let hasMoved = events.contains {
            if case .acted(_, _, let action) = $0 { action.name == AfterActionExecutor.move } else { false }
        }
        if hasMoved { try target?.record() }
        for event in events { onEvent(event) }
    }

    private var target: TargetPlace? {
        guard case .move(let directory) = job.after else { return nil }
        return TargetPlace(directory, number: run.job, ledger)
    }

    /// - Returns: nil if it was stopped before it was done.
    private func act(
        on next: Case,
        _ executor: inout AfterActionExecutor
    ) throws(LedgerError) -> (Ledger.JobStep, ArchiveEvent?)? {
        let (run, ledger) = (run, ledger)
        let replan: (ItemAction) throws(LedgerError) -> Void = { action throws(LedgerError) in
            try ledger.record([.planned(.acting, action, source: next.plan.source)], of: run)
        }
        do throws(AfterActionExecutor.Refusal) {
            let done =
                next.isLeft
                ? try executor.resume(next.plan, replan: replan) : try executor.perform(next.plan, replan: replan)
            guard let done else { throw AfterActionExecutor.Refusal(reason: "no longer exists", isOver: true) }
            state.withLock { state in
                state.counts.acted += 1
                state.actions.note(done)
            }
            var receipt = next.receipt
            receipt.action = done
            let step = Ledger.JobStep.acted(done, failure: nil, receipt: next.number, receipt)
            return (step, .acted(source: next.plan.source, id: next.plan.id, done))
        } catch {
            let refusal = error
            if let failure = refusal.ledger { throw failure }
            // An interrupted copy is no refusal.
            if cancellation.isCancelled { return nil }
            var events: [ArchiveEvent] = []
            var receipt = next.receipt
            receipt.action = next.plan.action
            receipt.actionError = refusal.reason
            // If the file is not the archived one, no further run is needed; if it is only missing, that is no error.
            let isError = !(refusal.isOver && next.isLeft)
            if isError { fail(next, refusal.reason, events: &events) }
            let failure = refusal.isOver ? nil : refusal.reason
            return (.acted(next.plan.action, failure: failure, receipt: next.number, receipt), events.first)
        }
    }

    private func fail(_ next: Case, _ reason: String, events: inout [ArchiveEvent]) {
        let name = LossyUTF8.string(next.plan.source)
        let verb = next.plan.action.name == AfterActionExecutor.move ? "moved" : "deleted"
        let failure = UploadFailure(
            .source,
            "\(name) is archived but was not \(verb): it \(reason).",
            isResumable: true
        )
        state.withLock { state in
            state.counts.actionsFailed += 1
            state.actions.noteFailure(of: next.plan.action)
            state.failures.add(failure)
        }
        events.append(.actionFailed(source: next.plan.source, id: next.plan.id, next.plan.action, failure))
    }
}
