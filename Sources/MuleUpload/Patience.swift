package import MuleSystem
import Synchronization

/// When to stop hoping: a run goes on as long as anything moves, and gives up, resumable, after a time without.
///
/// Time in which the process did not run counts for nothing: a virtual machine that was paused, a process that was stopped
/// (SIGSTOP) or a debugger must find the run alive when it goes on, however long it was away. `beat` notices by being
/// called every second; where nobody calls it, all time counts. (The monotonic clock of a suspended machine stands still
/// by itself.)
package final class Patience: Sendable {
    /// Seconds without progress that are borne.
    package let limit: Double
    private let lastProgress: Atomic<Int64>
    private let lastBeat: Atomic<Int64>
    private let isBeating = Atomic<Bool>(false)
    private let clock: @Sendable () -> Moment

    /// Seconds between two beats from which on the process can't have been running. A loaded machine may be late by less.
    private static let absence = 5.0

    package init(limit: Double, clock: @escaping @Sendable () -> Moment = Moment.now) {
        self.limit = limit
        self.clock = clock
        let now = clock().nanoseconds
        lastProgress = Atomic(now)
        lastBeat = Atomic(now)
    }

    /// Bytes have moved that had not before, or a request has come to its end.
    package func noteProgress() {
        let now = clock().nanoseconds
        lastProgress.store(now, ordering: .relaxed)
        lastBeat.store(now, ordering: .relaxed)
    }

    /// To be called about every second while the process runs.
    package func beat() {
        let now = clock()
        guard isBeating.exchange(true, ordering: .relaxed) else {
            return lastBeat.store(now.nanoseconds, ordering: .relaxed)
        }
        let before = Moment(nanoseconds: lastBeat.exchange(now.nanoseconds, ordering: .relaxed))
        let pause = now.seconds(since: before)
        if pause > Self.absence { lastProgress.add(Int64(pause * 1e9), ordering: .relaxed) }
    }

    /// Seconds that are left.
    package var remaining: Double {
        if isBeating.load(ordering: .relaxed) { beat() }
        return limit - clock().seconds(since: Moment(nanoseconds: lastProgress.load(ordering: .relaxed)))
    }
}

/// Beats for a patience, on a thread of its own, for as long as it lives.
final class Heart: Sendable {
    private let hasStopped: Monitor<Bool>
    private let thread: Thread

    init(_ patience: Patience) {
        let hasStopped = Monitor(false)
        self.hasStopped = hasStopped
        thread = Thread(name: "heart") {
            while hasStopped.wait(until: Moment.now().adding(seconds: 1), for: { $0 ? true : nil }) == nil {
                patience.beat()
            }
        }
    }

    deinit {
        hasStopped.update { $0 = true }
        thread.join()
    }
}

/// Bytes per second for all workers together.
package final class RateLimit: Sendable {
    private let rate: Double
    /// When the bytes granted so far will have gone at the rate.
    private let paidUntil = Monitor<Moment>(Moment(nanoseconds: 0))
    private let cancellation: Cancellation

    /// Longest stretch granted ahead; short, so that the rate is even and a stop is heard soon.
    private static let slice = 0.1

    package init(bytesPerSecond: Int64, cancellation: Cancellation) {
        rate = Double(max(bytesPerSecond, 1))
        self.cancellation = cancellation
    }

    /// Waits for its turn; answers how many of the wanted bytes may go now, 1 at least.
    package func take(_ wanted: Int) -> Int {
        let granted = max(1, min(wanted, Int(rate * Self.slice)))
        let turn = paidUntil.withLock { paidUntil in
            let now = Moment.now()
            let turn = max(paidUntil, now)
            paidUntil = turn.adding(seconds: Double(granted) / rate)
            return turn
        }
        pause(until: turn, cancellation)
        return granted
    }
}

/// Sleeps until the moment, or until the run is cancelled.
func pause(until deadline: Moment, _ cancellation: Cancellation) {
    guard Moment.now() < deadline, !cancellation.isCancelled else { return }
    let hasRung = Monitor(false)
    let ticket = cancellation.onCancel { hasRung.update { $0 = true } }
    defer { cancellation.removeWaker(ticket) }
    _ = hasRung.wait(until: deadline) { $0 || cancellation.isCancelled ? true : nil }
}
