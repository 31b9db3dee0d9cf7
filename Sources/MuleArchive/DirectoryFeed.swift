import MuleLedger
import MulePlan
import MuleSQLite
import MuleSources
import MuleSystem
import MuleUpload

/// The files that a job selects, and what to do with each. Skips archived, unchanged files by the ledger, without
/// asking the store.
final class DirectoryFeed {
    private let job: ArchiveJob
    private let policy: ArchivePolicy
    private let run: JobRun
    private let ledger: Ledger
    private let recorder: JobRecorder
    private let cancellation: Cancellation
    private var walk: OrderedWalk
    private(set) var places: SourcePlaces
    private var batch = 32

    /// Files to look up at once.
    private static let largestBatch = 512

    init(
        _ job: ArchiveJob,
        _ run: JobRun,
        _ ledger: Ledger,
        _ recorder: JobRecorder,
        _ cancellation: Cancellation
    ) {
        self.job = job
        policy = ArchivePolicy(job: job, now: ledger.now)
        self.run = run
        self.ledger = ledger
        self.recorder = recorder
        self.cancellation = cancellation
        places = SourcePlaces(job, run, ledger)
        walk = OrderedWalk(
            SourceWalk([job.source], isRecursive: true, selection: job.selection, now: ledger.now() * 1_000_000),
            order: job.order
        )
    }

    /// The next files to send, at most a few hundred; nil at the end.
    func next() throws(UploadFailure) -> [UploadIntent]? {
        while !cancellation.isCancelled {
            var found: [ArchivePolicy.Found] = []
            var isAtEnd = false
            search: while found.count < batch {
                switch try step() {
                case .file(let file)?:
                    places.note(file)
                    if let next = look(at: file) { found.append(next) }
                case .problem(let file, let problem)?: try fail(file, problem)
                case .leftOut(let file, _)?: places.note(file)
                case .idle?: break
                case nil:
                    isAtEnd = true
                    break search
                }
                if cancellation.isCancelled { return nil }
            }
            batch = min(batch * 2, Self.largestBatch)
            let intents = try intents(found)
            if !intents.isEmpty { return intents }
            if isAtEnd { return nil }
        }
        return nil
    }

    private func step() throws(UploadFailure) -> SourceWalk.Step? {
        do {
            return try walk.next()
        } catch {
            throw UploadFailure(
                .source,
                "The list of files found cannot be kept on disk: \(error.reason).",
                isResumable: true
            )
        }
    }

    // MARK: Inspecting

    /// The file, if it is eligible for archiving.
    private func look(at file: SourceWalk.Found) -> ArchivePolicy.Found? {
        switch policy.look(at: file) {
        case .nothing: return nil
        case .tooYoung:
            recorder.leaveForLater()
            return nil
        case .file(let found):
            recorder.count { $0.found += 1 }
            return found
        }
    }

    private func fail(_ file: SourceWalk.Found, _ problem: SourceProblem) throws(UploadFailure) {
        if policy.isOver(file, problem) { return }
        if let item = try known(file.path), item.run != run.run, policy.isQuarantined(item), item.upload == nil {
            return recorder.skip(item)
        }
        let failure = UploadFailure(.source, problem.sentence(for: LossyUTF8.string(file.path)))
        recorder.fail(FailedUpload(file.path, job.nowhere, failure))
    }

    private func known(_ path: [UInt8]) throws(UploadFailure) -> JobItem? { try known([path])[0] }

    private func known(_ paths: [[UInt8]]) throws(UploadFailure) -> [JobItem?] {
        try ledger.reporting { ledger throws(LedgerError) in try ledger.items(of: run.job, at: paths) }
    }

    // MARK: Deciding

    private func intents(_ found: [ArchivePolicy.Found]) throws(UploadFailure) -> [UploadIntent] {
        guard !found.isEmpty else { return [] }
        var intents: [UploadIntent] = []
        for (file, item) in zip(found, try known(found.map(\.file.path))) {
            do throws(UploadFailure) {
                switch try decide(file, item) {
                case .send: intents.append(try policy.intent(file, to: try address(of: file)))
                case .again:
                    var intent = try policy.intent(file, to: try address(of: file))
                    intent.isKnown = true
                    intents.append(intent)
                case .ask(let upload):
                    guard let record = try record(upload.number) else { continue }
                    if job.isDue(upload, at: ledger.now()) { recorder.expectDue(file.file.path) }
                    intents.append(try policy.intent(file, to: record.upload.destination))
                case .unchanged: recorder.count { $0.unchanged += 1 }
                case .skip: if let item { recorder.skip(item) }
                // The comparison is done.
                case .pass, .compare: break
                }
            } catch {
                guard error.kind != .ledger else { throw error }
                recorder.fail(FailedUpload(file.file.path, job.nowhere, error))
            }
        }
        return intents
    }

    private func decide(_ found: ArchivePolicy.Found, _ item: JobItem?) throws(UploadFailure)
        -> ArchivePolicy.WalkDecision
    {
        guard let item else { return .send }
        if item.run != run.run { places.noteKnown(found.file) }
        // Started in this run, or resumed by it.
        if item.run == run.run { return .pass }
        let verdict = policy.decide(found, item)
        guard case .compare(let upload) = verdict else { return verdict }
        let isSame = try ArchivePolicy.isSame(
            found.file.path,
            as: upload,
            ledger,
            cancellation: cancellation,
            onSign: recorder.onSign
        )
        return policy.decide(found, item, isSame: isSame)
    }

    private func address(of found: ArchivePolicy.Found) throws(UploadFailure) -> ObjectAddress {
        try policy.address(of: found, uuid: job.destination.needsUUID ? Self.uuid() : nil, cancellation)
    }

    /// RFC 9562, version 4.
    private static func uuid() -> [UInt8] {
        var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        return bytes
    }

    private func record(_ number: Int64) throws(UploadFailure) -> UploadRecord? {
        try ledger.reporting { ledger throws(LedgerError) in try ledger.upload(number: number) }
    }
}
