import MuleDigest
import MulePlan
import MuleSigning
import MuleTransport
import MuleXML

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
    }

    /// A refusal with the service's code.
    struct Refusal: Error {
        var code: String
        var unavailable: CredentialsUnavailable
    }

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
        let role = parameters.first { $0.name == "RoleArn" }?.value ?? ""
        let call = ServiceRequest(
            name: "\(action.rawValue) of \(role) at \(endpoint.host)",
            request: request,
            transport: transport
        )
        let response: HTTPResponse
        do throws(CredentialsUnavailable) {
            response = try call.answer(context.cancellation)
        } catch {
            throw Refusal(code: "", unavailable: error)
        }
        let document = try? XMLReader.parse(response.body)
        guard response.status == 200 else { throw refusal(call, response, document: document, secret: secret) }
        guard let given = document?["\(action.rawValue)Result"]?["Credentials"],
            let id = given.value("AccessKeyId"), let key = given.value("SecretAccessKey"),
            let token = given.value("SessionToken"), StaticKeys.fitsIntoHeader(id), StaticKeys.fitsIntoHeader(token)
        else {
            throw Refusal(
                code: "",
                unavailable: CredentialsUnavailable(
                    reason: "\(call.name) got an answer without usable credentials; is this a token service?"
                )
            )
        }
        return Credentials(
            accessKeyID: id,
            secretAccessKey: key,
            sessionToken: token,
            expiration: given.value("Expiration").flatMap { UTCTime(rfc3339: $0) }
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
