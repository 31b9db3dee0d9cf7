/// A store's limits. Amazon's are the default; a value, because other stores differ.
///
/// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html; the maximum object size of 48.83 TiB
/// (10,000 parts of 5 GiB) has been in force since December 2025.
package struct StoreLimits: Hashable, Sendable {
    package var minimumPartSize: Int64 = 5 << 20
    package var maximumPartSize: Int64 = 5 << 30
    package var maximumPartCount = 10_000
    package var maximumPutSize: Int64 = 5 << 30
    /// The maximum size of an object, where that is less than all parts could have.
    package var largestObject: Int64?
    /// All parts but the last must have the same size (R2). Parts of a file always do.
    package var partsMustBeEqual = false
    /// Bytes of a key in UTF-8.
    package var maximumKeyLength = 1024
    /// Bytes of user metadata, names and values together.
    package var maximumMetadataSize = 2048

    package init() {}

    package static let amazon = StoreLimits()

    /// The limits of a store's profile with room for the part size that the user asks for, if Amazon would allow it:
    /// the user may know the store better.
    package func allowing(partSize: Int64?) -> StoreLimits {
        guard let partSize else { return self }
        var limits = self
        limits.minimumPartSize = min(minimumPartSize, max(partSize, Self.amazon.minimumPartSize))
        limits.maximumPartSize = max(maximumPartSize, min(partSize, Self.amazon.maximumPartSize))
        return limits
    }

    package var maximumObjectSize: Int64 {
        min(maximumPartSize * Int64(maximumPartCount), largestObject ?? .max)
    }
}
