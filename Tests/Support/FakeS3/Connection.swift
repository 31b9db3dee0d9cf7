import Glibc
import MuleDigest
import MuleSystem

/// Serves one client connection, request after request, on its own thread.
struct Connection {
    let number: Int
    let wire: Wire
    let state: Monitor<ServerState>

    /// Thrown to end the connection at once, without an answer.
    enum End: Error {
        case closed
        case reset
    }

    func serve() {
        var answers = 0
        do {
            while let head = try wire.readHead() {
                answers += 1
                guard try handle(head), !isSpent(answers) else { return }
            }
        } catch End.reset {
            wire.resetOnClose()
        } catch Wire.Failure.malformed {
            state.update { $0.violations.append("malformed request on connection \(number)") }
        } catch {}
    }

    private func isSpent(_ answers: Int) -> Bool {
        state.withLock { state in state.isStopping || answers >= state.profile.answersPerConnection ?? .max }
    }

    /// - Returns: whether the connection may be used for another request.
    private func handle(_ head: RequestHead) throws -> Bool {
        var (request, disruption) = state.update { state in
            state.generation += 1
            return state.begin(head, connection: number)
        }
        let profile = state.withLock(\.profile)
        disruption.run(.headersRead, request)
        if let early = disruption.early {
            if !early.honoursExpect, head.expectsContinue { try wire.send(Self.continueLine) }
            try answer(FakeReply(early.error, for: request), to: &request, closes: true)
            guard early.lingers else { throw End.reset }
            wire.linger(seconds: 5)
            return false
        }
        if disruption.refusesExpect, head.expectsContinue {
            try answer(FakeReply(417), to: &request, closes: true)
            return false
        }
        let length: Int64
        let signature: SignatureCheck.Outcome
        do throws(StoreError) {
            length = try Self.bodyLength(head)
            signature = try checkSignature(head, request, profile: profile)
            let admission = state.withLock { state in
                Result { () throws(StoreError) in try state.admit(request) }
            }
            try admission.get()
        } catch {
            return try refuse(head, error, &request)
        }
        let needs = state.withLock { $0.digestNeeds(request, payloadHash: signature.payloadHash) }
        if length > 0, head.expectsContinue, disruption.sendsContinue { try wire.send(Self.continueLine) }
        let body = try receiveBody(length, &request, needs: needs, disruption: disruption, profile: profile)
        let mayGoOn = try process(&request, body, signature: signature, disruption: disruption, profile: profile)
        disruption.run(.afterAnswer, request)
        return mayGoOn && head["connection"]?.lowercased() != "close"
    }

    private static let continueLine = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)

    private static func bodyLength(_ head: RequestHead) throws(StoreError) -> Int64 {
        if head["transfer-encoding"] != nil { throw StoreError(411, "MissingContentLength") }
        guard let text = head["content-length"] else {
            if head.method == "PUT" { throw StoreError(411, "MissingContentLength") }
            return 0
        }
        guard let length = Int64(text), length >= 0 else { throw .invalidRequest("Bad Content-Length.") }
        return length
    }

    private func checkSignature(
        _ head: RequestHead,
        _ request: RecordedRequest,
        profile: FakeProfile
    ) throws(StoreError) -> SignatureCheck.Outcome {
        if case .unchecked = profile.signatures { return SignatureCheck.Outcome() }
        let check = state.withLock { state in
            SignatureCheck(
                credentials: state.credentials,
                region: state.region,
                now: state.now,
                takesGoogles: profile.isGoogle
            )
        }
        let outcome: SignatureCheck.Outcome
        do throws(StoreError) {
            outcome = try check.check(head)
        } catch {
            // Refusals that no working client ever meets; the others are about keys, clocks and regions.
            let mistakes: Set = ["SignatureDoesNotMatch", "InvalidRequest", "InvalidArgument", "NotImplemented"]
            if mistakes.contains(error.code) || error.elements.contains(where: { $0.name == "HeadersNotSigned" }) {
                state.update { $0.violations.append("\(error.code): \(request.method) \(request.target)") }
            }
            throw error
        }
        if case .required = profile.signatures, outcome.isAnonymous {
            let region = state.withLock(\.region)
            throw StoreError(403, "AccessDenied", headers: [FakeHeader("x-amz-bucket-region", region)])
        }
        state.update { state in
            state.violations += outcome.violations.map { "\($0) (\(request.method) \(request.target))" }
            if outcome.isUnsignedPayload { state.unsignedPayloads += 1 }
        }
        return outcome
    }

    /// Answers an error that was found before the body: at once when the client waits for `100 Continue`.
    func refuse(_ head: RequestHead, _ error: StoreError, _ request: inout RecordedRequest) throws -> Bool {
        let length = (try? Self.bodyLength(head)) ?? 0
        let closes = head.expectsContinue || head["transfer-encoding"] != nil
        if length > 0, !closes {
            _ = try receiveBody(length, &request, needs: DigestNeeds(), disruption: Disruption(), profile: .sink)
        }
        try answer(FakeReply(error, for: request), to: &request, closes: closes)
        if closes { wire.linger(seconds: 5) }
        return !closes
    }

    /// Waits on the condition variable, so that `stop` ends it.
    func pause(until deadline: Moment) {
        let left = deadline.seconds(since: .now())
        if left > 0 { state.wait(seconds: left) { $0.isStopping } }
    }

    /// Never answers: ends when the client leaves or the server stops (which shuts the socket down).
    func stall() throws -> Never {
        wire.waitForClose()
        throw End.closed
    }
}
