import MuleLedger
import MulePlan
import MuleSystem

/// Where one upload stands in a run: what its workers share, and the only ways in which that changes.
///
///     waiting ─→ checking ─→ sending ─→ completing ─→ done
///                   ↑___________│___________│               once, when the store does not have it as recorded
///     each of them ─→ failed
///
/// A plain value: no lock, no clock, no effect. `Transfer` guards it and acts on what a transition returns.
struct TransferState: Sendable {
    private(set) var record: UploadRecord?
    private(set) var lease: Lease?
    /// The open file; nil for a stream, before it is opened, and after the end.
    private(set) var source: SourceFile?
    private(set) var negotiated = NegotiatedIntegrity(checksumMode: .none, wholeObject: nil)
    private(set) var phase = TransferPhase.waiting
    /// In bytes. Known for files at once; for streams the expected size until they end, nil where none is known.
    private(set) var size: Int64?
    /// Parts of the whole upload; nil for one request, and for a stream that has not ended.
    private(set) var partCount: Int?
    /// Parts that are kept or have been recorded.
    private(set) var recordedParts = 0
    /// Threads that work on it, the reader of a stream among them.
    private(set) var workers = 0
    /// The first failure since the last look.
    private(set) var failure: UploadFailure?
    /// Whether this run has looked at the upload once more, since the store did not have it as recorded.
    private(set) var hasLookedAgain = false
    /// Where it is to be created once more, until that is done.
    private(set) var rungToRestart: ChecksumMode?
    /// Whether the upload was created in this run for parts with a checksum, whatever the store answered to that.
    private(set) var wasCreatedForChecksum = false
    /// Whether the store's entity tags were seen to be the MD5 of what it holds.
    private(set) var tagsAreMD5 = false
    /// Whether Complete has met a change of the object by another client.
    private var hasMetConflict = false
    /// When the store aborts the upload by itself.
    private(set) var abortDate: AbortDate?
    /// Byte ranges of the source that are in the page cache only because they are sent, and are to leave it.
    private(set) var leavingCache: [Range<Int64>] = []

    init(size: Int64?) {
        self.size = size
    }

    var hasEnded: Bool { phase == .done || phase == .failed }

    /// Whether every part is recorded, so that Complete is due.
    private var isWhole: Bool { recordedParts == partCount }

    // MARK: The row

    /// The row is this process's.
    mutating func claim(_ record: UploadRecord, _ lease: Lease) {
        self.record = record
        self.lease = lease
        partCount = record.partCount
    }

    /// The row says something else now; its plan is the same.
    mutating func update(_ record: UploadRecord) {
        self.record = record
    }

    /// The row has a new plan, and nothing of it is at the store. What a stream is expected to have stays.
    mutating func replan(_ record: UploadRecord) {
        self.record = record
        size = record.size ?? size
        partCount = record.partCount
        recordedParts = 0
    }

    // MARK: On the way

    mutating func open(_ source: SourceFile) {
        guard !hasEnded else { return }
        self.source = source
    }

    /// Its first step is postponed: the file is opened again then, since many uploads may wait.
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
    /// - Returns: what the ledger should know; nil when nothing has changed.
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

    /// Parts are counted from zero again: those that are kept, and those that are recorded from here on.
    mutating func countPartsAgain() {
        recordedParts = 0
    }

    /// Parts of an earlier run, or of this one before it looked again, are at the store as recorded.
    ///
    /// - Returns: whether they were the last, so that Complete is due. The caller of one transition alone is told so.
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
    /// - Returns: whether Complete is due, and the size it was expected to have.
    mutating func endStream(size: Int64, partCount: Int) -> (isWhole: Bool, expected: Int64?) {
        let expected = endStream(size: size)
        self.partCount = partCount
        return (isWhole, expected)
    }

    /// A stream has ended, and its size is known.
    ///
    /// - Returns: the size it was expected to have.
    mutating func endStream(size: Int64) -> Int64? {
        defer { self.size = size }
        return self.size
    }

    /// A stream has at least so many bytes.
    ///
    /// - Returns: the size it was expected to have, where it is longer; from then on its size is unknown.
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
        /// The store does not have the upload as recorded, or does not take its parts: look at it once more.
        case reconcile(UploadFailure)
        /// It has ended and is to be reported.
        case failed(UploadFailure)
    }

    /// Concludes a failure when no thread works on the upload any more.
    ///
    /// - Parameter isStopping: whether the run stops, so that there is no time for another look.
    /// - Returns: nil where there is nothing to conclude; of several callers one gets the conclusion.
    mutating func conclude(isStopping: Bool) -> Conclusion? {
        guard workers == 0, !hasEnded, let failure else { return nil }
        // Each time on a lower rung, so that it ends.
        if let lower = failure.lowerRung, !isStopping {
            rungToRestart = lower
            self.failure = nil
            return .reconcile(failure)
        }
        if failure.asksForAnotherLook, !hasLookedAgain, !isStopping {
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

    /// Closes the file: a run may have more uploads that wait to be reported than files may be open.
    private mutating func end(_ phase: TransferPhase) {
        self.phase = phase
        source = nil
    }

    /// It has been reported: another process may take the row.
    mutating func release() {
        lease = nil
    }
}

/// What a transfer is busy with, for those who watch.
package enum TransferPhase: Sendable {
    case waiting, checking, sending, completing, done, failed
}
