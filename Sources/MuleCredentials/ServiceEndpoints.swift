import MuleSigning

/// The endpoints of AWS's services for a run: from variables and profile, or Amazon's own.
/// https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
struct ServiceEndpoints: Sendable {
    let environment: [String: String]
    let profile: Profile?
    let configuration: SharedConfiguration
    /// Whether `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` or its setting disables configured endpoints.
    let ignoresConfigured: Bool

    /// The names in a `[services]` section; in capitals, the suffixes of variable names.
    enum Service: String, Sendable {
        case tokens = "sts"
        case signOn = "sso"
        case signOnTokens = "sso_oidc"

        func amazonHost(_ region: String?) -> String {
            // Without a region, only the token service has an endpoint, which is global.
            guard let region else { return "sts.amazonaws.com" }
            let suffix = region.hasPrefix("cn-") ? "amazonaws.com.cn" : "amazonaws.com"
            return switch self {
            case .tokens: "sts.\(region).\(suffix)"
            case .signOn: "portal.sso.\(region).\(suffix)"
            case .signOnTokens: "oidc.\(region).\(suffix)"
            }
        }
    }

    func url(of service: Service, region: String?) throws(CredentialsUnavailable) -> ServiceURL {
        guard let (text, origin) = configured(service) else {
            guard let url = ServiceURL("https://" + service.amazonHost(region)) else {
                throw CredentialsUnavailable(reason: "\"\(region ?? "")\" is not the name of a region")
            }
            return url
        }
        guard let url = ServiceURL(text), url.query.isEmpty else {
            throw CredentialsUnavailable(
                reason: "\(origin) is not the URL of a service, such as "
                    + "https://sts.example.org"
            )
        }
        return url
    }

    private func configured(_ service: Service) -> (text: String, origin: String)? {
        guard !ignoresConfigured else { return nil }
        for name in ["AWS_ENDPOINT_URL_\(service.rawValue.uppercased())", "AWS_ENDPOINT_URL"] {
            if let text = environment[nonEmpty: name] { return (text, name) }
        }
        let section = profile?["services"].flatMap { configuration.services($0) }
        if let text = section?.nested(service.rawValue)["endpoint_url"] {
            return (text, "endpoint_url of \(service.rawValue) in the services section")
        }
        return profile?["endpoint_url"].map { ($0, "endpoint_url of the profile \"\(profile?.name ?? "")\"") }
    }
}
