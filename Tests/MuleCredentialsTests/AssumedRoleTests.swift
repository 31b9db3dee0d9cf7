import MuleCredentials
import MuleSigning
import MuleSystem
import TestSupport
import Testing

@Suite("A role of a profile")
struct AssumedRoleTests {
    private static let keys = "aws_access_key_id=SOURCE\naws_secret_access_key=s\n"

    /// Gives `ROLE-a` for the role `arn:a`.
    private let server = CredentialServer { request in
        guard request.headers["authorization"]?.contains("Credential=OLD/") != true else {
            return CredentialServer.refusal("ExpiredToken", "The token has expired")
        }
        return CredentialServer.sts("AssumeRole", id: "ROLE-\(request.form("RoleArn")?.dropFirst(6) ?? "")")
    }

    private func signer(
        _ config: String,
        credentials: String? = nil,
        variables: [String: String] = [:],
        profile: String? = "a"
    ) throws -> String {
        let all = ["AWS_ENDPOINT_URL_STS": server.url, "AWS_REGION": "eu-north-1"].merging(variables) { $1 }
        let fixture = try SharedFilesFixture(config: config, credentials: credentials, variables: all)
        switch try fixture.resolved(profile: profile) {
        case .success(let provider): return try provider.credentials().accessKeyID
        case .failure(let error): return error.reason
        }
    }

    @Test
    func `is taken on with the keys of another profile`() throws {
        let config = """
            [profile a]
            role_arn = arn:a
            source_profile = b
            external_id = x/1
            duration_seconds = 1800
            role_session_name = me
            """
        #expect(try signer(config, credentials: "[b]\n\(Self.keys)") == "ROLE-a")
        let request = try #require(server.requests.first)
        #expect(request.form("ExternalId") == "x%2F1")
        #expect(request.form("DurationSeconds") == "1800")
        #expect(request.form("RoleSessionName") == "me")
        let authorization = request.headers["authorization"] ?? ""
        #expect(authorization.contains("Credential=SOURCE/"))
        #expect(authorization.contains("/eu-north-1/sts/aws4_request"))
    }

    @Test
    func `is taken on by way of another role`() throws {
        let config =
            "[profile a]\nrole_arn=arn:a\nsource_profile=b\n[profile b]\nrole_arn=arn:b\nsource_profile=c\n"
            + "[profile c]\ncredential_process=/bin/echo {\"Version\":1}\n\(Self.keys)"
        #expect(try signer(config, credentials: "[c]\n\(Self.keys)") == "ROLE-a")
        #expect(server.requests.map { $0.form("RoleArn") } == ["arn%3Ab", "arn%3Aa"])
        #expect(server.requests.last?.headers["x-amz-security-token"] == "token-ROLE-b")
    }

    @Test
    func `is taken on with keys of its own profile, which names itself`() throws {
        #expect(try signer("[profile a]\nrole_arn=arn:a\nsource_profile=a\n\(Self.keys)") == "ROLE-a")
    }

    @Test
    func `is taken on with the keys of the environment`() throws {
        let variables = ["AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "s"]
        let config = "[profile a]\nrole_arn=arn:a\ncredential_source=environment\n"
        #expect(try signer(config, variables: variables) == "ROLE-a")
        #expect(server.requests.first?.headers["authorization"]?.contains("Credential=ENV/") == true)
    }

    @Test
    func `is taken on with keys that have just been renewed when the old ones are over`() throws {
        let directory = ScratchDirectory()
        let script = try directory.write(
            """
            test -e \(directory.path("done")) && id=NEW || id=OLD
            : > \(directory.path("done"))
            echo "{\\"Version\\": 1, \\"AccessKeyId\\": \\"$id\\", \\"SecretAccessKey\\": \\"s\\"}"
            """,
            to: "keys.sh"
        )
        let config =
            "[profile a]\nrole_arn=arn:a\nsource_profile=b\n[profile b]\ncredential_process=/bin/sh \(script)\n"
        #expect(try signer(config) == "ROLE-a")
        #expect(server.requests.count == 2)
    }

    @Test(arguments: [
        (
            "mfa_serial=arn:m\nsource_profile=b",
            "the profile \"a\" requires an MFA code (mfa_serial), which cannot be entered in an unattended upload; "
                + "use a profile without it"
        ),
        (
            "source_profile=b\ncredential_source=Environment",
            "the profile \"a\" has both source_profile and credential_source; remove one of them"
        ),
        (
            "",
            "the profile \"a\" has role_arn, but neither source_profile nor credential_source, which name the "
                + "credentials that assume the role"
        ),
        (
            "credential_source=Moon",
            "credential_source of the profile \"a\" is \"Moon\"; supported are Environment, Ec2InstanceMetadata, "
                + "EcsContainer"
        ),
        (
            "credential_source=Environment",
            "there are no credentials in Environment, which credential_source of the profile \"a\" names"
        ),
        (
            "source_profile=z",
            "source_profile of the profile \"a\" is \"z\", which does not exist"
        ),
        ("source_profile=e", "source_profile of the profile \"a\" is \"e\", which has no credentials"),
        (
            "source_profile=b\nduration_seconds=60",
            "duration_seconds of the profile \"a\" is \"60\"; it must be from 900 to 43200 seconds"
        ),
        (
            "source_profile=c",
            "the profiles refer to each other in a circle by source_profile: \"a\", then \"c\", then \"d\", then "
                + "\"c\""
        ),
        ("source_profile=a", "the profiles refer to each other in a circle by source_profile: \"a\", then \"a\""),
    ]
    )
    func `that is described wrongly is refused with the reason`(lines: String, reason: String) throws {
        let config =
            "[profile a]\nrole_arn=arn:a\n\(lines)\n[profile b]\n\(Self.keys)[profile e]\nregion=r\n"
            + "[profile c]\nrole_arn=arn:c\nsource_profile=d\n[profile d]\nrole_arn=arn:d\nsource_profile=c\n"
        #expect(try signer(config) == reason)
        #expect(server.requests.isEmpty)
    }

    @Test
    func `that may not be taken on is refused with the service's reason`() throws {
        let server = CredentialServer { _ in
            CredentialServer.refusal("AccessDenied", "User: arn:u is not authorized to perform: sts:AssumeRole")
        }
        let config = "[profile a]\nrole_arn=arn:a\nsource_profile=b\n[profile b]\n\(Self.keys)"
        #expect(
            try signer(config, variables: ["AWS_ENDPOINT_URL_STS": server.url])
                == "AssumeRole of arn:a at \(server.url.dropFirst(7)) refused (HTTP 403, AccessDenied: User: arn:u "
                + "is not authorized to perform: sts:AssumeRole)"
        )
    }
}
