package import Glibc

/// A value behind a lock that threads can also wait on: Mesa's monitor, on a POSIX mutex and condition variable.
///
/// It is also the lock where nobody waits: the thread sanitizer sees what a POSIX mutex orders, and takes what
/// `Synchronization.Mutex` orders by futex for races (Swift 6.3 on Linux).
package final class Monitor<State>: @unchecked Sendable {
    // Made Sendable by `mutex`: `state` is touched only between its lock and unlock. It lies in memory of its own, since a stored
    // property is checked for exclusive access each time, and copied to be looked at. Other modules inline what is short: these
    // calls are made many times for each small file.
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

    /// Runs the body with the value, alone. Wakes nobody.
    @inlinable package func withLock<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&state.pointee)
    }

    /// Runs the body with the value, alone, and wakes all who wait so that they look again.
    @inlinable package func update<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try update(if: { _ in true }, body)
    }

    /// Runs the body with the value, alone, and wakes all who wait if what it left concerns them. To wake a thread that goes back
    /// to sleep costs as much as much of the work that is done here, so who knows what the others wait for should say so.
    ///
    /// - Parameter isNews: whether one of those who wait would go on.
    @inlinable package func update<Result, Failure: Error>(
        if isNews: (State) -> Bool,
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        pthread_mutex_lock(mutex)
        // Woken after the lock is free: they would only wait for it.
        defer { unlock(waking: isNews(state.pointee)) }
        return try body(&state.pointee)
    }

    @inlinable func unlock(waking: Bool) {
        pthread_mutex_unlock(mutex)
        if waking { pthread_cond_broadcast(condition) }
    }

    /// Waits until the body answers something other than nil; it is asked again after every `update` that wakes.
    ///
    /// - Parameters:
    ///   - deadline: when the body is asked again in any case; nil where there is nothing to wait for but an `update`.
    ///   - isNews: whether what the body left when it answered concerns others who wait.
    package func wait<Result>(
        askingAgainAt deadline: (State) -> Moment? = { _ in nil },
        wakingOthersIf isNews: (State) -> Bool = { _ in false },
        for body: (inout State) -> Result?
    ) -> Result {
        pthread_mutex_lock(mutex)
        defer { unlock(waking: isNews(state.pointee)) }
        while true {
            if let result = body(&state.pointee) { return result }
            if let deadline = deadline(state.pointee) {
                var time = timespec(deadline)
                pthread_cond_timedwait(condition, mutex, &time)
            } else {
                pthread_cond_wait(condition, mutex)
            }
        }
    }

    /// Like `wait(for:)`, but gives up and answers nil at a moment of the monotonic clock.
    package func wait<Result>(until deadline: Moment, for body: (inout State) -> Result?) -> Result? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        var time = timespec(deadline)
        while true {
            if let result = body(&state.pointee) { return result }
            // Besides ETIMEDOUT there is EINVAL, for a deadline before the clock's beginning.
            if pthread_cond_timedwait(condition, mutex, &time) != 0 { return body(&state.pointee) }
        }
    }
}

extension timespec {
    fileprivate init(_ moment: Moment) {
        self.init(
            tv_sec: Int(moment.nanoseconds / 1_000_000_000),
            tv_nsec: Int(moment.nanoseconds % 1_000_000_000)
        )
    }
}
