/// An HTTP proxy on 127.0.0.1 that opens tunnels (CONNECT) and notes for which places. It resolves no names: all
/// tunnels end at 127.0.0.1.
package struct TunnelProxy: Sendable {
    package let port: Int
    private let scratch = ScratchDirectory()
    private let process: RunningCommand

    private static let script = """
        import socket, threading
        listener = socket.create_server(("127.0.0.1", 0))
        print("port", listener.getsockname()[1], "listens", flush=True)
        def pump(source, target):
            try:
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        def serve(client):
            try:
                with client:
                    head = b""
                    while b"\\r\\n\\r\\n" not in head:
                        data = client.recv(1)
                        if not data:
                            return
                        head += data
                    place = head.split()[1].decode()
                    print("CONNECT", place, flush=True)
                    with socket.create_connection(("127.0.0.1", int(place.rpartition(":")[2]))) as server:
                        client.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
                        threading.Thread(target=pump, args=(server, client), daemon=True).start()
                        pump(client, server)
                        server.recv(0)
            except OSError:
                pass
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
        """

    package init() throws {
        process = try TestCommand("/usr/bin/env", ["python3", "-c", Self.script], home: scratch.path).start()
        precondition(process.waitForText("listens"), "the proxy did not start: \(process.errorSoFar)")
        guard let port = process.outputSoFar.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
            fatalError("the proxy named no port")
        }
        self.port = port
    }

    package var url: String { "http://127.0.0.1:\(port)" }

    /// `host:port` of each tunnel so far.
    package var places: [String] {
        process.outputSoFar.split(separator: "\n").compactMap { line in
            line.hasPrefix("CONNECT ") ? String(line.dropFirst(8)) : nil
        }
    }
}
