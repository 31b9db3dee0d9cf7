import Glibc

/// The descriptors 0, 1 and 2. A program expects them to be open, but its parent may have closed them.
package enum StandardStreams {
    /// Opens each of the three that is closed, so that no file or socket gets its number: results could be written into
    /// a database. Must be called before anything else is opened.
    ///
    /// Standard input and output still behave like closed ones: reads and writes fail. Output to standard error is
    /// discarded, because children inherit it.
    package static func fill() {
        for (descriptor, flags) in [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
        where fcntl(descriptor, F_GETFD) == -1 && errno == EBADF {
            // `open` returns the lowest free number, which is this one. A container may have no /dev.
            if open("/dev/null", flags) == -1 { _ = open("/", O_RDONLY | O_DIRECTORY) }
        }
    }

    /// Whether standard input is readable. If it is closed or write-only, its end would not mean that the input is
    /// complete.
    package static var canRead: Bool {
        let flags = fcntl(STDIN_FILENO, F_GETFL)
        return flags != -1 && flags & O_ACCMODE != O_WRONLY
    }
}

/// Writes all the bytes, and waits for the reader. Also works if the parent made the descriptor non-blocking, a flag
/// that all its users share (fcntl(2), O_NONBLOCK).
package func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws(SystemError) {
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count > 0 {
            rest = rest.dropFirst(count)
        } else if count < 0, errno == EAGAIN {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            poll(&waiting, 1, -1)
        } else if count == 0 || errno != EINTR {
            throw count == 0 ? SystemError(code: EIO, call: "write") : SystemError.current("write")
        }
    }
}

/// Writes a short text if that is possible at once, for a thread that must not wait. A writable pipe takes at least
/// `PIPE_BUF` bytes (pipe(7)), which are 4096.
package func writeWithoutWaiting(_ bytes: [UInt8], to descriptor: Int32) {
    var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    guard poll(&request, 1, 0) == 1 else { return }
    _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, min($0.count, 4096)) }
}

/// Standard output, for results. All threads share one.
package final class StandardOutput: Sendable {
    private struct State {
        var isOpen = true
        var failure: SystemError?
    }

    private let descriptor: Int32
    private let isNeeded: Bool
    private let state = Monitor(State())

    /// - Parameter isNeeded: whether the command is run for its results. If not, standard output may be closed.
    package init(descriptor: Int32 = STDOUT_FILENO, isNeeded: Bool) {
        self.descriptor = descriptor
        self.isNeeded = isNeeded
    }

    /// Why results were lost; nil if all are written, or the reader has closed the pipe.
    package var failure: SystemError? { state.withLock { $0.failure } }

    /// Writes all the bytes, and waits for the reader. After a failure nothing more is written: the output may end
    /// within a line.
    ///
    /// - Returns: the failure, to the call that caused it.
    package func write(_ bytes: [UInt8]) -> SystemError? {
        state.withLock { state in
            guard state.isOpen else { return nil }
            do throws(SystemError) {
                try writeAll(bytes, to: descriptor)
                return nil
            } catch {
                state.isOpen = false
                if error.code == EPIPE || (error.code == EBADF && !isNeeded) { return nil }
                state.failure = error
                return error
            }
        }
    }
}
