package import MulePlan
package import MuleSigning
import MuleSystem
import Synchronization

/// The keys of the day that a backend of mule-uploader gives: asked for at the start, when the UTC day changes, and
/// when the store refuses one. Signs only requests to the backend's bucket.
package final class BackendKeys: CredentialsProvider {
    private struct State {
        var held: BackendAnswer?
        /// The first answer: bucket and region stay as they are there.
        var first: BackendAnswer?
        var isFetching = false
        /// No fetch before, as long as there is something to use.
        var nextTry = Moment(nanoseconds: 0)
        /// Whether a refusal has led to a fetch since the store last accepted anything.
        var isUnproven = false
    }

    private enum Step {
        case use(BackendAnswer)
        case wait
        case fetch
    }

    /// Milliseconds before and after its day for which a key serves: a store allows its clock and ours to differ by 15
    /// minutes.
    private static let grace: Int64 = 600_000
    /// Seconds between two fetches while the old key serves.
    private static let pause = 5.0

    private let state = Monitor(State())
    private let wasAccepted = Atomic<Bool>(false)
    private let fetch: @Sendable () throws(CredentialsUnavailable) -> BackendAnswer
    private let now: @Sendable () -> UTCTime
    private let untrusted: @Sendable (String) -> CredentialsUnavailable

    /// - Parameter now: the clock that decides when a day starts.
    package convenience init(_ backend: UploadBackend, now: @escaping @Sendable () -> UTCTime) {
        self.init(
            now: now,
            untrusted: { backend.client.failure(.untrusted($0)) },
            fetch: { () throws(CredentialsUnavailable) in try backend.signingKey() }
        )
    }

    init(
        now: @escaping @Sendable () -> UTCTime,
        untrusted: @escaping @Sendable (String) -> CredentialsUnavailable,
        fetch: @escaping @Sendable () throws(CredentialsUnavailable) -> BackendAnswer
    ) {
        self.now = now
        self.untrusted = untrusted
        self.fetch = fetch
    }

    /// The bucket that the backend serves, and its region.
    ///
    /// - Parameter time: the time of the signature that is needed next.
    package func place(at time: UTCTime? = nil) throws(CredentialsUnavailable) -> (bucket: String, region: String) {
        let answer = try answer(at: time ?? now())
        return (answer.bucket, answer.region)
    }

    package func credentials() throws(CredentialsUnavailable) -> Credentials { try credentials(at: now()) }

    package func credentials(at time: UTCTime) throws(CredentialsUnavailable) -> Credentials {
        try answer(at: time).credentials
    }

    private func answer(at time: UTCTime) throws(CredentialsUnavailable) -> BackendAnswer {
        while true {
            let moment = Moment.now()
            let step = state.withLock { state in
                let step = Self.step(state, at: moment, time)
                if case .fetch = step { state.isFetching = true }
                return step
            }
            switch step {
            case .use(let answer): return answer
            case .wait: state.wait { $0.isFetching ? nil : () }
            case .fetch: try refresh(for: time)
            }
        }
    }

    private static func step(_ state: State, at moment: Moment, _ time: UTCTime) -> Step {
        guard let held = state.held, held.distance(to: time) <= grace else { return state.isFetching ? .wait : .fetch }
        if held.distance(to: time) == 0 || state.isFetching || moment < state.nextTry { return .use(held) }
        return .fetch
    }

    /// The fetch that this thread has claimed. One that fails is an error only without a key that still serves.
    private func refresh(for time: UTCTime) throws(CredentialsUnavailable) {
        var fresh: BackendAnswer?
        var failure: CredentialsUnavailable?
        do throws(CredentialsUnavailable) {
            fresh = try fetch()
            if let fresh, fresh.distance(to: time) > Self.grace {
                throw untrusted(
                    "gives a key for \(fresh.date), and the day is \(time.basicDate) (UTC): its clock or that of this host is wrong"
                )
            }
        } catch {
            failure = error
        }
        let next = Moment.now().adding(seconds: Self.pause)
        let trouble = untrusted
        let outcome: CredentialsUnavailable? = state.update { state in
            state.isFetching = false
            state.nextTry = next
            if failure == nil, let fresh {
                if let first = state.first, first.bucket != fresh.bucket || first.region != fresh.region {
                    state.held = nil
                    return trouble(
                        "named the bucket \(first.bucket) in \(first.region) before and names \(fresh.bucket) in "
                            + "\(fresh.region) now"
                    )
                }
                state.first = state.first ?? fresh
                state.held = fresh
                return nil
            }
            if let held = state.held, held.distance(to: time) <= Self.grace { return nil }
            return failure
        }
        if let outcome { throw outcome }
    }

    package func renew(refused: Credentials) throws(CredentialsUnavailable) -> Bool {
        let accepted = wasAccepted.exchange(false, ordering: .acquiringAndReleasing)
        let mayTry = state.withLock { state in
            if accepted { state.isUnproven = false }
            // Refused to another worker, which has got rid of it.
            guard let held = state.held, held.credentials == refused else { return true }
            guard !state.isUnproven else { return false }
            state.isUnproven = true
            state.held = nil
            return true
        }
        guard mayTry else { return false }
        // The same key may be right once the store knows it: one more try is made with it.
        _ = try answer(at: now())
        return true
    }

    package func noteAccepted() {
        if !wasAccepted.load(ordering: .relaxed) { wasAccepted.store(true, ordering: .releasing) }
    }
}

extension BackendKeys: CustomReflectable {
    /// Shows nothing of what is held.
    package var customMirror: Mirror { Mirror(self, children: [], displayStyle: .class) }
}

/// Signs with the keys of a backend, and only what goes to its bucket.
package struct BackendSigner: RequestSigner {
    private let keys: BackendKeys
    private let signer: CredentialSigner
    private let host: String

    package init(_ keys: BackendKeys, region: String, host: String) {
        self.keys = keys
        self.host = host
        signer = CredentialSigner(keys, region: region)
    }

    package func inRegion(_ region: String) -> any RequestSigner { BackendSigner(keys, region: region, host: host) }

    package func sign(
        _ request: SignableRequest,
        _ action: RequestAction,
        at time: UTCTime
    ) throws(CredentialsUnavailable) -> RequestSignature {
        let bucket = try keys.place(at: time).bucket
        guard bucket.utf8.elementsEqual(action.bucket.utf8) else {
            throw CredentialsUnavailable(
                reason:
                    "The signer \(host) is for the bucket \(bucket), and the upload is to \(action.bucket). Nothing was "
                    + "sent.",
                kind: .untrusted
            )
        }
        return try signer.sign(request, action, at: time)
    }

    package func renew(refused: RequestSignature) throws(CredentialsUnavailable) -> Bool {
        try signer.renew(refused: refused)
    }

    package func noteAccepted() { signer.noteAccepted() }

    package func identity() throws(CredentialsUnavailable) -> SignerIdentity { try signer.identity() }
}
