import MulePlan
package import MuleSigning
package import MuleSystem
import MuleTransport

/// The settings shared by AWS's tools, from variables and files: credentials and store.
///
/// mule signs with the same credentials as the AWS command line, or says why not. Printing or dumping the value shows
/// no key.
package struct AWSEnvironment: Sendable {
    /// The profile in use; nil if none was named and there is no `default`.
    package let profileName: String?
    /// From variables (`AWS_REGION`, …). They outrank mule's own configuration file; a profile does not.
    package let environmentSettings: StoreSettings
    /// From the profile.
    package let profileSettings: StoreSettings

    private let variables: [String: String]
    private let configuration: SharedConfiguration
    private let selection: ProfileSelection
    private let profile: Profile?

    /// Variables first, then the profile.
    package var settings: StoreSettings { environmentSettings.completed(by: profileSettings) }

    /// Whether services that give credentials are asked at dual-stack endpoints; `s3.use_dualstack_endpoint` is not
    /// about them.
    private var servicesUseDualStack: Bool {
        environmentSettings.dualStack ?? (profile?["use_dualstack_endpoint"]?.lowercased() == "true")
    }

    /// What is set to change how requests are repeated, which mule does by rules of its own: variables, and settings of
    /// the profile.
    package var unusedRetrySettings: [String] {
        ["AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"].filter { variables[nonEmpty: $0] != nil }
            + ["max_attempts", "retry_mode"].filter { profile?[$0] != nil }
    }

    /// Reads the shared files and picks the profile.
    ///
    /// - Parameters:
    ///   - explicit: The profile of `--profile`. It outranks keys in the environment.
    ///   - environment: All variables; an empty one counts as unset.
    ///   - configured: The profile of mule's own configuration, used if no variable names one.
    /// - Throws: If a file is invalid, or a named profile does not exist.
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
        do throws(BadSetting) {
            environmentSettings = try StoreSettings(environment: environment, ignoringEndpoints: ignoring)
        } catch {
            throw .badVariable(error)
        }
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

    /// The credentials. Fetches temporary ones for the first time, so this may take a while.
    ///
    /// - Parameters:
    ///   - userAgent: Sent to services that provide credentials.
    ///   - caBundle: PEM file of authorities to trust instead of the system's.
    ///   - cancellation: Ends all waiting, now and later.
    ///   - notice: Receives sentences for users about problems that are not failures; for display, not for storage.
    /// - Throws: If no keys are found, or the keys or the way to get them cannot be used.
    package func credentialsProvider(
        userAgent: String = "mule",
        caBundle: String? = nil,
        fips: Bool? = nil,
        dualStack: Bool? = nil,
        cancellation: Cancellation = Cancellation(),
        notice: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(CredentialsUnavailable) -> any CredentialsProvider {
        let region = settings.region.map(AWSPartition.namedRegion)
        return try CredentialChain(
            selection: selection,
            configuration: configuration,
            context: CredentialContext(environment: variables, cancellation: cancellation, notice: notice),
            endpoints: endpoints(fips: fips, dualStack: dualStack),
            region: region?.name,
            transport: TransportSettings(userAgent: userAgent, caBundle: caBundle)
        ).provider()
    }

    /// The endpoints of AWS's services besides S3.
    private func endpoints(fips: Bool?, dualStack: Bool?) -> ServiceEndpoints {
        let region = settings.region.map(AWSPartition.namedRegion)
        return ServiceEndpoints(
            environment: variables,
            profile: profile,
            configuration: configuration,
            ignoresConfigured: settings.ignoresConfiguredEndpoints,
            fips: region?.isFIPS == true || fips ?? settings.fips ?? false,
            dualStack: dualStack ?? servicesUseDualStack
        )
    }

    /// Whether a token service is named, which is asked even if the store is not Amazon's.
    package var namesTokenService: Bool { endpoints(fips: nil, dualStack: nil).isNamed(.tokens) }

    /// Asks the token service whom the credentials belong to. The parameters are those of `credentialsProvider`.
    ///
    /// - Parameter region: the token service's.
    package func identity(
        of credentials: Credentials,
        region: String,
        userAgent: String = "mule",
        caBundle: String? = nil,
        fips: Bool? = nil,
        dualStack: Bool? = nil,
        cancellation: Cancellation = Cancellation()
    ) throws(CredentialsUnavailable) -> CallerIdentity {
        var transport = TransportSettings(userAgent: userAgent, caBundle: caBundle)
        // Nothing depends on the answer.
        transport.connectTimeout = 5
        let service = TokenService(
            context: CredentialContext(environment: variables, cancellation: cancellation, notice: { _ in }),
            endpoint: try endpoints(fips: fips, dualStack: dualStack).url(of: .tokens, region: region),
            region: region,
            transport: transport
        )
        do throws(TokenService.Refusal) {
            return try service.identity(of: credentials)
        } catch {
            throw error.unavailable
        }
    }

    /// Store settings and credentials in one step.
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

extension AWSEnvironment: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "AWSEnvironment(\(profileName ?? "no profile"))" }

    package var debugDescription: String { description }

    package var customMirror: Mirror {
        Mirror(self, children: ["profileName": profileName ?? "", "settings": settings], displayStyle: .struct)
    }
}
