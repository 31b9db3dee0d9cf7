import MulePlan
import MuleSystem

/// What all sources of temporary credentials need.
struct CredentialContext: Sendable {
    /// All variables of the run.
    let environment: [String: String]
    let cancellation: Cancellation
    /// Receives sentences for users about problems that are not failures. Only for the terminal.
    let notice: @Sendable (String) -> Void
    /// The monotonic clock.
    var now: @Sendable () -> Moment = Moment.now
    /// The machine's clock, which may jump.
    var wallClock: @Sendable () -> UTCTime = { UTCTime(millisecondsSince1970: wallClockMilliseconds()) }
}
