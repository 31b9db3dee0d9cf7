package import Glibc

/// A value behind a lock that threads can also wait on: a Mesa monitor, on a POSIX mutex and condition variable.
///
/// It also serves as a plain lock: the thread sanitizer understands a POSIX mutex, but reports races for
/// `Synchronization.Mutex`, which uses a futex (Swift 6.3 on Linux).
package final class Monitor<State>: @unchecked Sendable {
    // Sendable because of `mutex`: `state` is accessed only while it is locked. It has its own allocation, because each
    // access to a stored property checks exclusivity and copies the value to read it. The functions are inlinable: they
    // are called many times per small file.
    @usableFromInline let state: UnsafeMutablePointer<State>
    @usableFromInline let mutex: UnsafeMutablePointer<pthread_mutex_t>
    @usableFromInline let condition: UnsafeMutablePointer<pthread_cond_t>

    package init(_ state: sending State) {
        self.state = .allocate(capacity: 1)
        self.state.initialize(to: state)
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
        condition = .allocate(capacity: 1)
        condition.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        condition.deallocate()
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
        state.deinitialize(count: 1)
        state.deallocate()
    }

    /// Runs the body with exclusive access to the value. Wakes no waiting thread.
    @inlinable package func withLock<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&state.pointee)
    }

    /// Runs the body with exclusive access to the value, and wakes all waiting threads.
    @inlinable package func update<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try update(if: { _ in true }, body)
    }

    /// Runs the body with exclusive access to the value, and wakes all waiting threads if the new state concerns them.
    /// A needless wake-up costs about as much as the work done here, so callers that know what others wait for should
    /// use it.
    ///
    /// - Parameter isNews: whether a waiting thread could continue.
    @inlinable package func update<Result, Failure: Error>(
        if isNews: (State) -> Bool,
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        // Wakes them after unlocking, or they would only wait for the lock.
        defer { unlock(waking: isNews(state.pointee)) }
        return try body(&state.pointee)
    }

    @inlinable func unlock(waking: Bool) {
        pthread_mutex_unlock(mutex)
        if waking { pthread_cond_broadcast(condition) }
    }

    /// Waits until the body returns a value; it is called again after every `update` that wakes.
    ///
    /// - Parameters:
    ///   - deadline: when to call the body again in any case; nil to wait for an `update` only.
    ///   - isNews: whether the state that the body left concerns other waiting threads.
    @inlinable package func wait<Result>(
        askingAgainAt deadline: (State) -> Moment? = { _ in nil },
        wakingOthersIf isNews: (State) -> Bool = { _ in false },
        for body: (inout State) -> Result?
    ) -> Result {
        pthread_mutex_lock(mutex)
        defer { unlock(waking: isNews(state.pointee)) }
        while true {
            if let result = body(&state.pointee) { return result }
            if let deadline = deadline(state.pointee) {
                var time = absoluteTime(deadline)
                pthread_cond_timedwait(condition, mutex, &time)
            } else {
                pthread_cond_wait(condition, mutex)
            }
        }
    }

    /// Like `wait(for:)`, but returns nil at the deadline.
    @inlinable package func wait<Result>(until deadline: Moment, for body: (inout State) -> Result?) -> Result? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        var time = absoluteTime(deadline)
        while true {
            if let result = body(&state.pointee) { return result }
            // Besides ETIMEDOUT there is EINVAL, for a deadline before the start of the clock.
            if pthread_cond_timedwait(condition, mutex, &time) != 0 { return body(&state.pointee) }
        }
    }
}

/// For `pthread_cond_timedwait`; here only because the functions that need it are inlined in other modules.
package func absoluteTime(_ moment: Moment) -> timespec {
    timespec(tv_sec: Int(moment.nanoseconds / 1_000_000_000), tv_nsec: Int(moment.nanoseconds % 1_000_000_000))
}
