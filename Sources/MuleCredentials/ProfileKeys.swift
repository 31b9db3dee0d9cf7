import MuleSigning
import MuleSystem

/// `aws_access_key_id`, `aws_secret_access_key` and `aws_session_token` (once `aws_security_token`) of a profile, in the
/// credentials file or else in the config file.
struct ProfileKeys: CredentialSource {
    let configuration: SharedConfiguration
    let profile: String
    var now: @Sendable () -> Moment = Moment.now

    func provider() throws(CredentialsUnavailable) -> (any CredentialsProvider)? {
        guard let credentials = try Self.credentials(of: profile, in: configuration) else { return nil }
        let (profile, locations) = (profile, configuration.locations)
        return ReloadedCredentials(
            credentials,
            files: configuration.fileStates,
            look: { locations.fileStates },
            reload: {
                guard let configuration = try? SharedConfiguration.load(from: locations) else { return nil }
                return try? Self.credentials(of: profile, in: configuration)
            },
            now: now
        )
    }

    /// The keys of the first file that has any. They are never put together from both: an access key of one file with the
    /// session token of the other signs nothing.
    private static func credentials(
        of name: String,
        in configuration: SharedConfiguration
    ) throws(CredentialsUnavailable) -> Credentials? {
        for (profile, path) in configuration.halves(of: name) {
            func field(_ name: String) -> KeyPair.Field { .init(name: name, value: profile[name]) }
            let token = field("aws_session_token")
            let keys = KeyPair(
                accessKeyID: field("aws_access_key_id"),
                secretAccessKey: field("aws_secret_access_key"),
                sessionToken: token.value == nil ? field("aws_security_token") : token,
                place: "the profile \"\(name)\" in \(path)"
            )
            if let credentials = try keys.credentials() { return credentials }
        }
        return nil
    }
}
