import MulePlan
import MuleSystem
import MuleTransport

/// A piece of work for one worker.
struct Work: Sendable {
    enum Step: Sendable {
        /// Look at the source and the store, and plan the parts.
        case begin
        /// What was recorded is not what the store has; `isGone` when it has said that it does not know the upload.
        case reconcile(isGone: Bool)
        indirect case part(PartWork)
        /// All parts are recorded.
        case complete
    }

    var transfer: Transfer
    var step: Step
    /// Whether it is carried out beside what the limit allows.
    fileprivate(set) var isBesideLimit = false
    /// What has failed of it before it was postponed.
    fileprivate(set) var earlier = EarlierFailures()

    var isRetry: Bool { earlier.count > 0 }

    init(transfer: Transfer, step: Step) {
        self.transfer = transfer
        self.step = step
    }

    /// Bytes that it is going to send in one body.
    fileprivate var bodySize: Int64 {
        switch step {
        case .begin: transfer.job.share == .small ? transfer.job.size ?? 0 : 0
        case .part(let part): part.candidate == nil && part.known == nil ? part.slice.length : 0
        case .reconcile, .complete: 0
        }
    }

    /// Whether it can be started again from its beginning. A stream that is being read can't.
    var canStartAgain: Bool {
        if case .begin = step { transfer.job.path != nil } else { true }
    }

    fileprivate var isCompletion: Bool {
        if case .complete = step { true } else { false }
    }

    /// What it counts as where files and parts share the workers; nil for what is neither.
    var share: Share? {
        switch step {
        case .begin: transfer.job.share == .small ? .small : nil
        case .part: .part
        case .reconcile, .complete: nil
        }
    }
}

/// What the workers of a run take their work from: files and parts of all files share it.
///
/// Ends of uploads go first, since they free what the upload holds, and second looks with them. Small files and parts of large
/// ones take turns by `FairShare`. A large one is begun when no part of another is waiting, so that an upload under way is
/// finished before the next is begun; but one is begun ahead of the last parts: when fewer of them wait than may be in flight, a
/// worker would soon have nothing to do for as long as the store takes to create the next upload.
final class WorkQueue: Sendable {
    private struct State {
        var urgent: [Work] = []
        var parts: [Work] = []
        var pendingUploads = PendingUploads()
        /// Transfers that have not come to their end.
        var unfinished = 0
        /// Whether there will be no more transfers than have been added.
        var isSealed = false
        /// The upload that was begun while parts of others were waiting, until one of its own is taken.
        var begunAhead: Transfer?
        var busy = 0
        /// What waits for its next try, and how many such tries are under way.
        var postponed = PostponedWork()
        var retries = 0
        /// Ends of uploads that are under way beside the limit.
        var ending = 0
        var busyWith = Counts()
        var share = FairShare()
        /// Threads that take work.
        var workers = 0
        var limit: Int
        /// What the limit follows; nil where it was asked for.
        var control: ConcurrencyControl?
        /// What may be in flight by the link's rate.
        var outlook = BodyPacer.Outlook()
        /// Bodies that are in somebody's hands, and their bytes.
        var bodies = 0
        var bodyBytes: Int64 = 0
        var isClosed = false
        /// Threads that wait for work.
        var idle = 0
        /// Kinds of which somebody waits until there are few.
        var awaited: [Share] = []

        /// There will be no more work.
        var isOver: Bool { isClosed || (isSealed && unfinished == 0) }

        /// Whether one of those who wait would go on. Most of what happens here concerns only who does it, and goes on itself.
        var concernsOthers: Bool {
            if idle > 0, isOver || (busy < limit ? canTake : workers > leave) || hasEndBesideLimit { return true }
            return !awaited.isEmpty && (isClosed || awaited.contains { pendingUploads.isShort(of: $0) })
        }

        private var hasEndBesideLimit: Bool { control != nil && urgent.contains(where: \.isCompletion) }

        var hasWork: Bool { !urgent.isEmpty || hasFreshWork || postponed.hasDue(at: .now()) }

        /// When a thread that waits may take a retry, which may be at once; nil where there is no place for one.
        var nextRetry: Moment? { busy < limit && hasRoom && mayRetry ? postponed.earliest : nil }

        /// What has failed before takes a quarter of the places at most while there is other work.
        private var mayRetry: Bool { retries < max(1, limit / 4) || !hasFreshWork }

        private var hasFreshWork: Bool { !parts.isEmpty || (mayBegin && !pendingUploads.isEmpty) }
        private var mayBegin: Bool { !postponed.isFull }
        /// Whether one more body of the size of the others may be in flight.
        var hasRoom: Bool {
            guard let budget = outlook.budget, bodies > 0 else { return true }
            return bodyBytes + bodyBytes / Int64(bodies) <= budget
        }
        /// Whether there is work that may be handed out.
        var canTake: Bool { hasRoom ? hasWork : !urgent.isEmpty }
        /// How many threads there is leave for.
        var leave: Int { limit + ending }

        /// An end that keeps nobody from sending.
        ///
        /// A store takes minutes to put thousands of parts together, in which nothing goes over the line. Where the line says how
        /// much may be in flight, this is not part of it; where a number was asked for, that is the number of requests.
        mutating func takeEndBesideLimit(most: Int) -> Work? {
            guard control != nil, ending < most, let index = urgent.lastIndex(where: \.isCompletion) else { return nil }
            ending += 1
            var work = urgent.remove(at: index)
            work.isBesideLimit = true
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
            // What is announced is an estimate; what is here must be given to somebody.
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
                begunAhead = nil
            } else if parts.count < limit, begunAhead == nil, let next = pendingUploads.next(.part) {
                begunAhead = next
                return Work(transfer: next, step: .begin)
            }
            if let work = parts.popLast() {
                if work.transfer === begunAhead { begunAhead = nil }
                return work
            }
            return pendingUploads.next(.part).map { Work(transfer: $0, step: .begin) }
        }

        /// Takes the limit from the control, if there is one.
        mutating func follow(_ change: (inout ConcurrencyControl) -> Void) {
            guard var changed = control else { return }
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
    ///   - concurrency: most requests at a time.
    ///   - pacer: what the link carries: then the queue begins with few, and the link decides. Nil where the number was asked for.
    init(concurrency: Int, pacer: BodyPacer? = nil) {
        self.concurrency = concurrency
        self.pacer = pacer
        let control = pacer == nil ? nil : ConcurrencyControl(ceiling: concurrency)
        state = Monitor(State(limit: control?.limit ?? concurrency, control: control))
    }

    // MARK: What comes in

    /// More uploads are known than have been added.
    func announce(_ counts: Counts) {
        state.withLock { $0.pendingUploads.announce(counts) }
    }

    /// Uploads in the order they are to begin, each kind by itself. They have been announced.
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

    /// Waits until one of these kinds has few that could be begun, or nobody wants any more.
    ///
    /// - Returns: the kinds of which there are few; none when nobody wants any more.
    func waitUntilShort(of kinds: [Share]) -> [Share] {
        state.wait { state in
            let short = kinds.filter { state.pendingUploads.isShort(of: $0) }
            let answer: [Share]? = state.isClosed ? [] : short.isEmpty ? nil : short
            state.awaited = answer == nil ? kinds : []
            return answer
        }
    }

    /// Kinds of which there are few.
    func short(of kinds: [Share]) -> [Share] {
        state.withLock { state in kinds.filter { state.pendingUploads.isShort(of: $0) } }
    }

    var isClosed: Bool { state.withLock { $0.isClosed } }

    // MARK: What goes out

    /// Whether there is work, and leave, for one more thread than there are; then it counts as there.
    func wantsWorker() -> Bool {
        state.withLock { state in
            let isBusy = state.busy + state.ending >= state.workers
            let wanted = !state.isClosed && isBusy && state.workers < state.leave && state.canTake
            guard wanted || state.workers == 0 else { return false }
            state.workers += 1
            return true
        }
    }

    /// A worker that counts as there could not be started.
    func missesWorker() { state.withLock { $0.workers -= 1 } }

    /// The next piece of work; nil when there will be none any more, or for one worker fewer.
    func next() -> Work? {
        var isIdle = false
        return state.wait(askingAgainAt: \.nextRetry, wakingOthersIf: \.concernsOthers) { state -> Work?? in
            if isIdle { state.idle -= 1 }
            let work = next(&state)
            isIdle = work == nil
            if isIdle { state.idle += 1 }
            return work
        }
    }

    /// Nil when there is nothing to be had for now.
    private func next(_ state: inout State) -> Work?? {
        if state.isOver { return .some(nil) }
        look(&state)
        let end = state.takeEndBesideLimit(most: concurrency)
        guard end != nil || state.busy < state.limit else {
            // Who would wait for a limit that may never rise again is woken by all that happens until then.
            if state.workers <= state.leave { return nil }
            state.workers -= 1
            return .some(nil)
        }
        let hasRoom = state.hasRoom
        guard let work = end ?? (hasRoom ? state.take() : state.urgent.popLast()) else {
            if hasRoom { state.control?.starved() }
            return nil
        }
        if end == nil { state.busy += 1 }
        if work.bodySize > 0 {
            state.bodies += 1
            state.bodyBytes += work.bodySize
        }
        // Under this lock: what is not in the queue any more is in the hands of somebody who is counted.
        work.transfer.change { $0.startWork() }
        return work
    }

    /// Whether no thread would get any work.
    var isDry: Bool { state.withLock { !$0.hasWork } }

    /// How many pieces of work wait for their next try; for tests.
    var postponedCount: Int { state.withLock { $0.postponed.count } }

    /// How many threads wait for work, or until there is little of it; for tests.
    var sleepers: Int { state.withLock { $0.idle + ($0.awaited.isEmpty ? 0 : 1) } }

    /// A piece of work has failed a few times. It goes behind all other, and waits for its time.
    func postpone(_ work: Work, _ postponement: Postponement) {
        // All who wait for work wait no longer than until then.
        state.update { state in
            var work = work
            work.earlier.count = postponement.failures
            work.earlier.isAmbiguous = postponement.isAmbiguous
            work.earlier.furthest = max(work.earlier.furthest, postponement.furthest)
            work.isBesideLimit = false
            if case .part(var part) = work.step {
                part.bytesSent += postponement.bytesSent
                work.step = .part(part)
            }
            state.postponed.add(work, postponement, takingFrom: &state.parts)
        }
    }

    /// A piece of work is over: carried out, failed, or postponed.
    ///
    /// - Parameters:
    ///   - seconds: that it took.
    ///   - isSuccess: whether it was carried out.
    func done(_ work: Work, in seconds: Double, isSuccess: Bool = true) {
        change { state in
            if work.isRetry { state.retries -= 1 }
            if isSuccess { state.parts.append(contentsOf: state.postponed.release(work.transfer).reversed()) }
            if work.isBesideLimit { state.ending -= 1 } else { state.busy -= 1 }
            if work.bodySize > 0 {
                state.bodies -= 1
                state.bodyBytes -= work.bodySize
            }
            guard let share = work.share else { return }
            state.busyWith[share] -= 1
            state.share.took(share, seconds: seconds)
        }
    }

    /// Parts to be taken in their order.
    func add(parts: [PartWork], of transfer: Transfer) {
        // Behind those of other transfers that are waiting: the oldest upload is finished first.
        change { state in
            let parts = parts.map { Work(transfer: transfer, step: .part($0)) }
            if state.postponed.hold(parts, of: transfer) { return }
            state.parts.insert(contentsOf: parts.reversed(), at: 0)
        }
    }

    func add(completionOf transfer: Transfer) {
        change { $0.urgent.append(Work(transfer: transfer, step: .complete)) }
    }

    func add(anotherLookAt transfer: Transfer, isGone: Bool) {
        change { $0.urgent.append(Work(transfer: transfer, step: .reconcile(isGone: isGone))) }
    }

    /// Forgets what was still to be done of a transfer that has failed.
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

    /// Nobody gets any more work.
    func close() {
        change { $0.isClosed = true }
    }

    // MARK: How much at a time

    /// The store asked for less.
    func throttled() {
        change(followsLink: true) { state in
            if state.control == nil { state.limit = max(1, min(state.limit, max(state.busy, 1)) / 2) }
            let (busy, now) = (state.busy, seconds)
            state.follow { $0.throttled(inFlight: busy, at: now) }
        }
    }

    func connectionBroke() {
        let now = seconds
        change(followsLink: true) { state in state.follow { $0.broken(at: now) } }
    }

    /// The other side has acknowledged bytes.
    func delivered(_ bytes: Int64) {
        let now = seconds
        change(followsLink: true) { state in state.follow { $0.delivered(bytes, at: now) } }
    }

    /// A body has reached the store. Where a fixed concurrency was halved, one more may be under way.
    ///
    /// - Parameters:
    ///   - duration: seconds from its first byte to the answer.
    ///   - answer: seconds of these from the last byte on, where that is known.
    func bodyDelivered(in duration: Double, answeredIn answer: Double = 0) {
        let now = seconds
        change(followsLink: true) { state in
            state.postponed.noteRoom(at: .now())
            if state.control != nil {
                state.follow { $0.bodyDone(in: duration, answeredIn: answer, at: now) }
            } else if state.limit < concurrency {
                state.limit += 1
            }
        }
    }

    /// Whoever changes what others may wait for does it here.
    ///
    /// - Parameter followsLink: whether the limit follows what has happened, and so what the link carries must be known. Threads that
    ///   wait need it too. To ask costs as much as a good part of the work for a small file.
    private func change(followsLink: Bool = false, _ body: (inout State) -> Void) {
        state.update(if: \.concernsOthers) { state in
            if followsLink || state.idle > 0 { look(&state) }
            body(&state)
        }
    }

    private func look(_ state: inout State) {
        if let pacer { state.outlook = pacer.outlook }
    }

    private var seconds: Double { Moment.now().seconds(since: began) }
}
