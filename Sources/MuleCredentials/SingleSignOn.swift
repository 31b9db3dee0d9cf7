import MuleDigest
import MuleJSON
import MulePlan
import MuleSigning
import MuleSystem
import MuleTransport

/// IAM Identity Center: exchanges the token that `aws sso login` stored in `~/.aws/sso/cache` for credentials of a
/// role. https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html
struct SingleSignOn: CredentialSource {
    let profile: Profile?
    let configuration: SharedConfiguration
    let context: CredentialContext
    let endpoints: ServiceEndpoints
    let transport: TransportSettings

    var origin: String { "single sign-on, as the profile \"\(profile?.name ?? "")\" says" }

    func provider() throws(CredentialsUnavailable) -> (any CredentialsProvider)? {
        guard let profile, profile["sso_account_id"] != nil || profile["sso_role_name"] != nil else { return nil }
        var session: Profile?
        if let name = profile["sso_session"] {
            session = configuration.singleSignOnSession(name)
            guard session != nil else {
                throw CredentialsUnavailable(
                    reason:
                        "the profile \"\(profile.name)\" names the single sign-on session \"\(name)\", which does not "
                        + "exist; write a section [sso-session \(name)], or run \"aws configure sso\""
                )
            }
        }
        func setting(_ name: String) throws(CredentialsUnavailable) -> String {
            if let text = session?[name] ?? profile[name] { return text }
            throw CredentialsUnavailable(
                reason: "the profile \"\(profile.name)\" uses single sign-on, but has no \(name); run \"aws configure "
                    + "sso\""
            )
        }
        let region = try setting("sso_region")
        let start = try setting("sso_start_url")
        let exchange = SignOnExchange(
            account: try setting("sso_account_id"),
            role: try setting("sso_role_name"),
            portal: try endpoints.url(of: .signOn, region: region),
            cache: try SignOnCache(
                // The login's file is named after the session or, in the older format, after the URL.
                key: profile["sso_session"] ?? start,
                isRenewable: session != nil,
                tokenService: endpoints.url(of: .signOnTokens, region: region),
                login: "\"aws sso login --profile \(ExportAdvice.shellWord(profile.name))\"",
                context: context,
                transport: transport
            ),
            context: context,
            transport: transport
        )
        return try RefreshingCredentials(context) { () throws(CredentialsUnavailable) in
            try exchange.credentials()
        }.fetched()
    }
}

/// GetRoleCredentials.
private struct SignOnExchange: Sendable {
    let account: String
    let role: String
    let portal: ServiceURL
    let cache: SignOnCache
    let context: CredentialContext
    let transport: TransportSettings

    private static let names = CredentialDocument.Names(
        accessKeyID: "accessKeyId",
        secretAccessKey: "secretAccessKey",
        sessionToken: "sessionToken",
        expiration: "expiration"
    )

    func credentials() throws(CredentialsUnavailable) -> Credentials {
        let token = try cache.token()
        var url = portal.appending("/federation/credentials")
        url.query =
            "account_id=\(URIEncoding.component(account.utf8))&role_name=\(URIEncoding.component(role.utf8))"
        var request = HTTPRequest(method: "GET", url: url.text)
        request.headers = [("x-amz-sso_bearer_token", token), ("accept", "application/json")]
        request.answerTimeout = 30
        let call = ServiceRequest(
            name: "single sign-on for the role \(role) of \(account) at \(portal.host)",
            request: request,
            transport: transport
        )
        let response = try call.answer(context.cancellation)
        if response.status == 401 { throw cache.ended }
        guard response.status == 200 else { throw call.refusal(response, "") }
        do throws(CredentialDocument.Unusable) {
            guard let given = try CredentialDocument(response.body).object("roleCredentials") else {
                throw CredentialDocument.Unusable(reason: "JSON without roleCredentials")
            }
            return try given.credentials(Self.names, needsToken: true)
        } catch {
            throw CredentialsUnavailable(reason: "\(call.name) answered \(error.reason)")
        }
    }
}

/// The file of a login, shared with the AWS command line.
struct SignOnCache: Sendable {
    let path: String
    let tokenService: ServiceURL
    /// Whether the login can be renewed without the user.
    let isRenewable: Bool
    /// The command that the user must run when it has expired.
    let login: String
    let context: CredentialContext
    let transport: TransportSettings

    /// Seconds before the token expires from which on it is renewed (botocore).
    private static let window: Int64 = 900

    init(
        key: String,
        isRenewable: Bool,
        tokenService: ServiceURL,
        login: String,
        context: CredentialContext,
        transport: TransportSettings
    ) throws(CredentialsUnavailable) {
        guard let home = context.environment[nonEmpty: "HOME"] else {
            throw CredentialsUnavailable(reason: "cannot look for the single sign-on login: HOME is not set")
        }
        path = "\(home)/.aws/sso/cache/\(Hex.encode(sha1(key.utf8))).json"
        (self.isRenewable, self.tokenService, self.login) = (isRenewable, tokenService, login)
        (self.context, self.transport) = (context, transport)
    }

    var ended: CredentialsUnavailable {
        CredentialsUnavailable(reason: "the single sign-on login has expired: run \(login)")
    }

    /// A token that is valid by this machine's clock, renewed if necessary and possible.
    func token() throws(CredentialsUnavailable) -> String {
        let login = try read()
        guard let token = login.text("accessToken"), StaticKeys.fitsIntoHeader(token),
            let end = login.text("expiresAt").flatMap(Self.time)
        else { throw CredentialsUnavailable(reason: "the file \(path) has no login: run \(self.login)") }
        let remaining = (end.millisecondsSince1970 - context.wallClock().millisecondsSince1970) / 1000
        if remaining >= Self.window { return token }
        do throws(CredentialsUnavailable) {
            if isRenewable, let fresh = try renewed(login) { return fresh }
        } catch {
            if remaining <= 0 { throw error }
        }
        guard remaining > 0 else { throw ended }
        return token
    }

    private func read() throws(CredentialsUnavailable) -> CredentialDocument {
        let content: [UInt8]
        do throws(SystemError) {
            content = try File.contents(path: Array(path.utf8), limit: 1 << 20)
        } catch {
            if error.isNoSuchFile {
                throw CredentialsUnavailable(reason: "there is no single sign-on login: run \(login)")
            }
            throw CredentialsUnavailable(reason: "the single sign-on login \(path) cannot be read: \(error.reason)")
        }
        do {
            return try CredentialDocument(content)
        } catch {
            throw CredentialsUnavailable(reason: "the file \(path) has \(error.reason): run \(login)")
        }
    }

    /// Old versions of the AWS command line write `UTC` instead of `Z`.
    private static func time(_ text: String) -> UTCTime? {
        UTCTime(rfc3339: text.hasSuffix("UTC") ? text.dropLast(3) + "Z" : text)
    }

    /// A new token by the login's refresh token, stored in the file: a refresh token may be valid only once, and the
    /// AWS command line needs the new one. Nil if this login cannot be renewed.
    private func renewed(_ login: CredentialDocument) throws(CredentialsUnavailable) -> String? {
        guard let refresh = login.text("refreshToken"), let id = login.text("clientId"),
            let secret = login.text("clientSecret"),
            let end = login.text("registrationExpiresAt").flatMap(Self.time), end > context.wallClock()
        else { return nil }
        var request = HTTPRequest(method: "POST", url: tokenService.appending("/token").text)
        request.headers = [("content-type", "application/json"), ("accept", "application/json")]
        let body: JSONValue = [
            "clientId": .string(id), "clientSecret": .string(secret), "grantType": "refresh_token",
            "refreshToken": .string(refresh),
        ]
        request.body = .bytes(Array(body.line.utf8))
        request.answerTimeout = 30
        let call = ServiceRequest(
            name: "refreshing the single sign-on login at \(tokenService.host)",
            request: request,
            transport: transport
        )
        let response = try call.answer(context.cancellation)
        guard response.status == 200 else {
            let refusal = call.refusal(response, "")
            if refusal.isTransient { throw refusal }
            return nil
        }
        guard let answer = try? CredentialDocument(response.body), let token = answer.text("accessToken"),
            StaticKeys.fitsIntoHeader(token), case .int(let seconds)? = answer["expiresIn"]
        else { throw CredentialsUnavailable(reason: "\(call.name) got an answer without a token") }
        let expiry = context.wallClock().adding(milliseconds: min(max(seconds, 0), 1 << 32) * 1000)
        var members = ["accessToken": JSONValue.string(token), "expiresAt": .string(expiry.iso8601)]
        if let next = answer.text("refreshToken") { members["refreshToken"] = .string(next) }
        save(login.replacing(members))
        return token
    }

    private func save(_ login: JSONValue) {
        do throws(SystemError) {
            try replaceFile(path: Array(path.utf8), with: Array(login.line.utf8), mode: 0o600)
        } catch {
            context.notice(
                "cannot save the refreshed single sign-on login in \(path) (\(error.reason)); run \(self.login) before "
                    + "the next upload"
            )
        }
    }
}
