/// How a file is cut: equal parts, the last one as long as what is left.
package struct PartPlan: Hashable, Sendable {
    package let objectSize: Int64
    package let partSize: Int64

    /// - Precondition: both are positive.
    package init(objectSize: Int64, partSize: Int64) {
        precondition(objectSize > 0 && partSize > 0, "an empty object has no parts")
        self.objectSize = objectSize
        self.partSize = partSize
    }

    /// Number of parts, 1 at least.
    package var count: Int { Int((objectSize - 1) / partSize) + 1 }

    /// Offsets of the part's bytes, half open. Part numbers start at 1.
    package func range(of number: Int) -> Range<Int64> {
        precondition((1...count).contains(number), "part \(number) of \(count)")
        let start = Int64(number - 1) * partSize
        return start..<min(start + partSize, objectSize)
    }

    package func size(of number: Int) -> Int64 {
        let range = range(of: number)
        return range.upperBound - range.lowerBound
    }
}

/// Whether an object goes in one request or in parts, and in which.
package enum UploadMethod: Hashable, Sendable {
    case put
    case multipart(partSize: Int64)
}

/// What a user may say about the cut; nil leaves the choice to the plan.
package struct PartSizing: Hashable, Sendable {
    package var partSize: Int64?
    package var multipartThreshold: Int64?

    package init(partSize: Int64? = nil, multipartThreshold: Int64? = nil) {
        self.partSize = partSize
        self.multipartThreshold = multipartThreshold
    }

    /// A lost connection costs at most the parts in flight, so parts are as small as the speed of a fast link allows.
    package static let usualPart: Int64 = 8 << 20
    /// Smaller files are cut into this many parts, or into the smallest that S3 takes, so that a run that is stopped soon on a slow
    /// link keeps a part.
    private static let usualCount: Int64 = 128
    package static let defaultThreshold: Int64 = 16 << 20
    private static let mebibyte: Int64 = 1 << 20

    /// The way for a file of `size` bytes.
    ///
    /// Files above the threshold go in parts. A file that fits in one part goes in one request however large the part
    /// is: a multipart upload of one part would cost three requests and could not be resumed any better. A part size
    /// that would need more parts than the store takes grows to the smallest whole number of MiB that does not.
    package func method(size: Int64, limits: StoreLimits = .amazon) throws(PlanError) -> UploadMethod {
        guard size <= limits.maximumObjectSize else {
            throw PlanError.objectTooLarge(size: size, maximum: limits.maximumObjectSize)
        }
        let part = try chosenPartSize(size: size, limits: limits)
        let threshold = multipartThreshold ?? min(Self.defaultThreshold, partSize ?? Self.defaultThreshold)
        return size <= min(max(threshold, part), limits.maximumPutSize) ? .put : .multipart(partSize: part)
    }

    private func chosenPartSize(size: Int64, limits: StoreLimits) throws(PlanError) -> Int64 {
        let needed = size == 0 ? 1 : (size - 1) / Int64(limits.maximumPartCount) + 1
        if let partSize {
            guard (limits.minimumPartSize...limits.maximumPartSize).contains(partSize) else {
                throw PlanError.partSizeOutOfRange(
                    partSize,
                    minimum: limits.minimumPartSize,
                    maximum: limits.maximumPartSize
                )
            }
            return partSize >= needed ? partSize : min(Self.roundedUp(needed), limits.maximumPartSize)
        }
        let wanted = min(Self.roundedUp(size / Self.usualCount), Self.usualPart)
        return min(max(wanted, limits.minimumPartSize, Self.roundedUp(needed)), limits.maximumPartSize)
    }

    private static func roundedUp(_ size: Int64) -> Int64 {
        (size + mebibyte - 1) / mebibyte * mebibyte
    }
}

/// Why no plan can be made.
package enum PlanError: Error, Hashable, Sendable {
    case objectTooLarge(size: Int64, maximum: Int64)
    case partSizeOutOfRange(Int64, minimum: Int64, maximum: Int64)
}
