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
        var limit: Int
        var isClosed = false
    }

    private let state: Monitor<State>
    private let concurrency: Int
    private let isAdaptive: Bool

    /// Requests that an adaptive queue begins with, and that it keeps on the slowest link.
    private static let fewestAtStart = 4
    private static let fewest = 2
    /// Seconds that a body may take. What is in flight is lost with the connection, so that on a slow link fewer bodies at
    /// a time cost nothing and lose less; shorter ones show that there is room for more.
    static let quickBody = 10.0
    static let slowBody = 20.0

    /// - Parameters:
    ///   - transfers: in the order they are to begin.
    ///   - concurrency: most requests at a time.
    ///   - isAdaptive: begin with few and let the link decide.
    init(_ transfers: [Transfer], concurrency: Int, isAdaptive: Bool = false) {
        self.concurrency = concurrency
        self.isAdaptive = isAdaptive
        state = Monitor(
            State(
                beginnings: transfers.reversed(),
                unfinished: transfers.count,
                limit: isAdaptive ? min(concurrency, Self.fewestAtStart) : concurrency
            )
        )
    }

    /// The next piece of work; nil when there will be none any more.
    func next() -> Work? {
        state.wait { state -> Work?? in
            if state.isClosed || state.unfinished == 0 { return .some(nil) }
            guard state.busy < state.limit else { return nil }
            let work =
                state.urgent.popLast() ?? state.parts.popLast()
                ?? state.beginnings.popLast().map { Work(transfer: $0, step: .begin) }
            guard let work else { return nil }
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

    // MARK: Throttling

    /// The store asked for less: half as many requests from now on, one at least.
    func halve() {
        state.update { $0.limit = max(1, min($0.limit, max($0.busy, 1)) / 2) }
    }

    /// A body has reached the store: one more may be under way, up to the run's concurrency, or one fewer.
    ///
    /// - Parameter seconds: how long the request took.
    func bodyDelivered(in seconds: Double) {
        state.update { state in
            if !isAdaptive || seconds < Self.quickBody {
                state.limit = min(state.limit + 1, concurrency)
            } else if seconds > Self.slowBody {
                state.limit = max(state.limit - 1, min(Self.fewest, concurrency))
            }
        }
    }
}
