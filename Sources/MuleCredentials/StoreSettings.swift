/// The store's settings in AWS's variables or a profile. Nil means not set.
package struct StoreSettings: Hashable, Sendable {
    package var region: String?
    /// As written; nil if configured endpoints are ignored.
    package var endpointURL: String?
    /// Path of a PEM file.
    package var caBundle: String?
    /// `s3.addressing_style` in lower case: `path`, `virtual` or `auto`; the caller refuses other words.
    package var addressing: String?
    /// `use_fips_endpoint`: only endpoints with validated cryptography may be used.
    package var fips: Bool?
    /// `use_dualstack_endpoint`
    package var dualStack: Bool?
    /// `s3.use_accelerate_endpoint`
    package var accelerate: Bool?
    /// `s3_use_arn_region`: whether an access point may be in another region than the one that is set.
    package var followsAccessPoints: Bool?
    /// `request_checksum_calculation` is `when_required`.
    package var onlyRequiredChecksums: Bool?
    /// `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` or its setting: endpoints of the variables and of the profile don't count.
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
        var result = StoreSettings(
            region: region ?? other.region,
            endpointURL: endpointURL ?? other.endpointURL,
            caBundle: caBundle ?? other.caBundle,
            addressing: addressing ?? other.addressing,
            ignoresConfiguredEndpoints: ignoresConfiguredEndpoints || other.ignoresConfiguredEndpoints
        )
        result.fips = fips ?? other.fips
        result.dualStack = dualStack ?? other.dualStack
        result.accelerate = accelerate ?? other.accelerate
        result.followsAccessPoints = followsAccessPoints ?? other.followsAccessPoints
        result.onlyRequiredChecksums = onlyRequiredChecksums ?? other.onlyRequiredChecksums
        return result
    }
}

/// A setting whose value is none of the words that it may have. AWS's tools take some of them for "no": a typing error
/// must not lift what the setting demands.
package struct BadSetting: Error, Hashable, Sendable {
    /// A variable's name, or a setting with its profile.
    package var name: String
    package var value: String
    package var words: String

    package var reason: String { "\(name) is \"\(value)\"; it must be \(words)" }
}

/// Reads settings of fixed words.
private struct SettingWords {
    let place: (String) -> String

    func bool(_ name: String, _ text: String?) throws(BadSetting) -> Bool? {
        switch text?.lowercased() {
        case nil: return nil
        case "true"?: return true
        case "false"?: return false
        default: throw BadSetting(name: place(name), value: text ?? "", words: "true or false")
        }
    }

    func onlyRequiredChecksums(_ name: String, _ text: String?) throws(BadSetting) -> Bool? {
        switch text?.lowercased() {
        case nil: return nil
        case "when_required"?: return true
        case "when_supported"?: return false
        default: throw BadSetting(name: place(name), value: text ?? "", words: "when_supported or when_required")
        }
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

    /// What the variables say.
    init(environment: [String: String], ignoringEndpoints: Bool) throws(BadSetting) {
        let endpoint = environment[nonEmpty: "AWS_ENDPOINT_URL_S3"] ?? environment[nonEmpty: "AWS_ENDPOINT_URL"]
        self.init(
            region: environment[nonEmpty: "AWS_REGION"] ?? environment[nonEmpty: "AWS_DEFAULT_REGION"],
            endpointURL: ignoringEndpoints ? nil : endpoint,
            caBundle: environment[nonEmpty: "AWS_CA_BUNDLE"],
            ignoresConfiguredEndpoints: ignoringEndpoints
        )
        let words = SettingWords { $0 }
        func bool(_ name: String) throws(BadSetting) -> Bool? { try words.bool(name, environment[nonEmpty: name]) }
        fips = try bool("AWS_USE_FIPS_ENDPOINT")
        dualStack = try bool("AWS_USE_DUALSTACK_ENDPOINT")
        followsAccessPoints = try bool("AWS_S3_USE_ARN_REGION")
        let checksums = "AWS_REQUEST_CHECKSUM_CALCULATION"
        onlyRequiredChecksums = try words.onlyRequiredChecksums(checksums, environment[nonEmpty: checksums])
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
        do throws(BadSetting) {
            try readChoices(of: profile)
        } catch {
            throw SharedConfigurationError(path: configuration.locations.config?.path ?? "", problem: error.reason)
        }
    }

    private mutating func readChoices(of profile: Profile) throws(BadSetting) {
        let words = SettingWords { "\($0) of the profile \"\(profile.name)\"" }
        let nested = profile.nested("s3")
        func bool(_ name: String) throws(BadSetting) -> Bool? { try words.bool(name, profile[name]) }
        func nestedBool(_ name: String) throws(BadSetting) -> Bool? { try words.bool("s3.\(name)", nested[name]) }
        fips = try bool("use_fips_endpoint")
        let all = try bool("use_dualstack_endpoint")
        // The older setting of S3 alone can only ask for it.
        dualStack = try nestedBool("use_dualstack_endpoint") == true ? true : all
        accelerate = try nestedBool("use_accelerate_endpoint")
        let nestedRegion = try nestedBool("use_arn_region")
        followsAccessPoints = try bool("s3_use_arn_region") ?? nestedRegion
        let checksums = "request_checksum_calculation"
        onlyRequiredChecksums = try words.onlyRequiredChecksums(checksums, profile[checksums])
    }
}
