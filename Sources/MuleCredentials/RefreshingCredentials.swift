import MulePlan
import MuleSigning
import MuleSystem
import Synchronization

/// Temporary credentials that are renewed before they expire, once for all workers.
///
/// Less than 15 minutes before they expire, one worker fetches new ones while the others use the old ones; below 10
/// minutes all wait for the result (botocore's advisory and mandatory windows). A failed fetch is fatal only after the
/// old ones have expired: until then they are used, and the fetch is repeated from time to time.
final class RefreshingCredentials: CredentialsProvider {
    typealias Fetch = @Sendable () throws(CredentialsUnavailable) -> Credentials

    private struct State {
        var held: Held?
        var isFetching = false
        /// No fetch before this time while there are valid credentials; after a failure, not even without.
        var nextTry = Moment(nanoseconds: 0)
        var failure: CredentialsUnavailable?
        /// Whether a refusal has caused a fetch since the store last accepted a request.
        var isUnproven = false
    }

    private enum Step {
        case use(Credentials)
        case fail(CredentialsUnavailable)
        case wait
        case fetch
    }

    private let state = Monitor(State())
    /// Set after every request; atomic, so that the common case takes no lock.
    private let wasAccepted = Atomic<Bool>(false)
    private let fetch: Fetch
    private let context: CredentialContext

    init(_ context: CredentialContext, fetch: @escaping Fetch) {
        self.context = context
        self.fetch = fetch
    }

    /// Fetches at once, so that a wrong configuration is reported before anything starts. Ignores failures that a retry
    /// may fix: the first request fetches again.
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
            // Another worker's were refused too, and have been replaced.
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

    /// What the calling worker must do now.
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

    /// Performs the fetch that this thread has claimed.
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

    /// Seconds between two fetches that return credentials about to expire.
    private static let pauseAfterSuccess = 5.0
    /// Seconds between failed fetches while the old credentials are valid, in the advisory and the mandatory window.
    private static let advisoryPause = 60.0
    private static let mandatoryPause = 15.0
    /// Seconds during which other workers get the failure of the last fetch.
    private static let pauseWithout = 1.0
}

/// Credentials and how long they are valid.
private struct Held {
    let credentials: Credentials
    private let obtained: Moment
    /// Seconds from then on; infinite if the expiration is unknown, or has already passed by this machine's clock,
    /// which may be wrong: the store decides.
    private let life: Double

    init(_ credentials: Credentials, at now: Moment, _ time: UTCTime) {
        self.credentials = credentials
        obtained = now
        let life = credentials.expiration.map { Self.seconds(from: time, to: $0) } ?? .infinity
        self.life = life > 0 ? life : .infinity
    }

    /// The shorter of two times: by the wall clock, which continues while the machine is suspended, and by the
    /// monotonic clock, so that setting the clock back does not extend them.
    func remaining(at now: Moment, _ time: UTCTime) -> Double {
        guard life.isFinite, let end = credentials.expiration else { return .infinity }
        return min(Self.seconds(from: time, to: end), life - now.seconds(since: obtained))
    }

    // With botocore's windows alone, credentials valid for 15 minutes would always be in them.
    var advisoryWindow: Double { min(900, life / 2) }
    var mandatoryWindow: Double { min(600, life / 4) }

    private static func seconds(from start: UTCTime, to end: UTCTime) -> Double {
        Double(end.millisecondsSince1970 - start.millisecondsSince1970) / 1000
    }
}

extension RefreshingCredentials: CustomReflectable {
    /// Hides the credentials.
    var customMirror: Mirror { Mirror(self, children: [], displayStyle: .class) }
}
