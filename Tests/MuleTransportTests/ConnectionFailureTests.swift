internal import CCurl
import Glibc
import MuleSystem
import TestSupport
import Testing

@testable import MuleTransport

@Suite("Connections that fail")
struct ConnectionFailureTests {
    private func failureOf(
        _ url: String,
        caBundle: String? = nil,
        connectTimeout: Double = 20
    ) async throws -> NetworkFailure? {
        try await onThread {
            var settings = TransportSettings(userAgent: "mule-tests/1", caBundle: caBundle)
            settings.connectTimeout = connectTimeout
            let client = try HTTPClient(settings: settings, cancellation: Cancellation())
            return failure { try client.perform(.get(url)) }?.network
        }
    }

    // MARK: TLS

    @Test(arguments: [
        (TLSServer.Kind.expired, NetworkFailure.Certificate.expired, "has expired", "clock"),
        (.notYetValid, .notYetValid, "not valid yet", "clock"),
        (.wrongName, .wrongName, "another name", "Use the host name in the certificate"),
    ]
    )
    func `each fault of a certificate is told by its name, with its own advice, and is final on the first connection`(
        kind: TLSServer.Kind,
        fault: NetworkFailure.Certificate,
        words: String,
        advice: String
    ) async throws {
        let server = try await onThread { try TLSServer(kind) }
        let failure = try #require(try await failureOf(server.url, caBundle: server.certificate))
        #expect(failure.reason == .certificate(fault), "\(failure)")
        #expect(failure.stage == .handshake && !failure.isTransient)
        #expect(failure.sentence.contains("127.0.0.1:\(server.port)") && failure.sentence.contains(words))
        #expect(failure.cure?.contains(advice) == true)
        #expect(failure.cure?.contains("--ca-bundle") == false)
    }

    @Test(arguments: [TLSServer.Kind.wantsCertificate, .wantsCertificate12]
    )
    func `a client certificate that is demanded is told, whether the server refuses within the handshake or after it`(
        kind: TLSServer.Kind
    ) async throws {
        let server = try await onThread { try TLSServer(kind) }
        let failure = try #require(try await failureOf(server.url, caBundle: server.certificate))
        #expect(failure.reason == .wantsClientCertificate, "\(failure)")
        #expect(!failure.isTransient)
    }

    @Test
    func `http to a port that speaks TLS is final, whether it closes the connection or says so`() async throws {
        let server = try await onThread { try TLSServer() }
        let closed = try #require(try await failureOf("http://127.0.0.1:\(server.port)/"))
        #expect(closed.reason == .wantsTLS && !closed.isTransient, "\(closed)")
        #expect(closed.cure?.contains("https://") == true)

        for text in [
            "<html><center>The plain HTTP request was sent to HTTPS port</center>",
            "Client sent an HTTP request to an HTTPS server.\n",
            "Reason: You're speaking plain HTTP to an SSL-enabled server port.",
        ] {
            let server = ScriptedServer { peer in
                peer.request()
                peer.answer(text, status: "400 Bad Request")
            }
            let told = try #require(try await failureOf(server.url))
            #expect(told.reason == .wantsTLS && !told.isTransient, "\(told)")
        }
    }

    @Test
    func `a server that takes the connection and does not answer the handshake answers TCP and not TLS`() async throws {
        let server = ScriptedServer { peer in
            _ = peer.hearsSomething(within: 10)
            peer.waitForClose()
        }
        let failure = try #require(
            try await failureOf("https://127.0.0.1:\(server.port)/", connectTimeout: 1)
        )
        #expect(failure.reason == .silentHandshake && failure.stage == .handshake, "\(failure)")
        #expect(failure.isTransient && TransportError.network(failure).connectionFailed)
    }

    // MARK: Names and addresses

    @Test
    func `a name that does not exist is told with host and port`() async throws {
        let failure = try #require(try await failureOf("http://there-is-no-such-host.invalid:81/"))
        #expect(failure.stage == .lookup && failure.isTransient)
        #expect(failure.sentence.hasPrefix("there-is-no-such-host.invalid:81: "), "\(failure.sentence)")
    }

    @Test
    func `an unknown host of Amazon may be that of a forgotten endpoint`() {
        let peer = RemoteEnd(host: "bucket.s3.us-east-1.amazonaws.com", port: 443)
        let cure = NetworkFailure(.lookup, peer, .noSuchHost).cure ?? ""
        #expect(cure.contains("if no endpoint is set") && cure.contains("--endpoint-url"), "\(cure)")
        let other = NetworkFailure(.lookup, RemoteEnd(host: "s3.test", port: 443), .noSuchHost).cure ?? ""
        #expect(!other.contains("Amazon"), "\(other)")
    }

    @Test
    func `an address that never answers is told as such, with the address`() async throws {
        let server = ScriptedServer { peer in peer.answer() }
        let dead = DeadAddresses(1, port: server.port)
        let failure = try #require(try await failureOf("http://127.0.0.2:\(server.port)/", connectTimeout: 1))
        #expect(failure.reason == .noConnection(addresses: 1) && failure.stage == .connecting, "\(failure)")
        #expect(failure.peer.address == "127.0.0.2")
        #expect(TransportError.network(failure).connectionFailed)
        withExtendedLifetime(dead) {}
    }

    @Test
    func `dead addresses before the good one cost two seconds each, once in a run`() async throws {
        let server = ScriptedServer { peer in
            while peer.request() != nil { peer.answer() }
        }
        let dead = DeadAddresses(3, port: server.port)
        let url = "http://several.test:\(server.port)/"
        let known = "several.test:\(server.port):" + (dead.addresses + ["127.0.0.1"]).joined(separator: ",")
        let (first, second) = try await onThread { () throws -> (Double, Double) in
            var settings = TransportSettings(userAgent: "mule-tests/1")
            settings.knownAddresses = [known]
            var times: [Double] = []
            for _ in 1...2 {
                let start = Moment.now()
                let client = try HTTPClient(settings: settings, cancellation: Cancellation())
                #expect(try client.perform(.get(url)).status == 200)
                times.append(Moment.now().seconds(since: start))
            }
            return (times[0], times[1])
        }
        #expect(first >= 6 && first < 20, "\(first)")
        #expect(second < 2, "the second connection began with a dead address: \(second)")
        #expect(server.connections == 2)
        withExtendedLifetime(dead) {}
    }

    @Test
    func `an address that breaks its first exchange is not the one that the next connection begins with`() async throws
    {
        let broken = ScriptedServer { peer in _ = peer.head() }
        let good = Monitor(0)
        let (listener, _) = Loopback.listener(backlog: 16, address: 0x7F00_0002, port: broken.port)
        let file = File(descriptor: listener)
        let answerer = try Thread(name: "good") {
            let descriptor = accept(listener, nil, nil)
            good.update { $0 += 1 }
            let text = Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".utf8)
            _ = send(descriptor, text, text.count, Int32(MSG_NOSIGNAL))
            close(descriptor)
        }
        let known = "several.test:\(broken.port):127.0.0.1,127.0.0.2"
        let status = try await onThread { () throws -> Int in
            var settings = TransportSettings(userAgent: "mule-tests/1")
            settings.knownAddresses = [known]
            let client = try HTTPClient(settings: settings, cancellation: Cancellation())
            let url = "http://several.test:\(broken.port)/"
            #expect(failure { try client.perform(.get(url)) }?.network?.peer.address == "127.0.0.1")
            return try client.perform(.get(url)).status
        }
        #expect(status == 200)
        answerer.join()
        #expect(good.withLock { $0 } == 1)
        withExtendedLifetime(file) {}
    }

    // MARK: What libcurl tells

    private func reasonOf(
        _ code: CURLcode,
        _ text: String,
        _ change: (inout CurlOutcome) -> Void = { _ in }
    ) -> NetworkFailure.Reason? {
        var outcome = CurlOutcome(code, text: text)
        change(&outcome)
        return outcome.failure?.reason
    }

    @Test
    func `a connection that is refused, has no route or can have no socket is told by the system's reason`() {
        let text = "Failed to connect"
        #expect(reasonOf(CURLE_COULDNT_CONNECT, text) { $0.systemCode = ECONNREFUSED } == .refused)
        #expect(
            reasonOf(CURLE_COULDNT_CONNECT, text) { $0.systemCode = ENETUNREACH } == .noRoute("Network is unreachable")
        )
        let full = SystemError(code: EMFILE, call: "socket")
        let noSocket = reasonOf(CURLE_COULDNT_CONNECT, text) {
            $0.socketError = full
            $0.addresses = 0
        }
        #expect(noSocket == .noSocket(full))
        let failure = NetworkFailure(.connecting, RemoteEnd(host: "h", port: 1), .noSocket(full))
        #expect(failure.sentence.contains("Too many open files") && failure.isTransient)
        #expect(failure.cure?.contains("ulimit -n") == true)
    }

    @Test(arguments: [407, 403, 405, 502]
    )
    func `the proxy's answer to CONNECT is told with its status, and only a refusal is final`(status: Int) throws {
        var outcome = CurlOutcome(CURLE_RECV_ERROR, text: "CONNECT tunnel failed, response \(status)")
        outcome.connectStatus = status
        let (stage, reason) = try #require(outcome.failure)
        #expect(stage == .tunnel && reason == .refusedByProxy(status: status))
        let peer = RemoteEnd(host: "s3.test", port: 443, address: "10.0.0.9", proxy: "proxy.test:3128")
        let failure = NetworkFailure(stage, peer, reason)
        #expect(failure.isTransient == (status == 502))
        #expect(failure.sentence.hasPrefix("the proxy proxy.test:3128 (address 10.0.0.9), for s3.test:443: "))
    }

    @Test(arguments: [
        NetworkFailure.Reason.refused, .noConnection(addresses: 1), .noRoute("x"), .noSuchHost, .silentNameServer,
        .failedLookup("x"), .refusedByProxy(status: 403), .refusedByProxy(status: 502), .closed("x"),
    ]
    )
    func `a proxy that is out of reach or refuses is named with the variable that names it, and not the endpoint`(
        reason: NetworkFailure.Reason
    ) {
        let peer = RemoteEnd(host: "s3.test", port: 443, proxy: "proxy.test:3128", proxyVariable: "https_proxy")
        let cure = NetworkFailure(.tunnel, peer, reason).cure ?? ""
        #expect(cure.contains("proxy.test:3128") && cure.contains("https_proxy"), "\(cure)")
        #expect(!cure.contains("--endpoint-url"), "\(cure)")
    }

    @Test
    func `OpenSSL's verdicts have their names; only an unknown authority is advised to be named`() {
        let table: [(Int, NetworkFailure.Certificate)] = [
            (10, .expired), (9, .notYetValid), (62, .wrongName), (18, .unknownAuthority("x")),
            (20, .unknownAuthority("x")), (23, .other("x")),
        ]
        for (code, expected) in table {
            let reason = reasonOf(CURLE_PEER_FAILED_VERIFICATION, "SSL certificate problem: x") {
                $0.verification = code
            }
            #expect(reason == .certificate(expected))
            let failure = NetworkFailure(.handshake, RemoteEnd(host: "h", port: 1), .certificate(expected))
            let isUnknown = if case .unknownAuthority = expected { true } else { false }
            #expect(failure.cure?.contains("--ca-bundle") == isUnknown)
        }
    }

    // MARK: Proxies

    @Test
    func `the proxy is that of libcurl's variables, without its password`() {
        func name(_ scheme: String, _ host: String, _ variables: [String: String]) -> String? {
            Proxy(scheme: scheme, host: host) { variables[$0] }?.name
        }
        #expect(name("https", "s3.test", ["https_proxy": "http://me:se@cret@proxy.test:3128/"]) == "proxy.test:3128")
        #expect(name("https", "s3.test", ["HTTPS_PROXY": "proxy.test"]) == "proxy.test:1080")
        #expect(name("http", "s3.test", ["HTTP_PROXY": "proxy.test:1"]) == nil)
        #expect(name("http", "s3.test", ["ALL_PROXY": "http://[::1]:1"]) == "[::1]:1")
        #expect(name("http", "s3.test", ["http_proxy": "p:1", "no_proxy": "other, .TEST"]) == nil)
        #expect(name("http", "s3.test", ["http_proxy": "p:1", "NO_PROXY": "*"]) == nil)
        #expect(name("http", "s3.test", ["http_proxy": "p:1", "no_proxy": "3.test"]) == "p:1")
        #expect(Proxy(scheme: "https", host: "s3.test") { ["ALL_PROXY": "p:1"][$0] }?.variable == "ALL_PROXY")
    }
}
