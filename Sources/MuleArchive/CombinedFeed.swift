import MulePlan
import MuleS3
import MuleUpload

/// Combines uploads of earlier runs with new files. Old ones go first within each share; large old ones do not hold
/// back small new ones.
struct CombinedFeed<Old: UploadFeed, New: UploadFeed>: UploadFeed {
    private var old: Old
    private var new: New

    init(old: Old, new: New) {
        self.old = old
        self.new = new
    }

    package var mayFind: Bool { old.mayFind || new.mayFind }

    package var hasFoundAll: Bool { old.hasFoundAll && new.hasFoundAll }

    package var onlyPlace: (S3Service, String)? {
        let isOldOver = old.hasFoundAll && Share.allCases.allSatisfy { old.count(of: $0) == 0 }
        return isOldOver ? new.onlyPlace : nil
    }

    package mutating func find() throws(UploadFailure) -> FeedCounts {
        old.mayFind ? try old.find() : try new.find()
    }

    package func count(of share: Share) -> Int { old.count(of: share) + new.count(of: share) }

    package mutating func take(_ share: Share, atMost count: Int) throws(UploadFailure) -> [UploadJob] {
        let first = try old.take(share, atMost: count)
        return first.count < count ? first + (try new.take(share, atMost: count - first.count)) : first
    }
}
