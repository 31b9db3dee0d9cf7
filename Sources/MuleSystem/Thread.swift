import Glibc

/// A POSIX thread: blocking work must stay off Swift's cooperative pool.
package final class Thread: @unchecked Sendable {
    // Sendable because it is set once in `init` and read by the one caller of `join`.
    private let handle: pthread_t

    /// Starts the thread. `top -H` and debuggers show the name; 15 bytes at most.
    ///
    /// - Throws: `EAGAIN` at a limit of the user, the control group or the machine (pthread_create(3)).
    package init(
        name: String,
        stackSize: Int = 1 << 20,
        _ body: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        let box = Unmanaged.passRetained(Box(name: name, body: body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, stackSize)
        var handle = pthread_t()
        let status = pthread_create(&handle, &attributes, { Box.run($0) }, box.toOpaque())
        pthread_attr_destroy(&attributes)
        guard status == 0 else {
            box.release()
            throw SystemError(code: status, call: "pthread_create")
        }
        self.handle = handle
    }

    /// Waits until the thread's body has returned. Must be called once.
    package func join() {
        pthread_join(handle, nil)
    }

    private final class Box {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }

        static func run(_ pointer: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
            guard let pointer else { return nil }
            let box = Unmanaged<Box>.fromOpaque(pointer).takeRetainedValue()
            nameThisThread(box.name)
            box.body()
            return nil
        }
    }
}

// Swift's Glibc hides pthread_setname_np (it needs _GNU_SOURCE); the kernel also takes the name as a file. On a failure
// only the name is missing.
private func nameThisThread(_ name: String) {
    guard let file = try? File.open(path: Array("/proc/thread-self/comm".utf8), flags: O_WRONLY) else { return }
    // These files refuse pwrite(2).
    _ = Array(name.utf8).withUnsafeBytes { write(file.descriptor, $0.baseAddress, $0.count) }
}
