package import MulePlan
import MuleS3
import MuleSystem
import Synchronization

/// Decides which bodies may send now: `SendingOrder` with a clock and the rate limit's timetable, shared by all
/// workers.
package final class BodyPacer: Sendable {
    private struct State {
        var order: SendingOrder
        /// When to read the timetable again.
        var asksAgainAt = -Double.infinity
    }

    /// What the work queue needs to know.
    struct Outlook {
        /// The maximum bytes in flight; nil for no limit.
        var budget: Int64?
        /// Whether to try more concurrent requests.
        var room = ConcurrencyControl.Room.open
    }

    private let timetable: RateTimetable?
    private let timeOfWeek: @Sendable () -> RateTimetable.Time
    private let state: Monitor<State>
    private let ages = Atomic<Int>(0)
    private let began = Moment.now()

    /// Seconds between two reads of the timetable, because the wall clock may be set or change with the season.
    private static let interval = 1.0
    /// Shorter bodies are held only by a rate limit.
    private static let leastLength = StragglerWatch.leastLength

    /// - Parameters:
    ///   - timetable: the rate limits by time; nil for none.
    ///   - isBounded: whether to limit the bytes in flight to the capacity of the link.
    package init(
        _ timetable: RateTimetable?,
        isBounded: Bool,
        timeOfWeek: @escaping @Sendable () -> RateTimetable.Time = {
            let (weekday, minute) = localTimeOfWeek()
            return RateTimetable.Time(weekday: weekday, minute: minute)
        }
    ) {
        self.timetable = timetable
        self.timeOfWeek = timeOfWeek
        state = Monitor(State(order: SendingOrder(isBounded: isBounded)))
        state.withLock { askTimetable(&$0, at: 0) }
    }

    /// The age of a new body. Older bodies go first in all their attempts.
    package func nextAge() -> Int { ages.wrappingAdd(1, ordering: .relaxed).newValue }

    /// How many of the wanted bytes the body may send now; 0 to wait.
    package func grant(_ wanted: Int, to age: Int) -> Int {
        let now = seconds
        return state.withLock { state in
            askTimetable(&state, at: now)
            return state.order.grant(wanted, to: age, at: now)
        }
    }

    var outlook: Outlook {
        let now = seconds
        return state.withLock { state in
            askTimetable(&state, at: now)
            return Outlook(budget: state.order.budget, room: state.order.room(at: now))
        }
    }

    private func askTimetable(_ state: inout State, at now: Double) {
        guard let timetable, now >= state.asksAgainAt else { return }
        state.asksAgainAt = now + Self.interval
        state.order.limit(to: timetable.rate(at: timeOfWeek()).map(Double.init), at: now)
    }

    // MARK: Bodies

    /// A body in flight. Call `end` when it ends.
    struct Paced: Sendable {
        fileprivate let pacer: BodyPacer
        fileprivate let age: Int

        /// - Parameter isThere: whether the store has it.
        /// - Returns: seconds for which it was held.
        @discardableResult func end(isThere: Bool) -> Double {
            pacer.state.withLock { $0.order.end(age, isThere: isThere, at: pacer.seconds) }
        }

        /// Whether it waits for its turn and is not slow.
        var isHeld: Bool { pacer.state.withLock { $0.order.isHeld(age) } }
    }

    /// Registers a body that starts.
    ///
    /// - Parameters:
    ///   - transfer: receives the callbacks that pace it.
    ///   - onRelease: called when it resumes after being held.
    func start(
        _ age: Int,
        length: Int64,
        with transfer: inout BodyTransfer,
        onRelease: @escaping @Sendable () -> Void
    ) -> Paced {
        let isBounded = state.withLock { state in
            state.order.begin(age, length: length, at: seconds)
            return state.order.isBounded
        }
        let paced = Paced(pacer: self, age: age)
        if isBounded && length >= Self.leastLength || timetable != nil {
            let wasHeld = Monitor(false)
            transfer.pace = { [self] wanted in
                let granted = grant(wanted, to: age)
                let isHeld = granted == 0 || paced.isHeld
                let isReleased = wasHeld.withLock { before in
                    defer { before = isHeld }
                    return before && !isHeld
                }
                if isReleased { onRelease() }
                return granted
            }
        }
        let tell = transfer.onDelivered
        if let tell {
            transfer.onDelivered = { [self] count in
                state.withLock { $0.order.delivered(count, of: age, at: seconds) }
                tell(count)
            }
        }
        if let isLeftBehind = transfer.isLeftBehind {
            transfer.isLeftBehind = { !paced.isHeld && isLeftBehind() }
        }
        return paced
    }

    private var seconds: Double { Moment.now().seconds(since: began) }
}
