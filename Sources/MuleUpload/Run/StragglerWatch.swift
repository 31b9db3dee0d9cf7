import MulePlan
import MuleS3
import MuleSystem

/// Watches the bodies of a run, so that its end does not wait for one connection that crawls.
final class StragglerWatch: Sendable {
    /// Bytes of a body from which on it is told how it gets along: a smaller one is gone before it shows a rate.
    static let leastLength: Int64 = 256 << 10

    private let stragglers = Monitor(StragglerDetector())
    private let began = Moment.now()
    private let isPaced: Bool
    private let isDry: @Sendable () -> Bool

    /// - Parameters:
    ///   - isPaced: whether the run has a rate to keep. Then who waits for its turn is not slow, and nobody is cut.
    ///   - isDry: whether nothing waits to be sent. While something does, a straggler delays nothing.
    init(isPaced: Bool, isDry: @escaping @Sendable () -> Bool) {
        self.isPaced = isPaced
        self.isDry = isDry
    }

    /// A body on its way, to be told of its end.
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

        /// It was held, and goes on.
        func restart() {
            watch.stragglers.withLock { $0.restart(number, at: watch.seconds) }
        }

        fileprivate var isLeftBehind: Bool {
            guard watch.isDry() else { return false }
            return watch.stragglers.withLock { $0.isLeftBehind(number, at: watch.seconds) }
        }
    }

    /// Begins to watch a body that is long enough.
    ///
    /// - Parameters:
    ///   - cuts: how often it was cut before.
    ///   - transfer: how it goes out; is told to listen to this.
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
