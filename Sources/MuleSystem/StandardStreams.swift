import Glibc

/// The descriptors 0, 1 and 2, which a program expects to be open and its parent may have closed.
package enum StandardStreams {
    /// Opens each of the three that is closed, so that no file and no socket of this process gets its number: a line of
    /// results would go into a database. To be called before anything else is opened.
    ///
    /// Standard input and output behave like closed ones still: they can't be read or written. What goes to standard error
    /// vanishes, since children inherit it.
    package static func fill() {
        for (descriptor, flags) in [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
        where fcntl(descriptor, F_GETFD) == -1 && errno == EBADF {
            // The lowest free number is this one. There may be no /dev in a container.
            if open("/dev/null", flags) == -1 { _ = open("/", O_RDONLY | O_DIRECTORY) }
        }
    }

    /// Whether standard input can be read at all. One that is closed, or open for writing alone, has no end either: nothing
    /// says that what it held is complete.
    package static var canRead: Bool {
        let flags = fcntl(STDIN_FILENO, F_GETFL)
        return flags != -1 && flags & O_ACCMODE != O_WRONLY
    }
}

/// Writes all the bytes, waiting as long as the reader takes. A descriptor that the parent has made non-blocking is no
/// different: its readers and writers share that flag (fcntl(2), O_NONBLOCK).
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

/// Writes a short text if that is possible at once, for a thread that must not wait. A pipe that can be written at all
/// takes `PIPE_BUF` bytes (pipe(7)), which are 4096.
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

    /// - Parameter isNeeded: whether results are what the command is run for. Others may be run with it closed.
    package init(descriptor: Int32 = STDOUT_FILENO, isNeeded: Bool) {
        self.descriptor = descriptor
        self.isNeeded = isNeeded
    }

    /// Why results were lost; nil when all are written, or their reader has gone and wants no more.
    package var failure: SystemError? { state.withLock { $0.failure } }

    /// Writes all the bytes, waiting as long as their reader takes. After a failure nothing more is written: half a line would
    /// stand before it.
    ///
    /// - Returns: the failure, to the call that met it.
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
