package import MuleSystem
import Synchronization

/// When to stop trying: a run continues as long as anything moves, and ends, resumable, after a time without progress.
///
/// Time in which the process did not run does not count: a virtual machine that was paused, a process that was stopped
/// (SIGSTOP) or a debugger must find the run alive afterwards, however long it was away. `tick` notices by being called
/// every second; where nobody calls it, all time counts. (The monotonic clock of a suspended machine stands still by
/// itself.)
package final class StallTimer: Sendable {
    /// Seconds without progress that are allowed.
    package let limit: Double
    private let lastProgress: Atomic<Int64>
    private let lastTick: Atomic<Int64>
    private let isTicking = Atomic<Bool>(false)
    /// Nanoseconds in which the process did not run.
    private let absent = Atomic<Int64>(0)
    private let clock: @Sendable () -> Moment

    /// Seconds between two ticks from which on the process can't have been running. A loaded machine may be late by less.
    private static let absence = 5.0

    package init(limit: Double, clock: @escaping @Sendable () -> Moment = Moment.now) {
        self.limit = limit
        self.clock = clock
        let now = clock().nanoseconds
        lastProgress = Atomic(now)
        lastTick = Atomic(now)
    }

    /// Bytes have moved that had not before, or a request has come to its end.
    package func noteProgress() {
        let now = clock().nanoseconds
        lastProgress.store(now, ordering: .relaxed)
        lastTick.store(now, ordering: .relaxed)
    }

    /// To be called about every second while the process runs.
    package func tick() {
        let now = clock()
        guard isTicking.exchange(true, ordering: .relaxed) else {
            return lastTick.store(now.nanoseconds, ordering: .relaxed)
        }
        let before = Moment(nanoseconds: lastTick.exchange(now.nanoseconds, ordering: .relaxed))
        let pause = now.seconds(since: before)
        guard pause > Self.absence else { return }
        lastProgress.add(Int64(pause * 1e9), ordering: .relaxed)
        absent.add(Int64(pause * 1e9), ordering: .relaxed)
    }

    /// Seconds that are left.
    package var remaining: Double {
        if isTicking.load(ordering: .relaxed) { tick() }
        return limit - clock().seconds(since: Moment(nanoseconds: lastProgress.load(ordering: .relaxed)))
    }

    /// A clock that stands still while the process does not run.
    var activeTime: Moment {
        if isTicking.load(ordering: .relaxed) { tick() }
        return Moment(nanoseconds: clock().nanoseconds - absent.load(ordering: .relaxed))
    }

    /// Starts a thread that ticks for as long as what is returned lives. Where the system gives no thread, the time that the
    /// machine sleeps counts as time without progress.
    func startTicking() -> Ticks { Ticks(self) }

    final class Ticks: Sendable {
        private let hasStopped: Monitor<Bool>
        private let thread: Thread?

        fileprivate init(_ timer: StallTimer) {
            let hasStopped = Monitor(false)
            self.hasStopped = hasStopped
            thread = try? Thread(name: "stall timer") {
                while hasStopped.wait(until: Moment.now().adding(seconds: 1), for: { $0 ? true : nil }) == nil {
                    timer.tick()
                }
            }
        }

        deinit {
            hasStopped.update { $0 = true }
            thread?.join()
        }
    }
}
