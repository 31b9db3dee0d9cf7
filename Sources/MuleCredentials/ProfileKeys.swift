import MuleSigning
import MuleSystem

/// `aws_access_key_id`, `aws_secret_access_key` and `aws_session_token` (formerly `aws_security_token`) of a profile,
/// from one of the two files. The files are never mixed: an access key from one with the session token of the other
/// signs nothing.
struct ProfileKeys: CredentialSource {
    let configuration: SharedConfiguration
    let profile: String
    let file: SharedConfiguration.Half
    var now: @Sendable () -> Moment = Moment.now

    var origin: String {
        let path = configuration.half(file, of: profile)?.path
        return "the profile \"\(profile)\"" + (path.map { " in \($0)" } ?? "")
    }

    func provider() throws(CredentialsUnavailable) -> (any CredentialsProvider)? {
        guard let credentials = try Self.credentials(of: profile, in: configuration, file) else { return nil }
        let (profile, file, locations) = (profile, file, configuration.locations)
        return ReloadedCredentials(
            credentials,
            files: configuration.fileStates,
            look: { locations.fileStates },
            reload: {
                guard let configuration = try? SharedConfiguration.load(from: locations) else { return nil }
                return try? Self.credentials(of: profile, in: configuration, file)
            },
            now: now
        )
    }

    private static func credentials(
        of name: String,
        in configuration: SharedConfiguration,
        _ file: SharedConfiguration.Half
    ) throws(CredentialsUnavailable) -> Credentials? {
        guard let (profile, path) = configuration.half(file, of: name) else { return nil }
        func field(_ name: String) -> StaticKeys.Field { .init(name: name, value: profile[name]) }
        let token = field("aws_session_token")
        return try StaticKeys(
            accessKeyID: field("aws_access_key_id"),
            secretAccessKey: field("aws_secret_access_key"),
            sessionToken: token.value == nil ? field("aws_security_token") : token,
            place: "the profile \"\(name)\" in \(path)"
        ).credentials()
    }
}
