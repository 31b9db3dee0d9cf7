package import MuleSystem
import Synchronization

/// Decides when to stop: a run continues while anything moves, and ends, resumable, after a time without progress.
///
/// Time in which the process did not run does not count, for example while a virtual machine was paused, or the process
/// was stopped (SIGSTOP) or in a debugger. `tick`, called every second, notices such gaps; without ticks, all time
/// counts. (The monotonic clock does not advance while a machine is suspended.)
package final class StallTimer: Sendable {
    /// Allowed seconds without progress.
    package let limit: Double
    private let lastProgress: Atomic<Int64>
    private let lastTick: Atomic<Int64>
    private let isTicking = Atomic<Bool>(false)
    /// Nanoseconds in which the process did not run.
    private let absent = Atomic<Int64>(0)
    private let clock: @Sendable () -> Moment

    /// Seconds between two ticks above which the process cannot have been running. A loaded machine may be late by
    /// less.
    private static let absence = 5.0

    package init(limit: Double, clock: @escaping @Sendable () -> Moment = Moment.now) {
        self.limit = limit
        self.clock = clock
        let now = clock().nanoseconds
        lastProgress = Atomic(now)
        lastTick = Atomic(now)
    }

    /// New bytes have moved, or a request has finished.
    package func noteProgress() {
        let now = clock().nanoseconds
        lastProgress.store(now, ordering: .relaxed)
        lastTick.store(now, ordering: .relaxed)
    }

    /// Call about every second while the process runs.
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

    /// A clock that stops while the process does not run.
    var activeTime: Moment {
        if isTicking.load(ordering: .relaxed) { tick() }
        return Moment(nanoseconds: clock().nanoseconds - absent.load(ordering: .relaxed))
    }

    /// Starts a thread that ticks until the returned value is released. If no thread can be created, time in which the
    /// process does not run counts as time without progress.
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
