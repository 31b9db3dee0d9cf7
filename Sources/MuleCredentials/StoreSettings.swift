/// The store's settings in AWS's variables or a profile. Nil means not set.
package struct StoreSettings: Hashable, Sendable {
    package var region: String?
    /// As written; nil if configured endpoints are ignored.
    package var endpointURL: String?
    /// Path of a PEM file.
    package var caBundle: String?
    /// `s3.addressing_style` in lower case: `path`, `virtual` or `auto`; the caller refuses other words.
    package var addressing: String?
    /// `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` or its setting: endpoints of variables and profile are ignored.
    package var ignoresConfiguredEndpoints: Bool

    package init(
        region: String? = nil,
        endpointURL: String? = nil,
        caBundle: String? = nil,
        addressing: String? = nil,
        ignoresConfiguredEndpoints: Bool = false
    ) {
        self.region = region
        self.endpointURL = endpointURL
        self.caBundle = caBundle
        self.addressing = addressing
        self.ignoresConfiguredEndpoints = ignoresConfiguredEndpoints
    }

    /// These settings; those that are nil come from the other ones.
    package func completed(by other: StoreSettings) -> StoreSettings {
        StoreSettings(
            region: region ?? other.region,
            endpointURL: endpointURL ?? other.endpointURL,
            caBundle: caBundle ?? other.caBundle,
            addressing: addressing ?? other.addressing,
            ignoresConfiguredEndpoints: ignoresConfiguredEndpoints || other.ignoresConfiguredEndpoints
        )
    }
}

// Order of endpoints: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
extension StoreSettings {
    /// As in botocore: "true" in any case means yes, everything else no.
    private static func isTrue(_ word: String) -> Bool { word.lowercased() == "true" }

    /// Whether endpoints of variables and profile are ignored; the variable outranks the profile.
    static func ignoresEndpoints(environment: [String: String], profile: Profile?) -> Bool {
        let word =
            environment[nonEmpty: "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] ?? profile?["ignore_configured_endpoint_urls"]
        return word.map(isTrue) ?? false
    }

    /// From variables.
    init(environment: [String: String], ignoringEndpoints: Bool) {
        let endpoint = environment[nonEmpty: "AWS_ENDPOINT_URL_S3"] ?? environment[nonEmpty: "AWS_ENDPOINT_URL"]
        self.init(
            region: environment[nonEmpty: "AWS_REGION"] ?? environment[nonEmpty: "AWS_DEFAULT_REGION"],
            endpointURL: ignoringEndpoints ? nil : endpoint,
            caBundle: environment[nonEmpty: "AWS_CA_BUNDLE"],
            ignoresConfiguredEndpoints: ignoringEndpoints
        )
    }

    /// From the profile.
    ///
    /// - Throws: If the endpoint is needed and the profile names a `[services x]` section that does not exist: the
    ///   upload must   not go to Amazon instead of another store.
    init(
        profile: Profile,
        of configuration: SharedConfiguration,
        needingEndpoint: Bool,
        ignoringEndpoints: Bool
    ) throws(SharedConfigurationError) {
        var endpoint: String?
        if needingEndpoint {
            endpoint = profile["endpoint_url"]
            if let name = profile["services"] {
                guard let services = configuration.services(name) else {
                    throw SharedConfigurationError(
                        path: configuration.locations.config?.path ?? "",
                        problem: "the profile \"\(profile.name)\" names the services section \"\(name)\", which does "
                            + "not exist; write a section [services \(name)], or remove the services line from the "
                            + "profile"
                    )
                }
                endpoint = services.nested("s3")["endpoint_url"] ?? endpoint
            }
        }
        self.init(
            region: profile["region"],
            endpointURL: endpoint,
            caBundle: profile["ca_bundle"],
            addressing: profile.nested("s3")["addressing_style"]?.lowercased(),
            ignoresConfiguredEndpoints: ignoringEndpoints
        )
    }
}
