import Glibc
package import MuleSystem

/// A POSIX thread for work that blocks, so that blocking stays off Swift's cooperative pool.
package enum DetachedThread {
    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Runs `body` on its own thread, which is not joined. To learn of its end, use a `Monitor`.
    package static func start(_ body: @escaping @Sendable () -> Void) {
        let work = Unmanaged.passRetained(Work(body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread,
            nil,
            { context in
                guard let context else { return nil }
                let work = Unmanaged<Work>.fromOpaque(context).takeRetainedValue()
                work.body()
                return nil
            },
            work.toOpaque()
        )
        guard code == 0 else {
            work.release()
            fatalError("cannot start a thread: \(String(cString: strerror(code)))")
        }
        pthread_detach(thread)
    }
}

/// A thread for a test that cannot continue without it.
package func startedThread(_ name: String, _ body: @escaping @Sendable () -> Void) -> Thread {
    do {
        return try Thread(name: name, body)
    } catch {
        fatalError("cannot start a thread: \(error)")
    }
}
