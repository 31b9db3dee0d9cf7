import MulePlan
import MuleSigning

/// The endpoints of AWS's services for a run: from variables and profile, or Amazon's own.
/// https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
struct ServiceEndpoints: Sendable {
    let environment: [String: String]
    let profile: Profile?
    let configuration: SharedConfiguration
    /// Whether `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` or its setting disables configured endpoints.
    let ignoresConfigured: Bool

    /// Whether only endpoints with validated cryptography may be used.
    let fips: Bool
    let dualStack: Bool

    /// By the names in a `[services]` section; in capitals they end the variables' names.
    enum Service: String, Sendable {
        case tokens = "sts"
        case signOn = "sso"
        case signOnTokens = "sso_oidc"

        /// The first label of its hosts.
        fileprivate var hostName: String {
            switch self {
            case .tokens: "sts"
            case .signOn: "portal.sso"
            case .signOnTokens: "oidc"
            }
        }
    }

    /// The service's host by the rules of AWS's SDKs.
    private func amazonHost(of service: Service, _ region: String?) -> String {
        // Without a region only the token service has a place, for all regions.
        let isGlobal = region == nil || region == "aws-global"
        if isGlobal, !fips, !dualStack { return service.hostName + ".amazonaws.com" }
        let region = isGlobal ? "us-east-1" : region ?? ""
        let partition = AWSPartition(region: region)
        // There the ordinary hosts are FIPS endpoints.
        let isMarked = fips && (dualStack || partition.name != "aws-us-gov")
        let suffix = dualStack ? partition.dualStackSuffix : partition.dnsSuffix
        return "\(service.hostName)\(isMarked ? "-fips" : "").\(region).\(suffix)"
    }

    func url(of service: Service, region: String?) throws(CredentialsUnavailable) -> ServiceURL {
        guard let (text, origin) = configured(service) else {
            guard let url = ServiceURL("https://" + amazonHost(of: service, region)) else {
                throw CredentialsUnavailable(reason: "\"\(region ?? "")\" is not the name of a region")
            }
            return url
        }
        guard !fips else {
            throw CredentialsUnavailable(
                reason:
                    "FIPS endpoints are required, but \(origin) names another server for credentials; remove it, or "
                    + "turn FIPS off"
            )
        }
        guard let url = ServiceURL(text), url.query.isEmpty else {
            throw CredentialsUnavailable(
                reason: "\(origin) is not the URL of a service, such as "
                    + "https://sts.example.org"
            )
        }
        return url
    }

    /// Whether this service has an endpoint of its own, not only one that is for all services.
    func isNamed(_ service: Service) -> Bool {
        guard !ignoresConfigured else { return false }
        return environment[nonEmpty: "AWS_ENDPOINT_URL_\(service.rawValue.uppercased())"] != nil
            || profile?["services"].flatMap { configuration.services($0) }?.nested(service.rawValue)["endpoint_url"]
                != nil
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
