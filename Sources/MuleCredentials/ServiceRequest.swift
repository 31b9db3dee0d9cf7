import MuleSigning
import MuleSystem
import MuleTransport

/// One request to a service that hands out credentials.
struct ServiceRequest {
    /// Who is asked, as the beginning of a sentence.
    var name: String
    var request: HTTPRequest
    var transport: TransportSettings
    /// Seconds until it is given up, whatever still moves.
    var limit = 60.0

    /// - Throws: When no answer comes; what kind of answer it is, is for the caller to judge.
    func answer(_ cancellation: Cancellation) throws(CredentialsUnavailable) -> HTTPResponse {
        do throws(TransportError) {
            let client = try HTTPClient(settings: transport, cancellation: cancellation)
            let end = Moment.now().adding(seconds: limit)
            var request = request
            request.shouldStop = { Moment.now() >= end }
            return try client.perform(request)
        } catch {
            let isStop = error == .cancelled
            throw CredentialsUnavailable(
                reason: "\(name) did not answer: \(isStop ? "stopped" : error.sentence)",
                isTransient: isStop || error.isTransient
            )
        }
    }

    /// A refusal, transient when the status says that the service is in trouble and not the request. `detail` is what the
    /// service says.
    func refusal(_ response: HTTPResponse, _ detail: String) -> CredentialsUnavailable {
        CredentialsUnavailable(
            reason: "\(name) refused (HTTP \(response.status)\(detail.isEmpty ? "" : ", \(detail)"))",
            isTransient: response.status >= 500 || response.status == 429
        )
    }
}
