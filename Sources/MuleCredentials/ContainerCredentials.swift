import MuleSigning
import MuleSystem
import MuleTransport
import MuleXML

/// The role of a container, from a service named by variables, which ECS and EKS Pod Identity set.
/// https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
struct ContainerCredentials: CredentialSource {
    let context: CredentialContext
    let transport: TransportSettings

    /// Hosts that may receive the token over plain HTTP: all on this machine.
    private static let linkLocalHosts: Set = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost"]

    var origin: String { "the role of the container" }

    func provider() throws(CredentialsUnavailable) -> (any CredentialsProvider)? {
        guard let (url, variable) = try url() else { return nil }
        guard url.isEncrypted || Self.isLocal(url.hostName) else {
            throw CredentialsUnavailable(
                reason:
                    "\(variable) names \(url.origin), which is neither encrypted nor on this machine; use https:// for "
                    + "other machines"
            )
        }
        var transport = transport
        transport.connectTimeout = 2
        // A service on this machine is never behind a proxy.
        transport.ignoresProxies = Self.isLocal(url.hostName)
        let (settings, context) = (transport, context)
        return try RefreshingCredentials(context) { () throws(CredentialsUnavailable) in
            try Self.fetch(url, settings, context: context)
        }.fetched()
    }

    /// The relative variable outranks the full one (botocore).
    private func url() throws(CredentialsUnavailable) -> (ServiceURL, variable: String)? {
        let relative = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
        let full = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
        let named = context.environment[nonEmpty: relative].map { ("http://169.254.170.2" + $0, relative) }
        guard let (text, variable) = named ?? context.environment[nonEmpty: full].map({ ($0, full) }) else {
            return nil
        }
        guard let url = ServiceURL(text), variable == full || url.hostName == "169.254.170.2" else {
            throw CredentialsUnavailable(reason: "\(variable) is not the URL of a service: \"\(text)\"")
        }
        return (url, variable)
    }

    static func isLocal(_ host: String) -> Bool {
        let isLoopback = host.hasPrefix("127.") && host.utf8.allSatisfy { $0 == 0x2E || (0x30...0x39).contains($0) }
        return isLoopback || host == "::1" || linkLocalHosts.contains(host)
    }

    private static func fetch(
        _ url: ServiceURL,
        _ transport: TransportSettings,
        context: CredentialContext
    ) throws(CredentialsUnavailable) -> Credentials {
        var request = HTTPRequest(method: "GET", url: url.text)
        request.headers = [("accept", "application/json")]
        if let token = try token(context) { request.headers.append(("authorization", token)) }
        request.answerTimeout = 5
        let call = ServiceRequest(
            name: "the container's credential service at \(url.origin)",
            request: request,
            transport: transport,
            limit: 10
        )
        let response = try call.answer(context.cancellation)
        guard response.status == 200 else { throw call.refusal(response, "") }
        do throws(CredentialDocument.Unusable) {
            return try CredentialDocument(response.body).credentials(.metadata, needsToken: true)
        } catch {
            throw CredentialsUnavailable(reason: "\(call.name) answered \(error.reason)")
        }
    }

    /// The file outranks the variable (botocore). It is read each time, because it is replaced while the upload runs.
    private static func token(_ context: CredentialContext) throws(CredentialsUnavailable) -> String? {
        var token = context.environment[nonEmpty: "AWS_CONTAINER_AUTHORIZATION_TOKEN"]
        if let path = context.environment[nonEmpty: "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] {
            do throws(SystemError) {
                let content = try File.contents(path: Array(path.utf8), limit: 64 << 10)
                token = String(decoding: content, as: UTF8.self).trimmingWhiteSpace
            } catch {
                throw CredentialsUnavailable(
                    reason:
                        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names \(path), which cannot be read: \(error.reason)"
                )
            }
        }
        guard let token else { return nil }
        guard token.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            throw CredentialsUnavailable(
                reason:
                    "the authorization token of the container has a line break or another character that is not "
                    + "allowed in a header have"
            )
        }
        return token
    }
}

extension CredentialDocument.Names {
    /// As the services on this machine name it.
    static let metadata = CredentialDocument.Names(sessionToken: "Token")
}
