package import MulePlan
import MuleS3
import MuleSystem
import Synchronization

/// Says which bodies may send now: `SendingOrder` with a clock and the timetable of the rate limit, shared by all workers.
package final class BodyPacer: Sendable {
    private struct State {
        var order: SendingOrder
        /// When the timetable is asked again.
        var asksAgainAt = -Double.infinity
    }

    /// What it says to who hands out work.
    struct Outlook {
        /// Most bytes in flight; nil for any number.
        var budget: Int64?
        /// Whether more requests at a time may be tried.
        var room = ConcurrencyControl.Room.open
    }

    private let timetable: RateTimetable?
    private let timeOfWeek: @Sendable () -> RateTimetable.Time
    private let state: Monitor<State>
    private let ages = Atomic<Int>(0)
    private let began = Moment.now()

    /// Seconds between two looks at the timetable: the wall clock may be set, and change with the season.
    private static let interval = 1.0
    /// Bodies that are shorter are only held back by a rate limit.
    private static let leastLength = StragglerWatch.leastLength

    /// - Parameters:
    ///   - timetable: the rate limit; nil for none at any time.
    ///   - isBounded: whether what is in flight is bounded by what the link carries.
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

    /// The age of a body that is new: those that have been handed out before go first, in all their tries.
    package func nextAge() -> Int { ages.wrappingAdd(1, ordering: .relaxed).newValue }

    /// How many of the wanted bytes the body may send now, 0 for none yet.
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

    /// A body on its way, to be told of its end.
    struct Paced: Sendable {
        fileprivate let pacer: BodyPacer
        fileprivate let age: Int

        /// - Parameter isThere: whether the store has it.
        /// - Returns: seconds for which it was held.
        @discardableResult func end(isThere: Bool) -> Double {
            pacer.state.withLock { $0.order.end(age, isThere: isThere, at: pacer.seconds) }
        }

        /// Whether it waits for its turn, and is not slow.
        var isHeld: Bool { pacer.state.withLock { $0.order.isHeld(age) } }
    }

    /// A body starts.
    ///
    /// - Parameters:
    ///   - transfer: how it goes out; is told to keep to this.
    ///   - onRelease: called when it goes on after it was held.
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
