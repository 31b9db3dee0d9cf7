import Glibc

/// Leases that other processes, such as Samba and NFS servers, hold on files (fcntl(2), F_SETLEASE). Opening such a
/// file waits until the holder releases the lease or the kernel breaks it.
enum FileLease {
    /// Opens a file, and retries as long as another process may hold a lease on it.
    ///
    /// `O_NONBLOCK` keeps an open of a FIFO from blocking. With it, the kernel tells the holder to release the lease
    /// and returns `EWOULDBLOCK` at once.
    ///
    /// - Throws: `ECANCELED` if `isCancelled` returns true.
    static func waiting(
        unless isCancelled: () -> Bool,
        _ open: () throws(SystemError) -> File,
        status: () throws(SystemError) -> FileStatus
    ) throws(SystemError) -> File {
        var end: Moment?
        while true {
            do throws(SystemError) {
                return try open()
            } catch {
                guard error.code == EWOULDBLOCK, try status().kind == .regular else { throw error }
                let now = Moment.now()
                let last = end ?? now.adding(seconds: breakTime + 1)
                end = last
                guard now < last else { throw error }
                if isCancelled() { throw SystemError(code: ECANCELED, call: "open") }
                usleep(20_000)
            }
        }
    }

    /// Seconds after which the kernel breaks a lease.
    private static var breakTime: Double {
        let path = Array("/proc/sys/fs/lease-break-time".utf8)
        guard let file = try? File.open(path: path, flags: O_RDONLY),
            let text = try? file.bytes(at: 0, count: 32),
            let seconds = Double(String(decoding: text, as: UTF8.self).split(separator: "\n").first ?? "")
        else { return 45 }
        return min(max(seconds, 0), 600)
    }
}
