package import MuleSigning
package import MuleSystem

/// What the variables and files shared by AWS's tools say: who signs, and for which store.
///
/// mule signs as the one whom the AWS command line would sign as, or says why it does not. Only static keys can be used:
/// of the environment, or of a profile. Printing or dumping the value shows no key.
package struct AWSEnvironment: Sendable {
    /// The profile in use; nil when none was named and there is no `default`.
    package let profileName: String?
    /// What the variables (`AWS_REGION`, …) say. They outrank mule's own configuration file; a profile does not.
    package let environmentSettings: StoreSettings
    /// What the profile says.
    package let profileSettings: StoreSettings

    private let variables: [String: String]
    private let configuration: SharedConfiguration
    private let selection: ProfileSelection
    private let profile: Profile?

    /// Variables first, then the profile.
    package var settings: StoreSettings { environmentSettings.completed(by: profileSettings) }

    /// Reads the shared files and picks the profile.
    ///
    /// - Parameters:
    ///   - explicit: The profile that `--profile` names. It outranks keys in the environment.
    ///   - environment: All variables; an empty one counts as unset.
    ///   - configured: The profile that mule's own configuration names, for when no variable names one.
    /// - Throws: When a file can't be understood, or a profile that was named does not exist.
    package init(
        profile explicit: String?,
        environment: [String: String],
        configured: String? = nil
    ) throws(AWSEnvironmentError) {
        variables = environment
        selection = ProfileSelection(flag: explicit, environment: environment, configured: configured)
        do throws(SharedConfigurationError) {
            configuration = try SharedConfiguration.load(environment: environment)
        } catch {
            throw .configuration(error)
        }
        profile = configuration.profile(selection.name ?? "default")
        if let name = selection.name, profile == nil {
            let locations = [configuration.locations.config, configuration.locations.credentials]
            throw .unknownProfile(
                UnknownProfile(
                    name: name,
                    origin: selection.origin,
                    known: configuration.profileNames,
                    isStray: configuration.hasStrayHeader(name),
                    paths: locations.compactMap { $0?.path }
                )
            )
        }
        profileName = profile?.name
        let ignoring = StoreSettings.ignoresEndpoints(environment: environment, profile: profile)
        environmentSettings = StoreSettings(environment: environment, ignoringEndpoints: ignoring)
        guard let profile else {
            profileSettings = StoreSettings(ignoresConfiguredEndpoints: ignoring)
            return
        }
        do throws(SharedConfigurationError) {
            profileSettings = try StoreSettings(
                profile: profile,
                of: configuration,
                needingEndpoint: !ignoring && environmentSettings.endpointURL == nil,
                ignoringEndpoints: ignoring
            )
        } catch {
            throw .configuration(error)
        }
    }

    /// Who signs. Temporary credentials are fetched here for the first time, so this may take a while.
    ///
    /// - Parameters:
    ///   - cancellation: Ends what is being waited for, now and later.
    ///   - notice: Takes sentences for people about what is no failure; to be shown, and not to be kept.
    /// - Throws: When no keys are found, or the ones that are found, or the way to get them, can't be used.
    package func credentialsProvider(
        cancellation: Cancellation = Cancellation(),
        notice: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(CredentialsUnavailable) -> any CredentialsProvider {
        let context = FetchContext(environment: variables, cancellation: cancellation, notice: notice)
        for source in sources(context) {
            if let provider = try source.provider() { return provider }
        }
        throw CredentialsUnavailable(reason: nothingFound)
    }

    /// Store and signer in one step.
    package static func resolve(
        profile explicit: String?,
        environment: [String: String],
        configured: String? = nil
    ) throws(AWSEnvironmentError) -> (
        provider: any CredentialsProvider, settings: StoreSettings, profileName: String?
    ) {
        let found = try AWSEnvironment(profile: explicit, environment: environment, configured: configured)
        do throws(CredentialsUnavailable) {
            return (try found.credentialsProvider(), found.settings, found.profileName)
        } catch {
            throw .credentials(error)
        }
    }
}

extension AWSEnvironment {
    /// In botocore's order, `create_credential_resolver`, with one exception: keys in a profile are taken even if it also
    /// asks for single sign-on. They are that way's result, which other tools write there for programs like this one.
    ///
    /// A role is different: keys beside `role_arn` belong to whoever may take the role on, not to the role.
    private func sources(_ context: FetchContext) -> [any CredentialSource] {
        let advice = ExportAdvice(selection: selection)
        func setting(_ way: UnsupportedSource.Way, _ names: String...) -> any CredentialSource {
            UnsupportedSource(way, settings: names, of: profile, advice: advice)
        }
        func variable(_ way: UnsupportedSource.Way, _ names: String...) -> any CredentialSource {
            UnsupportedSource(way, variables: names, of: variables, advice: advice)
        }
        var sources: [any CredentialSource] = [
            setting(.webIdentity, "web_identity_token_file"),
            setting(.assumedRole, "role_arn"),
            ProfileKeys(configuration: configuration, profile: selection.name ?? "default", file: .credentials),
            CredentialProcess(profile: profile, context: context),
            ProfileKeys(configuration: configuration, profile: selection.name ?? "default", file: .config),
            setting(.singleSignOn, "sso_session", "sso_start_url", "sso_account_id", "sso_role_name"),
        ]
        if !selection.isExplicit {
            sources.insert(EnvironmentKeys(environment: variables), at: 0)
            sources.append(variable(.webIdentity, "AWS_WEB_IDENTITY_TOKEN_FILE"))
        }
        sources.append(
            variable(.container, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
        )
        return sources
    }

    private var nothingFound: String {
        let name = selection.name ?? "default"
        let paths = [configuration.locations.credentials, configuration.locations.config].compactMap { $0?.path }
        let files = paths.isEmpty ? "there are no shared files, as HOME is not set" : paths.joined(separator: " and ")
        let keys = paths.isEmpty ? files : "the profile \"\(name)\" has no keys in \(files)"
        if selection.isExplicit {
            return "no credentials found: \(keys), and variables don't count beside --profile; run"
                + " \"aws configure --profile \(ExportAdvice.shellWord(name))\", name another profile, or leave --profile"
                + " away to use AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        }
        return "no credentials found: AWS_ACCESS_KEY_ID is not set, and \(keys); set AWS_ACCESS_KEY_ID and"
            + " AWS_SECRET_ACCESS_KEY, run \"aws configure\", or name a profile with --profile (the role of an EC2"
            + " instance is not looked for: \(ExportAdvice(selection: selection).text))"
    }
}

extension AWSEnvironment: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "AWSEnvironment(\(profileName ?? "no profile"))" }

    package var debugDescription: String { description }

    package var customMirror: Mirror {
        Mirror(self, children: ["profileName": profileName ?? "", "settings": settings], displayStyle: .struct)
    }
}
