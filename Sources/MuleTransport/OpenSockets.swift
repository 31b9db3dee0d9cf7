internal import CCurl
import Glibc
import MuleSystem

/// The open sockets of one client, and how much written data the kernel holds.
struct OpenSockets {
    private(set) var descriptors: Set<Int32> = []
    /// Whether the kernel collects what is written.
    private var isHeldBack = false

    /// Whether the kernel accepts only little more than it can send at once.
    private var limitsUnsent = false
    /// Whether recent bodies were fast enough to turn the limit off.
    private var isFast = false
    private var canHoldBody = false

    /// Limit for unsent bytes, below which the kernel accepts more.
    private static let mostUnsent: Int32 = 64 << 10
    /// Minimum length of a body that shows the connection's speed, measured from the first byte to the answer. A proxy
    /// that buffers the body does not answer sooner.
    private static let leastTelling: Int64 = 4 << 20
    /// Bytes per second above which the limit costs more CPU time than it is worth, and below which it is used again.
    private static let fast = Double(8 << 20)
    private static let slow = Double(2 << 20)

    mutating func insert(_ descriptor: Int32) {
        descriptors.insert(descriptor)
        if limitsUnsent { Self.limitUnsent(descriptor, true) }
        if isHeldBack { Self.holdBack(descriptor, true) }
    }

    /// A request starts. Limits what the kernel holds if the body can be held.
    mutating func start(canHoldBody: Bool) {
        self.canHoldBody = canHoldBody
        limitUnsent(canHoldBody && !isFast)
    }

    /// This much of a body of this length was sent after so many seconds, or all of it was answered.
    mutating func note(_ bytes: Int64, of length: Int64, in seconds: Double, isAnswered: Bool) {
        guard length >= Self.leastTelling else { return }
        let rate = Double(bytes) / max(seconds, 0.001)
        isFast = isFast ? rate >= Self.slow : isAnswered && rate >= Self.fast
        limitUnsent(canHoldBody && !isFast)
    }

    private mutating func limitUnsent(_ limits: Bool) {
        guard limits != limitsUnsent else { return }
        limitsUnsent = limits
        for descriptor in descriptors { Self.limitUnsent(descriptor, limits) }
    }

    /// Unsent bytes in the kernel cannot be held back any more when older bodies must go first (tcp(7)).
    private static func limitUnsent(_ descriptor: Int32, _ limits: Bool) {
        // 0 is the system's default.
        var value = limits ? mostUnsent : 0
        _ = setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    mutating func remove(_ descriptor: Int32) {
        descriptors.remove(descriptor)
    }

    /// Lets the kernel collect what libcurl writes: a head and a small body go into one packet, and wake the server
    /// once. `flush` sends it; otherwise the kernel does after 200 ms (tcp(7), `TCP_CORK`).
    mutating func holdBack(_ holds: Bool) {
        guard holds != isHeldBack else { return }
        isHeldBack = holds
        for descriptor in descriptors { Self.holdBack(descriptor, holds) }
    }

    private static func holdBack(_ descriptor: Int32, _ holds: Bool) {
        var value: Int32 = holds ? 1 : 0
        // If it cannot be set, as on a socket that is not TCP, the pieces are sent one by one.
        _ = setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CORK, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Must be called before each wait for the server. Setting `TCP_NODELAY` sends what was collected (tcp(7)).
    func flush() {
        guard isHeldBack else { return }
        var on: Int32 = 1
        for descriptor in descriptors {
            _ = setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    /// Why no socket can be created; nil if one can.
    static var whyNone: SystemError? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return SystemError.current("socket") }
        close(descriptor)
        return nil
    }

    /// Address and port of an `AF_INET` or `AF_INET6` address.
    static func place(of address: UnsafeRawPointer, family: Int32) -> (address: String, port: Int) {
        // in.h: family, port, then the address; in IPv6 the flow information comes before it.
        let port = Int(UInt16(bigEndian: address.load(fromByteOffset: 2, as: UInt16.self)))
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { room in
            let text = inet_ntop(
                family,
                address + (family == AF_INET6 ? 8 : 4),
                room.baseAddress,
                socklen_t(room.count)
            )
            return (text.map { String(cString: $0) } ?? "", port)
        }
    }

    /// Bytes that the kernel holds and the server has not acknowledged yet.
    var unsentBytes: Int {
        descriptors.reduce(0) { sum, descriptor in
            var count: Int32 = 0
            return ioctl(descriptor, UInt(TIOCOUTQ), &count) == 0 ? sum + Int(count) : sum
        }
    }
}
