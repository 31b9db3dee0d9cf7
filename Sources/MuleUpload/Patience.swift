package import MulePlan
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
    private struct State {
        /// When the bytes granted so far will have gone at the rate.
        var paidUntil = Moment(nanoseconds: 0)
        /// Bytes per second as the timetable last said; nil for no limit.
        var rate: Double?
        var asksAgainAt = Moment(nanoseconds: 0)
    }

    private let timetable: RateTimetable
    private let timeOfWeek: @Sendable () -> RateTimetable.Time
    private let state = Monitor(State())
    private let cancellation: Cancellation

    /// Longest stretch granted ahead; short, so that the rate is even and a stop is heard soon.
    private static let slice = 0.1

    /// Seconds between two looks at the timetable: the wall clock may be set, and change with the season.
    private static let interval = 1.0

    package init(
        _ timetable: RateTimetable,
        cancellation: Cancellation,
        timeOfWeek: @escaping @Sendable () -> RateTimetable.Time = {
            let (weekday, minute) = localTimeOfWeek()
            return RateTimetable.Time(weekday: weekday, minute: minute)
        }
    ) {
        self.timetable = timetable
        self.cancellation = cancellation
        self.timeOfWeek = timeOfWeek
    }

    /// Waits for its turn; answers how many of the wanted bytes may go now, 1 at least.
    package func take(_ wanted: Int) -> Int {
        let (granted, turn) = state.withLock { state in
            let now = Moment.now()
            if now >= state.asksAgainAt {
                state.rate = timetable.rate(at: timeOfWeek()).map(Double.init)
                state.asksAgainAt = now.adding(seconds: Self.interval)
            }
            guard let rate = state.rate else {
                state.paidUntil = now
                return (wanted, now)
            }
            let granted = max(1, min(wanted, Int(rate * Self.slice)))
            let turn = max(state.paidUntil, now)
            state.paidUntil = turn.adding(seconds: Double(granted) / rate)
            return (granted, turn)
        }
        pause(until: turn, cancellation)
        return granted
    }
}

/// Sleeps until the moment, or until the run is cancelled.
package func pause(until deadline: Moment, _ cancellation: Cancellation) {
    guard Moment.now() < deadline, !cancellation.isCancelled else { return }
    let hasRung = Monitor(false)
    let ticket = cancellation.onCancel { hasRung.update { $0 = true } }
    defer { cancellation.removeWaker(ticket) }
    _ = hasRung.wait(until: deadline) { $0 || cancellation.isCancelled ? true : nil }
}
