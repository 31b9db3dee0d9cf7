import Glibc

/// A failed system call: which one, on what, and `errno`.
package struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    package var code: Int32
    package var call: String

    package init(code: Int32, call: String) {
        self.code = code
        self.call = call
    }

    /// The error of the call that has just failed on this thread.
    package static func current(_ call: String) -> SystemError {
        SystemError(code: errno, call: call)
    }

    /// The C library's text for the code, "No space left on device".
    package var reason: String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let base = buffer.baseAddress else { return "error \(code)" }
            return strerror_r(code, base, buffer.count) == 0 ? String(cString: base) : "error \(code)"
        }
    }

    /// Whether the path does not exist.
    package var isMissingFile: Bool { code == ENOENT || code == ENOTDIR }

    /// Whether the process or the machine has no more descriptors. This says nothing about the file that was to be
    /// opened.
    package var isFileShortage: Bool { code == EMFILE || code == ENFILE }

    /// What to do about a shortage of open files.
    package var cureOfFileShortage: String {
        code == ENFILE
            ? "Raise the limit of the machine (sysctl fs.file-max)"
            : "Raise the limit of open files (ulimit -n, LimitNOFILE= of the service)"
    }

    /// Whether a wait was cancelled.
    package var isCancelled: Bool { code == ECANCELED }

    /// Whether another process holds a lease on the file.
    package var isLeasedElsewhere: Bool { code == EWOULDBLOCK }

    package var description: String { "\(call): \(reason)" }
}

/// Repeats a call while signals interrupt it; throws any other error.
@discardableResult
package func retryingInterrupts<Result: SignedInteger>(
    _ call: String,
    _ body: () -> Result
) throws(SystemError) -> Result {
    while true {
        let result = body()
        if result != -1 { return result }
        if errno != EINTR { throw SystemError.current(call) }
    }
}
