import MuleDigest
import MulePlan
import MuleSigning
import MuleTransport
import MuleXML

/// Whom credentials belong to. Neither is a secret.
package struct CallerIdentity: Hashable, Sendable {
    package let arn: String
    package let account: String
}

/// AWS's Security Token Service, or another store's with the same query API: provides credentials of roles.
/// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
struct TokenService: Sendable {
    let context: CredentialContext
    let endpoint: ServiceURL
    let region: String
    let transport: TransportSettings

    /// The actions that mule uses.
    enum Action: String, Sendable {
        case assumeRole = "AssumeRole"
        case assumeRoleWithWebIdentity = "AssumeRoleWithWebIdentity"
        case getCallerIdentity = "GetCallerIdentity"
    }

    /// A refusal with the service's code.
    struct Refusal: Error {
        var code: String
        var unavailable: CredentialsUnavailable
    }

    /// Credentials of a role.
    ///
    /// - Parameters:
    ///   - parameters: Besides action and version; not encoded.
    ///   - signer: The credentials that sign; nil if the parameters prove the identity.
    ///   - secret: A parameter's text that must not appear in a message.
    func credentials(
        _ action: Action,
        _ parameters: [(name: String, value: String)],
        signer: Credentials?,
        secret: String? = nil
    ) throws(Refusal) -> Credentials {
        let role = parameters.first { $0.name == "RoleArn" }?.value ?? ""
        let name = "\(action.rawValue) of \(role) at \(endpoint.host)"
        let result = try result(of: action, parameters, name: name, signer: signer, secret: secret)
        guard let given = result?["Credentials"],
            let id = given.value("AccessKeyId"), let key = given.value("SecretAccessKey"),
            let token = given.value("SessionToken"), StaticKeys.fitsIntoHeader(id), StaticKeys.fitsIntoHeader(token)
        else { throw Self.unusable(name, without: "usable credentials") }
        return Credentials(
            accessKeyID: id,
            secretAccessKey: key,
            sessionToken: token,
            expiration: given.value("Expiration").flatMap { UTCTime(rfc3339: $0) }
        )
    }

    /// Whom these credentials belong to. It needs no permission.
    /// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    func identity(of credentials: Credentials) throws(Refusal) -> CallerIdentity {
        let name = "GetCallerIdentity at \(endpoint.host)"
        let result = try result(of: .getCallerIdentity, [], name: name, signer: credentials)
        guard let arn = result?.value("Arn"), let account = result?.value("Account"),
            arn.utf8.count <= 2048, account.utf8.count <= 64
        else { throw Self.unusable(name, without: "an ARN") }
        return CallerIdentity(arn: arn, account: account)
    }

    /// The element with the action's result in the answer; nil if there is none.
    private func result(
        of action: Action,
        _ parameters: [(name: String, value: String)],
        name: String,
        signer: Credentials?,
        secret: String? = nil
    ) throws(Refusal) -> XMLElement? {
        let all = [(name: "Action", value: action.rawValue), (name: "Version", value: "2011-06-15")] + parameters
        let body = Array(
            all.map { "\($0.name)=\(URIEncoding.component($0.value.utf8))" }.joined(separator: "&").utf8
        )
        var request = HTTPRequest(method: "POST", url: endpoint.origin + path)
        request.headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")]
        request.body = .bytes(body)
        request.answerTimeout = 30
        if let signer {
            let signable = SignableRequest(
                method: "POST",
                host: endpoint.host,
                encodedPath: path,
                headers: request.headers,
                payload: .sha256(sha256(body))
            )
            request.headers += Signer(region: region, service: "sts")
                .headers(for: signable, credentials: signer, at: context.wallClock())
        }
        let call = ServiceRequest(name: name, request: request, transport: transport)
        let response: HTTPResponse
        do throws(CredentialsUnavailable) {
            response = try call.answer(context.cancellation)
        } catch {
            throw Refusal(code: "", unavailable: error)
        }
        let document = try? XMLReader.parse(response.body)
        guard response.status == 200 else { throw refusal(call, response, document: document, secret: secret) }
        return document?["\(action.rawValue)Result"]
    }

    private static func unusable(_ name: String, without what: String) -> Refusal {
        Refusal(
            code: "",
            unavailable: CredentialsUnavailable(
                reason: "\(name) got an answer without \(what); is this a token service?"
            )
        )
    }

    private var path: String { endpoint.path.isEmpty ? "/" : endpoint.path }

    private func refusal(
        _ call: ServiceRequest,
        _ response: HTTPResponse,
        document: XMLElement?,
        secret: String?
    ) -> Refusal {
        let error = document?["Error"] ?? document
        let code = error?.value("Code") ?? ""
        var message = error?.value("Message") ?? ""
        if let secret, message.contains(secret) { message = "" }
        if message.count > 300 { message = message.prefix(300) + "…" }
        let detail = message.isEmpty ? code : "\(code): \(message)"
        var unavailable = call.refusal(response, detail)
        if ["Throttling", "ThrottlingException", "RequestLimitExceeded", "IDPCommunicationError"].contains(code) {
            unavailable.isTransient = true
        }
        return Refusal(code: code, unavailable: unavailable)
    }
}
