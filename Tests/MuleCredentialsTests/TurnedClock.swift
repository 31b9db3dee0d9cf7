import MulePlan
import MuleSystem

@testable import MuleCredentials

/// Two clocks that a test sets: a monotonic one and a wall clock.
final class TurnedClock: Sendable {
    private struct Times: Sendable {
        var seconds = 0.0
        var wallMilliseconds: Int64 = 1_795_000_000_000
    }

    private let times = Monitor(Times())

    var now: @Sendable () -> Moment {
        { self.times.withLock { Moment(nanoseconds: 0).adding(seconds: $0.seconds) } }
    }

    var time: UTCTime { times.withLock { UTCTime(millisecondsSince1970: $0.wallMilliseconds) } }

    /// Time passes for both.
    func turn(seconds: Double) {
        times.withLock { times in
            times.seconds += seconds
            times.wallMilliseconds += Int64(seconds * 1000)
        }
    }

    /// The wall clock alone is set forward, or back.
    func setWall(forward seconds: Double) {
        times.withLock { $0.wallMilliseconds += Int64(seconds * 1000) }
    }

    func context(
        environment: [String: String] = [:],
        cancellation: Cancellation = Cancellation(),
        notice: @escaping @Sendable (String) -> Void = { _ in }
    ) -> CredentialContext {
        CredentialContext(
            environment: environment,
            cancellation: cancellation,
            notice: notice,
            now: now,
            wallClock: { self.time }
        )
    }
}
