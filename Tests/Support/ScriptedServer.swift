import Glibc
import MuleSystem

/// An HTTP server on 127.0.0.1 and a free port, of which a test writes every byte: the script runs once for each
/// connection, on a thread of its own, and the connection closes when it returns.
package final class ScriptedServer: Sendable {
    /// What the scripts have read, and the connections they read it from.
    package struct State {
        package var connections = 0
        package var heads: [String] = []
        package var bodies: [[UInt8]] = []
        fileprivate var open: Set<Int32> = []
        fileprivate var threads: [Thread] = []
        fileprivate var isStopping = false
    }

    package let port: UInt16
    private let listener: Int32
    private let state: Monitor<State>
    private let acceptor: Thread

    /// - Parameter receiveBuffer: bytes that the kernel takes in before the script reads; nil leaves it to the kernel.
    package init(receiveBuffer: Int32? = nil, _ script: @escaping @Sendable (Peer) -> Void) {
        let state = Monitor(State())
        let (listener, port) = Loopback.listener(backlog: 16, receiveBuffer: receiveBuffer)
        acceptor = startedThread("acceptor") { Self.accept(listener, state, script) }
        (self.listener, self.port, self.state) = (listener, port, state)
    }

    deinit {
        state.update { state in
            state.isStopping = true
            shutdown(listener, Int32(SHUT_RDWR))
            for descriptor in state.open { shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
        acceptor.join()
        close(listener)
        for thread in state.withLock(\.threads) { thread.join() }
    }

    package var url: String { "http://127.0.0.1:\(port)" }
    package var connections: Int { state.withLock(\.connections) }
    /// Request line and header lines of every request so far.
    package var heads: [String] { state.withLock(\.heads) }
    package var bodies: [[UInt8]] { state.withLock(\.bodies) }

    private static func accept(
        _ listener: Int32,
        _ shared: Monitor<State>,
        _ script: @escaping @Sendable (Peer) -> Void
    ) {
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            guard descriptor >= 0 else { return }
            shared.update { state in
                state.connections += 1
                state.open.insert(descriptor)
                if state.isStopping { shutdown(descriptor, Int32(SHUT_RDWR)) }
                let number = state.connections
                let thread = startedThread("connection-\(number)") {
                    script(Peer(descriptor: descriptor, number: number, state: shared))
                    // Taken out first: a number that is closed may be given to another file.
                    shared.update { _ = $0.open.remove(descriptor) }
                    close(descriptor)
                }
                state.threads.append(thread)
            }
        }
    }
}

/// The client's end as a script sees it.
package final class Peer {
    /// From 1, in the order of connecting.
    package let number: Int
    private let descriptor: Int32
    private let state: Monitor<ScriptedServer.State>
    private var buffer: [UInt8] = []

    fileprivate init(descriptor: Int32, number: Int, state: Monitor<ScriptedServer.State>) {
        (self.descriptor, self.number, self.state) = (descriptor, number, state)
    }

    /// The next request's head without its empty line; nil when the client has closed.
    package func head() -> String? {
        var end = 0
        repeat {
            while end + 4 <= buffer.count {
                if buffer[end..<end + 4].elementsEqual([13, 10, 13, 10]) {
                    let text = String(decoding: buffer[..<end], as: UTF8.self)
                    buffer.removeFirst(end + 4)
                    state.update { $0.heads.append(text) }
                    return text
                }
                end += 1
            }
        } while receive(64 << 10)
        return nil
    }

    /// As many bytes of the body; fewer when the client has gone.
    @discardableResult
    package func body(_ count: Int) -> [UInt8] {
        while buffer.count < count, receive(256 << 10) {}
        let bytes = Array(buffer.prefix(count))
        buffer.removeFirst(bytes.count)
        state.update { $0.bodies.append(bytes) }
        return bytes
    }

    /// A whole request by its `Content-Length`; nil when the client has closed.
    @discardableResult
    package func request() -> String? {
        guard let head = head() else { return nil }
        if let length = Peer.contentLength(head), length > 0 { body(length) }
        return head
    }

    package static func contentLength(_ head: String) -> Int? {
        let name = "content-length: "
        let line = head.lowercased().split(separator: "\r\n").first { $0.hasPrefix(name) }
        return line.flatMap { Int($0.dropFirst(name.count)) }
    }

    /// False when the client has gone.
    @discardableResult
    package func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    @discardableResult
    package func send(_ bytes: [UInt8]) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let sent = bytes[offset...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { return false }
            offset += sent
        }
        return true
    }

    /// Answers 200 with the body, which leaves the connection open.
    package func answer(_ body: String = "", status: String = "200 OK", headers: String = "") {
        send("HTTP/1.1 \(status)\r\n\(headers)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    /// Whether a byte, or the end, comes within the time.
    package func hearsSomething(within seconds: Double) -> Bool {
        if !buffer.isEmpty { return true }
        var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&poller, 1, Int32(seconds * 1000)) > 0
    }

    /// Lets the time pass, unless the client leaves or the server stops.
    package func pause(seconds: Double) {
        var poller = pollfd(fd: descriptor, events: Self.readHangUp, revents: 0)
        _ = poll(&poller, 1, Int32(seconds * 1000))
    }

    /// Reads nothing more until the client leaves or the server stops.
    package func waitForClose() { pause(seconds: 60) }

    /// Reads and discards all data until the client disconnects.
    package func drain() {
        repeat { buffer = [] } while receive(256 << 10)
    }

    /// Makes the connection's end a reset.
    package func resetWhenDone() {
        var setting = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &setting, socklen_t(MemoryLayout<linger>.size))
    }

    /// Ends our side, so that the client sees the end of what was sent.
    package func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    // POLLRDHUP of poll(2), a GNU extension that Swift does not import.
    private static let readHangUp: Int16 = 0x2000

    private func receive(_ limit: Int) -> Bool {
        let piece = [UInt8](unsafeUninitializedCapacity: limit) { room, count in
            count = max(0, recv(descriptor, room.baseAddress, limit, 0))
        }
        buffer += piece
        return !piece.isEmpty
    }
}

/// Sockets on 127.0.0.1.
package enum Loopback {
    /// 127.0.0.1
    package static let first: UInt32 = 0x7F00_0001

    package static func listener(
        backlog: Int32,
        receiveBuffer: Int32? = nil,
        address: UInt32 = first,
        port: UInt16 = 0
    ) -> (descriptor: Int32, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = Self.address(address, port: port)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withGeneric(&address) { _ = bind(descriptor, $0, length) }
        guard listen(descriptor, backlog) == 0 else { fatalError("listen: \(String(cString: strerror(errno)))") }
        withGeneric(&address) { _ = getsockname(descriptor, $0, &length) }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    /// Starts to connect and does not wait.
    package static func connecting(to port: UInt16, address: UInt32 = first) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_INET, type, 0)
        var address = Self.address(address, port: port)
        withGeneric(&address) { _ = connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        return descriptor
    }

    private static func address(_ number: UInt32, port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = number.bigEndian
        return address
    }

    private static func withGeneric(_ address: inout sockaddr_in, _ body: (UnsafeMutablePointer<sockaddr>) -> Void) {
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1, body)
        }
    }
}
