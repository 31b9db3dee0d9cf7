import Glibc
import MuleCredentials
import TestSupport
import Testing

@Suite("The shared configuration")
struct SharedConfigurationTests {
    @Test("of a machine without the files is empty")
    func missingFiles() throws {
        #expect(try SharedFilesFixture().configuration().profileNames.isEmpty)
        #expect(try SharedConfiguration.load(environment: [:]).profileNames.isEmpty)
    }

    @Test("takes a profile's settings from both files, the credentials file first")
    func merges() throws {
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

    @Test("merges sections of the same profile, the later one first")
    func mergesDuplicates() throws {
        let shared = try SharedFilesFixture(
            config: "[default]\na=1\nb=1\n[profile x]\n[profile default]\nb=2\ns3 =\n c=3\n"
        ).configuration()
        let profile = try #require(shared.profile("default"))
        #expect(profile["a"] == "1")
        #expect(profile["b"] == "2")
        #expect(profile.nested("s3") == ["c": "3"])
    }

    @Test("tells text from nested settings, and takes empty ones for missing")
    func textAndNested() throws {
        let shared = try SharedFilesFixture(config: "[default]\na =\nb = 1\ns3 =\n c =\n d = 1").configuration()
        let profile = try #require(shared.profile("default"))
        #expect(profile["a"] == nil)
        #expect(profile["s3"] == nil)
        #expect(profile["none"] == nil)
        #expect(profile.nested("b") == [:])
        #expect(profile.nested("s3") == ["d": "1"])
    }

    @Test("keeps profiles apart whose names differ in bytes only")
    func namesAreBytes() throws {
        let (composed, decomposed) = ("\u{FC}", "u\u{308}")
        let shared = try SharedFilesFixture(
            config: "[profile \(composed)]\nregion=one\n[profile \(decomposed)]\nregion=two"
        ).configuration()
        #expect(shared.profileNames.count == 2)
        #expect(shared.profile(composed)?["region"] == "one")
        #expect(shared.profile(decomposed)?["region"] == "two")
    }

    @Test("knows sections of services and of single sign-on")
    func otherSections() throws {
        let shared = try SharedFilesFixture(
            config: "[services a]\ns3 =\n endpoint_url=u\n[sso-session b]\nsso_region=r"
        ).configuration()
        #expect(shared.services("a")?.nested("s3") == ["endpoint_url": "u"])
        #expect(shared.singleSignOnSession("b")?["sso_region"] == "r")
        #expect(shared.profileNames.isEmpty)
    }

    @Test("is where the variables say, with ~ for the home directory")
    func namedFiles() throws {
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

    @Test("that can't be understood is refused with file and line")
    func malformed() throws {
        let fixture = try SharedFilesFixture(credentials: "[a]\nnonsense")
        #expect {
            try fixture.configuration()
        } throws: { error in
            "\(error)" == fixture.credentialsPath
                + ", line 2: neither a [section] nor a setting of the form name = value"
        }
    }

    @Test("that is no file, or too large, is refused")
    func unreadable() throws {
        let fixture = try SharedFilesFixture()
        let directory = try fixture.directory.makeDirectory(".aws/config")
        #expect(throws: SharedConfigurationError(path: directory, problem: "can't be read: it is not a file")) {
            try fixture.configuration()
        }
        let large = try SharedFilesFixture()
        let path = try large.directory.makeSparse(".aws/credentials", size: 1 << 20 + 1)
        #expect(throws: SharedConfigurationError(path: path, problem: "can't be read: it is larger than 1 MiB")) {
            try large.configuration()
        }
    }

    @Test("that this user may not read is refused", .enabled(if: geteuid() != 0, "root may read everything"))
    func forbidden() throws {
        let fixture = try SharedFilesFixture(config: "[default]")
        chmod(fixture.configPath, 0)
        #expect(throws: SharedConfigurationError(path: fixture.configPath, problem: "can't be read: Permission denied"))
        {
            try fixture.configuration()
        }
        // A home that is closed to this user, as it may be for a service, has no files for it.
        chmod(fixture.directory.path, 0)
        #expect(try fixture.configuration().profileNames.isEmpty)
    }
}
