import MuleLedger
import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport
import Synchronization

/// Asks stores and tries again: warm connections, the waits between two tries, and the end of all trying.
///
/// For one thread. Threads that work on the same run have a client each, and share its stall timer and its cancellation.
final class StoreClient {
    /// What hears of the ends of single tries.
    struct Hooks: Sendable {
        /// The store asked for less.
        var throttled: @Sendable () -> Void = {}
        /// A connection broke.
        var broke: @Sendable () -> Void = {}
        /// A request is sent again at the moment, for a reason in a few words.
        var retries: @Sendable (_ reason: String, _ at: Moment) -> Void = { _, _ in }
    }

    let context: RetryContext
    /// Whether the work in hand was postponed before. Then a request that succeeds is no progress by itself: each retry would
    /// begin with one. The end of the work is.
    var isRetry = false
    private let ticks: StallTimer.Ticks?
    private var connections: [ObjectIdentifier: S3Connection] = [:]
    private var random = SystemRandomNumberGenerator()
    private var tryStart = Moment(nanoseconds: 0)

    var stallTimer: StallTimer { context.stallTimer }
    var cancellation: Cancellation { context.cancellation }
    private var policy: RetryPolicy { context.policy }

    /// One of several that share a context, whose stall timer others let tick.
    init(_ context: RetryContext) {
        self.context = context
        ticks = nil
    }

    /// One on its own, with a stall timer that ticks as long as it lives.
    init(settings: RunSettings, cancellation: Cancellation, ledger: Ledger) {
        context = RetryContext(
            settings: settings,
            stallTimer: StallTimer(limit: settings.stallLimit),
            cancellation: cancellation,
            ledger: ledger
        )
        ticks = context.stallTimer.startTicking()
    }

    /// The warm connection to the store.
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

    /// Retries a request of a transfer until it succeeds, is refused for good, or makes no progress for too long.
    ///
    /// - Parameter earlier: what has failed of the same piece of work before it was postponed. Nil where the work can't be
    ///   postponed, since it can't be started again: then all waiting is done here. Asked after each failure.
    /// - Parameter endsUnanswered: whether a request whose answer never came is the caller's to judge, before it is made again.
    /// - Returns: the result, or the refusal with its evidence for the caller to judge. `ambiguous` tells whether an
    ///   earlier try may have been carried out although its answer never came.
    /// - Throws: a failure with a `postponement` when the request is to be made again later, behind the work of others.
    func retrying<Result>(
        _ transfer: Transfer,
        after earlier: @autoclosure () -> EarlierFailures? = nil,
        endsUnanswered: Bool = false,
        _ request: (S3Connection) throws(S3Error) -> Result
    ) throws(UploadFailure) -> Answer<Result> {
        try retry(
            with: transfer.job.service,
            transfer,
            after: earlier,
            unless: { transfer.isStopped },
            endsUnanswered: endsUnanswered,
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
        endsUnanswered: Bool = false,
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
                    pause = try self.pause(after: error, tries.failures + (earlier?.count ?? 0), store, transfer)
                } catch {
                    var failure = error
                    failure.mayHaveBeenCarriedOut = tries.isAmbiguous || earlier?.isAmbiguous == true
                    throw failure
                }
                if endsUnanswered, error.isUnanswered { return .refused(error, ambiguous: true) }
                if let earlier, tries.hasFailedEnough(error, hadFailedBefore: earlier.count > 0) {
                    var failure = UploadFailure.postponed(until: pause, error, failures: earlier.count + tries.failures)
                    failure.postponement?.isAmbiguous = tries.isAmbiguous || earlier.isAmbiguous
                    throw failure
                }
                sleep(until: pause, cancellation)
            }
        }
    }

    /// The network is used from now on: reading and digesting what is sent is no part of a try.
    func noteTryStarts() {
        tryStart = stallTimer.activeTime
    }

    /// When to try again.
    ///
    /// - Throws: when the store, or the transfer alone, has failed for longer than is allowed.
    private func pause(
        after error: S3Error,
        _ failures: Int,
        _ store: StoreHealth,
        _ transfer: Transfer?
    ) throws(UploadFailure) -> Moment {
        let now = stallTimer.activeTime
        var remaining = allowance(of: store, error) - store.streak.seconds(at: now)
        guard remaining > 0 else {
            throw .stalled(for: allowance(of: store, error), error, hasAnswered: store.hasAnswered)
        }
        // Where the store takes nothing, nothing says that this object is what is wrong.
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
        // When the stall limit ends during the pause, one last try is made at its end.
        let until = Moment.now().adding(seconds: min(delay, remaining))
        context.hooks.retries(error.shortReason, until)
        return until
    }

    /// Seconds that a store may fail without any progress.
    private func allowance(of store: StoreHealth, _ error: S3Error) -> Double {
        // It is not the store that fails.
        if error.isWithoutSigner { return stallTimer.limit }
        // A wrong address should show soon; one that has answered before has a network that comes back.
        guard store.hasAnswered else { return min(stallTimer.limit, Self.firstAnswerLimit) }
        // A store that works and refuses these objects: each of them is to fail by itself first.
        let refusesObjects =
            error.hasDocument && error.retryClass == .transient && store.hasTakenBodies.load(ordering: .relaxed)
        return refusesObjects ? 2 * stallTimer.limit : stallTimer.limit
    }

    /// Seconds after which an endpoint that has never answered is taken for wrong.
    static let firstAnswerLimit = 30.0
}

/// The tries of one request.
private struct Tries {
    enum Next {
        case tryAtOnce, wait, interrupted
        case refused(ambiguous: Bool)
    }

    private(set) var failures = 0
    /// Whether one of them may have been carried out although its answer never came.
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
            // What is refused for its signature is not carried out.
            renewals += 1
            return .tryAtOnce
        }
        if error.mayHaveBeenCarriedOut { isAmbiguous = true }
        switch error.retryClass {
        case .cancelled: return .interrupted
        case .throttled: return .wait
        case .transient:
            // A server that answers 200 with something else will not learn S3 by being asked again, and each Create may
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

    /// Whether others should go first. A store that asks for less gets it at once.
    func hasFailedEnough(_ error: S3Error, hadFailedBefore: Bool) -> Bool {
        switch error.retryClass {
        case .throttled: true
        case .transient:
            // Answers that say nothing are counted here, to their end.
            if case .unreadable = error.cause { false } else { failures >= (hadFailedBefore ? 1 : 3) }
        default: false
        }
    }
}

/// Failures of a piece of work before it was postponed.
struct EarlierFailures: Sendable {
    var count = 0
    /// Bytes of the body that went out in one try, at most.
    var furthest: Int64 = 0
    /// Whether one of them may have been carried out although its answer never came.
    var isAmbiguous = false
}

/// When a piece of work is to be started again that has failed a few times.
struct Postponement: Sendable {
    var until: Moment
    /// Whether the store asked for less: then a body that has arrived shows that there is room.
    var isThrottled: Bool
    /// Whether the store named the time.
    var isFixed: Bool
    /// In all.
    var failures: Int
    /// Payload bytes that went out for nothing.
    var bytesSent: Int64 = 0
    /// Bytes of the body that went out in one try, at most.
    var furthest: Int64 = 0
    /// Whether a try may have been carried out although its answer never came.
    var isAmbiguous = false
}

/// The result of a request that was retried until it had one.
enum Answer<Result> {
    case success(Result, ambiguous: Bool)
    case refused(S3Error, ambiguous: Bool)
}

extension S3Error {
    /// Whether one connection was dropped for a better one.
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

    /// A store has made no progress for so many seconds.
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

    /// Requests of one object have failed for so many seconds, while the store served others.
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

    /// Not an end: the request is retried at that moment.
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
    /// Whether this process could not open a connection: it says nothing of the store.
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

    /// The operation and the reason of its failure, in a few words.
    fileprivate var waitingFor: String {
        "\(operation.rawValue)\(part.map { " of part \($0)" } ?? ""): \(shortReason)"
    }
}
