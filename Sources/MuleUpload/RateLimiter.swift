package import MulePlan
package import MuleSystem

/// Bytes per second for all workers together.
package final class RateLimiter: Sendable {
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

    /// Longest stretch granted ahead, in seconds; short, so that the rate is even and a stop is heard soon.
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

    /// Waits for its turn.
    ///
    /// - Returns: how many of the wanted bytes may go now, 1 at least.
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
        sleep(until: turn, cancellation)
        return granted
    }
}
