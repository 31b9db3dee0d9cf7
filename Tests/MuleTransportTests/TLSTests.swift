import MuleSystem
import MuleTransport
import TestSupport
import Testing

@Suite("TLS")
struct TLSTests {
    /// An HTTPS server with a certificate of its own making for 127.0.0.1.
    private struct Server {
        let scratch = ScratchDirectory()
        let certificate: String
        let port: Int
        private let process: RunningCommand

        // Answers each request once its body is in; resets the connection half way for /reset.
        private static let script = """
            import socket, ssl, struct, sys, threading
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(sys.argv[1], sys.argv[2])
            listener = socket.create_server(("127.0.0.1", 0))
            print("port", listener.getsockname()[1], "listens", flush=True)
            def serve(plain):
                try:
                    with context.wrap_socket(plain, server_side=True) as connection:
                        stream = connection.makefile("rb")
                        while line := stream.readline():
                            length = 0
                            while (field := stream.readline().strip()):
                                name, _, value = field.partition(b":")
                                if name.lower() == b"content-length":
                                    length = int(value)
                            if b"/reset" in line:
                                stream.read(100000)
                                linger = struct.pack("ii", 1, 0)
                                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                                connection.close()
                                return
                            text = b"%d bytes" % len(stream.read(length))
                            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(text) + text)
                except OSError:
                    pass
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
            """

        init() throws {
            certificate = scratch.path("certificate.pem")
            let key = scratch.path("key.pem")
            let made = try TestCommand(
                "/usr/bin/env",
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
                    + ["-subj", "/CN=mule tests", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
                    + ["-keyout", key, "-out", certificate],
                home: scratch.path
            )
            .run()
            try #require(made.exitCode == 0, "\(made.err)")
            let command = TestCommand(
                "/usr/bin/env",
                ["python3", "-c", Self.script, certificate, key],
                home: scratch.path
            )
            process = try command.start()
            try #require(process.waitForText("listens"), "\(process.errorSoFar)")
            port = try #require(process.outputSoFar.split(separator: " ").dropFirst().first.flatMap { Int($0) })
        }

        var url: String { "https://127.0.0.1:\(port)" }
    }

    @Test("a certificate that nobody has vouched for is refused, and accepted with its CA bundle")
    func verification() async throws {
        let server = try await onThread { try Server() }
        let refused = try await withClient { client in failure { try client.perform(.get(server.url)) } }
        guard case .certificate = refused else {
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
        guard case .certificate = otherName else {
            Issue.record("\(String(describing: otherName))")
            return
        }
    }

    @Test("a reset inside an encrypted body is a broken connection, and no signal")
    func reset() async throws {
        let server = try await onThread { try Server() }
        let file = try BodyFile(64 << 20, sparse: true)
        let error = try await withClient(caBundle: server.certificate) { client throws in
            failure { try client.perform(.put(server.url + "/reset", file.slice())) }
        }
        guard case .broken(_, answered: false) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("a server that speaks no TLS is told as such")
    func plainServer() async throws {
        let server = ScriptedServer { peer in
            _ = peer.hearsSomething(within: 5)
            peer.answer()
        }
        let error = try await withClient { client throws in
            failure { try client.perform(.get("https://127.0.0.1:\(server.port)/")) }
        }
        guard case .tls = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("a CA bundle that is missing, or holds no certificate, can't be used")
    func badBundle() async throws {
        let scratch = ScratchDirectory()
        let junk = try scratch.write("no certificate", to: "junk.pem")
        for bundle in [scratch.path("none.pem"), junk] {
            let error = await #expect(throws: TransportError.self) {
                try await withClient(caBundle: bundle) { client in try client.perform(.get("https://127.0.0.1:1/")) }
            }
            // The second one is read only when there is a connection to secure.
            if bundle == junk { continue }
            guard case .unusable(let reason) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(reason.contains(bundle))
        }
    }
}
