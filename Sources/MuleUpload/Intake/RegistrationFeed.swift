package import MuleLedger
package import MulePlan
package import MuleS3

/// Registers files as they are found, ahead of the workers, so that `mule resume` can upload what a killed run has
/// found, and totals are known early. Jobs that wait for long are reduced to row numbers, so that a million need little
/// memory.
package struct RegistrationFeed: UploadFeed {
    private let ledger: Ledger
    private let service: S3Service
    private let more: () throws(UploadFailure) -> [UploadIntent]?
    private let onRefused: (UploadIntent, UploadFailure) -> Void
    private let registration: Registration
    private let onChange: UploadJob.ContentChange
    private var names = NamedPaths()
    private var waiting = QueuePerShare<Waiting>()
    private var counts = Counts()
    /// Waiting jobs in memory.
    private var jobsKept = 0
    package private(set) var hasFoundAll = false

    private enum Waiting {
        case job(UploadJob)
        /// Rows whose leases are handed back, and the entry of `names` for their files.
        case rows(Range<Int64>, names: Int)
    }

    private let whole: Int
    private let most: Int

    /// - Parameters:
    ///   - run: the run of an archive job, if there is one.
    ///   - more: returns the next few hundred files; nil at the end.
    ///   - onRefused: receives files that cannot be registered.
    ///   - whole: waiting jobs kept in memory; later ones are kept as numbers. Reading a row again costs more than the
    ///     memory of a few jobs.
    ///   - most: jobs in memory above which the search pauses, because not all can be kept as numbers.
    package init(
        _ ledger: Ledger,
        service: S3Service,
        for run: JobRun? = nil,
        whole: Int = 1024,
        most: Int = 4096,
        onChange: UploadJob.ContentChange = .refuse,
        onRefused: @escaping (UploadIntent, UploadFailure) -> Void,
        more: @escaping () throws(UploadFailure) -> [UploadIntent]?
    ) {
        self.ledger = ledger
        self.service = service
        self.more = more
        self.onRefused = onRefused
        self.whole = whole
        self.most = most
        self.onChange = onChange
        registration = Registration(ledger, for: run)
    }

    /// The bucket of all files: one command or job has only one.
    private var bucket: String?

    package var onlyPlace: (S3Service, String)? { bucket.map { (service, $0) } }

    package var mayFind: Bool { !hasFoundAll && jobsKept < most }

    package mutating func find() throws(UploadFailure) -> FeedCounts {
        var findings = FeedCounts()
        guard let intents = try more() else {
            hasFoundAll = true
            return findings
        }
        bucket = bucket ?? intents.first?.destination.bucket
        for (intent, entry) in zip(intents, try entries(intents)) {
            switch entry {
            case .refused(let failure): onRefused(intent, failure)
            case .job(let row, let restartsAs):
                let job = UploadJob(
                    source: .file(intent.path),
                    destination: intent.destination,
                    row: row,
                    service: service,
                    restartsAs: restartsAs,
                    onChange: onChange
                )
                findings.count(job)
                enqueue(job, named: intent.path)
            }
        }
        return findings
    }

    private func entries(_ intents: [UploadIntent]) throws(UploadFailure) -> [Registration.Entry] {
        try ledger.reporting { _ throws(LedgerError) in try registration.register(intents) }
    }

    private mutating func enqueue(_ job: UploadJob, named path: [UInt8]) {
        counts[job.share] += 1
        guard jobsKept >= whole, case .claimed(let record, let lease) = job.row, job.restartsAs == nil,
            let canonical = record.upload.source?.path
        else {
            jobsKept += 1
            waiting[job.share].append(.job(job))
            return
        }
        lease.handIn()
        let name = names.remember(path, of: canonical)
        let rows = record.number..<record.number + 1
        if case .rows(let before, name)? = waiting[job.share].last, before.upperBound == rows.lowerBound {
            waiting[job.share].last = .rows(before.lowerBound..<rows.upperBound, names: name)
        } else {
            waiting[job.share].append(.rows(rows, names: name))
        }
    }

    package func count(of share: Share) -> Int { counts[share] }

    package mutating func take(_ share: Share, atMost count: Int) throws(UploadFailure) -> [UploadJob] {
        var jobs: [UploadJob] = []
        while jobs.count < count, let next = waiting[share].first {
            switch next {
            case .job(let job):
                _ = waiting[share].popFirst()
                jobsKept -= 1
                counts[share] -= 1
                jobs.append(job)
            case .rows(let rows, let name):
                let taken = rows.prefix(count - jobs.count)
                if taken.count == rows.count {
                    _ = waiting[share].popFirst()
                } else {
                    waiting[share].first = .rows(taken.endIndex..<rows.endIndex, names: name)
                }
                counts[share] -= taken.count
                jobs += try self.jobs(taken.startIndex..<taken.endIndex, name)
            }
        }
        return jobs
    }

    private func jobs(_ rows: Range<Int64>, _ name: Int) throws(UploadFailure) -> [UploadJob] {
        try ledger.reporting { ledger throws(LedgerError) in
            try ledger.takeUp(rows).map { record, lease in
                UploadJob(
                    source: .file(names.name(name, of: record.upload.source?.path ?? [])),
                    destination: record.upload.destination,
                    row: .claimed(record, lease),
                    service: service,
                    onChange: onChange
                )
            }
        }
    }
}

/// Maps canonical paths back to the paths that the user gave. The two differ only in a prefix, which is the same for
/// all files below a directory.
struct NamedPaths {
    private struct Beginning {
        var named: ArraySlice<UInt8>
        var canonical: ArraySlice<UInt8>
    }

    private var beginnings: [Beginning] = []

    /// - Returns: the number that `name` needs to map the canonical path back.
    mutating func remember(_ path: [UInt8], of canonical: [UInt8]) -> Int {
        if let last = beginnings.last, path.starts(with: last.named), canonical.starts(with: last.canonical),
            path[last.named.endIndex...] == canonical[last.canonical.endIndex...]
        {
            return beginnings.count - 1
        }
        let same = zip(path.reversed(), canonical.reversed()).prefix { $0 == $1 }.count
        beginnings.append(Beginning(named: path.dropLast(same), canonical: canonical.dropLast(same)))
        return beginnings.count - 1
    }

    func name(_ number: Int, of canonical: [UInt8]) -> [UInt8] {
        let beginning = beginnings[number]
        guard canonical.starts(with: beginning.canonical) else { return canonical }
        return Array(beginning.named) + canonical[beginning.canonical.endIndex...]
    }
}
