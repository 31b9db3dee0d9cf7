import MulePlan
import MuleSystem
import MuleTransport

/// A unit of work for one worker.
struct Work: Sendable {
    enum Step: Sendable {
        /// Inspect the source and the store, and plan the parts.
        case begin
        /// The store does not have what was recorded; `isGone` if it does not know the upload.
        case reconcile(isGone: Bool)
        indirect case part(PartWork)
        /// All parts are recorded.
        case complete
    }

    /// What it counts against.
    enum Slot {
        case limit
        /// A completion in addition to the limit.
        case completion
        /// A small file in addition to the limit.
        case smallFile
    }

    var transfer: Transfer
    var step: Step
    fileprivate(set) var slot = Slot.limit
    /// Its failures before it was postponed.
    fileprivate(set) var earlier = EarlierFailures()

    var isRetry: Bool { earlier.count > 0 }

    init(transfer: Transfer, step: Step) {
        self.transfer = transfer
        self.step = step
    }

    /// Bytes that it sends in one body.
    fileprivate var bodySize: Int64 {
        switch step {
        case .begin: transfer.job.share == .small ? transfer.job.size ?? 0 : 0
        case .part(let part): part.candidate == nil && part.known == nil ? part.slice.length : 0
        case .reconcile, .complete: 0
        }
    }

    /// Whether it can be restarted. A stream that is being read cannot.
    var canStartAgain: Bool {
        if case .begin = step { transfer.job.path != nil } else { true }
    }

    /// Its bytes, if it is a file that is sent in one request from the worker's buffer.
    fileprivate var smallSize: Int64? {
        if case .begin = step { transfer.smallSize } else { nil }
    }

    fileprivate var isCompletion: Bool {
        if case .complete = step { true } else { false }
    }

    /// Its share when files and parts compete for workers; nil for other steps.
    var share: Share? {
        switch step {
        case .begin: transfer.job.share == .small ? .small : nil
        case .part: .part
        case .reconcile, .complete: nil
        }
    }
}

/// The work of a run, shared by all its files and workers.
///
/// Completions and second looks go first, because they free what an upload holds. Small files and parts of large ones
/// take turns by `FairShare`. A large upload starts when no parts of others wait, so that uploads finish one after the
/// other. One may start ahead when fewer parts wait than may be in flight, because a worker would otherwise idle while
/// the store creates the next upload.
///
/// If the link sets the limit, small files are sent in addition to it, as many as `SmallFileControl` allows.
final class WorkQueue: Sendable {
    /// How the store answered a small file.
    struct SmallAnswer {
        var size: Int64
        /// Seconds from the request's first byte to the answer's, on a connection that was ready.
        var seconds: Double
        var slot: Work.Slot
        var isEncrypted = false
    }

    private struct State {
        var urgent: [Work] = []
        var parts: [Work] = []
        var pendingUploads = PendingUploads()
        /// Transfers that have not ended.
        var unfinished = 0
        /// Whether all transfers have been added.
        var isSealed = false
        /// The upload that started while parts of others waited, until one of its parts is taken.
        var startedAhead: Transfer?
        var busy = 0
        /// Work that waits for its next attempt, and the number of such attempts that run.
        var postponed = PostponedWork()
        var retries = 0
        /// Completions that run in addition to the limit, and small files.
        var ending = 0
        var extra = 0
        var busyWith = Counts()
        var share = FairShare()
        /// Threads that take work.
        var workers = 0
        var limit: Int
        /// Sets the limit; nil if the user chose it.
        var control: ConcurrencyControl?
        /// Sets the number of small files; nil if the user chose the limit.
        var smallControl: SmallFileControl?
        /// Maximum requests in flight, with small files in addition to the limit.
        var most: Int
        /// Small files in flight, and their bytes.
        var smallFiles = 0
        var smallBytes: Int64 = 0
        /// What may be in flight at the link's rate.
        var outlook = BodyPacer.Outlook()
        /// Bodies that workers have taken, and their bytes.
        var bodies = 0
        var bodyBytes: Int64 = 0
        var isClosed = false
        /// Threads that wait for work.
        var idle = 0
        /// Kinds for which a thread waits until few uploads are left.
        var awaited: [Share] = []

        /// Whether there will be no more work.
        var isOver: Bool { isClosed || (isSealed && unfinished == 0) }

        /// Whether a waiting thread could continue. Most changes concern only the thread that makes them.
        var concernsOthers: Bool {
            if idle > 0, isOver || (busy < limit ? canTake : workers > mostWaiting) || hasEndBesideLimit || canTakeExtra
            {
                return true
            }
            return !awaited.isEmpty && (isClosed || awaited.contains { pendingUploads.isShort(of: $0) })
        }

        private var hasEndBesideLimit: Bool { control != nil && urgent.contains(where: \.isCompletion) }

        var hasWork: Bool { !urgent.isEmpty || hasFreshWork || postponed.hasDue(at: .now()) }

        /// When a waiting thread may take a retry, possibly at once; nil if none may start.
        var nextRetry: Moment? { busy < limit && hasRoom && mayRetry ? postponed.earliest : nil }

        /// Retries use at most a quarter of the slots while there is other work.
        private var mayRetry: Bool { retries < max(1, limit / 4) || !hasFreshWork }

        private var hasFreshWork: Bool { !parts.isEmpty || (mayBegin && !pendingUploads.isEmpty) }
        private var mayBegin: Bool { !postponed.isFull }
        /// Whether one more body of average size may be in flight.
        var hasRoom: Bool {
            guard let budget = outlook.budget, bodies > 0 else { return true }
            return bodyBytes + bodyBytes / Int64(bodies) <= budget
        }
        /// Whether a thread may take work.
        var canTake: Bool { hasRoom ? hasWork : !urgent.isEmpty }
        /// Whether a thread may take a small file in addition to the limit.
        var canTakeExtra: Bool {
            guard let smallControl, busy >= limit, smallFiles < smallControl.limit, busy + extra < most, mayBegin,
                hasRoom, let size = pendingUploads.nextBufferedSize
            else { return false }
            return smallBytes + size <= smallControl.budget
        }

        /// How many threads are allowed.
        var leave: Int {
            // While the search continues, threads without work keep their connections.
            guard let smallControl, !isSealed || pendingUploads.holds(.small) else { return limit + extra + ending }
            // Without small files that count against the limit: when the limit falls, they count in addition to it.
            let others = busy - (smallFiles - extra)
            return max(limit, min(others + smallControl.limit, most)) + ending
        }

        /// How many may wait for work: one more while the number of small files rises with time, to take the next one.
        var mostWaiting: Int { leave + (rises ? 1 : 0) }

        /// Whether a small file waits only for its time.
        var rises: Bool {
            guard let smallControl, smallControl.risesAt != nil else { return false }
            return busy >= limit && smallFiles >= smallControl.limit && pendingUploads.nextBufferedSize != nil
        }

        /// Takes a completion without counting it against the limit.
        ///
        /// A store may take minutes to assemble thousands of parts without using the link. If the link sets the limit,
        /// completions are extra; if the user set it, they count as requests.
        mutating func takeEndBesideLimit(most: Int) -> Work? {
            guard control != nil, ending < most, let index = urgent.lastIndex(where: \.isCompletion) else { return nil }
            ending += 1
            var work = urgent.remove(at: index)
            work.slot = .completion
            return work
        }

        /// Takes a small file without counting it against the limit: it uses little of the link.
        mutating func takeExtra() -> Work? {
            guard canTakeExtra, let transfer = pendingUploads.nextBuffered() else { return nil }
            extra += 1
            busyWith[.small] += 1
            var work = Work(transfer: transfer, step: .begin)
            work.slot = .smallFile
            return work
        }

        mutating func take() -> Work? {
            if let work = urgent.popLast() { return work }
            if mayRetry, let work = postponed.takeDue(at: .now()) {
                retries += 1
                if let share = work.share { busyWith[share] += 1 }
                return work
            }
            guard mayBegin else {
                guard let work = parts.popLast() else { return nil }
                if let share = work.share { busyWith[share] += 1 }
                return work
            }
            let waiting = pendingUploads.waiting
            let hasParts = !parts.isEmpty || pendingUploads.holds(.part)
            // Announced counts are estimates; work that is present must be handed out.
            let turn = share.next(
                waiting: (
                    pendingUploads.holds(.small) ? max(waiting.small, 1) : 0,
                    hasParts ? max(waiting.parts + parts.count, 1) : 0
                ),
                busy: (busyWith.small, busyWith.parts)
            )
            let work =
                turn == .small ? pendingUploads.next(.small).map { Work(transfer: $0, step: .begin) } : takePart()
            if let share = work?.share { busyWith[share] += 1 }
            return work
        }

        private mutating func takePart() -> Work? {
            if parts.isEmpty {
                startedAhead = nil
            } else if parts.count < limit, startedAhead == nil, let next = pendingUploads.next(.part) {
                startedAhead = next
                return Work(transfer: next, step: .begin)
            }
            if let work = parts.popLast() {
                if work.transfer === startedAhead { startedAhead = nil }
                return work
            }
            return pendingUploads.next(.part).map { Work(transfer: $0, step: .begin) }
        }

        mutating func takes(smallFile size: Int64, at now: Double) {
            smallFiles += 1
            smallBytes += size
            smallControl?.started(at: now)
        }

        mutating func updateSmallControl() {
            smallControl?.waiting = pendingUploads.waiting.small
        }

        mutating func note(_ answer: SmallAnswer, at now: Double) {
            let isOpen = hasRoom && (outlook.room == .open || outlook.room == .proven)
            smallControl?.isOpen = isOpen
            smallControl?.isEncrypted = answer.isEncrypted
            updateSmallControl()
            smallControl?.answered(answer.size, after: answer.seconds, inFlight: smallFiles, at: now)
        }

        /// Takes the limit from the control, if any.
        mutating func follow(_ change: (inout ConcurrencyControl) -> Void) {
            // Taken out, so that no copy shares its arrays.
            guard var changed = control.take() else { return }
            if idle > 0, busy < limit, !hasWork { changed.starved() }
            changed.room = hasRoom ? outlook.room : .narrow
            change(&changed)
            control = changed
            limit = changed.limit
        }
    }

    private let state: Monitor<State>
    private let concurrency: Int
    private let pacer: BodyPacer?
    private let began = Moment.now()

    /// - Parameters:
    ///   - concurrency: the maximum of concurrent requests.
    ///   - smallFiles: the maximum while small files are sent, if there is a pacer.
    ///   - pacer: adapts the number of requests to the link, starting with few; nil if the user set it.
    init(concurrency: Int, smallFiles: Int = 0, pacer: BodyPacer? = nil) {
        self.concurrency = concurrency
        self.pacer = pacer
        let control = pacer == nil ? nil : ConcurrencyControl(ceiling: concurrency)
        state = Monitor(
            State(
                limit: control?.limit ?? concurrency,
                control: control,
                smallControl: pacer == nil || smallFiles <= concurrency ? nil : SmallFileControl(ceiling: smallFiles),
                most: max(concurrency, smallFiles)
            )
        )
    }

    // MARK: Adding work

    /// Announces uploads before they are added.
    func announce(_ counts: Counts) {
        state.withLock { $0.pendingUploads.announce(counts) }
    }

    /// Adds announced uploads, in starting order per kind.
    func add(_ transfers: [Transfer]) {
        change { state in
            state.unfinished += transfers.count
            for transfer in transfers { state.pendingUploads.add(transfer) }
        }
    }

    /// All uploads have been added.
    func seal() {
        change { $0.isSealed = true }
    }

    /// Waits until few uploads of one of these kinds are left, or the queue is closed.
    ///
    /// - Returns: the kinds with few left; none if the queue is closed.
    func waitUntilShort(of kinds: [Share]) -> [Share] {
        state.wait { state in
            let short = kinds.filter { state.pendingUploads.isShort(of: $0) }
            let answer: [Share]? = state.isClosed ? [] : short.isEmpty ? nil : short
            state.awaited = answer == nil ? kinds : []
            return answer
        }
    }

    /// Kinds with few uploads left.
    func short(of kinds: [Share]) -> [Share] {
        state.withLock { state in kinds.filter { state.pendingUploads.isShort(of: $0) } }
    }

    var isClosed: Bool { state.withLock { $0.isClosed } }

    var isSealed: Bool { state.withLock { $0.isSealed } }

    // MARK: Taking work

    /// Whether one more thread is needed and allowed; if true, it counts as started.
    func wantsWorker() -> Bool {
        state.withLock { state in
            let isBusy = state.busy + state.ending + state.extra >= state.workers
            let canTake =
                state.workers < state.leave && (state.busy < state.limit && state.canTake || state.canTakeExtra)
            let wanted = !state.isClosed && isBusy && (canTake || state.rises)
            guard wanted || state.workers == 0 else { return false }
            state.workers += 1
            return true
        }
    }

    /// A counted worker could not be started.
    func missesWorker() { state.withLock { $0.workers -= 1 } }

    /// The next unit of work; nil at the end, or to stop a surplus worker.
    func next() -> Work? {
        var isIdle = false
        return state.wait(askingAgainAt: nextLook, wakingOthersIf: { $0.concernsOthers }) { state -> Work?? in
            if isIdle { state.idle -= 1 }
            let work = next(&state)
            isIdle = work == nil
            if isIdle { state.idle += 1 }
            return work
        }
    }

    /// When a waiting thread may take work although nothing changes.
    private func nextLook(_ state: State) -> Moment? {
        guard state.rises, let risesAt = state.smallControl?.risesAt else { return state.nextRetry }
        let moment = began.adding(seconds: risesAt)
        return state.nextRetry.map { min($0, moment) } ?? moment
    }

    /// Nil if nothing is available now.
    private func next(_ state: inout State) -> Work?? {
        if state.isOver { return .some(nil) }
        look(&state)
        state.updateSmallControl()
        if state.rises { state.smallControl?.pass(seconds) }
        let extraWork = state.takeEndBesideLimit(most: concurrency) ?? state.takeExtra()
        guard extraWork != nil || state.busy < state.limit else {
            // A worker above the limit leaves, instead of being woken by every change until the limit rises, which may
            // never happen.
            if state.workers <= state.mostWaiting { return nil }
            state.workers -= 1
            return .some(nil)
        }
        let hasRoom = state.hasRoom
        guard let work = extraWork ?? (hasRoom ? state.take() : state.urgent.popLast()) else {
            if hasRoom { state.control?.starved() }
            return nil
        }
        if extraWork == nil { state.busy += 1 }
        if let size = work.smallSize { state.takes(smallFile: size, at: seconds) }
        if work.bodySize > 0 {
            state.bodies += 1
            state.bodyBytes += work.bodySize
        }
        // Under this lock, so that work taken from the queue is always counted.
        work.transfer.change { $0.startWork() }
        return work
    }

    /// Whether no work is available.
    var isDry: Bool { state.withLock { !$0.hasWork } }

    /// How many units wait for their next attempt; for tests.
    var postponedCount: Int { state.withLock { $0.postponed.count } }

    /// How many threads wait for work or for few uploads; for tests.
    var sleepers: Int { state.withLock { $0.idle + ($0.awaited.isEmpty ? 0 : 1) } }

    /// Postpones work that has failed a few times: it waits behind all other work until its time.
    func postpone(_ work: Work, _ postponement: Postponement) {
        // Wakes all threads, because none may wait beyond the new time.
        state.update { state in
            var work = work
            work.earlier.count = postponement.failures
            work.earlier.isAmbiguous = postponement.isAmbiguous
            work.earlier.furthest = max(work.earlier.furthest, postponement.furthest)
            work.slot = .limit
            if case .part(var part) = work.step {
                part.bytesSent += postponement.bytesSent
                work.step = .part(part)
            }
            state.postponed.add(work, postponement, takingFrom: &state.parts)
        }
    }

    /// A unit of work has ended: done, failed or postponed.
    ///
    /// - Parameters:
    ///   - seconds: how long it took.
    ///   - isSuccess: whether it is done.
    func done(_ work: Work, in seconds: Double, isSuccess: Bool = true) {
        change { state in
            if work.isRetry { state.retries -= 1 }
            if isSuccess { state.parts.append(contentsOf: state.postponed.release(work.transfer).reversed()) }
            switch work.slot {
            case .limit: state.busy -= 1
            case .completion: state.ending -= 1
            case .smallFile: state.extra -= 1
            }
            if let size = work.smallSize {
                state.smallFiles -= 1
                state.smallBytes -= size
            }
            if work.bodySize > 0 {
                state.bodies -= 1
                state.bodyBytes -= work.bodySize
            }
            guard let share = work.share else { return }
            state.busyWith[share] -= 1
            state.share.took(share, seconds: seconds)
        }
    }

    /// Adds parts in order.
    func add(parts: [PartWork], of transfer: Transfer) {
        // Behind waiting parts of other transfers: the oldest upload finishes first.
        change { state in
            let parts = parts.map { Work(transfer: transfer, step: .part($0)) }
            if state.postponed.hold(parts, of: transfer) { return }
            state.parts.insert(contentsOf: parts.reversed(), at: 0)
        }
    }

    func add(completionOf transfer: Transfer) {
        change { $0.urgent.append(Work(transfer: transfer, step: .complete)) }
    }

    func add(reconciling transfer: Transfer, isGone: Bool) {
        change { $0.urgent.append(Work(transfer: transfer, step: .reconcile(isGone: isGone))) }
    }

    /// Drops the remaining work of a failed transfer.
    func drop(_ transfer: Transfer) {
        change { state in
            state.parts.removeAll { $0.transfer === transfer }
            state.urgent.removeAll { $0.transfer === transfer }
            state.postponed.drop(transfer)
        }
    }

    func transferEnded() {
        change { $0.unfinished -= 1 }
    }

    /// Stops handing out work.
    func close() {
        change { $0.isClosed = true }
    }

    // MARK: Concurrency

    /// The store asked to slow down.
    func throttled() {
        change(followsLink: true) { state in
            if state.control == nil { state.limit = max(1, min(state.limit, max(state.busy, 1)) / 2) }
            let (busy, now) = (state.busy, seconds)
            state.follow { $0.throttled(inFlight: busy, at: now) }
            state.smallControl?.throttled(inFlight: state.smallFiles, at: now)
        }
    }

    func connectionBroke() {
        let now = seconds
        change(followsLink: true) { state in
            state.follow { $0.broken(at: now) }
            state.smallControl?.broken(at: now)
        }
    }

    /// The store has acknowledged bytes.
    func delivered(_ bytes: Int64) {
        let now = seconds
        change(followsLink: true) { state in state.follow { $0.delivered(bytes, at: now) } }
    }

    /// A body has reached the store. If a fixed concurrency was halved, it rises by one.
    ///
    /// - Parameters:
    ///   - duration: seconds from the first byte to the answer.
    ///   - answer: of these, seconds after the last byte, if known.
    ///   - small: if it is a small file.
    func bodyDelivered(in duration: Double, answeredIn answer: Double = 0, of small: SmallAnswer? = nil) {
        let now = seconds
        change(followsLink: true) { state in
            state.postponed.noteRoom(at: .now())
            if let small { state.note(small, at: now) }
            if state.control != nil {
                // The control learns from what counts against its limit.
                if small?.slot == .smallFile { return }
                state.follow { $0.bodyDone(in: duration, answeredIn: answer, at: now) }
            } else if state.limit < concurrency {
                state.limit += 1
            }
        }
    }

    /// The store has answered a question about a small file.
    func answered(_ small: SmallAnswer) {
        let now = seconds
        change(followsLink: true) { $0.note(small, at: now) }
    }

    /// Makes every change that others may wait for.
    ///
    /// - Parameter followsLink: whether the limit depends on the change, so that the pacer's outlook must be current.
    ///   Waiting threads need it too. Querying it costs a good part of the work for a small file.
    private func change(followsLink: Bool = false, _ body: (inout State) -> Void) {
        state.update(if: { $0.concernsOthers }) { state in
            if followsLink || state.idle > 0 { look(&state) }
            body(&state)
        }
    }

    private func look(_ state: inout State) {
        if let pacer { state.outlook = pacer.outlook }
    }

    private var seconds: Double { Moment.now().seconds(since: began) }
}
