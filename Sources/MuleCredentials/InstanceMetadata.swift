import MuleSigning
import MuleSystem
import MuleTransport

/// The role of an EC2 instance, from version 2 of its metadata service: with a token that a request forged through a
/// proxy or a web application cannot get.
/// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
struct InstanceMetadata {
    let profile: Profile?
    let context: CredentialContext
    let userAgent: String

    /// The result of the request.
    enum Finding {
        case found(any CredentialsProvider)
        /// Why there is none, as part of a sentence.
        case nothing(String)
    }

    /// Asks once; takes little more than a second if there is no such service.
    func look() throws(CredentialsUnavailable) -> Finding {
        if setting("AWS_EC2_METADATA_DISABLED", nil)?.lowercased() == "true" {
            return .nothing("the role of an EC2 instance (AWS_EC2_METADATA_DISABLED is set)")
        }
        let service = try service()
        let provider = RefreshingCredentials(context) { () throws(CredentialsUnavailable) in try service.fetch() }
        do throws(CredentialsUnavailable) {
            _ = try provider.credentials()
        } catch {
            return .nothing("the role of an EC2 instance (\(error.reason))")
        }
        return .found(provider)
    }

    private func setting(_ variable: String, _ name: String?) -> String? {
        context.environment[nonEmpty: variable] ?? name.flatMap { profile?[$0] }
    }

    private func service() throws(CredentialsUnavailable) -> Service {
        let isIPv6 =
            setting("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode")?.lowercased()
            == "ipv6"
        let usual = isIPv6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254"
        let text = setting("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint") ?? usual
        guard let endpoint = ServiceURL(text) else {
            throw CredentialsUnavailable(
                reason: "AWS_EC2_METADATA_SERVICE_ENDPOINT is not the URL of a service: \"\(text)\""
            )
        }
        let timeout = setting("AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout").flatMap(Double.init)
        let attempts = setting("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts").flatMap { Int($0) }
        var transport = TransportSettings(userAgent: userAgent)
        transport.ignoresProxies = true
        transport.connectTimeout = min(max(timeout ?? 1, 0.1), 60)
        return Service(
            context: context,
            endpoint: endpoint,
            transport: transport,
            attempts: min(max(attempts ?? 1, 1), 10),
            // botocore uses version 1, which needs no token, unless it is disabled. Here it must be enabled.
            allowsVersion1: setting("AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled")?.lowercased() == "false"
        )
    }

    private struct Service: Sendable {
        let context: CredentialContext
        let endpoint: ServiceURL
        let transport: TransportSettings
        let attempts: Int
        let allowsVersion1: Bool

        private static let roles = "/latest/meta-data/iam/security-credentials/"

        func fetch() throws(CredentialsUnavailable) -> Credentials {
            let token = try token()
            let list = try get(Self.roles, token)
            if list.status == 404 { throw CredentialsUnavailable(reason: "\(name): the instance has no role") }
            guard list.status == 200,
                let role = String(decoding: list.body, as: UTF8.self).split(whereSeparator: \.isNewline).first
            else { throw refusal(list) }
            let response = try get(Self.roles + URIEncoding.component(role.utf8), token)
            guard response.status == 200 else { throw refusal(response) }
            do throws(CredentialDocument.Unusable) {
                let document = try CredentialDocument(response.body)
                if let code = document.text("Code"), code != "Success" {
                    throw CredentialDocument.Unusable(reason: "\(code) for the role \(role)")
                }
                return try document.credentials(.metadata, needsToken: true)
            } catch {
                throw CredentialsUnavailable(reason: "\(name) answered \(error.reason)")
            }
        }

        private var name: String { "the metadata service at \(endpoint.host)" }

        private func refusal(_ response: HTTPResponse) -> CredentialsUnavailable {
            CredentialsUnavailable(
                reason: "\(name) refused (HTTP \(response.status))",
                isTransient: response.status >= 500 || response.status == 429
            )
        }

        /// Nil if version 1 should be used, without a token.
        private func token() throws(CredentialsUnavailable) -> String? {
            var request = HTTPRequest(method: "PUT", url: endpoint.appending("/latest/api/token").text)
            request.headers = [("x-aws-ec2-metadata-token-ttl-seconds", "21600")]
            do throws(CredentialsUnavailable) {
                let response = try perform(request)
                let token = String(decoding: response.body, as: UTF8.self)
                guard response.status == 200, !token.isEmpty, StaticKeys.fitsIntoHeader(token) else {
                    throw refusal(response)
                }
                return token
            } catch {
                if allowsVersion1 && !context.cancellation.isCancelled { return nil }
                throw error
            }
        }

        private func get(_ path: String, _ token: String?) throws(CredentialsUnavailable) -> HTTPResponse {
            var request = HTTPRequest(method: "GET", url: endpoint.appending(path).text)
            if let token { request.headers = [("x-aws-ec2-metadata-token", token)] }
            return try perform(request)
        }

        private func perform(_ request: HTTPRequest) throws(CredentialsUnavailable) -> HTTPResponse {
            var request = request
            request.answerTimeout = transport.connectTimeout
            request.stallTimeout = transport.connectTimeout
            let call = ServiceRequest(name: name, request: request, transport: transport, limit: 60)
            var failures = 0
            while true {
                do throws(CredentialsUnavailable) {
                    return try call.answer(context.cancellation)
                } catch {
                    failures += 1
                    if failures >= attempts || context.cancellation.isCancelled { throw error }
                }
            }
        }
    }
}
