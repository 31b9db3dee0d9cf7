import MuleSystem
import Synchronization

/// How long a transfer or a store has failed without progress.
///
/// Measured from the start of the first attempt that failed since the last progress, without the time in which the work
/// waited in a queue. Times are those of `StallTimer.activeTime`.
final class FailureStreak: Sendable {
    private let startedAt = Atomic<Int64>(.max)
    private let lastProgress = Atomic<Int64>(.min)
    private let lastFailure = Atomic<Int64>(.max)
    private let count = Atomic<Int>(0)
    /// Whether the last failure was an answer.
    private let isAnswered = Atomic<Bool>(false)

    /// Seconds between a failure and the next attempt above which the time between does not count; longer than any
    /// retry delay.
    private static let absence = 90.0

    /// New bytes have moved. This is no progress while answers are what fails: each resent body would count.
    func noteBytes(at now: Moment) {
        lastProgress.store(now.nanoseconds, ordering: .relaxed)
        if !isAnswered.load(ordering: .relaxed) { noteProgress(at: now) }
    }

    /// A request has succeeded.
    func noteProgress(at now: Moment) {
        isAnswered.store(false, ordering: .relaxed)
        lastProgress.store(now.nanoseconds, ordering: .relaxed)
        startedAt.store(.max, ordering: .relaxed)
        lastFailure.store(.max, ordering: .relaxed)
        count.store(0, ordering: .relaxed)
    }

    /// - Parameters:
    ///   - start: when the failed attempt started.
    ///   - now: when it failed.
    ///   - answered: whether the store answered.
    func noteFailure(ofTryStartedAt start: Moment, at now: Moment, answered: Bool = false) {
        isAnswered.store(answered, ordering: .relaxed)
        count.add(1, ordering: .relaxed)
        let before = lastFailure.exchange(now.nanoseconds, ordering: .relaxed)
        if before != .max {
            let idle = start.seconds(since: Moment(nanoseconds: before))
            if idle > Self.absence { startedAt.add(Int64(idle * 1e9), ordering: .relaxed) }
        }
        let start = max(start.nanoseconds, lastProgress.load(ordering: .relaxed))
        _ = startedAt.compareExchange(expected: .max, desired: start, ordering: .relaxed)
    }

    /// Work waits for the effect of a failed request: this time counts as failure, not as absence.
    func noteWait(at now: Moment) {
        let before = lastFailure.load(ordering: .relaxed)
        if before != .max {
            _ = lastFailure.compareExchange(expected: before, desired: now.nanoseconds, ordering: .relaxed)
        }
    }

    /// Failures since the last progress.
    var failures: Int { count.load(ordering: .relaxed) }

    /// Seconds of failure; 0 if nothing has failed.
    func seconds(at now: Moment) -> Double {
        let start = startedAt.load(ordering: .relaxed)
        return start == .max ? 0 : now.seconds(since: Moment(nanoseconds: start))
    }
}
