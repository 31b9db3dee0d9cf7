import MuleCredentials
import MulePlan
import MuleSigning
import Testing

struct SignerCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var config: String?
    var credentials: String?
    var variables: [String: String] = [:]
    var flag: String?
    var configured: String?
    let answer: String
}

@Suite("Who signs")
struct SignerTests {
    private static let keys: [String: String] = ["AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "s"]
    private static let profiles =
        "[default]\naws_access_key_id=DEFAULT\naws_secret_access_key=s\n"
        + "[a]\naws_access_key_id=A\naws_secret_access_key=s\n[b]\naws_access_key_id=B\naws_secret_access_key=s\n"

    private static func plus(_ more: [String: String]) -> [String: String] { keys.merging(more) { $1 } }

    static let signers: [SignerCase] = [
        .init(
            testDescription: "the credentials file before a process",
            config: "[profile a]\ncredential_process=/no/such",
            credentials: profiles,
            flag: "a",
            answer: "A"
        ),
        .init(testDescription: "the default profile", credentials: profiles, answer: "DEFAULT"),
        .init(testDescription: "keys of the environment", credentials: profiles, variables: keys, answer: "ENV"),
        .init(
            testDescription: "a profile of AWS_PROFILE",
            credentials: profiles,
            variables: ["AWS_PROFILE": "a"],
            answer: "A"
        ),
        .init(
            testDescription: "AWS_DEFAULT_PROFILE before AWS_PROFILE",
            credentials: profiles,
            variables: ["AWS_PROFILE": "a", "AWS_DEFAULT_PROFILE": "b"],
            answer: "B"
        ),
        .init(
            testDescription: "an empty AWS_PROFILE is none",
            credentials: profiles,
            variables: ["AWS_PROFILE": "", "AWS_DEFAULT_PROFILE": ""],
            answer: "DEFAULT"
        ),
        .init(
            testDescription: "keys of the environment before AWS_PROFILE",
            credentials: profiles,
            variables: plus(["AWS_PROFILE": "a"]),
            answer: "ENV"
        ),
        .init(
            testDescription: "--profile before all",
            credentials: profiles,
            variables: plus(["AWS_PROFILE": "a"]),
            flag: "b",
            answer: "B"
        ),
        .init(
            testDescription: "--profile default before keys of the environment",
            credentials: profiles,
            variables: keys,
            flag: "default",
            answer: "DEFAULT"
        ),
        .init(testDescription: "mule's configuration", credentials: profiles, configured: "a", answer: "A"),
        .init(
            testDescription: "AWS_PROFILE before mule's configuration",
            credentials: profiles,
            variables: ["AWS_PROFILE": "b"],
            configured: "a",
            answer: "B"
        ),
        .init(
            testDescription: "keys of the environment before mule's configuration",
            credentials: profiles,
            variables: keys,
            configured: "a",
            answer: "ENV"
        ),
        .init(
            testDescription: "keys in the config file",
            config: "[profile a]\naws_access_key_id=CONFIG\naws_secret_access_key=s",
            flag: "a",
            answer: "CONFIG"
        ),
        .init(
            testDescription: "the credentials file before the config file",
            config: "[profile a]\naws_access_key_id=CONFIG\naws_secret_access_key=s",
            credentials: profiles,
            flag: "a",
            answer: "A"
        ),
        .init(
            testDescription: "keys of the environment beside a role",
            config: "[profile a]\nrole_arn=arn:x\nsource_profile=b",
            credentials: profiles,
            variables: plus(["AWS_PROFILE": "a"]),
            answer: "ENV"
        ),
        .init(
            testDescription: "keys of a profile in a container",
            credentials: profiles,
            variables: ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x"],
            answer: "DEFAULT"
        ),
    ]

    @Test(arguments: signers)
    func `is the one whom the AWS command line would take`(_ example: SignerCase) throws {
        let fixture = try SharedFilesFixture(
            config: example.config,
            credentials: example.credentials,
            variables: example.variables
        )
        #expect(fixture.signer(profile: example.flag, configured: example.configured) == example.answer)
    }

    private static let files = "~/.aws/credentials and ~/.aws/config"
    private static let instance = "the role of an EC2 instance (AWS_EC2_METADATA_DISABLED is set)"
    private static let exportA = "eval \"$(aws configure export-credentials --profile a --format env)\" (AWS CLI 2)"

    static let sentences: [SignerCase] = [
        .init(
            testDescription: "nothing anywhere",
            answer:
                "no credentials found: looked for AWS_ACCESS_KEY_ID, the profile \"default\" in \(files), and "
                + "\(instance); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run \"aws configure\", or choose "
                + "a profile with --profile"
        ),
        .init(
            testDescription: "no home either",
            variables: ["HOME": ""],
            answer:
                "no credentials found: looked for AWS_ACCESS_KEY_ID, shared files (HOME is not set), and \(instance); "
                + "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run \"aws configure\", or choose a profile "
                + "with --profile"
        ),
        .init(
            testDescription: "a named profile without keys",
            config: "[profile a]\nregion=r\naws_access_key_id=\naws_secret_access_key=\n",
            variables: keys,
            flag: "a",
            answer:
                "no credentials found: looked for the profile \"a\" in \(files), and for \(instance); environment "
                + "variables are ignored with --profile; run \"aws configure --profile a\", choose another "
                + "profile, or omit --profile to use AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ),
        .init(
            testDescription: "single sign-on before keys",
            config: "[profile a]\nsso_account_id=1\ncredential_process=/no/such",
            credentials: profiles,
            flag: "a",
            answer: "the profile \"a\" uses single sign-on, but has no sso_region; run \"aws configure sso\""
        ),
        .init(
            testDescription: "a process before keys of the config file",
            config: "[profile c]\ncredential_process=/no/such\naws_access_key_id=C\naws_secret_access_key=s",
            flag: "c",
            answer: "the credential_process of the profile \"c\" cannot be started: No such file or directory; check "
                + "its path and its permissions"
        ),
        .init(
            testDescription: "a role before the keys that may take it on",
            config: "[profile a]\nrole_arn=arn:x",
            credentials: profiles,
            flag: "a",
            answer:
                "the profile \"a\" has role_arn, but neither source_profile nor credential_source, which name the "
                + "credentials that assume the role"
        ),
        .init(
            testDescription: "a console login",
            config: "[profile a]\nlogin_session=arn:x",
            flag: "a",
            answer:
                "the profile \"a\" requires a console login (login_session), which this version of mule does not "
                + "support; run \(exportA) first, then mule with AWS_PROFILE=a instead of --profile, because "
                + "--profile overrides keys in the environment"
        ),
        .init(
            testDescription: "a web identity before keys of a profile",
            credentials: profiles,
            variables: ["AWS_WEB_IDENTITY_TOKEN_FILE": "/t"],
            answer:
                "there is a web identity token file, /t, but no role to assume with it: set AWS_ROLE_ARN, or role_arn "
                + "in the profile"
        ),
        .init(
            testDescription: "an endpoint that is none",
            config: "[default]\nrole_arn=arn:x\nweb_identity_token_file=/t",
            variables: ["AWS_ENDPOINT_URL_STS": "ftp://sts"],
            answer: "AWS_ENDPOINT_URL_STS is not the URL of a service, such as https://sts.example.org"
        ),
        .init(
            testDescription: "no secret in the environment",
            credentials: profiles,
            variables: ["AWS_ACCESS_KEY_ID": "AKID"],
            answer: "the environment has AWS_ACCESS_KEY_ID, but not AWS_SECRET_ACCESS_KEY; set both, or remove "
                + "AWS_ACCESS_KEY_ID"
        ),
        .init(
            testDescription: "no access key in the environment",
            credentials: profiles,
            variables: ["AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "s"],
            answer: "the environment has AWS_SECRET_ACCESS_KEY, but not AWS_ACCESS_KEY_ID; set both, or remove "
                + "AWS_SECRET_ACCESS_KEY"
        ),
        .init(
            testDescription: "no secret in one file, the access key is not made up from the other",
            config: "[profile a]\naws_secret_access_key=s",
            credentials: "[a]\naws_access_key_id=A",
            flag: "a",
            answer: "the profile \"a\" in ~/.aws/credentials has aws_access_key_id, but not aws_secret_access_key; set "
                + "both, or remove aws_access_key_id"
        ),
        .init(
            testDescription: "a comment behind a key",
            credentials: "[default]\naws_access_key_id=A # mine\naws_secret_access_key=s",
            answer: "the profile \"default\" in ~/.aws/credentials has aws_access_key_id with a space, a line break or "
                + "another character that is not allowed in a key; copy it again, without quotes and without a "
                + "comment after it"
        ),
        .init(
            testDescription: "a comment behind a secret",
            credentials: "[default]\naws_access_key_id=A\naws_secret_access_key=s ; mine",
            answer: "the profile \"default\" in ~/.aws/credentials has aws_secret_access_key with a space, a line "
                + "break or another character that is not allowed in a key; copy it again, without quotes and without "
                + "a comment after it"
        ),
        .init(
            testDescription: "a line break in a token",
            variables: plus(["AWS_SESSION_TOKEN": "t\r"]),
            answer: "the environment has AWS_SESSION_TOKEN with a space, a line break or another character that is not "
                + "allowed in a key; copy it again, without quotes and without a comment after it"
        ),
        .init(
            testDescription: "an unknown profile",
            config: "[profile c]",
            credentials: profiles,
            flag: "A",
            answer: "there is no profile \"A\" (named by --profile) in ~/.aws/config or ~/.aws/credentials; known"
                + " profiles: a, b, c, default"
        ),
        .init(
            testDescription: "an unknown profile, even beside keys in the environment",
            variables: plus(["AWS_PROFILE": "x"]),
            answer: "there is no profile \"x\" (named by AWS_PROFILE) in ~/.aws/config or ~/.aws/credentials; there "
                + "are no profiles at all, run \"aws configure\" to create one"
        ),
        .init(
            testDescription: "a profile without the word profile",
            config: "[a]\nregion=r",
            configured: "a",
            answer: "there is no profile \"a\" (named by mule's configuration) in ~/.aws/config or ~/.aws/credentials; "
                + "the config file has [a], which must be written [profile a]"
        ),
        .init(
            testDescription: "an unknown profile without a home",
            variables: ["HOME": ""],
            flag: "a",
            answer: "there is no profile \"a\" (named by --profile): HOME is not set; there are no profiles at all, "
                + "run \"aws configure\" to create one"
        ),
    ]

    @Test(arguments: sentences)
    func `is missing, with the reason and a way out`(_ example: SignerCase) throws {
        try `is the one whom the AWS command line would take`(example)
    }

    @Test
    func `counts the profiles that are not listed`() throws {
        let names = (10..<35).map { "[p\($0)]\n" }.joined()
        #expect(try SharedFilesFixture(credentials: names).signer(profile: "x").hasSuffix(" p28, p29 and 5 more"))
    }

    @Test
    func `signs with the session token, under its new or its old name`() throws {
        func token(_ variables: [String: String]) throws -> String? {
            try SharedFilesFixture(variables: Self.plus(variables)).awsEnvironment().credentialsProvider().credentials()
                .sessionToken
        }
        #expect(try token([:]) == nil)
        #expect(try token(["AWS_SECURITY_TOKEN": "old"]) == "old")
        #expect(try token(["AWS_SECURITY_TOKEN": "old", "AWS_SESSION_TOKEN": "new"]) == "new")
        #expect(try token(["AWS_SECURITY_TOKEN": "old", "AWS_SESSION_TOKEN": ""]) == "old")

        let pair = "aws_access_key_id=A\naws_secret_access_key=s\n"
        func token(ofProfile lines: String) throws -> String? {
            let fixture = try SharedFilesFixture(
                config: "[default]\naws_session_token=stale",
                credentials: "[default]\n\(pair)\(lines)"
            )
            return try fixture.awsEnvironment().credentialsProvider().credentials().sessionToken
        }
        #expect(try token(ofProfile: "") == nil)
        #expect(try token(ofProfile: "aws_security_token=old") == "old")
        #expect(try token(ofProfile: "aws_security_token=old\naws_session_token=new") == "new")
    }

    @Test
    func `signs until the time that the environment gives`() throws {
        let variables = Self.plus(["AWS_CREDENTIAL_EXPIRATION": "2026-11-20T23:56:00+00:00"])
        let provider = try SharedFilesFixture(variables: variables).awsEnvironment().credentialsProvider()
        #expect(try provider.credentials().expiration == UTCTime(iso8601: "2026-11-20T23:56:00Z"))
    }

    @Test
    func `signs with a secret that only another store than Amazon's would give out`() throws {
        for secret in ["päss wörd", "a#b;c", "a=b:c"] {
            let text = "[default]\naws_access_key_id=A\naws_secret_access_key=\(secret)"
            let found = try SharedFilesFixture(credentials: text).awsEnvironment().credentialsProvider().credentials()
            #expect(found.secretAccessKey == secret)
        }
    }
}
