import MuleSigning
import MuleSystem
import MuleTransport

/// A request to a service that provides credentials.
struct ServiceRequest {
    /// The service, as the start of a sentence.
    var name: String
    var request: HTTPRequest
    var transport: TransportSettings
    /// Seconds until it fails, even if data still arrives.
    var limit = 60.0

    /// - Throws: If there is no answer; the caller checks its status.
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

    /// A refusal; transient if the status blames the service, not the request. `detail` is the service's message.
    func refusal(_ response: HTTPResponse, _ detail: String) -> CredentialsUnavailable {
        CredentialsUnavailable(
            reason: "\(name) refused (HTTP \(response.status)\(detail.isEmpty ? "" : ", \(detail)"))",
            isTransient: response.status >= 500 || response.status == 429
        )
    }
}
