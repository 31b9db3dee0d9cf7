import Glibc
import MuleSigning
import TestSupport
import Testing

@testable import MuleCredentials

@Suite("The shared configuration")
struct SharedConfigurationTests {
    @Test
    func `of a machine without the files is empty`() throws {
        #expect(try SharedFilesFixture().configuration().profileNames.isEmpty)
        #expect(try SharedConfiguration.load(environment: [:]).profileNames.isEmpty)
    }

    @Test
    func `takes a profile's settings from both files, the credentials file first`() throws {
        let shared = try SharedFilesFixture(
            config: "[profile a]\nregion=r1\noutput=json\n[default]\nregion=r0",
            credentials: "[a]\nregion=r2\naws_access_key_id=AK\n[b]\nregion=r3\n[profile c]\nregion=r4"
        ).configuration()
        #expect(shared.profileNames == ["a", "b", "default", "profile c"])
        let profile = try #require(shared.profile("a"))
        #expect(profile["region"] == "r2")
        #expect(profile["output"] == "json")
        #expect(profile["aws_access_key_id"] == "AK")
        #expect(shared.profile("b")?["region"] == "r3")
        #expect(shared.profile("default")?["region"] == "r0")
        #expect(shared.profile("c") == nil)
    }

    @Test(arguments: [("[default]", "[profile default]"), ("[profile default]", "[default]")]
    )
    func `of [default] and [profile default] the last counts as a whole`(first: String, last: String) throws {
        let shared = try SharedFilesFixture(
            config: "\(first)\naws_access_key_id=1\naws_session_token=1\n\(last)\naws_access_key_id=2\nregion=r\n"
        ).configuration()
        let profile = try #require(shared.profile("default"))
        #expect(profile["aws_access_key_id"] == "2")
        #expect(profile["aws_session_token"] == nil)
        #expect(profile["region"] == "r")
    }

    @Test(arguments: [
        ("$HOME/x", "/home/u/x"), ("${HOME}/x", "/home/u/x"), ("~/x", "/home/u/x"), ("$A/$B", "/a/b"),
        ("$TILDE/x", "/home/u/x"), ("/a$NONE/${NONE}/$", "/a$NONE/${NONE}/$"), ("/$", "/$"), ("/${HOME", "/${HOME"),
        ("/$EMPTY/x", "//x"), ("~", "/home/u"), ("~other/x", "~other/x"), ("/a/$Bä", "/a/bä"),
    ]
    )
    func `paths in variables may hold variables and ~, as with botocore`(written: String, path: String) {
        let variables = ["HOME": "/home/u", "A": "/a", "B": "b", "TILDE": "~", "EMPTY": ""]
        for name in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
            let locations = SharedFileLocations(environment: variables.merging([name: written]) { $1 })
            let found = name == "AWS_CONFIG_FILE" ? locations.config : locations.credentials
            #expect(found?.path == path)
        }
    }

    @Test(arguments: ["\"", "'"])
    func `keys in quotes are refused by name before anything is sent`(quote: String) throws {
        let quoted = "\(quote)AKIDEXAMPLE\(quote)"
        let file = try SharedFilesFixture(
            credentials: "[default]\naws_access_key_id = \(quoted)\naws_secret_access_key = s\n"
        )
        let variables = try SharedFilesFixture(
            variables: ["AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": quoted]
        )
        for (fixture, name) in [(file, "aws_access_key_id"), (variables, "AWS_SECRET_ACCESS_KEY")] {
            let environment = try fixture.awsEnvironment()
            #expect { try environment.credentialsProvider().credentials() } throws: { error in
                let reason = (error as? CredentialsUnavailable)?.reason ?? ""
                return reason.contains(name) && reason.contains("in quotes") && !reason.contains("AKID")
            }
        }
    }

    @Test
    func `merges sections of the same header, the later one first`() throws {
        let shared = try SharedFilesFixture(
            config: "[default]\na=1\nb=1\n[profile x]\n[default]\nb=2\ns3 =\n c=3\n"
        ).configuration()
        let profile = try #require(shared.profile("default"))
        #expect(profile["a"] == "1")
        #expect(profile["b"] == "2")
        #expect(profile.nested("s3") == ["c": "3"])
    }

    @Test
    func `tells text from nested settings, and takes empty ones for missing`() throws {
        let shared = try SharedFilesFixture(config: "[default]\na =\nb = 1\ns3 =\n c =\n d = 1").configuration()
        let profile = try #require(shared.profile("default"))
        #expect(profile["a"] == nil)
        #expect(profile["s3"] == nil)
        #expect(profile["none"] == nil)
        #expect(profile.nested("b") == [:])
        #expect(profile.nested("s3") == ["d": "1"])
    }

    @Test
    func `keeps profiles apart whose names differ in bytes only`() throws {
        let (composed, decomposed) = ("\u{FC}", "u\u{308}")
        let shared = try SharedFilesFixture(
            config: "[profile \(composed)]\nregion=one\n[profile \(decomposed)]\nregion=two"
        ).configuration()
        #expect(shared.profileNames.count == 2)
        #expect(shared.profile(composed)?["region"] == "one")
        #expect(shared.profile(decomposed)?["region"] == "two")
    }

    @Test
    func `knows sections of services and of single sign-on`() throws {
        let shared = try SharedFilesFixture(
            config: "[services a]\ns3 =\n endpoint_url=u\n[sso-session b]\nsso_region=r"
        ).configuration()
        #expect(shared.services("a")?.nested("s3") == ["endpoint_url": "u"])
        #expect(shared.singleSignOnSession("b")?["sso_region"] == "r")
        #expect(shared.profileNames.isEmpty)
    }

    @Test
    func `is where the variables say, with ~ for the home directory`() throws {
        var fixture = try SharedFilesFixture(config: "[profile usual]")
        try fixture.directory.write("[profile a]", to: "c")
        try fixture.directory.write("[b]", to: "k")
        fixture.variables = ["AWS_CONFIG_FILE": "~/c", "AWS_SHARED_CREDENTIALS_FILE": fixture.directory.path("k")]
        #expect(try fixture.configuration().profileNames == ["a", "b"])
        fixture.variables = ["AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere/at/all"]
        #expect(try fixture.configuration().profileNames == [])
        fixture.variables = ["AWS_CONFIG_FILE": ""]
        #expect(try fixture.configuration().profileNames == ["usual"])
    }

    @Test
    func `that cannot be understood is refused with file and line`() throws {
        let fixture = try SharedFilesFixture(credentials: "[a]\nnonsense")
        #expect {
            try fixture.configuration()
        } throws: { error in
            "\(error)" == fixture.credentialsPath
                + ", line 2: neither a [section] nor a setting of the form name = value"
        }
    }

    @Test
    func `that is no file, or too large, is refused`() throws {
        let fixture = try SharedFilesFixture()
        let directory = try fixture.directory.makeDirectory(".aws/config")
        #expect(throws: SharedConfigurationError(path: directory, problem: "cannot be read: it is not a file")) {
            try fixture.configuration()
        }
        let large = try SharedFilesFixture()
        let path = try large.directory.makeSparse(".aws/credentials", size: 1 << 20 + 1)
        #expect(throws: SharedConfigurationError(path: path, problem: "cannot be read: it is larger than 1 MiB")) {
            try large.configuration()
        }
    }

    @Test(.enabled(if: geteuid() != 0, "root may read everything"))
    func `that this user may not read is refused`() throws {
        let fixture = try SharedFilesFixture(config: "[default]")
        chmod(fixture.configPath, 0)
        #expect(
            throws: SharedConfigurationError(path: fixture.configPath, problem: "cannot be read: Permission denied")
        ) {
            try fixture.configuration()
        }
        // A home that is closed to this user, as it may be for a service, has no files for it.
        chmod(fixture.directory.path, 0)
        #expect(try fixture.configuration().profileNames.isEmpty)
    }
}
