import MuleSigning
import TestSupport
import Testing

@testable import MuleCredentials

/// Where credentials are asked for, by the rules of AWS's SDKs for STS, SSO and its tokens.
@Suite struct ServiceEndpointTests {
    private func endpoints(
        fips: Bool = false,
        dualStack: Bool = false,
        variables: [String: String] = [:]
    ) throws -> ServiceEndpoints {
        ServiceEndpoints(
            environment: variables,
            profile: nil,
            configuration: try SharedFilesFixture().configuration(),
            ignoresConfigured: false,
            fips: fips,
            dualStack: dualStack
        )
    }

    @Test(
        arguments: [
            (.tokens, "us-west-2", false, false, "sts.us-west-2.amazonaws.com"),
            (.tokens, "us-west-2", true, false, "sts-fips.us-west-2.amazonaws.com"),
            (.tokens, "us-west-2", false, true, "sts.us-west-2.api.aws"),
            (.tokens, "us-west-2", true, true, "sts-fips.us-west-2.api.aws"),
            (.tokens, "us-gov-west-1", true, false, "sts.us-gov-west-1.amazonaws.com"),
            (.tokens, "us-gov-west-1", true, true, "sts-fips.us-gov-west-1.api.aws"),
            (.tokens, "aws-global", false, false, "sts.amazonaws.com"),
            (.tokens, nil, false, false, "sts.amazonaws.com"),
            (.tokens, nil, true, false, "sts-fips.us-east-1.amazonaws.com"),
            (.tokens, "eusc-de-east-1", false, false, "sts.eusc-de-east-1.amazonaws.eu"),
            (.tokens, "us-iso-east-1", true, false, "sts-fips.us-iso-east-1.c2s.ic.gov"),
            (.tokens, "cn-north-1", false, true, "sts.cn-north-1.api.amazonwebservices.com.cn"),
            (.signOn, "us-east-2", true, false, "portal.sso-fips.us-east-2.amazonaws.com"),
            (.signOn, "us-gov-east-1", true, false, "portal.sso.us-gov-east-1.amazonaws.com"),
            (.signOn, "us-east-2", false, true, "portal.sso.us-east-2.api.aws"),
            (.signOnTokens, "us-east-2", true, false, "oidc-fips.us-east-2.amazonaws.com"),
            (.signOnTokens, "us-east-2", false, false, "oidc.us-east-2.amazonaws.com"),
        ] as [(ServiceEndpoints.Service, String?, Bool, Bool, String)]
    )
    func `hosts are those of botocore's rules`(
        service: ServiceEndpoints.Service,
        region: String?,
        fips: Bool,
        dualStack: Bool,
        host: String
    ) throws {
        #expect(
            try endpoints(fips: fips, dualStack: dualStack).url(of: service, region: region).text == "https://" + host
        )
    }

    @Test func `a server of another kind is refused where FIPS is required`() throws {
        let variables = ["AWS_ENDPOINT_URL_STS": "https://sts.example.org"]
        #expect(try endpoints(variables: variables).url(of: .tokens, region: nil).host == "sts.example.org")
        let error = #expect(throws: CredentialsUnavailable.self) {
            try endpoints(fips: true, variables: variables).url(of: .tokens, region: nil)
        }
        #expect(error?.reason.contains("FIPS endpoints are required, but AWS_ENDPOINT_URL_STS") == true)
    }

    @Test(
        arguments: [
            ([:], "use_fips_endpoint = true", true),
            (["AWS_USE_FIPS_ENDPOINT": "false"], "use_fips_endpoint = true", false),
            (["AWS_USE_FIPS_ENDPOINT": "TRUE"], "", true), (["AWS_USE_FIPS_ENDPOINT": ""], "", nil),
        ] as [([String: String], String, Bool?)]
    )
    func `FIPS is taken from the variable, then from the profile`(
        variables: [String: String],
        profile: String,
        fips: Bool?
    ) throws {
        let found = try SharedFilesFixture(config: "[default]\n\(profile)\n", variables: variables).awsEnvironment()
        #expect(found.settings.fips == fips)
    }

    @Test(
        arguments: [
            (["AWS_USE_FIPS_ENDPOINT": "yes"], "", "AWS_USE_FIPS_ENDPOINT is \"yes\"; it must be true or false"),
            (["AWS_USE_DUALSTACK_ENDPOINT": "1"], "", "AWS_USE_DUALSTACK_ENDPOINT is \"1\"; it must be true or false"),
            (
                [:], "use_fips_endpoint = on",
                "use_fips_endpoint of the profile \"default\" is \"on\"; it must be true or false"
            ),
            (
                [:], "s3 =\n  use_accelerate_endpoint = 1",
                "s3.use_accelerate_endpoint of the profile \"default\" is \"1\""
            ),
            (
                ["AWS_REQUEST_CHECKSUM_CALCULATION": "never"], "",
                "AWS_REQUEST_CHECKSUM_CALCULATION is \"never\"; it must be when_supported or when_required"
            ),
        ] as [([String: String], String, String)]
    )
    func `what is neither yes nor no is refused, and not taken for no`(
        variables: [String: String],
        profile: String,
        reason: String
    ) throws {
        let fixture = try SharedFilesFixture(config: "[default]\n\(profile)\n", variables: variables)
        let error = #expect(throws: AWSEnvironmentError.self) { try fixture.awsEnvironment() }
        #expect(error?.reason.contains(reason) == true, "\(String(describing: error?.reason))")
    }

    @Test func `all settings of endpoints are read, and those of retries are named`() throws {
        let config = """
            [default]
            use_dualstack_endpoint = false
            request_checksum_calculation = when_required
            s3_use_arn_region = false
            retry_mode = adaptive
            s3 =
              use_accelerate_endpoint = True
              use_dualstack_endpoint = true
            """
        let found = try SharedFilesFixture(config: config, variables: ["AWS_MAX_ATTEMPTS": "9"]).awsEnvironment()
        #expect(found.settings.dualStack == true && found.settings.accelerate == true)
        #expect(found.settings.followsAccessPoints == false && found.settings.onlyRequiredChecksums == true)
        #expect(found.unusedRetrySettings == ["AWS_MAX_ATTEMPTS", "retry_mode"])
    }
}
