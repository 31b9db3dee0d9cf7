/// Where credentials come from. Asked before every signature, by any worker, so an answer must be ready or be made ready
/// once for all.
package protocol CredentialsProvider: Sendable {
    func credentials() throws(CredentialsUnavailable) -> Credentials
}

/// There are no credentials to be had.
package struct CredentialsUnavailable: Error, Hashable, Sendable {
    /// A sentence for people: what was looked for, and what to do.
    package var reason: String

    package init(reason: String) {
        self.reason = reason
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
