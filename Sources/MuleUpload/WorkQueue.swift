import MulePlan
import MuleSystem

/// A piece of work for one worker.
struct Work: Sendable {
    enum Step: Sendable {
        /// Look at the source and the store, and plan the parts.
        case begin
        /// What was recorded is not what the store has; `isGone` when it has said that it does not know the upload.
        case lookAgain(isGone: Bool)
        case part(PartWork)
        /// All parts are recorded.
        case complete
    }

    var transfer: Transfer
    var step: Step
}

/// What the workers of a run take their work from: files and parts of all files share it.
///
/// Ends of uploads go first, since they free what the upload holds, and second looks with them; then parts; then beginnings, so that an upload under
/// way is finished before the next is begun, and the next is begun before a worker would have nothing to do.
final class WorkQueue: Sendable {
    private struct State {
        var urgent: [Work] = []
        var parts: [Work] = []
        var beginnings: [Transfer] = []
        /// Transfers that have not come to their end.
        var unfinished: Int
        var busy = 0
        /// Threads that take work.
        var workers: Int
        var limit: Int
        /// What the limit follows; nil where it was asked for.
        var control: ConcurrencyControl?
        var isClosed = false

        var hasWork: Bool { !urgent.isEmpty || !parts.isEmpty || !beginnings.isEmpty }

        /// Takes the limit from the control, if there is one.
        ///
        /// - Returns: whether more may be in flight than before.
        mutating func follow(_ change: (inout ConcurrencyControl) -> Void) -> Bool {
            guard var changed = control else { return false }
            let before = limit
            change(&changed)
            control = changed
            limit = changed.limit
            return limit > before
        }
    }

    private let state: Monitor<State>
    private let concurrency: Int
    private let began = Moment.now()

    /// - Parameters:
    ///   - transfers: in the order they are to begin.
    ///   - concurrency: most requests at a time.
    ///   - isAdaptive: begin with few and let the line decide.
    init(_ transfers: [Transfer], concurrency: Int, isAdaptive: Bool = false) {
        self.concurrency = concurrency
        let control = isAdaptive ? ConcurrencyControl(ceiling: concurrency) : nil
        state = Monitor(
            State(
                beginnings: transfers.reversed(),
                unfinished: transfers.count,
                workers: 0,
                limit: control?.limit ?? concurrency,
                control: control
            )
        )
    }

    /// Whether there is work, and leave, for one more thread than there are; then it counts as there.
    func wantsWorker() -> Bool {
        state.withLock { state in
            let wanted = !state.isClosed && state.busy >= state.workers && state.workers < state.limit && state.hasWork
            guard wanted || state.workers == 0 else { return false }
            state.workers += 1
            return true
        }
    }

    /// The next piece of work; nil when there will be none any more, or for one worker fewer.
    func next() -> Work? {
        state.wait { state -> Work?? in
            if state.isClosed || state.unfinished == 0 { return .some(nil) }
            guard state.busy < state.limit else {
                // Who would wait for a limit that may never rise again is woken by all that happens until then.
                if state.workers <= state.limit { return nil }
                state.workers -= 1
                return .some(nil)
            }
            let work =
                state.urgent.popLast() ?? state.parts.popLast()
                ?? state.beginnings.popLast().map { Work(transfer: $0, step: .begin) }
            guard let work else {
                state.control?.starved()
                return nil
            }
            state.busy += 1
            // Under this lock: what is not in the queue any more is in the hands of somebody who is counted.
            work.transfer.state.withLock { $0.workers += 1 }
            return work
        }
    }

    /// A piece of work has been carried out, or given up.
    func workDone() {
        state.update { $0.busy -= 1 }
    }

    /// Parts to be taken in their order.
    func add(parts: [PartWork], of transfer: Transfer) {
        // Behind those of other transfers that are waiting: the oldest upload is finished first.
        state.update { state in
            state.parts.insert(contentsOf: parts.reversed().map { Work(transfer: transfer, step: .part($0)) }, at: 0)
        }
    }

    func add(completionOf transfer: Transfer) {
        state.update { $0.urgent.append(Work(transfer: transfer, step: .complete)) }
    }

    func add(anotherLookAt transfer: Transfer, isGone: Bool) {
        state.update { $0.urgent.append(Work(transfer: transfer, step: .lookAgain(isGone: isGone))) }
    }

    /// Forgets what was still to be done of a transfer that has failed.
    func drop(_ transfer: Transfer) {
        state.update { state in
            state.parts.removeAll { $0.transfer === transfer }
            state.urgent.removeAll { $0.transfer === transfer }
        }
    }

    func transferEnded() {
        state.update { $0.unfinished -= 1 }
    }

    /// Nobody gets any more work.
    func close() {
        state.update { $0.isClosed = true }
    }

    // MARK: How much at a time

    /// The store asked for less.
    func throttled() {
        _ = state.withLock { state in
            if state.control == nil { state.limit = max(1, min(state.limit, max(state.busy, 1)) / 2) }
            let (busy, now) = (state.busy, seconds)
            return state.follow { $0.throttled(inFlight: busy, at: now) }
        }
    }

    func connectionBroke() {
        let now = seconds
        _ = state.withLock { state in state.follow { $0.broken(at: now) } }
    }

    /// The other side has acknowledged bytes.
    func delivered(_ bytes: Int64) {
        let now = seconds
        if state.withLock({ state in state.follow { $0.delivered(bytes, at: now) } }) { wakeAll() }
    }

    /// A body has reached the store. Where a fixed concurrency was halved, one more may be under way.
    ///
    /// - Parameter duration: seconds from its first byte to the answer.
    func bodyDelivered(in duration: Double) {
        let now = seconds
        let mayMore = state.withLock { state in
            guard state.control == nil else { return state.follow { $0.bodyDone(in: duration, at: now) } }
            guard state.limit < concurrency else { return false }
            state.limit += 1
            return true
        }
        if mayMore { wakeAll() }
    }

    private func wakeAll() {
        state.update { _ in }
    }

    private var seconds: Double { Moment.now().seconds(since: began) }
}
