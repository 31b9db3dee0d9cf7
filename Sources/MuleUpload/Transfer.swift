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
        case claimed(UploadRecord, Lease)
        /// The ledger says that this very source was confirmed at this destination. The row for another upload is made
        /// only if the object is no longer there.
        case doneBefore(UploadRecord, again: NewUpload)
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

    /// Give up what is pending, and begin anew like this.
    package var restartsAs: NewUpload?

    package init(
        source: Source,
        destination: ObjectAddress,
        row: Row,
        service: S3Service,
        restartsAs: NewUpload? = nil
    ) {
        self.source = source
        self.destination = destination
        self.row = row
        self.service = service
        self.restartsAs = restartsAs
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
    /// Called when the part is recorded, or will never be.
    var release: (@Sendable () -> Void)?
}

/// The state of one upload in a run, shared by the workers that carry it.
package final class Transfer: Sendable {
    let job: UploadJob
    let startedAt = Moment.now()
    let state: Monitor<State>

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
    private let hasFailed = Atomic<Bool>(false)

    struct State: Sendable {
        var record: UploadRecord?
        var lease: Lease?
        var source: SourceFile?
        var negotiated = Negotiated(protection: .none, wholeObject: nil)
        var phase = TransferPhase.waiting
        /// Known for files at once, for streams at their end; until then what is expected of them.
        var size: Int64?
        var partCount: Int?
        var recordedParts = 0
        /// Those that hold a piece of its work, the reader of a stream among them.
        var workers = 0
        var failure: UploadFailure?
        var hasEnded = false
        /// Whether this run has taken it up once more, since the store did not have it as it was recorded.
        var hasLookedAgain = false
        /// Whether the store's entity tags were seen to be the MD5 of what it holds.
        var tagsAreMD5 = false
        /// Whether Complete has met a change of the object by somebody else.
        var metConflict = false
        /// When the store gives the upload up by itself; set when it was first looked at.
        var abortDate: AbortDate?
        /// Bytes of the source that are in the page cache only because they are sent, and are to leave it.
        var leavingCache: [Range<Int64>] = []

        /// Nothing more is done for it but to record and report it. Its file is closed: a run may have more of them than may
        /// be open at a time.
        mutating func end(_ phase: TransferPhase) {
            hasEnded = true
            self.phase = phase
            source = nil
        }
    }

    init(_ job: UploadJob) {
        self.job = job
        var state = State()
        state.size = job.size
        if case .claimed(let record, let lease) = job.row {
            state.record = record
            state.lease = lease
            state.partCount = record.partCount
        }
        self.state = Monitor(state)
    }

    /// Whether there is no sense in going on with any of its parts.
    var isStopped: Bool { hasFailed.load(ordering: .relaxed) }

    var record: UploadRecord? { state.withLock { $0.record } }
    var protection: Protection { state.withLock { $0.negotiated.protection } }

    /// For messages: the object's address.
    var name: String { job.destination.description }

    /// Keeps the first failure.
    func fail(_ failure: UploadFailure) {
        state.withLock { state in
            if state.failure == nil { state.failure = failure }
        }
        hasFailed.store(true, ordering: .relaxed)
    }

    /// Ready to be taken up once more. Nobody works on it, and all that it sent is recorded.
    func beginAnotherLook() {
        bytesInFlight.store(0, ordering: .relaxed)
        hasFailed.store(false, ordering: .relaxed)
    }

    /// Its parts are counted from the beginning: what is kept, and what is recorded from here on.
    func beginResume() {
        state.withLock { $0.recordedParts = 0 }
        partsDone.store(0, ordering: .relaxed)
        bytesDone.store(0, ordering: .relaxed)
    }

    func use(_ negotiated: Negotiated) {
        state.withLock { $0.negotiated = negotiated }
    }

    func update(_ record: UploadRecord) {
        state.withLock { $0.record = record }
    }

    func enter(_ phase: TransferPhase) {
        state.withLock { $0.phase = phase }
    }
}

/// What a transfer is busy with, for those who watch.
package enum TransferPhase: Sendable {
    case waiting, checking, sending, completing, done, failed
}
