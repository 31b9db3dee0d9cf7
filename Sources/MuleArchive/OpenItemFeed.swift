import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleUpload

/// The unfinished items of a job's earlier runs, by path: uploads to resume, archived files without their action, and
/// due files.
final class OpenItemFeed {
    private let job: ArchiveJob
    private let policy: ArchivePolicy
    private let run: JobRun
    private let ledger: Ledger
    private let recorder: JobRecorder
    private let abort: AbortRun
    private let service: (UploadRecord) throws(UploadFailure) -> S3Service
    private var last: [UInt8]?

    /// Items to process at once.
    private static let batch = 64

    init(
        _ job: ArchiveJob,
        _ run: JobRun,
        _ ledger: Ledger,
        _ recorder: JobRecorder,
        abort: AbortRun,
        service: @escaping (UploadRecord) throws(UploadFailure) -> S3Service
    ) {
        self.job = job
        policy = ArchivePolicy(job: job, now: ledger.now)
        self.run = run
        self.ledger = ledger
        self.recorder = recorder
        self.abort = abort
        self.service = service
    }

    /// The next uploads; nil at the end.
    func next() throws(UploadFailure) -> [UploadJob]? {
        let items = try ledger.reporting { ledger throws(LedgerError) in
            try ledger.openItems(of: run.job, after: last, limit: Self.batch)
        }
        guard let end = items.last else { return nil }
        last = end.source
        // Without items of this run.
        let left = items.filter { $0.run != run.run }
        var jobs: [UploadJob] = []
        var taken: [[UInt8]] = []
        for item in left {
            do throws(UploadFailure) {
                guard let job = try look(at: item) else { continue }
                jobs.append(job)
            } catch {
                guard error.kind != .ledger else { throw error }
                recorder.fail(FailedUpload(item.source, job.nowhere, error))
            }
            taken.append(item.source)
        }
        // The walk must not take these files again.
        try ledger.reporting { ledger throws(LedgerError) in try ledger.takeUp(taken, for: run) }
        return jobs
    }

    /// The upload for the item; nil if it needs none.
    private func look(at item: JobItem) throws(UploadFailure) -> UploadJob? {
        switch policy.decide(left: item) {
        case .nothing: return nil
        case .finish(let rest):
            recorder.finish(item, rest)
            return nil
        case .ask(let upload): return try asking(item, upload)
        case .skip:
            recorder.skip(item)
            return nil
        case .resume(let upload): return try pending(item, upload, hasChanged: false)
        case .abort(let upload): return try pending(item, upload, hasChanged: true)
        }
    }

    /// An upload that only asks the store again whether it has the object.
    private func asking(_ item: JobItem, _ upload: ItemUpload) throws(UploadFailure) -> UploadJob? {
        guard let record = try record(upload.number) else { return nil }
        if job.isDue(upload, at: ledger.now()) { recorder.expectDue(item.source) }
        return UploadJob(
            source: .file(item.source),
            destination: record.upload.destination,
            row: .doneBefore(record, again: record.upload),
            service: try service(record),
            // The file is compared before any action.
            comparesFile: false
        )
    }

    private func pending(
        _ item: JobItem,
        _ upload: ItemUpload,
        hasChanged: Bool
    ) throws(UploadFailure) -> UploadJob? {
        guard let record = try record(upload.number) else { return nil }
        let claim = try ledger.reporting { ledger throws(LedgerError) in try ledger.claim(upload.number) }
        guard let (current, lease) = claim else { throw .heldElsewhere(record) }
        if current.state == .done || current.state == .aborted { return nil }
        let service = try service(current)
        // The current file gets a new upload, with the destination that it has now.
        if current.abortRequested || hasChanged {
            try abort.abort(current, lease, service: service)
            return nil
        }
        return UploadJob(
            source: .file(item.source),
            destination: current.upload.destination,
            row: .claimed(current, lease),
            service: service,
            onChange: job.onChange
        )
    }

    private func record(_ number: Int64) throws(UploadFailure) -> UploadRecord? {
        try ledger.reporting { ledger throws(LedgerError) in try ledger.upload(number: number) }
    }
}
