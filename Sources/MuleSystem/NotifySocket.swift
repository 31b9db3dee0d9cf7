import Glibc

/// The service manager's datagram socket, named in the environment (sd_notify(3)). Failures to send are ignored.
package final class NotifySocket: Sendable {
    private let descriptor: Int32
    /// A `sockaddr_un` up to the end of its path.
    private let address: [UInt8]
    /// Seconds within which the manager expects a message before it ends the process; nil without a watchdog.
    package let watchdog: Double?

    /// Longest path in a `sockaddr_un`, unix(7).
    private static let longestPath = 107
    /// Seconds that a message may wait for a manager that does not read.
    private static let patience = 1

    /// - Parameter environment: `NOTIFY_SOCKET`, a path, or `@` and a name in the abstract namespace; `WATCHDOG_USEC`,
    ///   and `WATCHDOG_PID`, the process that it applies to.
    /// - Returns: nil without `NOTIFY_SOCKET`.
    package init?(environment: [String: String]) {
        guard let name = environment["NOTIFY_SOCKET"], name.hasPrefix("/") || name.hasPrefix("@"),
            (2...Self.longestPath).contains(name.utf8.count)
        else { return nil }
        var address = withUnsafeBytes(of: sa_family_t(AF_UNIX)) { Array($0) }
        // An abstract name starts with a NUL and ends with the address; a path ends with a NUL.
        address += name.hasPrefix("@") ? [0] + name.utf8.dropFirst() : Array(name.utf8) + [0]
        self.address = address
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var limit = timeval(tv_sec: Self.patience, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let isMine = environment["WATCHDOG_PID"].map { $0 == String(getpid()) } ?? true
        let microseconds = environment["WATCHDOG_USEC"].flatMap { UInt64($0) } ?? 0
        watchdog = isMine && microseconds > 0 ? Double(microseconds) / 1e6 : nil
    }

    deinit {
        close(descriptor)
    }

    /// Sends assignments such as `READY=1`, one per line.
    package func tell(_ text: String) {
        let bytes = Array(text.utf8)
        address.withUnsafeBytes { address in
            guard let place = address.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return }
            _ = sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), place, socklen_t(address.count))
        }
    }
}

/// Whether a descriptor writes to the journal: `JOURNAL_STREAM` names its device and inode (systemd.exec(5)). A
/// redirected stream has another inode, but the variable stays set.
package func isJournal(_ descriptor: Int32, environment: [String: String]) -> Bool {
    let numbers = (environment["JOURNAL_STREAM"] ?? "").split(separator: ":").map { UInt64($0) }
    var status = stat()
    guard numbers.count == 2, fstat(descriptor, &status) == 0 else { return false }
    return numbers[0] == UInt64(status.st_dev) && numbers[1] == UInt64(status.st_ino)
}
