/// Where credentials come from. Asked before every signature, by any worker, so an answer must be ready or be made ready
/// once for all.
package protocol CredentialsProvider: Sendable {
    func credentials() throws(CredentialsUnavailable) -> Credentials

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
    package func renew(refused: Credentials) throws(CredentialsUnavailable) -> Bool { false }

    package func noteAccepted() {}
}

/// There are no credentials to be had.
package struct CredentialsUnavailable: Error, Hashable, Sendable {
    /// A sentence for people: what was looked for, and what to do.
    package var reason: String
    /// Whether the same may succeed in a moment: a service that does not answer, as against one that refuses.
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
