import MulePlan
import MuleSigning
import MuleSystem
import MuleXML

/// A role assumed with a token from a file: `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN` and `AWS_ROLE_SESSION_NAME`,
/// as Kubernetes sets them, or the settings of a profile.
///
/// The file is read at every renewal, because it is replaced while the upload runs.
struct WebIdentity: CredentialSource {
    /// False for a profile that was named by a flag or by another profile: then variables do not count.
    let usesVariables: Bool
    let profile: Profile?
    let context: CredentialContext
    /// Created only if needed: the service's address may be invalid.
    let service: @Sendable () throws(CredentialsUnavailable) -> TokenService

    private static let sizeLimit = 64 << 10

    var origin: String {
        "the role \(setting("role_arn", "AWS_ROLE_ARN") ?? ""), assumed with the token in "
            + (setting("web_identity_token_file", "AWS_WEB_IDENTITY_TOKEN_FILE") ?? "")
    }

    func provider() throws(CredentialsUnavailable) -> (any CredentialsProvider)? {
        guard let path = setting("web_identity_token_file", "AWS_WEB_IDENTITY_TOKEN_FILE") else { return nil }
        guard let role = setting("role_arn", "AWS_ROLE_ARN") else {
            throw CredentialsUnavailable(
                reason:
                    "there is a web identity token file, \(path), but no role to assume with it: set AWS_ROLE_ARN, or "
                    + "role_arn in the profile"
            )
        }
        let session = setting("role_session_name", "AWS_ROLE_SESSION_NAME") ?? RoleSession.name(context)
        let (service, context) = (try service(), context)
        return try RefreshingCredentials(context) { () throws(CredentialsUnavailable) in
            let token = try Self.token(path)
            do throws(TokenService.Refusal) {
                return try service.credentials(
                    .assumeRoleWithWebIdentity,
                    [("RoleArn", role), ("RoleSessionName", session), ("WebIdentityToken", token)],
                    signer: nil,
                    secret: token
                )
            } catch {
                throw error.unavailable
            }
        }.fetched()
    }

    /// Each variable outranks its setting in the profile (botocore).
    private func setting(_ name: String, _ variable: String) -> String? {
        (usesVariables ? context.environment[nonEmpty: variable] : nil) ?? profile?[name]
    }

    private static func token(_ path: String) throws(CredentialsUnavailable) -> String {
        let content: [UInt8]
        do throws(SystemError) {
            content = try File.contents(path: Array(path.utf8), limit: sizeLimit)
        } catch {
            throw CredentialsUnavailable(reason: "the web identity token file \(path) cannot be read: \(error.reason)")
        }
        let token = String(decoding: content, as: UTF8.self).trimmingWhiteSpace
        guard !token.isEmpty else {
            // Another program is truncating and rewriting it.
            throw CredentialsUnavailable(reason: "the web identity token file \(path) is empty", isTransient: true)
        }
        return token
    }
}

enum RoleSession {
    /// A session name for the service's logs, in botocore's format.
    static func name(_ context: CredentialContext) -> String {
        "mule-\(context.wallClock().millisecondsSince1970 / 1000)"
    }
}
