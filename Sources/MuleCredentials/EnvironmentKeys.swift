import MulePlan
import MuleSigning

/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, or its old name `AWS_SECURITY_TOKEN`.
/// `aws configure export-credentials --format env` also prints `AWS_CREDENTIAL_EXPIRATION`.
struct EnvironmentKeys: CredentialSource {
    let environment: [String: String]

    var origin: String { "AWS_ACCESS_KEY_ID" }

    func provider() throws(CredentialsUnavailable) -> (any CredentialsProvider)? {
        func field(_ name: String) -> StaticKeys.Field { .init(name: name, value: environment[nonEmpty: name]) }
        let token = field("AWS_SESSION_TOKEN")
        let keys = StaticKeys(
            accessKeyID: field("AWS_ACCESS_KEY_ID"),
            secretAccessKey: field("AWS_SECRET_ACCESS_KEY"),
            sessionToken: token.value == nil ? field("AWS_SECURITY_TOKEN") : token,
            place: "the environment",
            expiration: environment[nonEmpty: "AWS_CREDENTIAL_EXPIRATION"].flatMap { UTCTime(iso8601: $0) }
        )
        return try keys.credentials().map { FixedCredentials($0) }
    }
}
