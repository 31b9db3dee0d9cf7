internal import CCurl
import MuleSystem

// How a request without an answer is reported.
extension HTTPClient {
    /// How far the current request has come.
    var stage: NetworkFailure.Stage {
        if isUnderWay { return exchange.sent < exchange.request?.body.length ?? 0 ? .sending : .answer }
        if attempts.isEmpty { return .lookup }
        guard attempts.isConnected else { return .connecting }
        guard origin?.isEncrypted == true else { return .sending }
        return proxy != nil && curl.number(CURLINFO_HTTP_CONNECTCODE) / 100 != 2 ? .tunnel : .handshake
    }

    /// Whether a connection is established and the request is being sent.
    private var isUnderWay: Bool { curl.count(CURLINFO_PRETRANSFER_TIME_T) > exchange.earlierStart }

    /// The proxy of this request; nil without one.
    private var proxy: Proxy? {
        guard !settings.ignoresProxies, let origin,
            let proxy = Proxy(scheme: origin.scheme, host: origin.host)
        else { return nil }
        // libcurl knows more exceptions than `Proxy`: the port shows whether one applied.
        return attempts.lastPort.map { $0 == proxy.port } ?? true ? proxy : nil
    }

    func failure(
        _ stage: NetworkFailure.Stage,
        _ reason: NetworkFailure.Reason,
        answered: Bool? = nil
    ) -> TransportError {
        let address = attempts.lastAddress ?? (stage >= .sending ? curl.text(CURLINFO_PRIMARY_IP) : nil)
        let peer = RemoteEnd(
            host: origin?.host ?? "",
            port: origin?.port ?? 0,
            address: address,
            proxy: proxy?.name,
            proxyVariable: proxy?.variable
        )
        return .network(
            NetworkFailure(
                stage,
                peer,
                reason,
                answered: answered ?? (exchange.head.status != 0),
                mayHaveLeft: exchange.mayHaveLeft || stage >= .sending,
                hasServed: settings.addresses.hasServed(attempts.place)
            )
        )
    }

    /// - Returns: nil if the request is being sent or its connection still has time.
    func connectionFailure() -> TransportError? {
        if exchange.isUnderWay { return nil }
        if isUnderWay {
            exchange.isUnderWay = true
            exchange.lastProgress = Moment.now()
            return nil
        }
        switch attempts.check() {
        case .lookup: return failure(.lookup, .silentNameServer)
        case .handshake: return failure(ofSilenceFor: settings.connectTimeout)
        default: return nil
        }
    }

    /// The failure of a request that made no progress for so many seconds.
    func failure(ofSilenceFor seconds: Double) -> TransportError {
        let stage = stage
        switch stage {
        case .lookup: return failure(stage, .silentNameServer)
        case .connecting: return failure(stage, .noConnection(addresses: attempts.addresses))
        case .handshake: return failure(stage, .silentHandshake)
        case .tunnel, .sending, .answer: return failure(stage, .stalled(seconds: seconds))
        }
    }

    func failure(of code: CURLcode) -> TransportError {
        var outcome = CurlOutcome(code, text: curl.message)
        outcome.verification = curl.number(CURLINFO_SSL_VERIFYRESULT)
        outcome.connectStatus = curl.number(CURLINFO_HTTP_CONNECTCODE)
        outcome.systemCode = Int32(truncatingIfNeeded: curl.number(CURLINFO_OS_ERRNO))
        outcome.wantsCertificate = exchange.wantsCertificate && exchange.head.status == 0
        outcome.hasTimedOut = attempts.hasTimedOut
        outcome.addresses = attempts.addresses
        outcome.socketError = attempts.socketError
        outcome.stage = stage
        guard var (stage, reason) = outcome.failure else { return .unusable(outcome.text) }
        if case .failedLookup = reason {
            // Without a free descriptor the name server cannot be asked either.
            reason =
                OpenSockets.whyNone.map { .noSocket($0) }
                ?? NameLookup.reason(proxy?.host ?? origin?.host ?? "", after: attempts.seconds)
        }
        if stage >= .sending, mightWantTLS, Self.speaksTLS(attempts.place) { (stage, reason) = (.answer, .wantsTLS) }
        return failure(stage, reason)
    }

    private var mightWantTLS: Bool {
        origin?.isEncrypted == false && proxy == nil && exchange.head.status == 0
            && !settings.addresses.hasServed(attempts.place)
    }

    /// Whether an answer says that the port requires TLS, as the HTTP servers of nginx, Apache and Go do.
    func asksForTLS(_ response: HTTPResponse) -> Bool {
        guard response.status == 400, origin?.isEncrypted == false else { return false }
        let text = String(decoding: response.body.prefix(2000), as: UTF8.self).lowercased()
        return ["plain http request", "http request to an https server", "speaking plain http"]
            .contains { text.contains($0) }
    }

    /// Whether the port answers a TLS handshake. Asked only if the server closes its first connection without an
    /// answer.
    private static func speaksTLS(_ place: String) -> Bool {
        guard let curl = CurlHandle() else { return false }
        defer { curl.close() }
        curl.setString(CURLOPT_URL, "https://\(place)/")
        curl.setString(CURLOPT_NOPROXY, "*")
        curl.setLong(CURLOPT_NOSIGNAL, 1)
        curl.setLong(CURLOPT_CONNECT_ONLY, 1)
        curl.setLong(CURLOPT_CONNECTTIMEOUT_MS, 2000)
        let code = curl_easy_perform(curl.easy)
        return code == CURLE_OK || code == CURLE_PEER_FAILED_VERIFICATION
            || code == CURLE_SSL_CONNECT_ERROR && curl.message.contains(" alert ")
    }

    /// Records for the run which addresses answer.
    func remember(_ result: Result<HTTPResponse, TransportError>) {
        let book = settings.addresses
        for address in attempts.failed { book.noteFailure(of: attempts.place, at: address) }
        switch result {
        case .success: book.noteAnswer(of: attempts.place, at: curl.text(CURLINFO_PRIMARY_IP))
        case .failure(.network(let failure)):
            if failure.stage > .lookup, let address = failure.peer.address {
                book.noteFailure(of: attempts.place, at: address)
            }
        case .failure: break
        }
    }

    /// Whether an unencrypted answer comes from the proxy itself: a refusal, or an unreachable server.
    func isProxys(_ response: HTTPResponse) -> Bool {
        guard [403, 405, 407, 502, 503, 504].contains(response.status), origin?.isEncrypted == false, proxy != nil
        else { return false }
        return response.status == 407 || exchange.request?.isFromServer?(response) == false
    }
}
