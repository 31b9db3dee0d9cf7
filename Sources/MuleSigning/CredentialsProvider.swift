/// A source of credentials. Workers ask it before every signature, so it must have an answer ready, or get one once for
/// all of them.
package protocol CredentialsProvider: Sendable {
    func credentials() throws(CredentialsUnavailable) -> Credentials

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
    package func renew(refused: Credentials) throws(CredentialsUnavailable) -> Bool { false }

    package func noteAccepted() {}
}

/// No credentials are available.
package struct CredentialsUnavailable: Error, Hashable, Sendable {
    /// A sentence for users: what was looked for, and what to do.
    package var reason: String
    /// Whether a retry may succeed: the service did not answer, rather than refused.
    package var isTransient: Bool

    package init(reason: String, isTransient: Bool = false) {
        self.reason = reason
        self.isTransient = isTransient
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
