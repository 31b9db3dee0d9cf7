internal import CCurl
import Glibc
import MuleSystem

/// The sockets that libcurl has open for one client, and what the kernel holds of what was written to them.
struct OpenSockets {
    private(set) var descriptors: Set<Int32> = []
    /// Whether the kernel collects what is written.
    private var isHeldBack = false

    /// Whether the kernel takes only a little more than it can send at once.
    private var limitsUnsent = false
    /// Whether bodies were fast enough lately to do without.
    private var isFast = false
    private var canHoldBody = false

    /// Bytes that have not been sent once, below which the kernel takes more.
    private static let mostUnsent: Int32 = 64 << 10
    /// Bodies of at least so many bytes show how fast a connection is, from the first byte to the answer. A proxy that takes in
    /// a body at once answers no sooner for it.
    private static let leastTelling: Int64 = 4 << 20
    /// Bytes per second from which on the limit costs more processor time than it is worth, and below which it holds again.
    private static let fast = Double(8 << 20)
    private static let slow = Double(2 << 20)

    mutating func insert(_ descriptor: Int32) {
        descriptors.insert(descriptor)
        if limitsUnsent { Self.limitUnsent(descriptor, true) }
        if isHeldBack { Self.holdBack(descriptor, true) }
    }

    /// A request starts. Only where its body can be held does it matter what the kernel has of it.
    mutating func start(canHoldBody: Bool) {
        self.canHoldBody = canHoldBody
        limitUnsent(canHoldBody && !isFast)
    }

    /// A body of this length has come so far in so many seconds, or has been answered after them.
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

    /// What lies unsent in the kernel can't be held any more when older bodies are to go first (tcp(7)).
    private static func limitUnsent(_ descriptor: Int32, _ limits: Bool) {
        // 0 stands for the system's own limit.
        var value = limits ? mostUnsent : 0
        _ = setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    mutating func remove(_ descriptor: Int32) {
        descriptors.remove(descriptor)
    }

    /// Lets the kernel collect what libcurl writes in pieces: a head and a small body leave in one packet, and wake the server
    /// once. What is collected leaves with `flush`; were that never called, after 200 ms (tcp(7), `TCP_CORK`).
    mutating func holdBack(_ holds: Bool) {
        guard holds != isHeldBack else { return }
        isHeldBack = holds
        for descriptor in descriptors { Self.holdBack(descriptor, holds) }
    }

    private static func holdBack(_ descriptor: Int32, _ holds: Bool) {
        var value: Int32 = holds ? 1 : 0
        // Where it can't be set, as on a socket that is not TCP's, the pieces leave one by one.
        _ = setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CORK, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// To be called before every wait for the other side. Setting `TCP_NODELAY` sends what is held back (tcp(7)).
    func flush() {
        guard isHeldBack else { return }
        var on: Int32 = 1
        for descriptor in descriptors {
            _ = setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    /// Why no socket can be made; nil when one can.
    static var whyNone: SystemError? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return SystemError.current("socket") }
        close(descriptor)
        return nil
    }

    /// Address and port of an `AF_INET` or `AF_INET6` address.
    static func place(of address: UnsafeRawPointer, family: Int32) -> (address: String, port: Int) {
        // in.h: the family, the port, and behind them, in IPv6 after the flow's number, the address.
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

    /// Bytes that the kernel has taken and the other side has not yet acknowledged.
    var unsentBytes: Int {
        descriptors.reduce(0) { sum, descriptor in
            var count: Int32 = 0
            return ioctl(descriptor, UInt(TIOCOUTQ), &count) == 0 ? sum + Int(count) : sum
        }
    }
}
