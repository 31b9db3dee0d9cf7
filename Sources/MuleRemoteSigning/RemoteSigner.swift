package import MulePlan
package import MuleSigning
import MuleSystem
import Synchronization

/// Signs by asking a service that holds the key: `POST /v1/sign`. One value serves all workers; those that ask while
/// calls are under way share the next one.
///
/// The requests are made here, and the service signs them one by one. A service that makes and completes uploads by
/// itself (`POST /v1/uploads`) would be another `RequestSigner`, with an upload behind it.
package final class RemoteSigner: RequestSigner {
    private typealias Answer = Result<RequestSignature, CredentialsUnavailable>

    private struct State {
        /// Oldest first.
        var waiting: [(ticket: Int, request: SigningRequest)] = []
        var answers: [Int: Answer] = [:]
        var lastTicket = 0
        var calls = 0
        /// Answers that the service has given.
        var lastAnswer = 0
        /// Answers up to this one were refused by the store, or came before one that was.
        var replaced = 0
        /// Whether a refusal has led to another signature since the store last accepted one.
        var isUnproven = false
    }

    private enum Step {
        case done(Answer)
        case ask([(ticket: Int, request: SigningRequest)])
        case wait
    }

    /// The maximum number of concurrent calls, so that a worker need not wait for a whole call that has just started.
    private static let mostCalls = 4

    private let client: SignerClient
    private let state = Monitor(State())
    /// Set for every request; atomic, so that the common case takes no lock.
    private let wasAccepted = Atomic<Bool>(false)

    package init(_ client: SignerClient) {
        self.client = client
    }

    /// Requests that no call has taken yet.
    var waiting: Int { state.withLock { $0.waiting.count } }

    /// The service knows the region of its key.
    package func inRegion(_ region: String) -> any RequestSigner { self }

    package func sign(
        _ request: SignableRequest,
        _ action: RequestAction,
        at time: UTCTime
    ) throws(CredentialsUnavailable) -> RequestSignature {
        let request = SigningRequest(request, action)
        let ticket = state.withLock { state in
            state.lastTicket += 1
            state.waiting.append((state.lastTicket, request))
            return state.lastTicket
        }
        while true {
            let step = state.withLock { Self.step(&$0, ticket) }
            switch step {
            case .done(let answer): return try answer.get()
            case .ask(let batch):
                let answers = ask(batch.map(\.request))
                state.update { state in
                    state.calls -= 1
                    for (entry, answer) in zip(batch, answers) { state.answers[entry.ticket] = answer }
                }
            case .wait:
                state.wait { state in
                    state.answers[ticket] != nil || (state.calls < Self.mostCalls && !state.waiting.isEmpty) ? () : nil
                }
            }
        }
    }

    /// What the worker with the ticket does now.
    private static func step(_ state: inout State, _ ticket: Int) -> Step {
        if let answer = state.answers.removeValue(forKey: ticket) { return .done(answer) }
        guard state.calls < mostCalls, !state.waiting.isEmpty else { return .wait }
        let batch = Array(state.waiting.prefix(SigningWire.mostRequests))
        state.waiting.removeFirst(batch.count)
        state.calls += 1
        return .ask(batch)
    }

    private func ask(_ requests: [SigningRequest]) -> [Answer] {
        do throws(CredentialsUnavailable) {
            let what = requests.count == 1 ? requests[0].name : "\(requests.count) requests"
            let body = try client.ask("POST", "/v1/sign", body: SigningWire.call(requests), for: what)
            let signed: [SigningWire.Headers]
            do throws(SigningWire.Problem) {
                signed = try SigningWire.read(body, for: requests)
            } catch {
                throw client.failure(error)
            }
            let number = state.withLock { state in
                state.lastAnswer += 1
                return state.lastAnswer
            }
            return signed.map { .success(RequestSignature(headers: $0, origin: .answer(number))) }
        } catch {
            // A refusal is about one of the requests, and the others must not fail for it.
            if error.kind == .refused, requests.count > 1 { return requests.flatMap { ask([$0]) } }
            return requests.map { _ in .failure(error) }
        }
    }

    package func renew(refused: RequestSignature) throws(CredentialsUnavailable) -> Bool {
        guard case .answer(let number) = refused.origin else { return false }
        let accepted = wasAccepted.exchange(false, ordering: .acquiringAndReleasing)
        return state.withLock { state in
            if accepted { state.isUnproven = false }
            // Refused to another worker before.
            guard number > state.replaced else { return true }
            guard !state.isUnproven else { return false }
            state.isUnproven = true
            state.replaced = state.lastAnswer
            return true
        }
    }

    package func noteAccepted() {
        if !wasAccepted.load(ordering: .relaxed) { wasAccepted.store(true, ordering: .releasing) }
    }

    package func identity() throws(CredentialsUnavailable) -> SignerIdentity { .service(client.address.text) }
}

extension SignerClient {
    func failure(_ problem: SigningWire.Problem) -> CredentialsUnavailable {
        switch problem {
        case .unreadable(let words):
            CredentialsUnavailable(
                reason: "The signer \(address.host) \(words). Check --signer and --signer-protocol.",
                kind: .unreadable
            )
        case .untrusted(let words):
            CredentialsUnavailable(
                reason: "The signer \(address.host) \(words). The request was not sent; tell its operator.",
                kind: .untrusted
            )
        }
    }
}
