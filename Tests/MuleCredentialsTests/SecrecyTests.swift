import MuleCredentials
import MuleSigning
import Testing

@Suite("Secrets")
struct SecrecyTests {
    private static let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    private static let token = "IQoJb3JpZ2luX2VjEXAMPLETOKEN"

    private static func shown(_ value: Any) -> String {
        var dumped = ""
        dump(value, to: &dumped)
        return "\(value)" + String(reflecting: value) + dumped
    }

    @Test
    func `are not shown by any value that came from a file or the environment`() throws {
        let pair = "aws_access_key_id=A\naws_secret_access_key=\(Self.secret)\naws_session_token=\(Self.token)\n"
        let variables = [
            "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": Self.secret, "AWS_SESSION_TOKEN": Self.token,
        ]
        let nested = "s3 =\n  \(Self.secret) = \(Self.token)\n"
        let fixture = try SharedFilesFixture(
            config: "[default]\n\(pair)\(nested)\(Self.secret) = x\n",
            credentials: "[default]\n\(pair)",
            variables: variables
        )
        let fromEnvironment = try fixture.awsEnvironment()
        let fromProfile = try fixture.awsEnvironment(profile: "default")
        let shared = try fixture.configuration()
        let values: [Any] = [
            shared, try #require(shared.profile("default")), fromEnvironment, fromProfile, fromEnvironment.settings,
            try fromEnvironment.credentialsProvider(), try fromProfile.credentialsProvider(),
            try fromProfile.credentialsProvider().credentials(),
        ]
        for value in values {
            let text = Self.shown(value).lowercased()
            #expect(!text.contains("wjalr"), "\(type(of: value))")
            #expect(!text.contains("iqojb3"), "\(type(of: value))")
        }
    }

    @Test(arguments: [
        "aws_secret_access_key=%", "aws_access_key_id=A\naws_secret_access_key=% # mine",
        "aws_access_key_id=A\naws_secret_access_key=%\n  %", "aws_access_key_id=A\naws_secret_access_key %",
        "%", "aws_access_key_id=% x\naws_secret_access_key=%", "aws_access_key_id=A\naws_session_token=%\n %",
    ]
    )
    func `are not shown by any error`(_ template: String) throws {
        let fixture = try SharedFilesFixture(credentials: "[default]\n" + template.replacing("%", with: Self.secret))
        let reason = fixture.signer()
        #expect(reason.contains("~/.aws/credentials"))
        #expect(!reason.contains("wJalr"))
        #expect {
            _ = try AWSEnvironment.resolve(profile: nil, environment: fixture.environment)
        } throws: { error in
            !Self.shown(error).contains("wJalr")
        }
    }
}
