/// How a stream of unknown length is split.
///
/// Part sizes depend only on the part numbers and the store's limits, so that a stream that is read again is split at
/// the same offsets.
package struct StreamPlan: Hashable, Sendable {
    /// The size of the parts except those of the last tenth of the part numbers, for a stream of roughly known length
    /// or on request. Nil if the parts grow from the start.
    package var equalPartSize: Int64?

    package init(equalPartSize: Int64? = nil) {
        self.equalPartSize = equalPartSize
    }

    /// The plan for a stream of about this length: equal parts, as for a file of that size. A tenth of the part numbers
    /// is reserved for parts that grow, if the stream is longer.
    ///
    /// - Parameters:
    ///   - expectedSize: in bytes, more than 0.
    ///   - asked: the user's part size; it grows if too many parts would be needed.
    package init(expectedSize: Int64, asked: Int64? = nil, limits: StoreLimits = .amazon) throws(PlanError) {
        guard expectedSize <= limits.maximumObjectSize else {
            throw .objectTooLarge(size: expectedSize, maximum: limits.maximumObjectSize)
        }
        let needed = (expectedSize - 1) / Int64(Self.equalParts(limits)) + 1
        let least = asked ?? Self.leastPart(limits)
        equalPartSize = least >= needed ? least : min(Self.roundedUp(needed), limits.maximumPartSize)
    }

    /// For a store that requires equal parts, if the length is unknown: 10,000 of these parts are 625 GiB.
    private static let equalPart: Int64 = 64 << 20
    private static let mebibyte: Int64 = 1 << 20

    /// Size of part `number`, which follows `sent` bytes.
    ///
    /// A growing part is a share of all that was sent in such parts. On AWS it is a 25th: with less, 10,000 parts would
    /// not hold 48 TiB, of which 9,831 parts must have the maximum size.
    package func partSize(number: Int, after sent: Int64, limits: StoreLimits = .amazon) -> Int64 {
        let equal = equalPartSize ?? (limits.partsMustBeEqual ? Self.leastPart(limits) : nil)
        guard let equal else { return Self.grown(after: sent, from: Self.leastPart(limits), limits) }
        // The store may have shown other limits since the size was chosen.
        let size = min(max(equal, limits.minimumPartSize), limits.maximumPartSize)
        let equalParts = Self.equalParts(limits)
        if limits.partsMustBeEqual || number <= equalParts { return size }
        return Self.grown(after: sent - Int64(equalParts) * size, from: size, limits)
    }

    private static func grown(after sent: Int64, from least: Int64, _ limits: StoreLimits) -> Int64 {
        let share = sent / Int64(max(4, limits.maximumPartCount / 400))
        return min(max(least, roundedUp(share)), limits.maximumPartSize)
    }

    /// How many parts of an equal-part plan are equal.
    private static func equalParts(_ limits: StoreLimits) -> Int {
        limits.partsMustBeEqual ? limits.maximumPartCount : limits.maximumPartCount - limits.maximumPartCount / 10
    }

    private static func leastPart(_ limits: StoreLimits) -> Int64 {
        let least = limits.partsMustBeEqual ? equalPart : PartSizing.usualPart
        return min(max(least, limits.minimumPartSize), limits.maximumPartSize)
    }

    private static func roundedUp(_ size: Int64) -> Int64 {
        (size + mebibyte - 1) / mebibyte * mebibyte
    }
}
