import MuleSystem
import MuleTransport
import TestSupport
import Testing

@Suite("TLS")
struct TLSTests {
    @Test
    func `a certificate that no one has vouched for is refused, and accepted with its CA bundle`() async throws {
        let server = try await onThread { try TLSServer() }
        let refused = try await withClient { client in failure { try client.perform(.get(server.url)) } }
        guard case .certificate(.unknownAuthority) = refused?.network?.reason else {
            Issue.record("\(String(describing: refused))")
            return
        }
        #expect(refused?.isTransient == false)

        let file = try BodyFile(3_000_000)
        let answer = try await withClient(caBundle: server.certificate) { client throws in
            try client.perform(.put(server.url + "/x", file.slice()))
        }
        #expect(String(decoding: answer.body, as: UTF8.self) == "3000000 bytes")

        let otherName = try await withClient(caBundle: server.certificate) { client throws in
            failure { try client.perform(.get("https://localhost:\(server.port)/")) }
        }
        guard case .certificate(.wrongName) = otherName?.network?.reason else {
            Issue.record("\(String(describing: otherName))")
            return
        }
    }

    @Test
    func `the version and the certificate of a connection are known where they are asked for`() async throws {
        let server = try await onThread { try TLSServer() }
        var settings = TransportSettings(userAgent: "mule/test", caBundle: server.certificate)
        for isAsked in [true, false] {
            settings.observesSecurity = isAsked
            let asked = settings
            let security = try await onThread {
                let client = try HTTPClient(settings: asked, cancellation: Cancellation())
                _ = try client.perform(.get(server.url))
                return client.security
            }
            #expect(security?.version == (isAsked ? "TLSv1.3" : nil))
            #expect(security?.issuer == (isAsked ? "mule tests" : nil))
            #expect(security?.name == nil, "an IP address is no name")
            #expect(security?.end == (isAsked ? 2_493_072_000 : nil), "2049-01-01")
        }
    }

    @Test
    func `a reset inside an encrypted body is a broken connection, and no signal`() async throws {
        let server = try await onThread { try TLSServer() }
        let file = try BodyFile(64 << 20, sparse: true)
        let error = try await withClient(caBundle: server.certificate) { client throws in
            failure { try client.perform(.put(server.url + "/reset", file.slice())) }
        }
        guard case .closed = error?.network?.reason, error?.network?.answered == false else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test
    func `a server that speaks no TLS is told as such`() async throws {
        let server = ScriptedServer { peer in
            _ = peer.hearsSomething(within: 5)
            peer.answer()
        }
        let error = try await withClient { client throws in
            failure { try client.perform(.get("https://127.0.0.1:\(server.port)/")) }
        }
        guard error?.network?.reason == .speaksNoTLS, error?.isTransient == false else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test
    func `a CA bundle that is missing, or holds no certificate, cannot be used`() async throws {
        let server = try await onThread { try TLSServer() }
        let bundles = [
            server.scratch.path("none.pem"),
            try server.scratch.write("no certificate", to: "junk.pem"),
            try server.scratch.write("", to: "empty.pem"),
        ]
        for bundle in bundles {
            let error = await #expect(throws: TransportError.self) {
                try await withClient(caBundle: bundle) { client in try client.perform(.get(server.url)) }
            }
            guard case .unusable(let reason) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(reason.contains(bundle))
        }
    }

    @Test
    func `a CA bundle that could not be used is read again by the next connection`() async throws {
        let server = try await onThread { try TLSServer() }
        let bundle = try server.scratch.write("no certificate", to: "bundle.pem")
        let answer = try await withClient(caBundle: bundle) { client throws in
            guard case .unusable = failure({ try client.perform(.get(server.url)) }) else {
                Issue.record("junk was trusted")
                return try client.perform(.get(server.url))
            }
            _ = try server.scratch.write(
                String(decoding: try Files.read(server.certificate), as: UTF8.self),
                to: "bundle.pem"
            )
            return try client.perform(.get(server.url))
        }
        #expect(answer.status == 200)
    }

    @Test
    func `many threads that share what each of two bundles holds are refused and accepted each by its own`()
        async throws
    {
        let server = try await onThread { try TLSServer() }
        let other = try await onThread { try TLSServer() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<24 {
                let trusts = number.isMultiple(of: 2)
                group.addTask {
                    try await withClient(caBundle: trusts ? server.certificate : other.certificate) { client throws in
                        for _ in 0..<3 {
                            let error = failure { try client.perform(.get(server.url)) }
                            if trusts {
                                #expect(error == nil)
                            } else if case .certificate = error?.network?.reason {
                                continue
                            } else {
                                Issue.record("\(String(describing: error))")
                            }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
