import Glibc
import Testing

@testable import MuleTransport

/// When the kernel is to take only a little more than it can send at once.
@Suite struct OpenSocketsTests {
    private static let long: Int64 = 8 << 20

    /// Whether the kernel limits what it takes for the socket.
    private func isLimited(_ descriptor: Int32) -> Bool {
        var value: Int32 = -1
        var length = socklen_t(MemoryLayout<Int32>.size)
        #expect(getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, &value, &length) == 0)
        return value > 0
    }

    private func withSocket(_ body: (inout OpenSockets, Int32) -> Void) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var sockets = OpenSockets()
        sockets.insert(descriptor)
        body(&sockets, descriptor)
    }

    @Test func `only a body that can be held is limited`() {
        withSocket { sockets, descriptor in
            #expect(!isLimited(descriptor))
            sockets.start(canHoldBody: true)
            #expect(isLimited(descriptor))
            sockets.start(canHoldBody: false)
            #expect(!isLimited(descriptor))
            // Fast once, then slow: still nothing that could be held.
            sockets.note(Self.long, of: Self.long, in: 0.1, isAnswered: true)
            sockets.note(1000, of: Self.long, in: 1, isAnswered: false)
            #expect(!isLimited(descriptor))
        }
    }

    @Test func `a fast connection is not limited until it is slow`() {
        withSocket { sockets, descriptor in
            sockets.start(canHoldBody: true)
            // A proxy may have taken these bytes in.
            sockets.note(Self.long, of: Self.long, in: 0.1, isAnswered: false)
            #expect(isLimited(descriptor))
            sockets.note(Self.long, of: Self.long, in: 0.1, isAnswered: true)
            #expect(!isLimited(descriptor))
            sockets.start(canHoldBody: true)
            #expect(!isLimited(descriptor))
            sockets.note(1_000_000, of: Self.long, in: 1, isAnswered: false)
            #expect(isLimited(descriptor))
        }
    }
}
