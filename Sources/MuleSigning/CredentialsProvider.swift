package import MulePlan

/// Where credentials come from. Asked before every signature, by any worker, so an answer must be ready or be made ready
/// once for all.
package protocol CredentialsProvider: Sendable {
    func credentials() throws(CredentialsUnavailable) -> Credentials

    /// Those for a signature of this time. Only providers of signing keys, which are of one day, look at it.
    func credentials(at time: UTCTime) throws(CredentialsUnavailable) -> Credentials

    /// The store has refused these credentials as ended or unknown: gets others, once for all workers that ask.
    ///
    /// - Returns: Whether `credentials()` gives others now, so that the same request may be sent again. False when there is
    ///   nothing to renew, or when what was renewed is refused before the store has ever accepted it.
    /// - Throws: When others should be had and could not be.
    func renew(refused: Credentials) throws(CredentialsUnavailable) -> Bool

    /// The store has carried out a request that was signed with what was given last.
    func noteAccepted()
}

extension CredentialsProvider {
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
    /// A sentence for people: what was looked for, and what to do.
    package var reason: String
    /// Whether the same may succeed in a moment: a service that does not answer, as against one that refuses.
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
