import MuleSigning

/// One place that may hold credentials. The sources are asked in order; the first that has an answer signs.
protocol CredentialSource: Sendable {
    /// Nil when there is nothing here, so that the next source is asked.
    ///
    /// - Throws: When something is here that can't be used. The next source is not asked then: it would sign as someone
    ///   else than the user meant.
    func provider() throws(CredentialsUnavailable) -> (any CredentialsProvider)?
}
