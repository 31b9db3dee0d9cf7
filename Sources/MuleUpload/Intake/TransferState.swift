import MuleLedger
import MulePlan
import MuleSystem

/// The state of one upload in a run: what its workers share, and the only transitions that change it.
///
///     waiting ─→ checking ─→ sending ─→ completing ─→ done
///                   ↑___________│___________│               once, when the store does not have it as recorded
///     each of them ─→ failed
///
/// A plain value without locks, clocks or effects. `Transfer` guards it and acts on what a transition returns.
struct TransferState: Sendable {
    private(set) var record: UploadRecord?
    private(set) var lease: Lease?
    /// The open file; nil for a stream, before opening, and at the end.
    private(set) var source: SourceFile?
    private(set) var negotiated = NegotiatedIntegrity(checksumMode: .none, wholeObject: nil)
    private(set) var phase = TransferPhase.waiting
    /// In bytes. Known for files; for a stream the expected size until it ends, nil if unknown.
    private(set) var size: Int64?
    /// Parts of the whole upload; nil for a single request, and for a stream that has not ended.
    private(set) var partCount: Int?
    /// Parts kept or recorded.
    private(set) var recordedParts = 0
    /// Threads that work on it, including the reader of a stream.
    private(set) var workers = 0
    /// The first failure since the last look.
    private(set) var failure: UploadFailure?
    /// Whether this run has looked at the upload again because the store did not have it as recorded.
    private(set) var hasLookedAgain = false
    /// The mode to create the upload again with, until that is done.
    private(set) var rungToRestart: ChecksumMode?
    /// Whether this run created the upload for parts with checksums, regardless of the store's answer.
    private(set) var wasCreatedForChecksum = false
    /// Whether the store's ETags are known to be MD5s of its data.
    private(set) var tagsAreMD5 = false
    /// Whether the store has refused a part without Content-MD5, although it compares signed bodies.
    private(set) var needsMD5 = false
    /// Whether Complete met a concurrent change of the object by another client.
    private var hasMetConflict = false
    /// When the store aborts the upload on its own.
    private(set) var abortDate: AbortDate?
    /// Byte ranges of the source that are in the page cache only because they are sent; dropped afterwards.
    private(set) var leavingCache: [Range<Int64>] = []

    init(size: Int64?) {
        self.size = size
    }

    var hasEnded: Bool { phase == .done || phase == .failed }

    /// Whether all parts are recorded, so that Complete is due.
    private var isWhole: Bool { recordedParts == partCount }

    // MARK: The row

    /// This process holds the row.
    mutating func claim(_ record: UploadRecord, _ lease: Lease) {
        self.record = record
        self.lease = lease
        partCount = record.partCount
    }

    /// The row has changed, with the same plan.
    mutating func update(_ record: UploadRecord) {
        self.record = record
    }

    /// The row has a new plan, and the store has nothing of it. A stream keeps its expected size.
    mutating func replan(_ record: UploadRecord) {
        self.record = record
        size = record.size ?? size
        partCount = record.partCount
        recordedParts = 0
    }

    // MARK: Progress

    mutating func open(_ source: SourceFile) {
        guard !hasEnded else { return }
        self.source = source
    }

    /// Its first step is postponed. The file is opened again then, because many uploads may wait.
    mutating func close() {
        source = nil
    }

    mutating func enter(_ phase: TransferPhase) {
        guard !hasEnded else { return }
        self.phase = phase
    }

    mutating func use(_ negotiated: NegotiatedIntegrity) {
        self.negotiated = negotiated
    }

    /// An answer showed another checksum mode.
    ///
    /// - Returns: the text for the ledger; nil if nothing changed.
    mutating func setChecksumMode(_ checksumMode: ChecksumMode) -> String? {
        guard negotiated.checksumMode != checksumMode else { return nil }
        negotiated.checksumMode = checksumMode
        return negotiated.text
    }

    mutating func noteCreated(for checksum: Bool) {
        wasCreatedForChecksum = checksum
        rungToRestart = nil
    }

    mutating func noteTagsAreMD5() {
        tagsAreMD5 = true
    }

    mutating func noteMD5IsNeeded() {
        needsMD5 = true
    }

    /// - Returns: whether it is the first conflict of this upload in the run.
    mutating func meetConflict() -> Bool {
        defer { hasMetConflict = true }
        return !hasMetConflict
    }

    /// - Returns: whether no date was known before.
    mutating func learn(_ date: AbortDate) -> Bool {
        defer { abortDate = date }
        return abortDate == nil
    }

    mutating func record(abortDate text: String) {
        record?.abortDate = text
    }

    mutating func dropFromCache(_ ranges: [Range<Int64>]) {
        leavingCache = ranges
    }

    // MARK: Parts

    /// Restarts the part count at zero; kept parts and newly recorded parts count from here.
    mutating func countPartsAgain() {
        recordedParts = 0
    }

    /// Parts of an earlier run, or from before this run looked again, are at the store as recorded.
    ///
    /// - Returns: whether they were the last, so that Complete is due. Only one transition returns true.
    mutating func addRecorded(parts: Int) -> Bool {
        recordedParts += parts
        return parts > 0 && isWhole
    }

    /// A part's row is on disk.
    ///
    /// - Returns: whether it was the last, so that Complete is due.
    mutating func recordPart() -> Bool {
        addRecorded(parts: 1)
    }

    /// A stream in parts has ended.
    ///
    /// - Returns: whether Complete is due, and the expected size.
    mutating func endStream(size: Int64, partCount: Int) -> (isWhole: Bool, expected: Int64?) {
        let expected = endStream(size: size)
        self.partCount = partCount
        return (isWhole, expected)
    }

    /// A stream has ended, and its size is known.
    ///
    /// - Returns: the expected size.
    mutating func endStream(size: Int64) -> Int64? {
        defer { self.size = size }
        return self.size
    }

    /// A stream has at least this many bytes.
    ///
    /// - Returns: the expected size if the stream exceeds it; its size is unknown from then on.
    mutating func outgrow(_ length: Int64) -> Int64? {
        guard let expected = size, length > expected else { return nil }
        size = nil
        return expected
    }

    // MARK: Workers and ends

    mutating func startWork() {
        workers += 1
    }

    mutating func endWork() {
        workers -= 1
    }

    /// Keeps the first failure.
    mutating func fail(_ failure: UploadFailure) {
        guard !hasEnded, self.failure == nil else { return }
        self.failure = failure
    }

    /// What follows a failure.
    enum Conclusion {
        /// The store does not have the upload as recorded, or does not accept its parts: look again.
        case reconcile(UploadFailure)
        /// The upload has ended and must be reported.
        case failed(UploadFailure)
    }

    /// Concludes a failure once no thread works on the upload.
    ///
    /// - Parameter isStopping: whether the run stops and must not look again.
    /// - Returns: nil if there is nothing to conclude; only one caller gets the conclusion.
    mutating func conclude(isStopping: Bool) -> Conclusion? {
        guard workers == 0, !hasEnded, let failure else { return nil }
        // Each restart uses a lower mode, so this ends.
        if let lower = failure.lowerRung, !isStopping {
            rungToRestart = lower
            self.failure = nil
            return .reconcile(failure)
        }
        if failure.needsReconciling, !hasLookedAgain, !isStopping {
            hasLookedAgain = true
            self.failure = nil
            return .reconcile(failure)
        }
        end(.failed)
        return .failed(failure)
    }

    /// The object is proven.
    mutating func complete() {
        end(.done)
    }

    /// Closes the file: more uploads may wait to be reported than files may be open.
    private mutating func end(_ phase: TransferPhase) {
        self.phase = phase
        source = nil
    }

    /// The upload has been reported: another process may claim the row.
    mutating func release() {
        lease = nil
    }
}

/// What a transfer is doing, for progress displays.
package enum TransferPhase: Sendable {
    case waiting, checking, sending, completing, done, failed
}
