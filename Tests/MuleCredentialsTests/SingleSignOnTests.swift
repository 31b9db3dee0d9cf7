import MuleCredentials
import MuleDigest
import MuleJSON
import MulePlan
import MuleSigning
import MuleSystem
import TestSupport
import Testing

@Suite("Single sign-on")
struct SingleSignOnTests {
    private static let config = """
        [profile p]
        sso_session = corp
        sso_account_id = 123456789012
        sso_role_name = A Role
        [profile old]
        sso_start_url = https://corp.example/start
        sso_region = eu-west-1
        sso_account_id = 1
        sso_role_name = r
        [sso-session corp]
        sso_region = eu-west-1
        sso_start_url = https://corp.example/start
        """

    private let server = CredentialServer { request in
        if request.line == "POST /token" {
            return request.body.contains(#""refreshToken":"R1""#)
                ? #"{"accessToken":"NEW","expiresIn":28800,"refreshToken":"R2","tokenType":"Bearer"}"#
                : .init(#"{"error":"invalid_grant"}"#, status: "400 Bad Request")
        }
        switch request.headers["x-amz-sso_bearer_token"] {
        case "GOOD"?, "NEW"?:
            return .init(
                #"{"roleCredentials":{"accessKeyId":"SSO","secretAccessKey":"s","sessionToken":"t","#
                    + #""expiration":4951324560000}}"#
            )
        default: return .init(#"{"message":"Session token not found or invalid"}"#, status: "401 Unauthorized")
        }
    }

    private func fixture(key: String = "corp", _ login: String?) throws -> SharedFilesFixture {
        let variables = ["AWS_ENDPOINT_URL_SSO": server.url, "AWS_ENDPOINT_URL_SSO_OIDC": server.url]
        let fixture = try SharedFilesFixture(config: Self.config, variables: variables)
        if let login { try fixture.directory.write(login, to: Self.file(key)) }
        return fixture
    }

    private static func file(_ key: String) -> String { ".aws/sso/cache/\(Hex.encode(sha1(key.utf8))).json" }

    private func signer(_ fixture: SharedFilesFixture, profile: String = "p") throws -> String {
        switch try fixture.resolved(profile: profile) {
        case .success(let provider): return try provider.credentials().accessKeyID
        case .failure(let error): return error.reason.replacing(fixture.directory.path, with: "~")
        }
    }

    private static let renewable =
        #"{"accessToken":"OVER","expiresAt":"2020-01-01T00:00:00Z","clientId":"c","clientSecret":"d","#
        + #""refreshToken":"R1","registrationExpiresAt":"2126-01-01T00:00:00Z","startUrl":"u","custom":7}"#

    @Test
    func `knows the login's file by the SHA-1 of the session's name`() {
        #expect(Hex.encode(sha1("abc".utf8)) == "a9993e364706816aba3e25717850c26c9cd0d89d")
    }

    @Test
    func `exchanges the login for credentials of the role`() throws {
        let fixture = try fixture(#"{"accessToken":"GOOD","expiresAt":"2126-01-01T00:00:00Z"}"#)
        let credentials = try fixture.resolved(profile: "p").get().credentials()
        #expect(credentials.accessKeyID == "SSO")
        #expect(credentials.expiration == UTCTime(millisecondsSince1970: 4_951_324_560_000))
        #expect(
            server.requests.map(\.line) == ["GET /federation/credentials?account_id=123456789012&role_name=A%20Role"]
        )
    }

    @Test
    func `takes the login of a URL, from the time before there were sessions`() throws {
        let fixture = try fixture(
            key: "https://corp.example/start",
            #"{"accessToken":"GOOD","expiresAt":"2126-01-01T00:00:00UTC"}"#
        )
        #expect(try signer(fixture, profile: "old") == "SSO")
    }

    @Test
    func `renews a login that is over, and keeps the new one where the AWS command line finds it`() throws {
        let fixture = try fixture(Self.renewable)
        #expect(try signer(fixture) == "SSO")
        #expect(server.requests.map(\.line).first == "POST /token")
        let file = try fixture.directory.read(Self.file("corp"))
        guard case .object(let members) = try JSONReader.read(file) else {
            Issue.record("no object")
            return
        }
        #expect(members["accessToken"] == "NEW")
        #expect(members["refreshToken"] == "R2")
        #expect(members["custom"] == 7)
        #expect(members["expiresAt"] != "2020-01-01T00:00:00Z")
        #expect(Files.mode(fixture.directory.path(Self.file("corp"))) == 0o600)
    }

    private static let over = "the single sign-on login has expired: run \"aws sso login --profile p\""

    @Test
    func `names the command that a person has to run when the login is over for good`() throws {
        #expect(try signer(fixture(nil)) == "there is no single sign-on login: run \"aws sso login --profile p\"")
        #expect(try signer(fixture(#"{"accessToken":"OVER","expiresAt":"2020-01-01T00:00:00Z"}"#)) == Self.over)
        #expect(try signer(fixture(Self.renewable.replacing("R1", with: "R0"))) == Self.over)
        #expect(try signer(fixture(Self.renewable.replacing("2126", with: "2020"))) == Self.over)
        #expect(try signer(fixture(#"{"accessToken":"REVOKED","expiresAt":"2126-01-01T00:00:00Z"}"#)) == Self.over)
        #expect(try signer(fixture("{}")).hasSuffix("has no login: run \"aws sso login --profile p\""))
        #expect(try signer(fixture("GOOD")).contains("has something that is not JSON"))
    }

    @Test
    func `says what a profile lacks`() throws {
        let lacking = try SharedFilesFixture(config: "[profile p]\nsso_account_id=1\n")
        #expect(
            try signer(lacking) == "the profile \"p\" uses single sign-on, but has no sso_region; run \"aws configure "
                + "sso\""
        )
        let lost = try SharedFilesFixture(config: "[profile p]\nsso_account_id=1\nsso_session=x\n")
        #expect(
            try signer(lost).hasPrefix("the profile \"p\" names the single sign-on session \"x\", which does not exist")
        )
    }
}
