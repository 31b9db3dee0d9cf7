import Synchronization

/// A request to stop: a flag to check, and callbacks that wake sleeping threads.
package final class Cancellation: Sendable {
    private let flag = Atomic<Bool>(false)
    private let wakers = Monitor<Wakers>(Wakers())

    private struct Wakers {
        var next = 0
        var all: [Int: @Sendable () -> Void] = [:]
    }

    package init() {}

    package var isCancelled: Bool { flag.load(ordering: .acquiring) }

    /// Sets the flag and calls every waker. May be called from any thread, and again.
    package func cancel() {
        flag.store(true, ordering: .releasing)
        // Under the lock: once `removeWaker` has returned, the waker is not called any more.
        wakers.withLock { wakers in
            for wake in wakers.all.values { wake() }
        }
    }

    /// Adds a callback, which must be quick and may be called from any thread. Returns the ticket for `removeWaker`.
    package func onCancel(_ wake: @escaping @Sendable () -> Void) -> Int {
        wakers.withLock { wakers in
            wakers.next += 1
            wakers.all[wakers.next] = wake
            return wakers.next
        }
    }

    package func removeWaker(_ ticket: Int) {
        wakers.withLock { wakers in
            wakers.all[ticket] = nil
        }
    }
}
