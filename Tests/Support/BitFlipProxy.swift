import Glibc
import MuleSystem

/// A bad link: a proxy on 127.0.0.1 that forwards all bytes, and flips single bits of payloads on their way to the
/// store. It parses HTTP only to find where a body starts.
///
/// Stops at `stop()`, or when the last reference goes.
package final class BitFlipProxy: Sendable {
    /// Which bit of a request's body to turn over, counted from the first byte's lowest; nil for none.
    package typealias Rule = @Sendable (_ method: String, _ target: String, _ length: Int64) -> Int64?

    package let port: UInt16
    private let listener = LocalSocket.listening()
    private let upstream: UInt16
    private let state = Monitor(State())

    private struct State {
        var rule: Rule = { _, _, _ in nil }
        var flips = 0
        var isStopping = false
        var open: Set<Int32> = []
        var threads = 0
    }

    /// - Parameter upstream: the port of the store, on 127.0.0.1 too.
    package init(to upstream: UInt16) {
        self.upstream = upstream
        port = listener.port
        let (listener, state) = (listener, state)
        state.withLock { $0.threads += 1 }
        DetachedThread.start {
            Self.accept(listener.descriptor, upstream, state)
            close(listener.descriptor)
            state.update { $0.threads -= 1 }
        }
    }

    deinit { stop() }

    package var endpoint: String { "http://127.0.0.1:\(port)" }

    /// Bits turned over so far.
    package var flips: Int { state.withLock(\.flips) }

    /// What is done to requests from here on.
    package func use(_ rule: @escaping Rule) { state.withLock { $0.rule = rule } }

    package func stop() {
        let isFirst = state.update { state in
            defer { state.isStopping = true }
            guard !state.isStopping else { return false }
            shutdown(listener.descriptor, Int32(SHUT_RDWR))
            for socket in state.open { shutdown(socket, Int32(SHUT_RDWR)) }
            return true
        }
        if isFirst { state.wait(seconds: 10) { $0.threads == 0 } }
    }

    private static func accept(_ listener: Int32, _ upstream: UInt16, _ state: Monitor<State>) {
        while true {
            let client = Glibc.accept(listener, nil, nil)
            if state.withLock(\.isStopping) {
                if client >= 0 { close(client) }
                return
            }
            guard client >= 0 else { continue }
            _ = fcntl(client, F_SETFD, FD_CLOEXEC)
            guard let store = LocalSocket.connected(to: upstream) else {
                close(client)
                continue
            }
            state.update { state in
                state.open.formUnion([client, store])
                state.threads += 1
                // `stop` may have been here between the look above and this.
                if state.isStopping { for socket in [client, store] { shutdown(socket, Int32(SHUT_RDWR)) } }
            }
            DetachedThread.start {
                let (near, far) = (Wire(client), Wire(store))
                let answersEnded = Monitor(false)
                DetachedThread.start {
                    Self.passAnswers(from: Wire(store), to: Wire(client))
                    shutdown(client, Int32(SHUT_RDWR))
                    answersEnded.update { $0 = true }
                }
                try? Self.passRequests(from: near, to: far, state)
                shutdown(store, Int32(SHUT_RDWR))
                answersEnded.wait(seconds: nil) { $0 }
                state.update { state in state.open.subtract([client, store]) }
                near.close()
                far.close()
                state.update { $0.threads -= 1 }
            }
        }
    }

    private static func passAnswers(from store: Wire, to client: Wire) {
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 64)
        defer { block.deallocate() }
        while let count = try? store.receive(into: block.baseAddress, limit: block.count) {
            guard (try? client.send(UnsafeRawBufferPointer(rebasing: block[..<count]))) != nil else { return }
        }
    }

    private static func passRequests(from client: Wire, to store: Wire, _ state: Monitor<State>) throws {
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
        defer { block.deallocate() }
        while let head = try client.readHead() {
            let length = head["content-length"].flatMap { Int64($0) } ?? 0
            let target = String(decoding: head.rawTarget, as: UTF8.self)
            let rule = state.withLock(\.rule)
            let bit = rule(head.method, target, length)
            var text = Array("\(head.method) ".utf8) + head.rawTarget + Array(" HTTP/1.1\r\n".utf8)
            for field in head.headers { text += Array("\(field.name): \(field.value)\r\n".utf8) }
            try store.send(text + [13, 10])
            var passed: Int64 = 0
            while passed < length {
                let limit = Int(min(Int64(block.count), length - passed))
                let count = try client.receive(into: block.baseAddress, limit: limit)
                if let bit, (passed..<passed + Int64(count)).contains(bit / 8) {
                    block[Int(bit / 8 - passed)] ^= 1 << UInt8(bit % 8)
                    state.update { $0.flips += 1 }
                }
                try store.send(UnsafeRawBufferPointer(rebasing: block[..<count]))
                passed += Int64(count)
            }
        }
    }
}

/// Sockets on 127.0.0.1.
enum LocalSocket {
    static func listening() -> (descriptor: Int32, port: UInt16) {
        let descriptor = made()
        var (address, length) = (address(0), socklen_t(MemoryLayout<sockaddr_in>.size))
        let isBound = withUnsafeMutableBytes(of: &address) { bytes -> Bool in
            guard let generic = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return false }
            return bind(descriptor, generic, length) == 0 && listen(descriptor, 512) == 0
                && getsockname(descriptor, generic, &length) == 0
        }
        guard isBound else { fatalError("cannot listen on 127.0.0.1: \(String(cString: strerror(errno)))") }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    static func connected(to port: UInt16) -> Int32? {
        let descriptor = made()
        var address = address(port)
        let isConnected = withUnsafeBytes(of: &address) { bytes in
            guard let generic = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return false }
            return connect(descriptor, generic, socklen_t(bytes.count)) == 0
        }
        if isConnected { return descriptor }
        close(descriptor)
        return nil
    }

    private static func made() -> Int32 {
        socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    }

    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }
}
