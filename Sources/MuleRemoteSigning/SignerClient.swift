import MuleJSON
import MuleSigning
package import MuleSystem
package import MuleTransport

/// Sends requests to a signer and judges the kind of its answers. It serves all threads, each with a connection that
/// stays open.
package final class SignerClient: Sendable {
    package let address: SignerAddress
    private let token: SignerToken?
    private let sendsAPIKey: Bool
    private let transport: TransportSettings
    private let cancellation: Cancellation
    /// Seconds that one answer is awaited.
    private let limit: Double
    private let idle = Monitor<[HTTPClient]>([])

    /// No answer is longer: 64 signed requests with the longest keys are a third of this.
    static let longestAnswer = 1 << 20
    /// Seconds.
    private static let longestWait = 60.0

    /// - Parameters:
    ///   - sendsAPIKey: whether the token is in `x-api-key` too, which gateways look at.
    ///   - patience: seconds without progress after which a run stops.
    package init(
        _ address: SignerAddress,
        token: SignerToken?,
        sendsAPIKey: Bool,
        transport: TransportSettings,
        patience: Double,
        cancellation: Cancellation
    ) {
        self.address = address
        self.token = token
        self.sendsAPIKey = sendsAPIKey
        self.transport = transport
        self.cancellation = cancellation
        limit = min(Self.longestWait, max(1, patience / 3))
    }

    /// - Parameters:
    ///   - path: behind the signer's address.
    ///   - what: what the signer is asked for, for messages: "UploadPart of bucket/key".
    /// - Returns: the body of a successful answer.
    func ask(
        _ method: String,
        _ path: String,
        body: [UInt8]? = nil,
        for what: @autoclosure () -> String
    ) throws(CredentialsUnavailable) -> [UInt8] {
        var request = HTTPRequest(method: method, url: address.text + path)
        request.headers = [("accept", "application/json")]
        if let token {
            request.headers.append(("authorization", "Bearer " + token.text))
            if sendsAPIKey { request.headers.append(("x-api-key", token.text)) }
        }
        if let body {
            request.headers.append(("content-type", "application/json"))
            request.body = .bytes(body)
        }
        request.answerLimit = Self.longestAnswer
        request.stallTimeout = limit
        request.answerTimeout = limit
        request.answerDuration = limit
        let end = Moment.now().adding(seconds: limit)
        request.shouldStop = { Moment.now() >= end }
        let response: HTTPResponse
        do throws(TransportError) {
            let warm = idle.withLock { $0.popLast() }
            let client = if let warm { warm } else { try HTTPClient(settings: transport, cancellation: cancellation) }
            response = try client.perform(request)
            idle.withLock { $0.append(client) }
        } catch {
            throw unanswered(error)
        }
        return try judge(response, method, path: path, what: what)
    }

    private func unanswered(_ error: TransportError) -> CredentialsUnavailable {
        let name = "The signer \(address.host)"
        switch error {
        case .answerTooLong(let limit):
            return CredentialsUnavailable(
                reason: "\(name) sent an answer of more than \(limit) bytes. Check --signer.",
                kind: .unreadable
            )
        case .cancelled:
            return CredentialsUnavailable(
                reason: "\(name) did not answer within \(Int(limit)) s",
                isTransient: true,
                kind: .unreachable
            )
        default:
            return CredentialsUnavailable(
                reason: "\(name) did not answer: \(error.sentence)",
                isTransient: error.isTransient,
                kind: .unreachable
            )
        }
    }

    private func judge(
        _ response: HTTPResponse,
        _ method: String,
        path: String,
        what: () -> String
    ) throws(CredentialsUnavailable) -> [UInt8] {
        let name = "The signer \(address.host)"
        let status = response.status
        switch status {
        case 200..<300: return response.body
        case 429, 500...:
            let said = problem(response.body).map { ": \($0)" } ?? ""
            throw CredentialsUnavailable(
                reason: "\(name) answered with HTTP \(status)\(said)",
                isTransient: true,
                kind: .unreachable,
                retryAfter: response[header: "retry-after"].flatMap(Double.init).flatMap {
                    $0 > 0 && $0 <= 86_400 ? $0 : nil
                }
            )
        case 401: throw unknownToken(status, problem(response.body))
        case 300..<400:
            throw CredentialsUnavailable(
                reason: "\(name) redirects (HTTP \(status)), and mule does not send a token to another address. Set "
                    + "--signer to the address that signs.",
                kind: .unreadable
            )
        default:
            if let reason = problem(response.body) {
                throw CredentialsUnavailable(
                    reason: "\(name) refused \(what()) (HTTP \(status)): \(reason). Use a token that allows it.",
                    kind: .refused
                )
            }
            // A gateway in front of the signer refuses in its own words.
            if status == 403 { throw unknownToken(status, nil) }
            let call = path.prefix { $0 != "?" }
            throw CredentialsUnavailable(
                reason:
                    "\(name) answered \(method) \(call) with HTTP \(status) and no reason: it is not a signer of this "
                    + "protocol. Check --signer and --signer-protocol.",
                kind: .unreadable
            )
        }
    }

    private func unknownToken(_ status: Int, _ said: String?) -> CredentialsUnavailable {
        let detail = said.map { ", \($0)" } ?? ""
        return CredentialsUnavailable(
            reason: token == nil
                ? "The signer \(address.host) wants a token (HTTP \(status)\(detail)). Set MULE_SIGNER_TOKEN or "
                    + "--signer-token-file."
                : "The signer \(address.host) does not know this token (HTTP \(status)\(detail)). Check --signer-token-file "
                    + "or MULE_SIGNER_TOKEN."
        )
    }

    // MARK: Words of the signer

    /// The reason of a refusal: `detail`, `title` or `error` of a JSON document (RFC 9457).
    private func problem(_ body: [UInt8]) -> String? {
        guard case .object(let members)? = try? JSONReader.read(body) else { return nil }
        for name in ["detail", "title", "error"] {
            if case .string(let text)? = members[name], !text.isEmpty { return shown(text) }
        }
        return nil
    }

    /// Words of the signer, made fit to show: short, on one line, without the token and without what may be a signature
    /// or a key.
    func shown(_ text: String) -> String {
        var text = text
        if let token, !token.text.isEmpty {
            text = text.replacing(token.text, with: "[hidden]")
        }
        var words: [String] = []
        for word in text.split(whereSeparator: \.isWhitespace).prefix(60) {
            words.append(word.utf8.count >= 40 ? "[hidden]" : String(word))
        }
        var line = words.joined(separator: " ")
        if line.utf8.count > 300 { line = String(line.prefix(200)) + "..." }
        while line.hasSuffix(".") { line.removeLast() }
        return line
    }
}
