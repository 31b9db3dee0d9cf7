/// An HTTPS server with a certificate of its own making for 127.0.0.1.
package struct TLSServer: Sendable {
    /// What is wrong with the certificate, or what the server wants of its clients.
    package enum Kind: String, Sendable, CaseIterable {
        case plain
        case expired
        case notYetValid
        /// In nine and a half days.
        case expiresSoon
        case wrongName
        case wantsCertificate
        /// As above, in TLS 1.2, where the server refuses within the handshake.
        case wantsCertificate12
    }

    package let scratch = ScratchDirectory()
    /// PEM file of the certificate, which is its own authority.
    package let certificate: String
    /// PEM file of its key. With both, a client is one that a server of kind `wantsCertificate` accepts.
    package let key: String
    package let port: Int
    private let process: RunningCommand

    // Answers each request once its body is in; resets the connection half way for /reset.
    private static let script = """
        import socket, ssl, struct, sys, threading
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        if sys.argv[3].startswith("wantsCertificate"):
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(sys.argv[1])
        if sys.argv[3] == "wantsCertificate12":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        listener = socket.create_server(("127.0.0.1", 0))
        print("port", listener.getsockname()[1], "listens", flush=True)
        def serve(plain):
            try:
                with context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as connection:
                    try:
                        connection.do_handshake()
                    except ssl.SSLError as error:
                        # Unread bytes make close() reset the connection, and the client may lose the alert. It must
                        # cope with that if it has no certificate, which it knows.
                        if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
                            return
                        with socket.socket(fileno=connection.detach()) as raw:
                            raw.shutdown(socket.SHUT_WR)
                            while raw.recv(4096):
                                pass
                        return
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

    // Dates and name of the certificate are the arguments.
    private static let authority = """
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=mule tests" -keyout key.pem -out request.pem
        printf '%s\\n' '[ca]' 'default_ca=c' '[c]' 'database=index' 'new_certs_dir=.' 'serial=serial' 'default_md=sha256' \
            'policy=p' 'x509_extensions=e' '[p]' 'commonName=supplied' '[e]' "subjectAltName=$3" >ca.conf
        : >index; echo 01 >serial
        openssl ca -batch -config ca.conf -selfsign -keyfile key.pem -in request.pem -startdate "$1" -enddate "$(eval echo "$2")" \
            -notext -out certificate.pem
        """

    package init(_ kind: Kind = .plain) throws {
        certificate = scratch.path("certificate.pem")
        key = scratch.path("key.pem")
        let (from, to) =
            switch kind {
            case .expired: ("20200101000000Z", "20210101000000Z")
            case .notYetValid: ("20480101000000Z", "20490101000000Z")
            case .expiresSoon: ("20200101000000Z", "$(date -u -d '+228 hours' +%Y%m%d%H%M%SZ)")
            default: ("20200101000000Z", "20490101000000Z")
            }
        let name = kind == .wrongName ? "DNS:other.test" : "IP:127.0.0.1"
        let made = try TestCommand(
            "/bin/sh",
            ["-ec", "cd \"$0\"; " + Self.authority, scratch.path, from, to, name],
            home: scratch.path
        )
        .run()
        precondition(made.exitCode == 0, "openssl made no certificate: \(made.err)")
        let command = TestCommand(
            "/usr/bin/env",
            ["python3", "-c", Self.script, certificate, key, kind.rawValue],
            home: scratch.path
        )
        process = try command.start()
        precondition(process.waitForText("listens"), "the TLS server did not start: \(process.errorSoFar)")
        guard let port = process.outputSoFar.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
            fatalError("the TLS server named no port")
        }
        self.port = port
    }

    package var url: String { "https://127.0.0.1:\(port)" }
}
