import MuleSystem
import MuleTransport
import TestSupport
import Testing

@Suite("Client certificates")
struct ClientCertificateTests {
    private func status(
        _ server: TLSServer,
        _ client: ClientCertificate?,
        host: String = "127.0.0.1"
    ) async throws -> Result<Int, TransportError> {
        try await onThread {
            var settings = TransportSettings(userAgent: "mule-tests/1", caBundle: server.certificate)
            settings.clientCertificate = client
            let client = try HTTPClient(settings: settings, cancellation: Cancellation())
            return Result { () throws(TransportError) in
                try client.perform(.get("https://\(host):\(server.port)/")).status
            }
        }
    }

    @Test(arguments: [TLSServer.Kind.wantsCertificate, .wantsCertificate12])
    func `a server that demands one gets it, and refuses that of someone else`(kind: TLSServer.Kind) async throws {
        let server = try await onThread { try TLSServer(kind) }
        let own = ClientCertificate(certificate: server.certificate, key: server.key)
        #expect(own.problem() == nil)
        #expect(try await status(server, own) == .success(200))

        let stranger = try await onThread { try TLSServer() }
        let refused = try await status(
            server,
            ClientCertificate(certificate: stranger.certificate, key: stranger.key)
        )
        guard case .failure(.network(let failure)) = refused else {
            Issue.record("\(refused)")
            return
        }
        #expect(failure.reason == .wantsClientCertificate, "\(failure)")
        #expect(failure.cure?.contains("--client-certificate") == true && !failure.isTransient)
    }

    @Test func `one file may hold both`() async throws {
        let server = try await onThread { try TLSServer(.wantsCertificate) }
        let scratch = ScratchDirectory()
        let both = try scratch.write(try Files.read(server.key) + Files.read(server.certificate), to: "both.pem")
        let client = ClientCertificate(certificate: both)
        #expect(client.problem() == nil)
        #expect(try await status(server, client) == .success(200))
    }

    @Test func `files that cannot be used are told before anything is sent`() async throws {
        let (server, other) = try await onThread { (try TLSServer(), try TLSServer()) }
        let scratch = ScratchDirectory()
        let text = try scratch.write("no PEM", to: "text.pem")
        let locked = scratch.path("locked.pem")
        let made = try await onThread {
            try TestCommand(
                "/usr/bin/env",
                ["openssl", "pkey", "-aes256", "-passout", "pass:secret", "-in", server.key, "-out", locked],
                home: scratch.path
            ).run()
        }
        #expect(made.exitCode == 0, "\(made.err)")
        func problem(_ certificate: String, _ key: String) -> String {
            ClientCertificate(certificate: certificate, key: key).problem() ?? "none"
        }
        #expect(
            problem("/none.pem", server.key)
                == "The client certificate /none.pem cannot be read: No such file or directory."
        )
        #expect(
            problem(server.certificate, "/none.pem")
                == "The client key /none.pem cannot be read: No such file or directory."
        )
        #expect(problem(server.certificate, scratch.path).contains("cannot be read: Is a directory"))
        #expect(problem(text, server.key) == "\(text) has no client certificate in PEM form.")
        #expect(problem(server.certificate, text) == "\(text) has no private key in PEM form.")
        #expect(problem(server.certificate, other.key).contains("does not belong to the certificate"))
        #expect(problem(server.certificate, locked).contains("has a password"))
    }
}
