import MuleLedger
import MulePlan
import MuleSources
import MuleSystem
import MuleUpload

/// Tells an empty source from one whose disk is not mounted, by the file systems on which earlier runs found files, for
/// the source and for file systems mounted below it.
struct SourcePlaces {
    private let job: ArchiveJob
    private let run: JobRun
    private let ledger: Ledger
    /// The topmost directory with files of this run, for each device.
    private var found: [UInt64: [UInt8]] = [:]
    /// Devices with files that earlier runs knew.
    private var known: Set<UInt64> = []

    /// Files to look up at once.
    private static let batch = 512

    /// - Parameter run: a started run; with run number 0 for a plan.
    init(_ job: ArchiveJob, _ run: JobRun, _ ledger: Ledger) {
        self.job = job
        self.run = run
        self.ledger = ledger
    }

    /// A file found by the walk.
    mutating func note(_ file: SourceWalk.Found) {
        guard !file.isLinked, let status = file.status, status.kind == .regular, found[status.device] == nil else {
            return
        }
        let device = status.device
        var place = AfterActionExecutor.parent(file.path)
        while place != job.source, place.count > 1 {
            let above = AfterActionExecutor.parent(place)
            guard (try? FileStatus.of(path: above))?.device == device else { break }
            place = above
        }
        found[device] = place
    }

    /// A file found by the walk that earlier runs knew.
    mutating func noteKnown(_ file: SourceWalk.Found) {
        if let device = file.status?.device { known.insert(device) }
    }

    /// Before anything else: whether the source is an empty directory instead of a mounted disk.
    func obstacleAtStart() throws(LedgerError) -> UploadFailure? {
        guard isEmpty(job.source), let place = try places().first(where: { $0.path == job.source }) else { return nil }
        return try obstacle(at: place)
    }

    /// After the whole source was walked: whether files are missing.
    func obstacleAtEnd() throws(LedgerError) -> UploadFailure? {
        for place in try places() {
            if let failure = try obstacle(at: place) { return failure }
        }
        return nil
    }

    /// Records the places of this run for the next one. An incomplete run only adds new places.
    func record(isWhole: Bool) throws(LedgerError) {
        guard !found.isEmpty else { return }
        let old = try places()
        let new = found.values.compactMap { path -> JobPlace? in
            guard let now = try? FileSystemIdentity.of(path: path) else { return nil }
            return JobPlace(role: .source, path: path, device: now.device, fileSystem: now.number)
        }
        let isNews = { (place: JobPlace) in isWhole ? !old.contains(place) : !old.contains { $0.path == place.path } }
        try ledger.record(new.filter(isNews), of: run.job)
    }

    /// Places that the selection still includes.
    private func places() throws(LedgerError) -> [JobPlace] {
        try ledger.places(of: run.job, .source).filter { place in
            guard place.path != job.source else { return true }
            let inner = job.relativePath(of: place.path)
            let ends = inner.indices.filter { inner[$0] == UInt8(ascii: "/") } + [inner.endIndex]
            return place.path.starts(with: job.source)
                && !ends.contains { job.selection.excludes(Array(inner[..<$0]), isDirectory: true) }
        }
    }

    private func obstacle(at place: JobPlace) throws(LedgerError) -> UploadFailure? {
        let before = FileSystemIdentity(device: place.device, number: place.fileSystem)
        if let now = try? FileSystemIdentity.of(path: place.path), now.isSame(as: before) { return nil }
        if found.contains(where: { known.contains($0.key) && $0.value.starts(with: place.path) }) { return nil }
        switch try keptFiles(below: place.path) {
        case .gone: break
        case .there: return nil
        case .none:
            // No known file should exist, but the job has always found files and now finds none.
            guard place.path == job.source, found.isEmpty, try ledger.hasAlwaysFoundFiles(job: run.job) else {
                return nil
            }
        }
        let name = LossyUTF8.string(place.path)
        return UploadFailure(
            .source,
            "\(name): the files that the job knows are gone, and the directory is on another file system than in "
                + "earlier runs. Mount the disk and run the job again. If the disk is gone for good, put a file into "
                + "\(name), or exclude it.",
            isResumable: true
        )
    }

    private enum Kept {
        case none, there, gone
    }

    private func keptFiles(below directory: [UInt8]) throws(LedgerError) -> Kept {
        var last: [UInt8]?
        while true {
            let files = try ledger.keptFiles(before: run, below: directory, after: last, limit: Self.batch)
            if files.contains(where: { (try? FileStatus.of(path: $0, followingLinks: false)) != nil }) { return .there }
            guard let end = files.last else { return last == nil ? .none : .gone }
            last = end
        }
    }

    private func isEmpty(_ directory: [UInt8]) -> Bool {
        (try? DirectoryNames(of: directory))?.count == 0
    }
}
