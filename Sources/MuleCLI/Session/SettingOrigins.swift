import MuleCredentials
import MuleS3
import MuleSystem

/// Where the settings of a store come from, in the order of precedence.
struct SettingOrigins {
    let session: Session
    /// Nil without a bucket; then no bucket settings apply.
    let bucket: String?
    let aws: AWSEnvironment

    var configuration: String {
        let arguments = session.arguments
        let environment = session.environment
        guard let location = FileLocation.configuration(flag: arguments.config, environment: environment) else {
            return "No configuration file is looked for: HOME is not set."
        }
        let shown = TextSafety.displayName(location.path)
        guard (try? FileStatus.of(path: location.path)) != nil else {
            return "There is no \(shown): defaults are used."
        }
        return
            "\(shown) (\(location.isExplicit ? option("config", isSame: { Array($0.utf8) == location.path }) : "the default location"))."
    }

    var profile: String {
        guard let name = aws.profileName else { return "No profile is named, and there is no profile \"default\"." }
        return "\(TextSafety.displayText(name)) (\(origin("profile", "profile", field: \.profile, ofProfile: nil)))."
    }

    var region: String {
        guard setRegion == Self.standard, let plan = try? session.plan(forBucket: bucket ?? ""),
            let provider = plan.options.provider, provider.region(of: plan.endpoint) == plan.endpoint.region
        else { return setRegion }
        return "by the rules of \(provider.profile.title)"
    }

    private var setRegion: String {
        origin("region", "region", field: \.region, ofProfile: aws.profileSettings.region)
    }

    var endpoint: String {
        let profile = aws.profileSettings.endpointURL
        let found = origin("endpointURL", "endpoint-url", field: \.endpointURL, ofProfile: profile)
        guard found == Self.standard else { return found }
        let named =
            session.arguments.store.provider ?? session.configuration.store(forBucket: bucket ?? "").provider
        if let named, !named.profile.endpoints.isEmpty { return "\(named.profile.title): \(provider)" }
        return "Amazon S3: no endpoint is set; for another store add --endpoint-url"
    }

    /// Why the rules of a provider apply: the setting, or the endpoint's host.
    var provider: String {
        let found = origin("provider", "provider", field: \.provider?.rawValue, ofProfile: nil)
        let isOfHost =
            session.arguments.store.provider == nil
            && (try? session.plan(forBucket: bucket ?? "")).map { Provider($0.endpoint) != nil } == true
        return found == Self.standard || isOfHost ? "by the endpoint's host" : found
    }

    /// A kind of endpoint that is wanted, or is expressly not.
    struct EndpointKind {
        var name: String
        var isOn: Bool
        var origin: String
    }

    func endpointKinds(_ variant: EndpointVariant) -> [EndpointKind] {
        let kinds: [(Session.EndpointSetting, Bool)] = [
            (.fips, variant.fips), (.dualStack, variant.dualStack), (.accelerate, variant.accelerate),
        ]
        return kinds.compactMap { setting, isOn in
            origin(setting).map { EndpointKind(name: setting.rawValue.lowercased(), isOn: isOn, origin: $0) }
        }
    }

    /// Where a setting that decides on the endpoint comes from; nil for the default.
    func origin(_ setting: Session.EndpointSetting) -> String? {
        let profile = aws.profileSettings
        let found =
            switch setting {
            case .endpointURL:
                origin("endpointURL", "endpoint-url", field: \.endpointURL, ofProfile: profile.endpointURL)
            case .region: setRegion
            case .fips: origin("fips", "fips", field: \.fips, ofProfile: profile.fips)
            case .dualStack: origin("dualstack", "dualstack", field: \.dualStack, ofProfile: profile.dualStack)
            case .accelerate: origin("accelerate", "accelerate", field: \.accelerate, ofProfile: profile.accelerate)
            case .addressing:
                origin(
                    "addressing",
                    "addressing",
                    field: \.addressing?.rawValue,
                    ofProfile: profile.addressing
                )
            }
        return found == Self.standard ? nil : found
    }

    private static let standard = "the default"

    /// - Parameters:
    ///   - key: of the configuration.
    ///   - flag: without its dashes.
    ///   - inProfile: what the profile says.
    private func origin<Value: LosslessStringConvertible>(
        _ key: String,
        _ flag: String,
        field: KeyPath<StoreOptions, Value?>,
        ofProfile inProfile: Value?
    ) -> String {
        if let value = session.arguments.store[keyPath: field] {
            return option((value as? Bool) == false ? "no-" + flag : flag, isSame: { $0 == value.description })
        }
        if let used = session.variablesOfStores(besides: session.arguments.store).first(where: { $0.key == key }) {
            return used.variable
        }
        let configuration = session.configuration
        if let bucket, configuration.buckets[bucket]?[keyPath: field] != nil {
            return "\"\(key)\" of the bucket in the configuration"
        }
        if configuration.store[keyPath: field] != nil { return "\"\(key)\" of the configuration" }
        if inProfile != nil { return "the profile \(TextSafety.displayText(aws.profileName ?? ""))" }
        return Self.standard
    }

    /// The option, or the variable that has the option's value.
    private func option(_ flag: String, isSame: (String) -> Bool) -> String {
        let variable = "MULE_" + String(flag.uppercased().map { $0 == "-" ? "_" : $0 })
        return session.environment[variable].map(isSame) == true ? variable : "--\(flag)"
    }
}
