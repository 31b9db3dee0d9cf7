import MuleLedger
import MuleS3
import MuleSystem
import Synchronization

/// What the clients of one run share: the retry policy and the health of the stores.
final class RetryContext: Sendable {
    let policy: RetryPolicy
    let stallTimer: StallTimer
    let cancellation: Cancellation
    let hooks: StoreClient.Hooks
    private let ledger: Ledger
    private let stores = Monitor<[ObjectIdentifier: StoreHealth]>([:])

    init(
        settings: RunSettings,
        stallTimer: StallTimer,
        cancellation: Cancellation,
        ledger: Ledger,
        hooks: StoreClient.Hooks = StoreClient.Hooks()
    ) {
        policy = settings.retry
        self.stallTimer = stallTimer
        self.cancellation = cancellation
        self.ledger = ledger
        self.hooks = hooks
    }

    /// The service must live as long as the context.
    func store(_ service: S3Service) -> StoreHealth {
        stores.withLock { stores in
            if let store = stores[ObjectIdentifier(service)] { return store }
            let store = StoreHealth(endpoint: service.endpoint.url, ledger)
            stores[ObjectIdentifier(service)] = store
            return store
        }
    }

    /// New bytes have moved.
    func noteBytes(_ store: StoreHealth, _ transfer: Transfer?) {
        stallTimer.noteProgress()
        let now = stallTimer.activeTime
        store.streak.noteBytes(at: now)
        transfer?.streak.noteBytes(at: now)
    }

    /// A request has succeeded.
    func noteProgress(_ store: StoreHealth, _ transfer: Transfer?) {
        stallTimer.noteProgress()
        let now = stallTimer.activeTime
        store.streak.noteProgress(at: now)
        transfer?.streak.noteProgress(at: now)
    }
}

/// The health of one store in a run, shared by all threads.
final class StoreHealth: Sendable {
    let streak = FailureStreak()
    /// Whether the store has accepted a body in this run.
    let hasTakenBodies = Atomic<Bool>(false)
    private let hasMissedLock = Atomic<Bool>(false)
    private let hasMissedEncryption = Atomic<Bool>(false)
    private let hasLookedForEncryption = Atomic<Bool>(false)
    private let answers: Atomic<Bool>
    private let endpoint: String
    private let ledger: Ledger

    private static let fact = "answered"
    /// Seconds for which an endpoint counts as correct after a run's first answer from it: a quarter of a year.
    private static let lifetime: Int64 = 90 * 86_400

    /// True for the first caller.
    func isFirstMissingLock() -> Bool { !hasMissedLock.exchange(true, ordering: .relaxed) }

    /// True for the first caller.
    func isFirstLookForEncryption() -> Bool { !hasLookedForEncryption.exchange(true, ordering: .relaxed) }

    /// True for the first caller.
    func isFirstMissingEncryption() -> Bool { !hasMissedEncryption.exchange(true, ordering: .relaxed) }

    init(endpoint: String, _ ledger: Ledger) {
        self.endpoint = endpoint
        self.ledger = ledger
        answers = Atomic((try? ledger.fact(Self.fact, of: endpoint)) != nil)
    }

    /// Whether the endpoint has ever answered a request of this ledger.
    var hasAnswered: Bool { answers.load(ordering: .relaxed) }

    func noteAnswer() {
        guard !answers.exchange(true, ordering: .relaxed) else { return }
        // If the fact cannot be stored, a later run learns it again. A broken ledger fails at the next commit anyway.
        try? ledger.remember(Self.fact, "yes", of: endpoint, lifetime: Self.lifetime)
    }
}
