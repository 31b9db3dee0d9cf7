import MuleLedger
import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport

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

    let stallTimer: StallTimer
    let cancellation: Cancellation
    private let policy: RetryPolicy
    private let hooks: Hooks
    private let ticks: StallTimer.Ticks?
    private var connections: [ObjectIdentifier: S3Connection] = [:]
    private var random = SystemRandomNumberGenerator()

    /// One of several that share a stall timer, which others let tick.
    init(_ policy: RetryPolicy, stallTimer: StallTimer, cancellation: Cancellation, hooks: Hooks = Hooks()) {
        self.policy = policy
        self.stallTimer = stallTimer
        self.cancellation = cancellation
        self.hooks = hooks
        ticks = nil
    }

    /// One on its own, with a stall timer that ticks as long as it lives.
    init(settings: RunSettings, cancellation: Cancellation) {
        policy = settings.retry
        stallTimer = StallTimer(limit: settings.stallLimit)
        self.cancellation = cancellation
        hooks = Hooks()
        ticks = stallTimer.startTicking()
    }

    /// The warm connection to the store.
    private func connection(_ service: S3Service) throws(UploadFailure) -> S3Connection {
        if let connection = connections[ObjectIdentifier(service)] { return connection }
        do {
            let connection = try S3Connection(service: service)
            connections[ObjectIdentifier(service)] = connection
            return connection
        } catch {
            var failure = UploadFailure(.usage, "No connection can be made: \(error.sentence).")
            failure.stopsRun = true
            throw failure
        }
    }

    /// Makes a request of a transfer until it succeeds, is refused for good, or nothing has moved for too long.
    ///
    /// - Returns: the result, or the refusal with its evidence for the caller to judge. `ambiguous` tells whether an
    ///   earlier try may have been carried out although its answer never came.
    func retrying<Result>(
        _ transfer: Transfer,
        _ request: (S3Connection) throws(S3Error) -> Result
    ) throws(UploadFailure) -> Answer<Result> {
        try retrying(with: transfer.job.service, unless: { transfer.isStopped }, request)
    }

    /// The same for a request that belongs to no transfer.
    func retrying<Result>(
        with service: S3Service,
        unless isStopped: () -> Bool = { false },
        _ request: (S3Connection) throws(S3Error) -> Result
    ) throws(UploadFailure) -> Answer<Result> {
        var failures = 0
        var damages = 0
        var unreadable = 0
        var renewals = 0
        var isAmbiguous = false
        while true {
            if cancellation.isCancelled || isStopped() { throw .interrupted }
            let connection = try connection(service)
            do throws(S3Error) {
                let result = try request(connection)
                stallTimer.noteProgress()
                return .success(result, ambiguous: isAmbiguous)
            } catch {
                failures += 1
                if error.hasNewCredentials, renewals < policy.renewals {
                    // What is refused for its signature is not carried out.
                    renewals += 1
                    continue
                }
                switch error.retryClass {
                case .cancelled: throw .interrupted
                case .throttled: hooks.throttled()
                case .transient:
                    if !error.wasNotSent { isAmbiguous = true }
                    if case .transport = error.cause, !error.isLeftBehind { hooks.broke() }
                    // A server that answers 200 with something else will not learn S3 by being asked again, and each
                    // Create may leave an upload behind.
                    if case .unreadable = error.cause {
                        unreadable += 1
                        if unreadable >= policy.unreadableTries { return .refused(error, ambiguous: true) }
                    }
                case .damaged:
                    damages += 1
                    if damages >= policy.damagedTries { return .refused(error, ambiguous: isAmbiguous) }
                case .credentials where error.renewalFailure?.isTransient == true: break
                case .clock, .credentials, .redirected, .reconcile, .unsupported, .fatal:
                    return .refused(error, ambiguous: isAmbiguous)
                }
                try wait(afterFailure: failures, error)
            }
        }
    }

    private func wait(afterFailure failures: Int, _ error: S3Error) throws(UploadFailure) {
        let remaining = stallTimer.remaining
        guard remaining > 0 else { throw .stalled(for: stallTimer.limit, error) }
        let delay = policy.delay(
            for: error.retryClass,
            failures: failures,
            retryAfter: error.retryAfter,
            random: Double.random(in: 0..<1, using: &random)
        )
        // When the stall limit ends during the pause, one last try is made at its end.
        let until = Moment.now().adding(seconds: min(delay, remaining))
        hooks.retries(error.shortReason, until)
        sleep(until: until, cancellation)
    }
}

/// The end of a request that was tried until it had one.
enum Answer<Result> {
    case success(Result, ambiguous: Bool)
    case refused(S3Error, ambiguous: Bool)
}

extension S3Error {
    /// Whether one connection was given up for a better one.
    var isLeftBehind: Bool {
        if case .transport(.leftBehind) = cause { true } else { false }
    }
}

extension UploadFailure {
    package static let interrupted = UploadFailure(
        .interrupted,
        "Interrupted. Finished parts are kept; run the same command again to go on.",
        isResumable: true
    )

    /// Nothing has moved for longer than the stall limit, in seconds.
    fileprivate static func stalled(for limit: Double, _ error: S3Error) -> UploadFailure {
        var failure = UploadFailure(
            .network,
            "Nothing has moved for \(Int(limit)) s; the last reason: \(error.shortReason). Finished parts are "
                + "kept; run the same command again when the way to the store is clear.",
            evidence: error,
            isResumable: true
        )
        failure.stopsRun = true
        return failure
    }
}
