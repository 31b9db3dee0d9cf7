import MulePlan
import MuleSigning
import MuleSystem
import Synchronization

/// Temporary credentials that are fetched again before they end, once for all workers.
///
/// While they have less than 15 minutes to live, one of those who ask fetches new ones and the others go on with the old;
/// below 10 minutes all wait for the outcome (botocore's advisory and mandatory windows). A fetch that fails is fatal only
/// when the old ones have ended: until then they are used, and it is tried again from time to time.
final class RefreshingCredentials: CredentialsProvider {
    typealias Fetch = @Sendable () throws(CredentialsUnavailable) -> Credentials

    private struct State {
        var held: Held?
        var isFetching = false
        /// No fetch before, as long as there is something to use; after a failure, nor without.
        var nextTry = Moment(nanoseconds: 0)
        var failure: CredentialsUnavailable?
        /// Whether a refusal has led to a fetch since the store last accepted anything.
        var isUnproven = false
    }

    private enum Step {
        case use(Credentials)
        case fail(CredentialsUnavailable)
        case wait
        case fetch
    }

    private let state = Monitor(State())
    /// Told for every request; atomic, so that the common case takes no lock.
    private let wasAccepted = Atomic<Bool>(false)
    private let fetch: Fetch
    private let context: CredentialContext

    init(_ context: CredentialContext, fetch: @escaping Fetch) {
        self.context = context
        self.fetch = fetch
    }

    /// Fetches at once, so that a wrong configuration is told before anything is begun. What may succeed later does not
    /// count: the first request will ask again.
    func fetched() throws(CredentialsUnavailable) -> RefreshingCredentials {
        do throws(CredentialsUnavailable) {
            _ = try credentials()
        } catch {
            if !error.isTransient { throw error }
        }
        return self
    }

    func credentials() throws(CredentialsUnavailable) -> Credentials {
        while true {
            let step = state.withLock { state in
                let step = Self.step(state, at: context.now(), context.wallClock())
                if case .fetch = step { state.isFetching = true }
                return step
            }
            switch step {
            case .use(let credentials): return credentials
            case .fail(let failure): throw failure
            case .wait: state.wait { $0.isFetching ? nil : () }
            case .fetch: refresh()
            }
        }
    }

    func renew(refused: Credentials) throws(CredentialsUnavailable) -> Bool {
        let mayTry = state.withLock { state in
            if wasAccepted.exchange(false, ordering: .acquiringAndReleasing) { state.isUnproven = false }
            // Refused to another worker, which has got rid of them already.
            guard let held = state.held, held.credentials == refused else { return true }
            guard !state.isUnproven else { return false }
            state.isUnproven = true
            state.held = nil
            state.nextTry = context.now()
            state.failure = nil
            return true
        }
        return mayTry ? try credentials() != refused : false
    }

    func noteAccepted() {
        if !wasAccepted.load(ordering: .relaxed) { wasAccepted.store(true, ordering: .releasing) }
    }

    /// What is to be done now by whoever asks.
    private static func step(_ state: State, at now: Moment, _ time: UTCTime) -> Step {
        guard let held = state.held, held.remaining(at: now, time) > 0 else {
            if state.isFetching { return .wait }
            if let failure = state.failure, now < state.nextTry { return .fail(failure) }
            return .fetch
        }
        let remaining = held.remaining(at: now, time)
        if remaining > held.advisoryWindow { return .use(held.credentials) }
        if state.isFetching { return remaining > held.mandatoryWindow ? .use(held.credentials) : .wait }
        return now < state.nextTry ? .use(held.credentials) : .fetch
    }

    /// The fetch that this thread has claimed.
    private func refresh() {
        var fresh: Credentials?
        var failure: CredentialsUnavailable?
        do throws(CredentialsUnavailable) {
            fresh = try fetch()
        } catch {
            failure = error
        }
        let (now, time) = (context.now(), context.wallClock())
        let warning: String? = state.update { state in
            state.isFetching = false
            if let fresh {
                state.held = Held(fresh, at: now, time)
                state.failure = nil
                state.nextTry = now.adding(seconds: Self.pauseAfterSuccess)
                return nil
            }
            let isFirst = state.failure == nil
            state.failure = failure
            guard let held = state.held, held.remaining(at: now, time) > 0 else {
                state.nextTry = now.adding(seconds: Self.pauseWithout)
                return nil
            }
            let isAdvisory = held.remaining(at: now, time) > held.mandatoryWindow
            state.nextTry = now.adding(seconds: isAdvisory ? Self.advisoryPause : Self.mandatoryPause)
            guard isFirst, let failure else { return nil }
            return "could not refresh the credentials: \(failure.reason). Those in use expire at "
                + "\(held.credentials.expiration?.iso8601 ?? "an unknown time"); mule retries until then"
        }
        if let warning { context.notice(warning) }
    }

    /// Seconds between two fetches that bring what is about to end.
    private static let pauseAfterSuccess = 5.0
    /// Seconds between failing fetches while the old credentials are good, for long or not.
    private static let advisoryPause = 60.0
    private static let mandatoryPause = 15.0
    /// Seconds for which those who come late are given the failure of the one who has just tried.
    private static let pauseWithout = 1.0
}

/// Credentials with what tells how long they live.
private struct Held {
    let credentials: Credentials
    private let obtained: Moment
    /// Seconds from then on; infinite when the end is not known, or has passed already by this machine's clock: that may be
    /// wrong, and the store is the one to judge.
    private let life: Double

    init(_ credentials: Credentials, at now: Moment, _ time: UTCTime) {
        self.credentials = credentials
        obtained = now
        let life = credentials.expiration.map { Self.seconds(from: time, to: $0) } ?? .infinity
        self.life = life > 0 ? life : .infinity
    }

    /// The shorter of what the wall clock says, which goes on while the machine sleeps, and what a clock that never jumps
    /// says: a wall clock that is set back gives no credentials a longer life.
    func remaining(at now: Moment, _ time: UTCTime) -> Double {
        guard life.isFinite, let end = credentials.expiration else { return .infinity }
        return min(Self.seconds(from: time, to: end), life - now.seconds(since: obtained))
    }

    // Credentials that live for a quarter of an hour would be in botocore's windows from the start.
    var advisoryWindow: Double { min(900, life / 2) }
    var mandatoryWindow: Double { min(600, life / 4) }

    private static func seconds(from start: UTCTime, to end: UTCTime) -> Double {
        Double(end.millisecondsSince1970 - start.millisecondsSince1970) / 1000
    }
}

extension RefreshingCredentials: CustomReflectable {
    /// Shows nothing of what is held.
    var customMirror: Mirror { Mirror(self, children: [], displayStyle: .class) }
}
