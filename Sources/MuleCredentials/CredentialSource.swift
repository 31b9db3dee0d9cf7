import MuleSigning

/// A source of credentials. Sources are asked in order; the first with an answer is used.
protocol CredentialSource: Sendable {
    /// What it is, for users. Only asked if it has credentials.
    var origin: String { get }

    /// Nil if this source has none, so that the next one is asked.
    ///
    /// - Throws: If it has something that cannot be used. The next source is then not asked, because it would sign
    ///   with another identity than the user wants.
    func provider() throws(CredentialsUnavailable) -> (any CredentialsProvider)?
}
