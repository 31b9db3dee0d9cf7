import MulePlan
import MuleSigning
import MuleTransport

/// The sources of credentials in botocore's order (`create_credential_resolver`): the environment, then the profile (a
/// role, a web identity, single sign-on, keys in the credentials file, a process, keys in the config file), the
/// container, and the role of an EC2 instance.
struct CredentialChain: Sendable {
    let selection: ProfileSelection
    let configuration: SharedConfiguration
    let context: CredentialContext
    let endpoints: ServiceEndpoints
    /// The region of the token service; nil for the global one.
    let region: String?
    /// For services that are not on this machine.
    let transport: TransportSettings

    /// - Throws: If nothing is found, or what is found cannot be used.
    func provider() throws(CredentialsUnavailable) -> any CredentialsProvider {
        let name = selection.name ?? "default"
        var sources: [any CredentialSource] = selection.isExplicit ? [] : [environment]
        // A role comes before its profile's keys: the keys belong to the identity that may assume the role.
        sources.append(role(of: name, visited: [name]))
        sources += profileSources(name, usesVariables: !selection.isExplicit)
        sources.append(container)
        for source in sources {
            if let provider = try source.provider() { return OriginatedCredentials(provider, origin: source.origin) }
        }
        switch try metadata.look() {
        case .found(let provider):
            return OriginatedCredentials(provider, origin: "the role of this EC2 instance")
        case .nothing(let place): throw CredentialsUnavailable(reason: nothingFound(place))
        }
    }

    private var environment: EnvironmentKeys { EnvironmentKeys(environment: context.environment) }

    private var container: ContainerCredentials { ContainerCredentials(context: context, transport: transport) }

    private var metadata: InstanceMetadata {
        InstanceMetadata(
            profile: configuration.profile(selection.name ?? "default"),
            context: context,
            userAgent: transport.userAgent
        )
    }

    private func profileSources(_ name: String, usesVariables: Bool) -> [any CredentialSource] {
        let profile = configuration.profile(name)
        return [
            WebIdentity(usesVariables: usesVariables, profile: profile, context: context, service: tokenService),
            SingleSignOn(
                profile: profile,
                configuration: configuration,
                context: context,
                endpoints: endpoints,
                transport: transport
            ),
            ProfileKeys(configuration: configuration, profile: name, file: .credentials),
            UnsupportedSource(
                .login,
                settings: ["login_session"],
                of: profile,
                advice: ExportAdvice(selection: selection)
            ),
            CredentialProcess(profile: profile, context: context),
            ProfileKeys(configuration: configuration, profile: name, file: .config),
        ]
    }

    private var tokenService: @Sendable () throws(CredentialsUnavailable) -> TokenService {
        { [context, endpoints, region, transport] () throws(CredentialsUnavailable) in
            TokenService(
                context: context,
                endpoint: try endpoints.url(of: .tokens, region: region),
                region: region.flatMap { $0 == "aws-global" ? nil : $0 } ?? "us-east-1",
                transport: transport
            )
        }
    }

    // MARK: Roles

    private func role(of name: String, visited: [String]) -> AssumedRole {
        AssumedRole(
            profile: configuration.profile(name),
            context: context,
            service: tokenService,
            ofProfile: { (source) throws(CredentialsUnavailable) in
                try sourceProvider(source, of: name, visited: visited)
            },
            ofPlace: { (place) throws(CredentialsUnavailable) in
                switch place {
                case .environment: return try environment.provider()
                case .container: return try container.provider()
                case .instance:
                    guard case .found(let provider) = try metadata.look() else { return nil }
                    return provider
                }
            }
        )
    }

    /// The credentials of the profile with which another profile's role is assumed.
    private func sourceProvider(
        _ name: String,
        of asker: String,
        visited: [String]
    ) throws(CredentialsUnavailable) -> any CredentialsProvider {
        guard let profile = configuration.profile(name) else {
            throw CredentialsUnavailable(
                reason:
                    "source_profile of the profile \"\(asker)\" is \"\(name)\", which does not exist"
            )
        }
        let hasKeys = profile["aws_access_key_id"] != nil || profile["aws_secret_access_key"] != nil
        // A profile may name itself if it has the keys as well as the role.
        guard !visited.contains(name) || (name == asker && hasKeys) else {
            throw CredentialsUnavailable(
                reason: "the profiles refer to each other in a circle by source_profile: "
                    + (visited + [name]).map { "\"\($0)\"" }.joined(separator: ", then ")
            )
        }
        if AssumedRole.isWanted(by: profile), !hasKeys,
            let provider = try role(of: name, visited: visited + [name]).provider()
        {
            return provider
        }
        for source in profileSources(name, usesVariables: false) {
            if let provider = try source.provider() { return provider }
        }
        throw CredentialsUnavailable(
            reason: "source_profile of the profile \"\(asker)\" is \"\(name)\", which has no credentials"
        )
    }

    // MARK: Nothing found

    private func nothingFound(_ metadata: String) -> String {
        let name = selection.name ?? "default"
        let paths = [configuration.locations.credentials, configuration.locations.config].compactMap { $0?.path }
        let files =
            paths.isEmpty
            ? "shared files (HOME is not set)" : "the profile \"\(name)\" in \(paths.joined(separator: " and "))"
        if selection.isExplicit {
            return "no credentials found: looked for \(files), and for \(metadata); environment variables are ignored "
                + "with --profile; run \"aws configure --profile \(ExportAdvice.shellWord(name))\", choose another "
                + "profile, or omit --profile to use AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        }
        return
            "no credentials found: looked for AWS_ACCESS_KEY_ID, \(files), and \(metadata); set AWS_ACCESS_KEY_ID and "
            + "AWS_SECRET_ACCESS_KEY, run \"aws configure\", or choose a profile with --profile"
    }
}

/// Credentials of a source that can be named.
private struct OriginatedCredentials: CredentialsProvider {
    private let provider: any CredentialsProvider
    let origin: String?

    init(_ provider: any CredentialsProvider, origin: String) {
        self.provider = provider
        self.origin = origin
    }

    func credentials() throws(CredentialsUnavailable) -> Credentials { try provider.credentials() }

    func credentials(at time: UTCTime) throws(CredentialsUnavailable) -> Credentials {
        try provider.credentials(at: time)
    }

    func renew(refused: Credentials) throws(CredentialsUnavailable) -> Bool { try provider.renew(refused: refused) }

    func noteAccepted() { provider.noteAccepted() }
}
