import MuleCredentials
import MulePlan
import MuleSigning
import MuleSystem
import TestSupport
import Testing

@Suite("A web identity")
struct WebIdentityTests {
    private let directory = ScratchDirectory()
    private let count = Monitor(0)

    private func server(_ refusal: CredentialServer.Answer? = nil) -> CredentialServer {
        CredentialServer { [count] _ in
            let number = count.withLock { count in
                count += 1
                return count
            }
            return refusal ?? CredentialServer.sts("AssumeRoleWithWebIdentity", id: "ROLE\(number)")
        }
    }

    private func variables(_ server: CredentialServer) throws -> [String: String] {
        [
            "AWS_WEB_IDENTITY_TOKEN_FILE": try directory.write("first.token-1\n", to: "token"),
            "AWS_ROLE_ARN": "arn:aws:iam::1:role/r", "AWS_ENDPOINT_URL_STS": server.url,
        ]
    }

    @Test
    func `of the environment is exchanged without a signature, and the file is read again at each renewal`() throws {
        let server = server()
        var variables = try variables(server)
        variables["AWS_ROLE_SESSION_NAME"] = "me"
        let fixture = try SharedFilesFixture(
            credentials: "[default]\naws_access_key_id=A\naws_secret_access_key=s",
            variables: variables
        )
        let provider = try fixture.resolved().get()
        let first = try provider.credentials()
        #expect(first.accessKeyID == "ROLE1")
        #expect(first.secretAccessKey == "s/ROLE1")
        #expect(first.sessionToken == "token-ROLE1")
        #expect(first.expiration == UTCTime(iso8601: "2126-11-20T23:56:00Z"))
        let request = try #require(server.requests.first)
        #expect(request.line == "POST /")
        #expect(request.headers["authorization"] == nil)
        #expect(request.form("Action") == "AssumeRoleWithWebIdentity")
        #expect(request.form("RoleArn") == "arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr")
        #expect(request.form("RoleSessionName") == "me")
        #expect(request.form("WebIdentityToken") == "first.token-1")

        try directory.write("second", to: "token")
        #expect(try provider.renew(refused: first))
        #expect(try provider.credentials().accessKeyID == "ROLE2")
        #expect(server.requests.last?.form("WebIdentityToken") == "second")
    }

    @Test
    func `of a profile counts where the environment's does not`() throws {
        let server = server()
        var variables = try variables(server)
        variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/no/such/file"
        let token = try directory.write("of-the-profile", to: "other")
        let config = "[profile p]\nrole_arn=arn:p\nweb_identity_token_file=\(token)\nsource_profile=nobody\n"
        let fixture = try SharedFilesFixture(config: config, variables: variables)
        #expect(try fixture.resolved(profile: "p").get().credentials().accessKeyID == "ROLE1")
        #expect(server.requests.first?.form("WebIdentityToken") == "of-the-profile")
        #expect(server.requests.first?.form("RoleSessionName")?.hasPrefix("mule-") == true)
    }

    @Test
    func `that is refused is told with the service's reason, and never with the token`() throws {
        let server = server(
            CredentialServer.refusal("InvalidIdentityToken", "bad: first.token-1", status: "400 Bad Request")
        )
        let host = server.url.dropFirst(7)
        #expect(
            throws: CredentialsUnavailable(
                reason:
                    "AssumeRoleWithWebIdentity of arn:aws:iam::1:role/r at \(host) refused (HTTP 400, "
                    + "InvalidIdentityToken)"
            )
        ) { try SharedFilesFixture(variables: variables(server)).resolved().get() }
    }

    @Test
    func `whose service is in trouble is asked again later; what is no token service is not`() throws {
        let busy = server(CredentialServer.Answer("<html>", status: "503 Slow"))
        let provider = try SharedFilesFixture(variables: variables(busy)).resolved().get()
        let error = #expect(throws: CredentialsUnavailable.self) { try provider.credentials() }
        #expect(error?.isTransient == true)

        let other = server("<ListBucketResult/>")
        let answer = #expect(throws: CredentialsUnavailable.self) {
            try SharedFilesFixture(variables: variables(other)).resolved().get()
        }
        #expect(answer?.reason.contains("got an answer without usable credentials") == true)
    }

    @Test
    func `lacks its role or its file`() throws {
        let server = server()
        var variables = try variables(server)
        variables["AWS_ROLE_ARN"] = nil
        let role = #expect(throws: CredentialsUnavailable.self) {
            try SharedFilesFixture(variables: variables).resolved().get()
        }
        #expect(role?.reason.hasSuffix("set AWS_ROLE_ARN, or role_arn in the profile") == true)
        variables["AWS_ROLE_ARN"] = "arn:x"
        variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/no/token"
        #expect(
            throws: CredentialsUnavailable(
                reason: "the web identity token file /no/token cannot be read: No such file or directory"
            )
        ) { try SharedFilesFixture(variables: variables).resolved().get() }
        #expect(server.requests.isEmpty)
    }
}
