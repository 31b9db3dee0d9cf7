/// How a stream is cut, whose length shows at its end.
///
/// The cut is a function of the numbers of the parts and of the store's limits, so that a stream that is read again is cut at
/// the same places.
package struct StreamPlan: Hashable, Sendable {
    /// The size of the parts up to the last tenth of the part numbers: for a stream whose length is known roughly, or who
    /// wants it so. Nil lets the parts grow from the start.
    package var equalPartSize: Int64?

    package init(equalPartSize: Int64? = nil) {
        self.equalPartSize = equalPartSize
    }

    /// The plan for a stream of about this length: equal parts, as a file's of that size. What comes beyond is held by parts
    /// that grow, for which a tenth of the part numbers is kept.
    ///
    /// - Parameters:
    ///   - expectedSize: in bytes, more than 0.
    ///   - asked: a part size that the user has named; it grows where too many parts would be needed.
    package init(expectedSize: Int64, asked: Int64? = nil, limits: StoreLimits = .amazon) throws(PlanError) {
        guard expectedSize <= limits.maximumObjectSize else {
            throw .objectTooLarge(size: expectedSize, maximum: limits.maximumObjectSize)
        }
        let needed = (expectedSize - 1) / Int64(Self.equalParts(limits)) + 1
        let least = asked ?? Self.leastPart(limits)
        equalPartSize = least >= needed ? least : min(Self.roundedUp(needed), limits.maximumPartSize)
    }

    /// For a store that wants equal parts, where nobody has said how long the stream is: 10,000 of them are 625 GiB.
    private static let equalPart: Int64 = 64 << 20
    private static let mebibyte: Int64 = 1 << 20

    /// Size of part `number`, which follows `sent` bytes.
    ///
    /// A part that grows is a share of all that has gone in such parts. On AWS that is a 25th: with less, 10,000 parts would
    /// not hold 48 TiB, of which 9,831 parts must be as large as parts can be.
    package func partSize(number: Int, after sent: Int64, limits: StoreLimits = .amazon) -> Int64 {
        let equal = equalPartSize ?? (limits.partsMustBeEqual ? Self.leastPart(limits) : nil)
        guard let equal else { return Self.grown(after: sent, from: Self.leastPart(limits), limits) }
        // What a store has shown since it was chosen counts more.
        let size = min(max(equal, limits.minimumPartSize), limits.maximumPartSize)
        let equalParts = Self.equalParts(limits)
        if limits.partsMustBeEqual || number <= equalParts { return size }
        return Self.grown(after: sent - Int64(equalParts) * size, from: size, limits)
    }

    private static func grown(after sent: Int64, from least: Int64, _ limits: StoreLimits) -> Int64 {
        let share = sent / Int64(max(4, limits.maximumPartCount / 400))
        return min(max(least, roundedUp(share)), limits.maximumPartSize)
    }

    /// How many parts of a plan for equal ones are equal.
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
