import Glibc

/// The service manager that has started this process, where there is one that wants to hear of it: a socket for datagrams that is
/// named in the environment, sd_notify(3). Whether anybody listens is no matter of the run's.
package final class NotifySocket: Sendable {
    private let descriptor: Int32
    /// A `sockaddr_un` up to the end of its path.
    private let address: [UInt8]
    /// Seconds within which it must hear of this process, or it ends it; nil where it does not watch.
    package let watchdog: Double?

    /// Longest path in a `sockaddr_un`, unix(7).
    private static let longestPath = 107
    /// Seconds that a message may wait for a manager that does not read.
    private static let patience = 1

    /// - Parameter environment: `NOTIFY_SOCKET`, a path, or a name in the abstract namespace behind `@`; `WATCHDOG_USEC`, and
    ///   `WATCHDOG_PID` for which process that is.
    /// - Returns: nil where nobody wants to hear.
    package init?(environment: [String: String]) {
        guard let name = environment["NOTIFY_SOCKET"], name.hasPrefix("/") || name.hasPrefix("@"),
            (2...Self.longestPath).contains(name.utf8.count)
        else { return nil }
        var address = withUnsafeBytes(of: sa_family_t(AF_UNIX)) { Array($0) }
        // The name in the abstract namespace begins with a NUL and ends where the address does; a path ends with one.
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

    /// Sends assignments such as `READY=1`, one a line.
    package func tell(_ text: String) {
        let bytes = Array(text.utf8)
        address.withUnsafeBytes { address in
            guard let place = address.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return }
            _ = sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), place, socklen_t(address.count))
        }
    }
}

/// Whether what is written to a descriptor goes into the journal: `JOURNAL_STREAM` says which device and inode that is,
/// systemd.exec(5). A program that sends the stream elsewhere leaves the variable as it is.
package func isJournal(_ descriptor: Int32, environment: [String: String]) -> Bool {
    let numbers = (environment["JOURNAL_STREAM"] ?? "").split(separator: ":").map { UInt64($0) }
    var status = stat()
    guard numbers.count == 2, fstat(descriptor, &status) == 0 else { return false }
    return numbers[0] == UInt64(status.st_dev) && numbers[1] == UInt64(status.st_ino)
}
