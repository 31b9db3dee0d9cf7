import MuleLedger
import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport
import Synchronization

/// Sends requests with retries: owns the connections, waits between attempts, and decides when to stop.
///
/// Used by one thread. Each thread of a run has its own client; all share the stall timer and the cancellation.
final class StoreClient {
    /// Called when single attempts end.
    struct Hooks: Sendable {
        /// The store asked to slow down.
        var throttled: @Sendable () -> Void = {}
        /// A connection broke.
        var broke: @Sendable () -> Void = {}
        /// A request is retried at that moment, for a short reason.
        var retries: @Sendable (_ reason: String, _ at: Moment) -> Void = { _, _ in }
    }

    let context: RetryContext
    /// Whether the current work was postponed before. Then a successful request alone is no progress, because each
    /// retry starts with one; only the end of the work is.
    var isRetry = false
    private let ticks: StallTimer.Ticks?
    private var connections: [ObjectIdentifier: S3Connection] = [:]
    private var random = SystemRandomNumberGenerator()
    private var tryStart = Moment(nanoseconds: 0)

    var stallTimer: StallTimer { context.stallTimer }
    var cancellation: Cancellation { context.cancellation }
    private var policy: RetryPolicy { context.policy }

    /// A client that shares a context, whose stall timer ticks elsewhere.
    init(_ context: RetryContext) {
        self.context = context
        ticks = nil
    }

    /// A standalone client, whose stall timer ticks as long as the client lives.
    init(settings: RunSettings, cancellation: Cancellation, ledger: Ledger) {
        context = RetryContext(
            settings: settings,
            stallTimer: StallTimer(limit: settings.stallLimit),
            cancellation: cancellation,
            ledger: ledger
        )
        ticks = context.stallTimer.startTicking()
    }

    /// The open connection to the store.
    private func connection(_ service: S3Service) throws(UploadFailure) -> S3Connection {
        if let connection = connections[ObjectIdentifier(service)] { return connection }
        do {
            let connection = try S3Connection(service: service)
            connections[ObjectIdentifier(service)] = connection
            return connection
        } catch {
            var failure = UploadFailure(.usage, "Cannot connect: \(error.sentence).")
            failure.scope = .store
            throw failure
        }
    }

    /// Retries a request of a transfer until it succeeds, is refused permanently, or makes no progress for too long.
    ///
    /// - Parameter earlier: earlier failures of the same work before it was postponed; read after each failure. Nil if
    ///   the work cannot be postponed because it cannot be restarted: then all waiting happens here.
    /// - Parameter returnsAfter: the failures that return to the caller before the request is sent again.
    /// - Returns: the result, or the refusal with its evidence. `ambiguous` says whether the store may have executed an
    ///   earlier attempt whose answer was lost.
    /// - Throws: a failure with a `postponement` if the request must be retried later, after other work.
    func retrying<Result>(
        _ transfer: Transfer,
        after earlier: @autoclosure () -> EarlierFailures? = nil,
        returnsAfter: (S3Error) -> Bool = { _ in false },
        _ request: (S3Connection) throws(S3Error) -> Result
    ) throws(UploadFailure) -> Answer<Result> {
        try retry(
            with: transfer.job.service,
            transfer,
            after: earlier,
            unless: { transfer.isStopped },
            returnsAfter: returnsAfter,
            request
        )
    }

    /// The same for a request that belongs to no transfer.
    func retrying<Result>(
        with service: S3Service,
        unless isStopped: () -> Bool = { false },
        _ request: (S3Connection) throws(S3Error) -> Result
    ) throws(UploadFailure) -> Answer<Result> {
        try retry(with: service, nil, after: { nil }, unless: isStopped, request)
    }

    private func retry<Result>(
        with service: S3Service,
        _ transfer: Transfer?,
        after earlier: () -> EarlierFailures?,
        unless isStopped: () -> Bool,
        returnsAfter: (S3Error) -> Bool = { _ in false },
        _ request: (S3Connection) throws(S3Error) -> Result
    ) throws(UploadFailure) -> Answer<Result> {
        let store = context.store(service)
        var tries = Tries(policy)
        while true {
            if cancellation.isCancelled || isStopped() { throw .interrupted }
            let connection = try connection(service)
            noteTryStarts()
            do throws(S3Error) {
                let result = try request(connection)
                store.noteAnswer()
                if !isRetry { context.noteProgress(store, transfer) }
                return .success(result, ambiguous: tries.isAmbiguous)
            } catch {
                if error.hasAnswer { store.noteAnswer() }
                switch tries.next(after: error) {
                case .tryAtOnce: continue
                case .interrupted: throw .interrupted
                case .refused(let ambiguous): return .refused(error, ambiguous: ambiguous)
                case .wait: break
                }
                if error.retryClass == .throttled { context.hooks.throttled() }
                if case .transport = error.cause, !error.isLeftBehind { context.hooks.broke() }
                let now = stallTimer.activeTime
                let answered = error.status != nil
                store.streak.noteFailure(ofTryStartedAt: tryStart, at: now, answered: answered)
                transfer?.streak.noteFailure(ofTryStartedAt: tryStart, at: now, answered: answered)
                let earlier = earlier()
                let pause: Moment
                do throws(UploadFailure) {
                    pause = try self.pause(
                        after: error,
                        tries.failures + (earlier?.count ?? 0),
                        store,
                        transfer: transfer
                    )
                } catch {
                    var failure = error
                    failure.mayHaveSucceeded = tries.isAmbiguous || earlier?.isAmbiguous == true
                    throw failure
                }
                if returnsAfter(error) { return .refused(error, ambiguous: true) }
                if let earlier, tries.hasFailedEnough(error, hadFailedBefore: earlier.count > 0) {
                    var failure = UploadFailure.postponed(until: pause, error, failures: earlier.count + tries.failures)
                    failure.postponement?.isAmbiguous = tries.isAmbiguous || earlier.isAmbiguous
                    throw failure
                }
                sleep(until: pause, cancellation)
            }
        }
    }

    /// The network is used from now on; reading and digesting the data before this do not count as part of an attempt.
    func noteTryStarts() {
        tryStart = stallTimer.activeTime
    }

    /// When to retry.
    ///
    /// - Throws: if the store, or only the transfer, has failed for longer than allowed.
    private func pause(
        after error: S3Error,
        _ failures: Int,
        _ store: StoreHealth,
        transfer: Transfer?
    ) throws(UploadFailure) -> Moment {
        let now = stallTimer.activeTime
        var remaining = allowance(of: store, error) - store.streak.seconds(at: now)
        guard remaining > 0 else {
            throw .stalled(for: allowance(of: store, error), error, hasAnswered: store.hasAnswered)
        }
        // Unless the store has accepted other bodies, nothing shows that this object is the problem.
        if let transfer, store.hasTakenBodies.load(ordering: .relaxed) {
            remaining = min(remaining, stallTimer.limit - transfer.streak.seconds(at: now))
            guard remaining > 0 else { throw .stalledAlone(for: stallTimer.limit, transfer, error) }
        }
        let delay = policy.delay(
            for: error.retryClass,
            failures: failures,
            retryAfter: error.retryAfter,
            random: Double.random(in: 0..<1, using: &random)
        )
        // If the stall limit ends during the pause, one last attempt is made at its end.
        let until = Moment.now().adding(seconds: min(delay, remaining))
        context.hooks.retries(error.shortReason, until)
        return until
    }

    /// Seconds for which a store may fail without progress.
    private func allowance(of store: StoreHealth, _ error: S3Error) -> Double {
        // The signer fails, not the store.
        if error.isWithoutSigner { return stallTimer.limit }
        // A wrong address must show soon; for an endpoint that has answered before, the network may come back.
        guard store.hasAnswered else { return min(stallTimer.limit, Self.firstAnswerLimit) }
        // The store works but refuses these objects: each must reach its own limit first.
        let refusesObjects =
            error.hasDocument && error.retryClass == .transient && store.hasTakenBodies.load(ordering: .relaxed)
        return refusesObjects ? 2 * stallTimer.limit : stallTimer.limit
    }

    /// Seconds after which an endpoint that has never answered counts as wrong.
    static let firstAnswerLimit = 30.0
}

/// The attempts of one request.
private struct Tries {
    enum Next {
        case tryAtOnce, wait, interrupted
        case refused(ambiguous: Bool)
    }

    private(set) var failures = 0
    /// Whether the store may have executed an attempt whose answer was lost.
    private(set) var isAmbiguous = false
    private let policy: RetryPolicy
    private var damages = 0
    private var unreadable = 0
    private var renewals = 0

    init(_ policy: RetryPolicy) {
        self.policy = policy
    }

    mutating func next(after error: S3Error) -> Next {
        failures += 1
        if error.hasNewCredentials, renewals < policy.renewals {
            // A request refused for its signature was not executed.
            renewals += 1
            return .tryAtOnce
        }
        if error.mayHaveSucceeded { isAmbiguous = true }
        switch error.retryClass {
        case .cancelled: return .interrupted
        case .throttled: return .wait
        case .transient:
            // A server that answers 200 with something else does not speak S3, so few retries suffice; each Create may
            // leave an upload behind.
            guard case .unreadable = error.cause else { return .wait }
            unreadable += 1
            return unreadable < policy.unreadableTries ? .wait : .refused(ambiguous: true)
        case .damaged:
            damages += 1
            return damages < policy.damagedTries ? .wait : .refused(ambiguous: isAmbiguous)
        case .credentials where error.renewalFailure?.isTransient == true: return .wait
        case .clock, .credentials, .redirected, .reconcile, .unsupported, .fatal:
            return .refused(ambiguous: isAmbiguous)
        }
    }

    /// Whether other work should go first: at once if the store asked to slow down.
    func hasFailedEnough(_ error: S3Error, hadFailedBefore: Bool) -> Bool {
        switch error.retryClass {
        case .throttled: true
        case .transient:
            // Unreadable answers have their own limit.
            if case .unreadable = error.cause { false } else { failures >= (hadFailedBefore ? 1 : 3) }
        default: false
        }
    }
}

/// Failures of a piece of work before it was postponed.
struct EarlierFailures: Sendable {
    var count = 0
    /// The most bytes of the body that one attempt sent.
    var furthest: Int64 = 0
    /// Whether the store may have executed an attempt whose answer was lost.
    var isAmbiguous = false
}

/// When to restart work that has failed a few times.
struct Postponement: Sendable {
    var until: Moment
    /// Whether the store asked to slow down: then an accepted body shows that it has capacity again.
    var isThrottled: Bool
    /// Whether the store named the time.
    var isFixed: Bool
    /// Total failures.
    var failures: Int
    /// Payload bytes that were sent in vain.
    var bytesSent: Int64 = 0
    /// The most bytes of the body that one attempt sent.
    var furthest: Int64 = 0
    /// Whether the store may have executed an attempt whose answer was lost.
    var isAmbiguous = false
}

/// The final result of a request after its retries.
enum Answer<Result> {
    case success(Result, ambiguous: Bool)
    case refused(S3Error, ambiguous: Bool)
}

extension S3Error {
    /// Whether the connection was dropped for a faster one.
    var isLeftBehind: Bool {
        if case .transport(.leftBehind) = cause { true } else { false }
    }
}

extension UploadFailure {
    package static let interrupted = UploadFailure(
        .interrupted,
        "Interrupted. Uploaded parts are kept; run the same command again to resume.",
        isResumable: true
    )

    /// A store has made no progress for this many seconds.
    fileprivate static func stalled(for limit: Double, _ error: S3Error, hasAnswered: Bool) -> UploadFailure {
        if error.isWithoutSigner {
            var failure = UploadFailure(
                .network,
                "No signatures for \(Int(limit)) s (last error: \(error.waitingFor)). Check --signer. Uploaded parts are kept; run "
                    + "the same command again once the signer answers.",
                evidence: error,
                isResumable: true
            )
            failure.scope = .store
            return failure
        }
        let proxyCure: String? =
            if case .transport(.network(let failure)) = error.cause { failure.proxyCure } else { nil }
        let cure =
            if error.isOwnShortage {
                "\(error.cure ?? "") Uploaded parts are kept; run the same command again."
            } else if let proxyCure {
                "\(proxyCure) Then run the same command again."
            } else if !hasAnswered, error.isUnknownHost, let cure = error.cure {
                "\(cure) Then run the same command again."
            } else if hasAnswered {
                "Uploaded parts are kept; run the same command again once the network is back."
            } else {
                "\(error.address) has never answered. Check --endpoint-url and its port; then run the same command "
                    + "again."
            }
        var failure = UploadFailure(
            .network,
            "No progress at \(error.address) for \(Int(limit)) s (last error: \(error.waitingFor)). \(cure)",
            evidence: error,
            isResumable: true
        )
        failure.scope = .store
        return failure
    }

    /// Requests for one object have failed for this many seconds, while the store served others.
    fileprivate static func stalledAlone(for limit: Double, _ transfer: Transfer, _ error: S3Error) -> UploadFailure {
        UploadFailure(
            .network,
            "Requests for \(transfer.name) have failed for \(Int(limit)) s, while \(error.address) served other "
                + "requests (last error: \(error.waitingFor)). Uploaded parts are kept; run the same command again "
                + "later.",
            evidence: error,
            isResumable: true
        )
    }

    /// Not final: the request is retried at that moment.
    fileprivate static func postponed(until moment: Moment, _ error: S3Error, failures: Int) -> UploadFailure {
        var failure = UploadFailure(.network, error.shortReason, evidence: error, isResumable: true)
        failure.postponement = Postponement(
            until: moment,
            isThrottled: error.retryClass == .throttled,
            isFixed: error.retryAfter != nil,
            failures: failures
        )
        return failure
    }
}

extension S3Error {
    /// Whether this process could not open a socket, which says nothing about the store.
    fileprivate var isOwnShortage: Bool {
        if case .transport(.network(let failure)) = cause, case .noSocket = failure.reason { true } else { false }
    }

    /// Whether the request was not signed, since the signer cannot be reached.
    fileprivate var isWithoutSigner: Bool {
        if case .noCredentials(let unavailable) = cause { unavailable.kind == .unreachable } else { false }
    }

    fileprivate var isUnknownHost: Bool {
        if case .transport(.network(let failure)) = cause { failure.reason == .noSuchHost } else { false }
    }

    fileprivate var cure: String? {
        if case .transport(let error) = cause { error.cure } else { nil }
    }

    /// The operation and the short reason of its failure.
    fileprivate var waitingFor: String {
        "\(operation.rawValue)\(part.map { " of part \($0)" } ?? ""): \(shortReason)"
    }
}
