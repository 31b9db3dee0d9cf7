/// Which part sizes an object may have been split by, when only its size and its number of parts are known.
package enum PartSizeGuess {
    /// Maximum number of candidates besides the known ones: each costs reading the whole file.
    private static let limit = 6
    private static let mebibyte: Int64 = 1 << 20

    /// Part sizes of common clients, the most common first: AWS CLI, mule, rclone, s3cmd, mc, s5cmd, tusd, Uppy, ...
    private static let usual: [Int64] =
        [8, 5, 16, 15, 10, 64, 50, 100, 128, 25, 32, 20, 6, 12, 256, 512, 1024].map { $0 * mebibyte }
        + [5, 8, 10, 16, 25, 50, 64, 100].map { $0 * 1_000_000 }

    /// Sizes that make exactly `partCount` parts, the likeliest first, without duplicates.
    ///
    /// - Parameter known: sizes from a source such as the ledger; they come first if they fit.
    package static func candidates(objectSize: Int64, partCount: Int, known: [Int64]) -> [Int64] {
        guard objectSize > 0, partCount > 0, Int64(partCount) <= objectSize else { return [] }
        let count = Int64(partCount)
        let least = (objectSize - 1) / count + 1
        let most = count == 1 ? objectSize : (objectSize - 1) / (count - 1)
        guard least <= most else { return [] }
        // A single part is the whole object, for any part size.
        if count == 1 { return [objectSize] }
        var found: [Int64] = []
        for size in known where (least...most).contains(size) && !found.contains(size) { found.append(size) }
        let end = found.count + limit
        func add(_ size: Int64) {
            if found.count < end, (least...most).contains(size), !found.contains(size) { found.append(size) }
        }
        for size in usual { add(size) }
        var size = (least + mebibyte - 1) / mebibyte * mebibyte
        while size <= most, found.count < end {
            add(size)
            size += mebibyte
        }
        return found
    }
}
