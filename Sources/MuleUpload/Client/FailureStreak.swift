import MuleSystem
import Synchronization

/// How long something has failed without progress: one transfer, or one store.
///
/// It counts from the start of the first try that failed since the last progress, so that work that waits in a queue does
/// not use up its time there. Times are those of `StallTimer.activeTime`.
final class FailureStreak: Sendable {
    private let startedAt = Atomic<Int64>(.max)
    private let lastProgress = Atomic<Int64>(.min)
    private let lastFailure = Atomic<Int64>(.max)
    private let count = Atomic<Int>(0)
    /// Whether the last failure was an answer.
    private let isAnswered = Atomic<Bool>(false)

    /// Seconds from one failure to the next try from which on it was not tried meanwhile: longer than any pause between two.
    private static let absence = 90.0

    /// Bytes have moved that had not before. They are no progress where the answers are what fails: each new body would be.
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
    ///   - start: when the try that failed was started.
    ///   - now: when it failed.
    ///   - answered: whether by an answer.
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

    /// How often it has failed since the last progress.
    var failures: Int { count.load(ordering: .relaxed) }

    /// Seconds; 0 while nothing has failed.
    func seconds(at now: Moment) -> Double {
        let start = startedAt.load(ordering: .relaxed)
        return start == .max ? 0 : now.seconds(since: Moment(nanoseconds: start))
    }
}
