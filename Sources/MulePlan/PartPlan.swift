/// How a file is split: equal parts, the last one has the rest.
package struct PartPlan: Hashable, Sendable {
    package let objectSize: Int64
    package let partSize: Int64

    /// - Precondition: both are positive.
    package init(objectSize: Int64, partSize: Int64) {
        precondition(objectSize > 0 && partSize > 0, "an empty object has no parts")
        self.objectSize = objectSize
        self.partSize = partSize
    }

    /// Number of parts, at least 1.
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

/// Whether an object is sent in one request or in parts, and in which.
package enum UploadMethod: Hashable, Sendable {
    case put
    case multipart(partSize: Int64)
}

/// The user's choices for the split; nil leaves them to the plan.
package struct PartSizing: Hashable, Sendable {
    package var partSize: Int64?
    package var multipartThreshold: Int64?

    package init(partSize: Int64? = nil, multipartThreshold: Int64? = nil) {
        self.partSize = partSize
        self.multipartThreshold = multipartThreshold
    }

    /// A lost connection costs at most the parts in flight, so parts are as small as the speed of a fast link allows.
    package static let usualPart: Int64 = 8 << 20
    /// Smaller files are split into this many parts, or into the smallest that S3 accepts, so that a run that is
    /// stopped early on a slow link keeps some parts.
    private static let usualCount: Int64 = 128
    package static let defaultThreshold: Int64 = 16 << 20
    private static let mebibyte: Int64 = 1 << 20

    /// The upload method for a file of `size` bytes.
    ///
    /// Files above the threshold are sent in parts. A file that fits into one part is sent in one request for any part
    /// size: a multipart upload with one part would cost three requests and would not resume any better. A part size
    /// that needs more parts than the store allows grows to the smallest sufficient number of whole MiB.
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
