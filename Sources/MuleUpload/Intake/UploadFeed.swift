package import MulePlan
package import MuleS3

/// A run's source of uploads. One thread calls it; the workers process what it has found while it searches.
package protocol UploadFeed {
    /// Whether to search now: more may exist, and not too many wait.
    var mayFind: Bool { get }

    /// Whether everything has been found.
    var hasFoundAll: Bool { get }

    /// The store and bucket of all uploads that still wait; nil if there are several, or unknown.
    var onlyPlace: (S3Service, String)? { get }

    /// Finds more uploads.
    ///
    /// - Throws: a failure that affects every upload of the run.
    mutating func find() throws(UploadFailure) -> FeedCounts

    /// How many uploads are found but not taken.
    func count(of share: Share) -> Int

    /// Takes found uploads in order.
    mutating func take(_ share: Share, atMost count: Int) throws(UploadFailure) -> [UploadJob]
}

/// What a feed has found.
package struct FeedCounts: Equatable, Sendable {
    package var uploads = 0
    /// Of uploads with known sizes.
    package var bytes: Int64 = 0
    /// Streams, whose size is known only at their end.
    package var unknownSizes = 0
    package var waiting = Counts()

    package init() {}

    mutating func count(_ job: UploadJob) {
        uploads += 1
        waiting[job.share] += job.weight
        if let size = job.size { bytes += size } else { unknownSizes += 1 }
    }
}

/// Uploads that are already registered: one list, or a sequence of lists.
package struct JobFeed: UploadFeed {
    private let more: () throws(UploadFailure) -> [UploadJob]?
    private var waiting = QueuePerShare<UploadJob>()
    package private(set) var hasFoundAll = false
    package let onlyPlace: (S3Service, String)?

    /// Waiting jobs hold their records and leases.
    private static let most = 512

    package init(_ jobs: [UploadJob]) {
        var rest: [UploadJob]? = jobs
        let first = jobs.first.map { ($0.service, $0.destination.bucket) }
        let isOnly = jobs.allSatisfy { $0.service === first?.0 && $0.destination.bucket == first?.1 }
        self.init(onlyTo: isOnly ? first : nil) { () throws(UploadFailure) in rest.take() }
    }

    /// - Parameters:
    ///   - place: the store and bucket of all uploads; nil if there are several.
    ///   - more: returns the next uploads; nil at the end.
    package init(
        onlyTo place: (S3Service, String)? = nil,
        _ more: @escaping () throws(UploadFailure) -> [UploadJob]?
    ) {
        self.more = more
        onlyPlace = place
    }

    package var mayFind: Bool { !hasFoundAll && Share.allCases.reduce(0) { $0 + waiting[$1].count } < Self.most }

    package mutating func find() throws(UploadFailure) -> FeedCounts {
        var findings = FeedCounts()
        guard let jobs = try more() else {
            hasFoundAll = true
            return findings
        }
        for job in jobs {
            findings.count(job)
            waiting[job.share].append(job)
        }
        return findings
    }

    package func count(of share: Share) -> Int { waiting[share].count }

    package mutating func take(_ share: Share, atMost count: Int) -> [UploadJob] {
        (0..<count).compactMap { _ in waiting[share].popFirst() }
    }
}
