/// The kinds of work that share a run's workers: whole small files, and parts of large ones.
package enum Share: Int, Hashable, Sendable, CaseIterable {
    /// A file that is sent in one request.
    case small
    /// A part of a file that is sent in several.
    case part
}

/// Which kind of work the next free worker gets, so that one huge file and a hundred thousand small ones finish
/// together, and neither waits for the other.
///
/// The kind that would finish last gets the worker. Its time is estimated from what is left and how long recent ones
/// took. A single kind gets all workers.
package struct FairShare: Sendable {
    /// Seconds that one takes, with start values: only their ratio matters, and only until the first results.
    private var seconds: [Share: Double] = [.small: 0.02, .part: 0.5]

    /// Weight of the latest result in the estimate: it must follow a link that changes, but not a single slow answer.
    private static let weight = 1.0 / 16

    package init() {}

    /// One is finished.
    ///
    /// - Parameter duration: seconds from when it was taken to its end.
    package mutating func took(_ share: Share, seconds duration: Double) {
        let before = seconds[share, default: duration]
        seconds[share] = before + (duration - before) * Self.weight
    }

    /// - Parameters:
    ///   - waiting: how many of each kind are in the queue.
    ///   - busy: how many of each kind workers are processing.
    package func next(waiting: (small: Int, parts: Int), busy: (small: Int, parts: Int)) -> Share {
        if waiting.small == 0 { return .part }
        if waiting.parts == 0 { return .small }
        let small = Double(waiting.small) * seconds[.small, default: 0] / Double(busy.small + 1)
        let parts = Double(waiting.parts) * seconds[.part, default: 0] / Double(busy.parts + 1)
        return small > parts ? .small : .part
    }
}
