import MuleCredentials
import MuleSigning
import TestSupport

/// A home directory with the two shared files, and the variables of a run that sees nothing else.
struct SharedFilesFixture {
    let directory = ScratchDirectory()
    var variables: [String: String] = [:]

    init(config: String? = nil, credentials: String? = nil, variables: [String: String] = [:]) throws {
        if let config { try directory.write(config, to: ".aws/config") }
        if let credentials { try directory.write(credentials, to: ".aws/credentials") }
        self.variables = variables
    }

    var environment: [String: String] {
        variables.merging(["HOME": directory.path, "AWS_EC2_METADATA_DISABLED": "true"]) { own, _ in own }
    }

    var configPath: String { directory.path(".aws/config") }
    var credentialsPath: String { directory.path(".aws/credentials") }

    func configuration() throws(SharedConfigurationError) -> SharedConfiguration {
        try SharedConfiguration.load(environment: environment)
    }

    func awsEnvironment(profile: String? = nil, configured: String? = nil) throws(AWSEnvironmentError) -> AWSEnvironment
    {
        try AWSEnvironment(profile: profile, environment: environment, configured: configured)
    }

    /// The access key that signs, or the sentence that says why none does.
    func signer(profile: String? = nil, configured: String? = nil) -> String {
        do throws(AWSEnvironmentError) {
            let found = try AWSEnvironment.resolve(profile: profile, environment: environment, configured: configured)
            return (try? found.provider.credentials().accessKeyID) ?? "no answer"
        } catch {
            // The directory's name differs from run to run.
            return error.reason.replacing(directory.path, with: "~")
        }
    }
}
