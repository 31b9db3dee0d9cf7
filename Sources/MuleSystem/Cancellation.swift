import Synchronization

/// A stop that is asked for once and heard everywhere: a flag to look at, and wake-ups for those who sleep.
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
        // Under the lock, so that whoever has taken its waker back knows that it is not being called any more.
        wakers.withLock { wakers in
            for wake in wakers.all.values { wake() }
        }
    }

    /// Adds a waker, which must be quick and may be called from any thread; the answer is the ticket to take it back.
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
