import MuleCredentials
import Testing

@Suite("Settings of the store")
struct StoreSettingsTests {
    private static let config = """
        [default]
        region = profile-region
        endpoint_url = http://profile
        ca_bundle = /profile.pem
        services = ours
        s3 =
          addressing_style = Path

        [services ours]
        s3 =
          endpoint_url = http://profile-s3
        """

    @Test(
        arguments: [
            ([:], "profile-region", "http://profile-s3", "/profile.pem"),
            (["AWS_DEFAULT_REGION": "d"], "d", "http://profile-s3", "/profile.pem"),
            (["AWS_DEFAULT_REGION": "d", "AWS_REGION": "r"], "r", "http://profile-s3", "/profile.pem"),
            (["AWS_DEFAULT_REGION": "d", "AWS_REGION": ""], "d", "http://profile-s3", "/profile.pem"),
            (["AWS_ENDPOINT_URL": "http://all"], "profile-region", "http://all", "/profile.pem"),
            (
                ["AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_S3": "http://s3"], "profile-region", "http://s3",
                "/profile.pem"
            ),
            (
                ["AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": ""], "profile-region", "http://profile-s3",
                "/profile.pem"
            ),
            (["AWS_CA_BUNDLE": "/v.pem"], "profile-region", "http://profile-s3", "/v.pem"),
        ] as [([String: String], String, String, String)]
    )
    func `come from the variables, then from the profile`(
        _ variables: [String: String],
        _ region: String,
        _ endpoint: String,
        _ bundle: String
    ) throws {
        let found = try SharedFilesFixture(config: Self.config, variables: variables).awsEnvironment()
        #expect(
            found.settings
                == StoreSettings(region: region, endpointURL: endpoint, caBundle: bundle, addressing: "path")
        )
    }

    @Test
    func `of variables and profile can be had apart, for mule's own file stands between them`() throws {
        let fixture = try SharedFilesFixture(config: Self.config, variables: ["AWS_REGION": "r"])
        let found = try fixture.awsEnvironment()
        #expect(found.environmentSettings == StoreSettings(region: "r"))
        #expect(found.profileSettings.region == "profile-region")
        #expect(found.profileName == "default")
    }

    @Test
    func `of no one are all unset`() throws {
        let found = try SharedFilesFixture().awsEnvironment()
        #expect(found.settings == StoreSettings())
        #expect(found.profileName == nil)
    }

    @Test(arguments: [
        ("true", "", true), ("TRUE", "", true), ("false", "", false), ("1", "", false), ("", "", false),
        ("", "true", true), ("false", "true", false), ("true", "false", true),
    ]
    )
    func `leave endpoints out when they are to be ignored`(_ variable: String, _ setting: String, _ ignores: Bool)
        throws
    {
        let config = Self.config.replacing(
            "ca_bundle",
            with: "ignore_configured_endpoint_urls = \(setting)\nca_bundle"
        )
        for variables in [[:], ["AWS_ENDPOINT_URL": "http://all"]] {
            let settings = try SharedFilesFixture(
                config: config,
                variables: variables.merging(["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": variable]) { $1 }
            ).awsEnvironment().settings
            #expect((settings.endpointURL == nil) == ignores)
            #expect(settings.ignoresConfiguredEndpoints == ignores)
            #expect(settings.region == "profile-region")
        }
    }

    // https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html and
    // https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html; the blank behind "s3 =" is theirs.
    @Test(arguments: [
        (
            "dev",
            "[profile dev]\nservices = s3-specific\n\n[services s3-specific]\ns3 = \n"
                + "  endpoint_url = http://localhost:4567\n"
        ),
        (
            "dev",
            "[profile dev]\nendpoint_url = http://localhost:1234\nservices = s3-specific\n\n"
                + "[services s3-specific]\ns3 = \n  endpoint_url = http://localhost:4567\n"
        ),
        (
            "dev1",
            "[profile dev1]\nservices = testing-s3-and-eb\n\n[services testing-s3-and-eb]\ns3 = \n"
                + "  endpoint_url = http://localhost:4567\nelastic_beanstalk = \n"
                + "  endpoint_url = http://localhost:8000\n"
        ),
        (
            "dev2",
            "[profile dev1]\noutput = json\nservices = testing-s3\n\n[profile dev2]\noutput = text\n"
                + "services = testing-s3\n\n[services testing-s3]\ns3 = \n  endpoint_url = http://localhost:4567\n"
        ),
    ]
    )
    func `are those of AWS's documented examples`(_ profile: String, _ config: String) throws {
        let found = try SharedFilesFixture(config: config).awsEnvironment(profile: profile)
        #expect(found.settings.endpointURL == "http://localhost:4567")
    }

    @Test
    func `take the profile's endpoint when its services section has none for S3`() throws {
        let config = "[default]\nendpoint_url = http://all\nservices = x\n[services x]\nendpoint_url = http://no\n"
        let settings = try SharedFilesFixture(config: config).awsEnvironment().settings
        #expect(settings.endpointURL == "http://all")
    }

    @Test
    func `are refused when the profile names a services section that is not there`() throws {
        var fixture = try SharedFilesFixture(config: "[default]\nendpoint_url = http://all\nservices = x\n")
        #expect {
            try fixture.awsEnvironment()
        } throws: { error in
            (error as? AWSEnvironmentError)?.reason == fixture.configPath
                + ": the profile \"default\" names the services section \"x\", which does not exist; write a section "
                + "[services x], or remove the services line from the profile"
        }
        fixture.variables = ["AWS_ENDPOINT_URL": "http://v"]
        #expect(try fixture.awsEnvironment().settings.endpointURL == "http://v")
    }
}
