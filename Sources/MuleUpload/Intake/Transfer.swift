import MuleDigest
package import MuleLedger
package import MulePlan
package import MuleS3
import MuleSystem
import MuleTransport
import Synchronization

/// What is to be uploaded: one source to one object.
package struct UploadJob: Sendable {
    package enum Source: Sendable {
        /// Path as it was named.
        case file([UInt8])
        case stream(StreamInput)
    }

    package enum Row: Sendable {
        /// Its lease is held.
        indirect case claimed(UploadRecord, Lease)
        /// The ledger says that this very source was confirmed at this destination. The row for another upload is made
        /// only if the object is no longer there.
        indirect case doneBefore(UploadRecord, again: NewUpload)
    }

    package var source: Source
    package var destination: ObjectAddress
    package var row: Row
    package var service: S3Service

    /// The source's path as it was named; nil for a stream.
    var path: [UInt8]? {
        if case .file(let path) = source { path } else { nil }
    }

    /// What the source is called in events and in progress; nil for standard input.
    var sourceName: [UInt8]? {
        switch source {
        case .file(let path): path
        case .stream(let input): input.source.name
        }
    }

    /// Which share of the workers it belongs to.
    var share: Share {
        switch row {
        case _ where path == nil: .part
        case .claimed(let record, _): record.upload.partSize == nil ? .small : .part
        case .doneBefore(_, let again): again.partSize == nil ? .small : .part
        }
    }

    /// How many requests are to be expected of it, as its share counts them.
    var weight: Int {
        if case .claimed(let record, _) = row { max(record.partCount ?? 1, 1) } else { 1 }
    }

    /// In bytes; of a stream what is expected, nil where that is nothing.
    var size: Int64? {
        if case .stream(let input) = source { return input.expectedSize }
        return switch row {
        case .claimed(let record, _), .doneBefore(let record, _): record.size
        }
    }

    /// What happens where the file is not the one that the pending upload began with, as only a comparison of its content
    /// shows.
    package enum ContentChange: Sendable {
        /// It is an error, and the parts stay.
        case refuse
        /// The parts are removed, and the file is sent as it is now to the same object.
        case restart
        /// It is an error, and the upload is marked as one to be aborted: the file may be due another object.
        case abort
    }

    /// Give up what is pending, and begin anew like this.
    package var restartsAs: NewUpload?
    package var onChange = ContentChange.refuse
    /// Whether the file must be what was confirmed before, and not only the object still be there.
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
    }
}

/// One part that is to be dealt with.
struct PartWork: Sendable {
    var number: Int
    var slice: FileSlice
    /// What the store lists under the number, to be compared with the file before anything is sent.
    var candidate: StoredPart?
    /// Of a stream: what the ledger has under the number, and the store as well. To be compared with the bytes likewise.
    var known: PartRecord?
    /// Payload bytes that went out for it before it was postponed.
    var bytesSent: Int64 = 0
    /// Called when the part is recorded, or will never be.
    var release: (@Sendable () -> Void)?
}

/// One upload in a run, shared by its workers: its state, and counts that are read while it runs.
package final class Transfer: Sendable {
    let job: UploadJob
    let startedAt = Moment.now()
    private let state: Monitor<TransferState>

    /// Payload bytes that went out in this run.
    let bytesSent = Atomic<Int64>(0)
    /// Those of parts that are under way.
    let bytesInFlight = Atomic<Int64>(0)
    /// Those of recorded parts, in this run or before.
    let bytesDone = Atomic<Int64>(0)
    let bytesSkipped = Atomic<Int64>(0)
    let partsDone = Atomic<Int>(0)
    /// Nanoseconds of the monotonic clock; the end of time where there is nothing to watch.
    let nextLookAtPace = Atomic<Int64>(.max)
    /// How long it has failed without progress.
    let streak = FailureStreak()
    /// Whether what an earlier run began has been aborted, where that was asked for.
    let hasRestarted = Atomic<Bool>(false)
    private let hasFailed = Atomic<Bool>(false)

    init(_ job: UploadJob) {
        self.job = job
        var state = TransferState(size: job.size)
        if case .claimed(let record, let lease) = job.row { state.claim(record, lease) }
        self.state = Monitor(state)
    }

    /// Makes a transition, or reads several facts at one moment.
    func change<Result>(_ transition: (inout TransferState) -> Result) -> Result {
        state.withLock(transition)
    }

    var record: UploadRecord? { state.withLock { $0.record } }
    /// The row, which a transfer has from its first step on. A step without one is a mistake in the program, and ends it before
    /// something is sent that no record would know.
    var claimedRecord: UploadRecord {
        guard let record else { fatalError("an upload without a row") }
        return record
    }
    /// The number of that row, without a copy of the rest: it is asked for with each part.
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

    /// For messages: the object's address.
    var name: String { job.destination.description }

    /// Whether there is no sense in working on any of its parts.
    var isStopped: Bool { hasFailed.load(ordering: .relaxed) }

    /// Keeps the first failure and stops its workers.
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

    /// Ready for another look. No thread works on it, and all that it sent is recorded.
    func beginAnotherLook() {
        bytesInFlight.store(0, ordering: .relaxed)
        hasFailed.store(false, ordering: .relaxed)
    }

    /// Its parts are counted from zero again: those that are kept, and those that are recorded from here on.
    func countPartsAgain() {
        change { $0.countPartsAgain() }
        partsDone.store(0, ordering: .relaxed)
        bytesDone.store(0, ordering: .relaxed)
    }
}
