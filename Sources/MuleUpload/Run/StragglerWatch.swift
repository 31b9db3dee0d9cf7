import MulePlan
import MuleS3
import MuleSystem

/// Watches the bodies of a run, so that its end does not wait for one slow connection.
final class StragglerWatch: Sendable {
    /// The smallest body to watch, in bytes: a smaller one is sent before it shows a rate.
    static let leastLength: Int64 = 256 << 10

    private let stragglers = Monitor(StragglerDetector())
    private let began = Moment.now()
    private let isPaced: Bool
    private let isDry: @Sendable () -> Bool

    /// - Parameters:
    ///   - isPaced: whether the run has a rate limit. Then held bodies look slow, so none is cut.
    ///   - isDry: whether no work is waiting. While work is waiting, a straggler delays nothing.
    init(isPaced: Bool, isDry: @escaping @Sendable () -> Bool) {
        self.isPaced = isPaced
        self.isDry = isDry
    }

    /// A body in flight. Call `end` when it ends.
    struct Watched: Sendable {
        fileprivate let watch: StragglerWatch
        fileprivate let number: Int

        fileprivate func delivered(_ bytes: Int64) {
            watch.stragglers.withLock { $0.delivered(bytes, of: number, at: watch.seconds) }
        }

        /// - Parameter isThere: whether the store has it.
        func end(isThere: Bool) {
            watch.stragglers.withLock { $0.end(number, isThere: isThere, at: watch.seconds) }
        }

        /// The body resumes after being held.
        func restart() {
            watch.stragglers.withLock { $0.restart(number, at: watch.seconds) }
        }

        fileprivate var isLeftBehind: Bool {
            guard watch.isDry() else { return false }
            return watch.stragglers.withLock { $0.isLeftBehind(number, at: watch.seconds) }
        }
    }

    /// Starts watching a body if it is long enough.
    ///
    /// - Parameters:
    ///   - cuts: how often it was cut before.
    ///   - transfer: receives the callbacks that watch it.
    func watch(_ length: Int64, cuts: Int, with transfer: inout BodyTransfer) -> Watched? {
        guard length >= Self.leastLength, !isPaced else { return nil }
        let watched = Watched(
            watch: self,
            number: stragglers.withLock { $0.begin(length: length, cuts: cuts, at: seconds) }
        )
        let tell = transfer.onDelivered
        transfer.onDelivered = { count in
            tell?(count)
            watched.delivered(count)
        }
        transfer.isLeftBehind = { watched.isLeftBehind }
        return watched
    }

    private var seconds: Double { Moment.now().seconds(since: began) }
}
