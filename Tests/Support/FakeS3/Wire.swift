import Glibc
import MuleSystem

/// The byte stream of one accepted socket. Used by one thread; closes the descriptor in `close()`.
final class Wire {
    /// A discarding read writes nothing, but the address sanitizer requires that the length fits the buffer.
    private static let discardLimit = !TestCommand.isSanitized ? Int.max : 64 << 10

    enum Failure: Error {
        /// The client left, or the server is stopping.
        case closed
        /// Not an HTTP request.
        case malformed
    }

    let descriptor: Int32
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 64)
    private var filled = 0..<0

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { buffer.deallocate() }

    /// The next request's head; nil when the client closed between requests.
    func readHead() throws(Failure) -> RequestHead? {
        var searched = 0
        while true {
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[filled])
            if let end = Self.endOfHead(bytes, from: max(0, searched - 3)) {
                let head = RequestHead(Array(bytes[..<end])[...])
                filled = (filled.lowerBound + end)..<filled.upperBound
                guard let head else { throw .malformed }
                return head
            }
            searched = bytes.count
            if filled.lowerBound > 0 {
                UnsafeMutableRawBufferPointer(rebasing: buffer[..<bytes.count]).copyMemory(from: bytes)
                filled = 0..<bytes.count
            }
            guard filled.upperBound < buffer.count else { throw .malformed }
            let got = recv(
                descriptor,
                buffer.baseAddress?.advanced(by: filled.upperBound),
                buffer.count - filled.upperBound,
                0
            )
            if got < 0 && errno == EINTR { continue }
            guard got > 0 else {
                if filled.isEmpty { return nil }
                throw .closed
            }
            filled = filled.lowerBound..<(filled.upperBound + got)
        }
    }

    /// Takes in body bytes, at most `limit`; with `target` nil the kernel throws them away uncopied.
    ///
    /// - Returns: the number of bytes, at least 1.
    func receive(into target: UnsafeMutableRawPointer?, limit: Int) throws(Failure) -> Int {
        if !filled.isEmpty {
            let count = min(limit, filled.count)
            let piece = filled.prefix(count)
            if let target { UnsafeMutableRawBufferPointer(start: target, count: count).copyBytes(from: buffer[piece]) }
            filled = piece.upperBound..<filled.upperBound
            return count
        }
        while true {
            // MSG_TRUNC on TCP discards (tcp(7)); the pointer is not used then, but must not be nil.
            let got =
                if let target {
                    recv(descriptor, target, limit, 0)
                } else {
                    recv(descriptor, buffer.baseAddress, min(limit, Self.discardLimit), Int32(MSG_TRUNC))
                }
            if got > 0 { return got }
            if got < 0 && errno == EINTR { continue }
            throw .closed
        }
    }

    func send(_ bytes: [UInt8]) throws(Failure) {
        let failure: Failure? = bytes.withUnsafeBytes { bytes in
            do throws(Failure) { try send(bytes) } catch { return error }
            return nil
        }
        if let failure { throw failure }
    }

    func send(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        var offset = 0
        while offset < bytes.count {
            let sent = Glibc.send(
                descriptor,
                bytes.baseAddress?.advanced(by: offset),
                bytes.count - offset,
                Int32(MSG_NOSIGNAL)
            )
            if sent < 0 && errno == EINTR { continue }
            guard sent > 0 else { throw .closed }
            offset += sent
        }
    }

    /// Ends our side and takes in what the client still sends, so that it can read an early answer before a reset.
    func linger(seconds: Double) {
        shutdown(descriptor, Int32(SHUT_WR))
        let deadline = Moment.now().adding(seconds: seconds)
        while true {
            let left = deadline.seconds(since: .now())
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard left > 0, poll(&poller, 1, Int32(left * 1_000) + 1) > 0 else { return }
            guard recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_TRUNC)) > 0 else { return }
        }
    }

    /// Blocks until the client closes, taking in nothing else.
    func waitForClose() {
        var poller = pollfd(fd: descriptor, events: Self.readHangUp, revents: 0)
        while poll(&poller, 1, -1) < 0 && errno == EINTR {}
    }

    /// POLLRDHUP of poll(2), a GNU extension that Swift does not import.
    private static let readHangUp: Int16 = 0x2000

    /// Makes `close` send a reset.
    func resetOnClose() {
        var setting = Glibc.linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &setting, socklen_t(MemoryLayout<Glibc.linger>.size))
    }

    func close() { Glibc.close(descriptor) }

    /// Length of the head including the empty line.
    private static func endOfHead(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        guard bytes.count >= start + 4 else { return nil }
        return Bytes.firstRange(of: [13, 10, 13, 10], in: bytes, from: start).map { $0 + 4 }
    }
}
