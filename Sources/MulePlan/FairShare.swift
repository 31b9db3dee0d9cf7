/// What a run carries by the same workers: whole small files, and parts of large ones.
package enum Share: Hashable, Sendable, CaseIterable {
    /// A file that goes in one request.
    case small
    /// A part of one that goes in many.
    case part
}

/// Which kind the next free worker is given, so that one huge file and a hundred thousand small ones come to their ends
/// together, and neither waits for the other.
///
/// The kind that would end last gets the worker. How long it needs is estimated from what is left of it and how long one
/// took lately. Where there is one kind only it gets all.
package struct FairShare: Sendable {
    /// Seconds that one takes, as long as none has been seen: the kinds' proportion matters, and that for a moment.
    private var seconds: [Share: Double] = [.small: 0.02, .part: 0.5]

    /// Of what was seen last, in the estimate: it must follow a line that changes, and not a single slow answer.
    private static let weight = 1.0 / 16

    package init() {}

    /// One has been carried.
    ///
    /// - Parameter duration: seconds from taking it to its end.
    package mutating func took(_ share: Share, seconds duration: Double) {
        let before = seconds[share, default: duration]
        seconds[share] = before + (duration - before) * Self.weight
    }

    /// - Parameters:
    ///   - waiting: how many of each kind nobody has taken yet.
    ///   - busy: how many of each kind workers have in their hands.
    package func next(waiting: (small: Int, parts: Int), busy: (small: Int, parts: Int)) -> Share {
        if waiting.small == 0 { return .part }
        if waiting.parts == 0 { return .small }
        let small = Double(waiting.small) * seconds[.small, default: 0] / Double(busy.small + 1)
        let parts = Double(waiting.parts) * seconds[.part, default: 0] / Double(busy.parts + 1)
        return small > parts ? .small : .part
    }
}
