package import MulePlan

/// A source of credentials. Workers ask it before every signature, so it must have an answer ready, or get one once for
/// all of them.
package protocol CredentialsProvider: Sendable {
    /// Where they come from, for users; nil where that is not known.
    var origin: String? { get }

    func credentials() throws(CredentialsUnavailable) -> Credentials

    /// The credentials for a signature of this time. Only matters for signing keys, which are valid for one day.
    func credentials(at time: UTCTime) throws(CredentialsUnavailable) -> Credentials

    /// Gets new credentials after the store refused these as expired or unknown, once for all workers.
    ///
    /// - Returns: whether `credentials()` now returns others, so that the request may be retried. False if there is
    ///   nothing to renew, or if the store refuses renewed ones before it has accepted any.
    /// - Throws: if renewing failed.
    func renew(refused: Credentials) throws(CredentialsUnavailable) -> Bool

    /// The store accepted a request that was signed with the last returned credentials.
    func noteAccepted()
}

extension CredentialsProvider {
    package var origin: String? { nil }

    package func credentials(at time: UTCTime) throws(CredentialsUnavailable) -> Credentials { try credentials() }

    package func renew(refused: Credentials) throws(CredentialsUnavailable) -> Bool { false }

    package func noteAccepted() {}
}

/// A request cannot be signed.
package struct CredentialsUnavailable: Error, Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// There are no credentials, or the service that has them does not accept this host.
        case credentials
        /// A signer does not sign this request: the operation, the bucket or the key is not allowed.
        case refused
        /// What a signer answers is not what it was asked for.
        case untrusted
        /// What a signer answers cannot be read.
        case unreadable
        /// The service cannot be reached.
        case unreachable
    }

    package var kind: Kind
    /// A sentence for users: what was looked for, and what to do.
    package var reason: String
    /// Whether a retry may succeed: the service did not answer, rather than refused.
    package var isTransient: Bool
    /// Seconds that the service asks to wait before another try.
    package var retryAfter: Double?

    package init(
        reason: String,
        isTransient: Bool = false,
        kind: Kind = .credentials,
        retryAfter: Double? = nil
    ) {
        self.kind = kind
        self.reason = reason
        self.isTransient = isTransient
        self.retryAfter = retryAfter
    }
}

/// Credentials that stay the same for the whole run.
package struct FixedCredentials: CredentialsProvider {
    private let value: Credentials

    package init(_ value: Credentials) {
        self.value = value
    }

    package func credentials() throws(CredentialsUnavailable) -> Credentials { value }
}
