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
            testDescription: "keys beside single sign-on and a process",
            config: "[profile a]\nsso_session=x\nsso_account_id=1\ncredential_process=p",
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

    @Test("is the one whom the AWS command line would take", arguments: signers)
    func signs(_ example: SignerCase) throws {
        let fixture = try SharedFilesFixture(
            config: example.config,
            credentials: example.credentials,
            variables: example.variables
        )
        #expect(fixture.signer(profile: example.flag, configured: example.configured) == example.answer)
    }

    private static let files = "~/.aws/credentials and ~/.aws/config"
    private static let export = "eval \"$(aws configure export-credentials --format env)\" (AWS CLI 2)"
    private static let exportA = "eval \"$(aws configure export-credentials --profile a --format env)\" (AWS CLI 2)"

    static let sentences: [SignerCase] = [
        .init(
            testDescription: "nothing anywhere",
            answer: "no credentials found: AWS_ACCESS_KEY_ID is not set, and the profile \"default\" has no keys in"
                + " \(files); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run \"aws configure\", or name a"
                + " profile with --profile (the role of an EC2 instance is not looked for: run \(export) first)"
        ),
        .init(
            testDescription: "no home either",
            variables: ["HOME": ""],
            answer: "no credentials found: AWS_ACCESS_KEY_ID is not set, and there are no shared files, as HOME is not"
                + " set; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run \"aws configure\", or name a profile"
                + " with --profile (the role of an EC2 instance is not looked for: run \(export) first)"
        ),
        .init(
            testDescription: "a named profile without keys",
            config: "[profile a]\nregion=r\naws_access_key_id=\naws_secret_access_key=\n",
            variables: keys,
            flag: "a",
            answer: "no credentials found: the profile \"a\" has no keys in \(files), and variables don't count beside"
                + " --profile; run \"aws configure --profile a\", name another profile, or leave --profile away to use"
                + " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ),
        .init(
            testDescription: "no secret in the environment",
            credentials: profiles,
            variables: ["AWS_ACCESS_KEY_ID": "AKID"],
            answer: "the environment has AWS_ACCESS_KEY_ID, but not AWS_SECRET_ACCESS_KEY; set both, or take"
                + " AWS_ACCESS_KEY_ID away"
        ),
        .init(
            testDescription: "no access key in the environment",
            credentials: profiles,
            variables: ["AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "s"],
            answer: "the environment has AWS_SECRET_ACCESS_KEY, but not AWS_ACCESS_KEY_ID; set both, or take"
                + " AWS_SECRET_ACCESS_KEY away"
        ),
        .init(
            testDescription: "no secret in one file, the access key is not made up from the other",
            config: "[profile a]\naws_secret_access_key=s",
            credentials: "[a]\naws_access_key_id=A",
            flag: "a",
            answer: "the profile \"a\" in ~/.aws/credentials has aws_access_key_id, but not aws_secret_access_key; set"
                + " both, or take aws_access_key_id away"
        ),
        .init(
            testDescription: "a comment behind a key",
            credentials: "[default]\naws_access_key_id=A # mine\naws_secret_access_key=s",
            answer: "the profile \"default\" in ~/.aws/credentials has aws_access_key_id with a blank, a line break or"
                + " another character that a key can't have; copy it again, without quotes, and with no comment behind"
                + " it"
        ),
        .init(
            testDescription: "a comment behind a secret",
            credentials: "[default]\naws_access_key_id=A\naws_secret_access_key=s ; mine",
            answer: "the profile \"default\" in ~/.aws/credentials has aws_secret_access_key with a blank, a line"
                + " break or another character that a key can't have; copy it again, without quotes, and with no"
                + " comment behind it"
        ),
        .init(
            testDescription: "a line break in a token",
            variables: plus(["AWS_SESSION_TOKEN": "t\r"]),
            answer: "the environment has AWS_SESSION_TOKEN with a blank, a line break or another character that a key"
                + " can't have; copy it again, without quotes, and with no comment behind it"
        ),
        .init(
            testDescription: "a role, named by a variable",
            config: "[profile a]\nrole_arn=arn:x\nsource_profile=b",
            credentials: profiles,
            variables: ["AWS_PROFILE": "a"],
            answer: "the profile \"a\" asks for an assumed role (role_arn), which this version of mule can't use; run"
                + " \(exportA) first"
        ),
        .init(
            testDescription: "a role, named by a flag",
            config: "[profile a]\nrole_arn=arn:x\nsource_profile=b",
            flag: "a",
            answer: "the profile \"a\" asks for an assumed role (role_arn), which this version of mule can't use; run"
                + " \(exportA) first, then mule with AWS_PROFILE=a in place of --profile, for a profile named by a"
                + " flag outranks keys in the environment"
        ),
        .init(
            testDescription: "a web identity",
            config: "[default]\nrole_arn=arn:x\nweb_identity_token_file=/t",
            answer: "the profile \"default\" asks for a web identity token (web_identity_token_file), which this"
                + " version of mule can't use; run \(export) first"
        ),
        .init(
            testDescription: "single sign-on by session",
            config: "[default]\nsso_session=x\nsso_account_id=1\n[sso-session x]\nsso_start_url=u",
            answer: "the profile \"default\" asks for single sign-on (sso_session), which this version of mule can't"
                + " use; run \(export) first"
        ),
        .init(
            testDescription: "single sign-on by URL",
            config: "[default]\nsso_start_url=u\nsso_role_name=r",
            answer: "the profile \"default\" asks for single sign-on (sso_start_url), which this version of mule can't"
                + " use; run \(export) first"
        ),
        .init(
            testDescription: "a web identity of the environment",
            variables: ["AWS_WEB_IDENTITY_TOKEN_FILE": "/t", "AWS_ROLE_ARN": "arn:x"],
            answer: "the environment asks for a web identity token (AWS_WEB_IDENTITY_TOKEN_FILE), which this version"
                + " of mule can't use; run \(export) first"
        ),
        .init(
            testDescription: "a container",
            variables: ["AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"],
            answer: "the environment asks for the role of a container (AWS_CONTAINER_CREDENTIALS_FULL_URI), which this"
                + " version of mule can't use; run \(export) first"
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
            answer: "there is no profile \"x\" (named by AWS_PROFILE) in ~/.aws/config or ~/.aws/credentials; there"
                + " are no profiles at all, run \"aws configure\" to make one"
        ),
        .init(
            testDescription: "a profile without the word profile",
            config: "[a]\nregion=r",
            configured: "a",
            answer: "there is no profile \"a\" (named by mule's configuration) in ~/.aws/config or ~/.aws/credentials;"
                + " the config file has [a], which has to be written [profile a]"
        ),
        .init(
            testDescription: "an unknown profile without a home",
            variables: ["HOME": ""],
            flag: "a",
            answer: "there is no profile \"a\" (named by --profile): HOME is not set; there are no profiles at all,"
                + " run \"aws configure\" to make one"
        ),
    ]

    @Test("is said to be nobody, with the reason and a way out", arguments: sentences)
    func refuses(_ example: SignerCase) throws { try signs(example) }

    @Test("counts the profiles that are not listed")
    func manyProfiles() throws {
        let names = (10..<35).map { "[p\($0)]\n" }.joined()
        #expect(try SharedFilesFixture(credentials: names).signer(profile: "x").hasSuffix(" p28, p29 and 5 more"))
    }

    @Test("signs with the session token, under its new or its old name")
    func sessionTokens() throws {
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

    @Test("signs until the time that the environment gives")
    func expiration() throws {
        let variables = Self.plus(["AWS_CREDENTIAL_EXPIRATION": "2026-11-20T23:56:00+00:00"])
        let provider = try SharedFilesFixture(variables: variables).awsEnvironment().credentialsProvider()
        #expect(try provider.credentials().expiration == UTCTime(iso8601: "2026-11-20T23:56:00Z"))
    }

    @Test("signs with a secret that only another store than Amazon's would give out")
    func oddSecrets() throws {
        for secret in ["päss wörd", "a#b;c", "\"quoted\"", "a=b:c"] {
            let text = "[default]\naws_access_key_id=A\naws_secret_access_key=\(secret)"
            let found = try SharedFilesFixture(credentials: text).awsEnvironment().credentialsProvider().credentials()
            #expect(found.secretAccessKey == secret)
        }
    }
}
