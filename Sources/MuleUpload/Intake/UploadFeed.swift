package import MulePlan
package import MuleS3

/// Where a run gets its uploads from. One thread asks it, and while it looks for more the workers carry what it gave.
package protocol UploadFeed {
    /// Whether it is worth asking for more now: not all is found, and not too much of it waits to be taken.
    var mayFind: Bool { get }

    /// Whether there is nothing more to be found.
    var hasFoundAll: Bool { get }

    /// The store and the bucket that all uploads still to be taken go to; nil where they go to several, or it is not known.
    var onlyPlace: (S3Service, String)? { get }

    /// Finds some more.
    ///
    /// - Throws: what every upload of the run would meet.
    mutating func find() throws(UploadFailure) -> FeedCounts

    /// How many were found that have not been taken.
    func count(of share: Share) -> Int

    /// Takes some of those that were found, in their order.
    mutating func take(_ share: Share, atMost count: Int) throws(UploadFailure) -> [UploadJob]
}

/// What a feed has found.
package struct FeedCounts: Equatable, Sendable {
    package var uploads = 0
    /// Of those whose size is known.
    package var bytes: Int64 = 0
    /// Streams, whose size shows at their end.
    package var unknownSizes = 0
    package var waiting = Counts()

    package init() {}

    mutating func count(_ job: UploadJob) {
        uploads += 1
        waiting[job.share] += job.weight
        if let size = job.size { bytes += size } else { unknownSizes += 1 }
    }
}

/// Uploads that others register: a list of them, or one list after another.
package struct JobFeed: UploadFeed {
    private let more: () throws(UploadFailure) -> [UploadJob]?
    private var waiting: [Share: Queue<UploadJob>] = [.small: Queue(), .part: Queue()]
    package private(set) var hasFoundAll = false
    package let onlyPlace: (S3Service, String)?

    /// Those that wait hold their records, and their leases.
    private static let most = 512

    package init(_ jobs: [UploadJob]) {
        var rest: [UploadJob]? = jobs
        let first = jobs.first.map { ($0.service, $0.destination.bucket) }
        let isOnly = jobs.allSatisfy { $0.service === first?.0 && $0.destination.bucket == first?.1 }
        self.init(onlyTo: isOnly ? first : nil) { () throws(UploadFailure) in rest.take() }
    }

    /// - Parameters:
    ///   - place: the store and the bucket that all of them go to; nil for several.
    ///   - more: the next ones; nil when there are none any more.
    package init(
        onlyTo place: (S3Service, String)? = nil,
        _ more: @escaping () throws(UploadFailure) -> [UploadJob]?
    ) {
        self.more = more
        onlyPlace = place
    }

    package var mayFind: Bool { !hasFoundAll && waiting.values.reduce(0) { $0 + $1.count } < Self.most }

    package mutating func find() throws(UploadFailure) -> FeedCounts {
        var findings = FeedCounts()
        guard let jobs = try more() else {
            hasFoundAll = true
            return findings
        }
        for job in jobs {
            findings.count(job)
            waiting[job.share]?.append(job)
        }
        return findings
    }

    package func count(of share: Share) -> Int { waiting[share]?.count ?? 0 }

    package mutating func take(_ share: Share, atMost count: Int) -> [UploadJob] {
        (0..<count).compactMap { _ in waiting[share]?.popFirst() }
    }
}
