import MuleDigest
package import MuleLedger
package import MulePlan
package import MuleS3
import MuleSystem
import MuleTransport
import Synchronization

/// One source to upload to one object.
package struct UploadJob: Sendable {
    package enum Source: Sendable {
        /// The path as the user gave it.
        case file([UInt8])
        case stream(StreamInput)
    }

    package enum Row: Sendable {
        /// Its lease is held.
        indirect case claimed(UploadRecord, Lease)
        /// The ledger says that this source was confirmed at this destination. A new row is created only if the object
        /// no longer exists.
        indirect case doneBefore(UploadRecord, again: NewUpload)
    }

    package let source: Source
    package let destination: ObjectAddress
    package let row: Row
    package let service: S3Service

    /// The source's path as the user gave it; nil for a stream.
    var path: [UInt8]? {
        if case .file(let path) = source { path } else { nil }
    }

    /// The source's name in events and progress; nil for standard input.
    var sourceName: [UInt8]? {
        switch source {
        case .file(let path): path
        case .stream(let input): input.source.name
        }
    }

    // Computed once, because each look into the row copies it.

    /// Its share of the workers.
    let share: Share
    /// The expected requests, as its share counts them.
    let weight: Int
    /// In bytes; for a stream the expected size, nil if unknown.
    let size: Int64?

    /// What to do if comparing the content shows that the file is not the one that the pending upload started with.
    package enum ContentChange: Sendable {
        /// Report an error and keep the parts.
        case refuse
        /// Remove the parts and send the current file to the same object.
        case restart
        /// Report an error and request an abort: the file may belong to another object now.
        case abort
    }

    /// If set, abort the pending upload and restart with this plan.
    package var restartsAs: NewUpload?
    package var onChange = ContentChange.refuse
    /// Whether the file must match what was confirmed, in addition to the object still existing.
    package var comparesFile = true

    package init(
        source: Source,
        destination: ObjectAddress,
        row: Row,
        service: S3Service,
        restartsAs: NewUpload? = nil,
        onChange: ContentChange = .refuse,
        comparesFile: Bool = true
    ) {
        self.source = source
        self.destination = destination
        self.row = row
        self.service = service
        self.restartsAs = restartsAs
        self.onChange = onChange
        self.comparesFile = comparesFile
        let partSize: Int64?
        let recordedSize: Int64?
        switch row {
        case .claimed(let record, _):
            (partSize, recordedSize) = (record.upload.partSize, record.size)
            weight = max(record.partCount ?? 1, 1)
        case .doneBefore(let record, let again):
            (partSize, recordedSize) = (again.partSize, record.size)
            weight = 1
        }
        switch source {
        case .file:
            share = partSize == nil ? .small : .part
            size = recordedSize
        case .stream(let input):
            share = .part
            size = input.expectedSize
        }
    }
}

/// One part to process.
struct PartWork: Sendable {
    var number: Int
    var slice: FileSlice
    /// What the store lists under the number; compared with the file before anything is sent.
    var candidate: StoredPart?
    /// For a stream: the row under the number, if ledger and store agree on it; compared with the bytes too.
    var known: PartRecord?
    /// Payload bytes sent for it before it was postponed.
    var bytesSent: Int64 = 0
    /// Called when the part is recorded, or never will be.
    var release: (@Sendable () -> Void)?
}

/// One upload in a run, shared by its workers: its state, and counters that can be read at any time.
package final class Transfer: Sendable {
    let job: UploadJob
    let startedAt = Moment.now()
    /// The size, if it is sent in one request from a worker's buffer.
    let smallSize: Int64?
    private let state: Monitor<TransferState>

    /// Payload bytes sent in this run.
    let bytesSent = Atomic<Int64>(0)
    /// Payload bytes of parts in flight.
    let bytesInFlight = Atomic<Int64>(0)
    /// Bytes of recorded parts, of this and earlier runs.
    let bytesDone = Atomic<Int64>(0)
    let bytesSkipped = Atomic<Int64>(0)
    let partsDone = Atomic<Int>(0)
    /// Nanoseconds of the monotonic clock; the maximum if there is nothing to watch.
    let nextPaceCheck = Atomic<Int64>(.max)
    /// How long it has failed without progress.
    let streak = FailureStreak()
    /// Whether a requested restart has aborted the upload of an earlier run.
    let hasRestarted = Atomic<Bool>(false)
    private let hasFailed = Atomic<Bool>(false)

    init(_ job: UploadJob) {
        self.job = job
        var state = TransferState(size: job.size)
        if job.share == .small, let size = state.size, size < StragglerWatch.leastLength {
            smallSize = size
        } else {
            smallSize = nil
        }
        if case .claimed(let record, let lease) = job.row { state.claim(record, lease) }
        self.state = Monitor(state)
    }

    /// Makes a transition, or reads several values consistently.
    func change<Result>(_ transition: (inout TransferState) -> Result) -> Result {
        state.withLock(transition)
    }

    var record: UploadRecord? { state.withLock { $0.record } }
    /// The row, which every transfer has from its first step. A step without one is a bug and stops the process before
    /// it sends something that no record knows.
    var claimedRecord: UploadRecord {
        guard let record else { fatalError("an upload without a row") }
        return record
    }
    /// The row's number, without copying the record: used for each part.
    var number: Int64 {
        guard let number = state.withLock({ $0.record?.number }) else { fatalError("an upload without a row") }
        return number
    }
    var source: SourceFile? { state.withLock { $0.source } }
    var size: Int64? { state.withLock { $0.size } }
    var partCount: Int? { state.withLock { $0.partCount } }
    var negotiated: NegotiatedIntegrity { state.withLock { $0.negotiated } }
    var checksumMode: ChecksumMode { negotiated.checksumMode }
    var hasLookedAgain: Bool { state.withLock { $0.hasLookedAgain } }
    var hasEnded: Bool { state.withLock { $0.hasEnded } }

    /// The object's address, for messages.
    var name: String { job.destination.description }

    /// Whether work on its parts is pointless.
    var isStopped: Bool { hasFailed.load(ordering: .relaxed) }

    /// Keeps the first failure and stops the workers.
    func fail(_ failure: UploadFailure) {
        change { $0.fail(failure) }
        hasFailed.store(true, ordering: .relaxed)
    }

    func update(_ record: UploadRecord) {
        change { $0.update(record) }
    }

    func use(_ negotiated: NegotiatedIntegrity) {
        change { $0.use(negotiated) }
    }

    func enter(_ phase: TransferPhase) {
        change { $0.enter(phase) }
    }

    /// Prepares another look. No thread works on it, and all that was sent is recorded.
    func beginAnotherLook() {
        bytesInFlight.store(0, ordering: .relaxed)
        hasFailed.store(false, ordering: .relaxed)
    }

    /// Restarts the part counts at zero; kept parts and newly recorded parts count from here.
    func countPartsAgain() {
        change { $0.countPartsAgain() }
        partsDone.store(0, ordering: .relaxed)
        bytesDone.store(0, ordering: .relaxed)
    }
}
