import MulePlan
import MuleSystem

/// What every way to temporary credentials needs of its surroundings.
struct CredentialContext: Sendable {
    /// All variables of the run.
    let environment: [String: String]
    let cancellation: Cancellation
    /// Takes sentences for people that are no failure of the run. They go to the terminal and nowhere else.
    let notice: @Sendable (String) -> Void
    /// A clock that never jumps.
    var now: @Sendable () -> Moment = Moment.now
    /// The machine's time, which may.
    var wallClock: @Sendable () -> UTCTime = { UTCTime(millisecondsSince1970: wallClockMilliseconds()) }
}
