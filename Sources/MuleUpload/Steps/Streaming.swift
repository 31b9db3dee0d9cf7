// Streams: sources that can be read only once, in order. Parts wait in an unnamed file until the store has them, so
// that they can be resent; memory does not depend on the part size. If an earlier run started the upload, the stream is
// split the same way, and each part is compared with its record before it is sent.

import Glibc
import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleTransport
import Synchronization

extension Worker {
    /// Reads the first part. A stream that ends within it is sent in one request. Any other is created here unless it
    /// resumes an earlier run, and a separate thread reads the rest.
    func beginStream(_ transfer: Transfer, _ input: StreamInput) throws(UploadFailure) {
        if let fresh = transfer.job.restartsAs { try abandonStream(transfer.claimedRecord, for: fresh, transfer) }
        let claimed = transfer.claimedRecord
        transfer.use(run.negotiated(claimed, transfer.job.service))
        run.emit(.started(claimed))
        let earlier = try takeUp(transfer)
        let record = transfer.claimedRecord
        let limits = try limits(record, transfer)
        // Before the command starts: without the spool its output has nowhere to go.
        let spool = try Spool(slots: min(run.settings.concurrency, Spool.maximumSlots) + 1)
        let reader = StreamReader(
            try OpenStream(input, sending: transfer.name),
            plan: StreamPlan(equalPartSize: record.upload.partSize),
            limits: limits,
            earlier: earlier,
            spool: spool,
            run: run,
            transfer: transfer
        )
        do throws(UploadFailure) {
            guard let first = try reader.next() else { throw .interrupted }
            let hasUpload = record.uploadID != nil
            if first.isLast, !hasUpload || first.slice.length == 0 {
                try reader.end()
                // An upload in parts needs at least one part.
                if record.mayHoldParts { try abandonStream(record, for: record.upload, transfer) }
                try putStream(first.slice, transfer)
                return
            }
            if !hasUpload { try create(transfer, record) }
            transfer.enter(.sending)
            transfer.change { $0.startWork() }
            do throws(SystemError) {
                let thread = try Thread(name: "reader") { [run] in
                    do throws(UploadFailure) {
                        try reader.feed(first)
                    } catch {
                        reader.stop()
                        run.fail(transfer, error)
                    }
                    transfer.change { $0.endWork() }
                    run.endIfStopped(transfer)
                }
                run.add(reader: thread)
            } catch {
                transfer.change { $0.endWork() }
                throw UploadFailure.noThread(error)
            }
        } catch {
            reader.stop()
            throw error
        }
    }

    /// Sends the whole stream in one request.
    private func putStream(_ slice: FileSlice, _ transfer: Transfer) throws(UploadFailure) {
        let record = transfer.claimedRecord
        let expected = transfer.change { $0.endStream(size: slice.length) }
        run.progress.found(size: slice.length, insteadOf: expected)
        let proof = try put(slice, transfer, record: record) { () throws(UploadFailure) in }
        run.completed(transfer, record, proof: proof)
    }

    private func limits(_ record: UploadRecord, _ transfer: Transfer) throws(UploadFailure) -> StoreLimits {
        return try run.ledger.reporting { ledger throws(LedgerError) in
            try ledger.limits(
                of: record.upload.store.endpoint,
                transfer.job.service.limits,
                asked: record.upload.partSize
            )
        }
    }

    private func abandonStream(
        _ record: UploadRecord,
        for fresh: NewUpload,
        _ transfer: Transfer
    ) throws(UploadFailure) {
        let replanned = try abandon(record, for: fresh, transfer)
        transfer.use(run.negotiated(replanned, transfer.job.service))
    }

    // MARK: Parts of an earlier run

    /// Asks the store for the parts of the upload, if there is one. If it is gone, its row is closed or restarted.
    private func takeUp(_ transfer: Transfer) throws(UploadFailure) -> EarlierParts {
        guard let record = transfer.record, let uploadID = record.uploadID else { return EarlierParts() }
        try remote.awaitEarlierComplete(record, transfer)
        let rows = try run.ledger.reporting { ledger throws(LedgerError) in try ledger.parts(of: record.number) }
        let (listing, stored) = try list(uploadID, transfer, record: record)
        let checksumMode = transfer.checksumMode
        let earlier: EarlierParts
        switch listing {
        case .noSuchUpload:
            try settleVanished(rows, record, transfer: transfer)
            return EarlierParts()
        case .unavailable:
            earlier = EarlierParts(rows, stored: [:]) { $0.isDigested(for: checksumMode) }
        case .parts(let parts):
            let listed = Dictionary(parts.map { ($0.number, $0) }) { first, _ in first }
            earlier = EarlierParts(rows, stored: stored) { row in
                let recorded = RecordedPart(
                    number: row.number,
                    size: row.size,
                    eTag: row.eTag,
                    checksum: Self.checksum(of: row, checksumMode)?.base64
                )
                guard let there = listed[row.number], there.size == row.size else { return false }
                return row.isDigested(for: checksumMode) && there.isSame(as: recorded)
            }
        }
        try run.ledger.reporting { ledger throws(LedgerError) in
            try ledger.forgetParts(earlier.forgotten, of: record.number)
        }
        run.emit(.goingOn(record, transfer, earlier: earlier))
        run.watchAbortDate(of: transfer)
        return earlier
    }

    /// The upload is gone at the store. If it was completed and only the answer was lost, its row is closed and this
    /// stream gets a new row: it may be a newer stream of the same name. If not, the row restarts.
    private func settleVanished(
        _ rows: [PartRecord],
        _ record: UploadRecord,
        transfer: Transfer
    ) throws(UploadFailure) {
        switch try remote.completion(of: record, rows, transfer) {
        case .proven(let proof, let size):
            try close(record, .done(proof, size: size, partCount: rows.count))
            run.emit(
                .notice(
                    id: record.id,
                    "\(transfer.name) was already completed as \(record.id); only the answer was lost. The current "
                        + "input is treated as another stream and sent from its start."
                )
            )
            try claimAgain(record, transfer)
        case .unproven(let reason):
            try leaveUnknown(record, reason, transfer: transfer)
        case .hidden(let error):
            try leaveUnknown(
                record,
                error.shortReason + "; this needs " + error.operation.permission,
                transfer: transfer
            )
        case .notOurs:
            transfer.update(try run.ledger.reporting { ledger throws(LedgerError) in try ledger.restart(record) })
            run.emit(
                .notice(
                    id: record.id,
                    "The upload of \(transfer.name) no longer exists at the store (aborted or expired): restarting the "
                        + "upload."
                )
            )
        }
        transfer.use(run.negotiated(transfer.claimedRecord, transfer.job.service))
    }

    private func leaveUnknown(
        _ record: UploadRecord,
        _ reason: String,
        transfer: Transfer
    ) throws(UploadFailure) {
        let message = UploadFailure.unknownOutcome(transfer, reason).message
        try close(record, .stopped(.unknown, error: message))
        run.emit(.notice(id: record.id, message + " The current input is sent from its start."))
        try claimAgain(record, transfer)
    }

    private func close(_ record: UploadRecord, _ outcome: Ledger.Outcome) throws(UploadFailure) {
        try run.ledger.reporting { ledger throws(LedgerError) in try ledger.commit([.end(of: record, outcome)]) }
    }

    /// Creates a new row for this stream.
    private func claimAgain(_ record: UploadRecord, _ transfer: Transfer) throws(UploadFailure) {
        let claim = try run.ledger.reporting { ledger throws(LedgerError) in
            try ledger.claimStream(record.upload, choosing: { _ in nil }).claim
        }
        // No open upload was accepted, so the ledger created a row and took its lease in one transaction.
        guard case .began(let fresh, let lease) = claim else { fatalError("a new row is held by another process") }
        transfer.change { $0.claim(fresh, lease) }
    }
}

extension UploadEvent {
    fileprivate static func goingOn(
        _ record: UploadRecord,
        _ transfer: Transfer,
        earlier: EarlierParts
    ) -> UploadEvent {
        let (count, bytes) = earlier.tally
        return .notice(
            id: record.id,
            "Resuming \(record.id) (\(transfer.name)): the stream is read from its start and compared with the "
                + "\(count) \(count == 1 ? "part" : "parts") (\(ByteSize.format(bytes))) that the store has; matching "
                + "parts are not sent again."
        )
    }
}

/// What the ledger and the store have of a stream that is read again.
private struct EarlierParts: Sendable {
    /// Rows that the store confirms, or cannot be asked about.
    private(set) var known: [Int: PartRecord] = [:]
    /// Other parts that the store lists.
    private(set) var candidates: [Int: StoredPart] = [:]
    /// Numbers of rows that differ from the store.
    private(set) var forgotten: [Int] = []

    init() {}

    /// - Parameter stored: the parts that the store lists, if listing is possible.
    init(_ rows: [PartRecord], stored: [Int: StoredPart], isConfirmed: (PartRecord) -> Bool) {
        for row in rows {
            if isConfirmed(row) { known[row.number] = row } else { forgotten.append(row.number) }
        }
        candidates = stored.filter { known[$0.key] == nil }
    }

    var tally: (count: Int, bytes: Int64) {
        let sizes = known.values.map(\.size) + candidates.values.map(\.size)
        return (sizes.count, sizes.reduce(0, +))
    }
}

/// Holds parts of a stream in slots of an unnamed file, which disappears with the process.
final class Spool: Sendable {
    static let maximumSlots = 8

    let file: File
    private let state: Monitor<State>

    private struct State {
        var free: [Slot]
        var taken = 0
    }

    struct Slot: Sendable {
        var offset: Int64
    }

    /// Distance of the slots, larger than any part; the file is sparse.
    private static let stride: Int64 = 5 << 30

    /// Bytes that all slots together should not exceed.
    private let budget: Int64

    /// - Parameter available: free bytes in the directory; nil asks the file system.
    init(slots: Int, available: Int64? = nil) throws(UploadFailure) {
        let directory = getenv("TMPDIR").map { Array(String(cString: $0).utf8) } ?? Array("/var/tmp".utf8)
        do throws(SystemError) {
            file = try File.openNameless(directory: directory)
            // Leave half to other programs.
            if let available {
                budget = available / 2
            } else {
                budget = try FileSystem.of(path: directory).available / 2
            }
        } catch {
            throw UploadFailure(
                .source,
                "Cannot buffer the stream's parts in \(LossyUTF8.string(directory)): \(error.reason). Set TMPDIR to "
                    + "another directory."
            )
        }
        state = Monitor(State(free: (0..<slots).map { Slot(offset: Int64($0) * Self.stride) }))
    }

    /// Waits for a free slot; nil if stopped.
    ///
    /// - Parameter size: bytes that the slot will hold. On a small disk, large parts get fewer slots, but at least two:
    ///   one is read while another is sent.
    func take(size: Int64, unless isStopped: () -> Bool) -> Slot? {
        let most = max(2, budget / max(size, 1))
        while !isStopped() {
            let slot = state.wait(until: Moment.now().adding(seconds: 0.2)) { state -> Slot? in
                guard state.taken < most, let slot = state.free.popLast() else { return nil }
                state.taken += 1
                return slot
            }
            if let slot { return slot }
        }
        return nil
    }

    func release(_ slot: Slot) {
        state.update { state in
            state.free.append(slot)
            state.taken -= 1
        }
    }
}

/// Splits a stream into parts.
private final class StreamReader: Sendable {
    struct Part: Sendable {
        var slice: FileSlice
        var slot: Spool.Slot
        var isLast: Bool
    }

    private let stream: OpenStream
    private let plan: StreamPlan
    private let limits: StoreLimits
    private let earlier: EarlierParts
    private let spool: Spool
    private let run: UploadRun
    private let transfer: Transfer
    private let sent = Atomic<Int64>(0)
    private let partsRead = Atomic<Int>(0)
    /// Parts queued and neither recorded nor failed.
    private let underWay = Atomic<Int>(0)

    private static let chunk = 256 << 10

    init(
        _ stream: OpenStream,
        plan: StreamPlan,
        limits: StoreLimits,
        earlier: EarlierParts,
        spool: Spool,
        run: UploadRun,
        transfer: Transfer
    ) {
        self.stream = stream
        self.plan = plan
        self.limits = limits
        self.earlier = earlier
        self.spool = spool
        self.run = run
        self.transfer = transfer
    }

    private var isStopped: Bool { run.isStopping || transfer.isStopped }

    /// Queues all parts; sets their number after the command has exited with success.
    func feed(_ first: Part) throws(UploadFailure) {
        var number = 0
        var part = first
        while true {
            number += 1
            guard number <= limits.maximumPartCount else {
                throw UploadFailure(
                    .source,
                    "The stream is longer than \(limits.maximumPartCount) parts can hold. Upload it again with "
                        + "--restart, and give its size with --expected-size."
                )
            }
            run.queue.add(parts: [work(number, part)], of: transfer)
            if part.isLast { break }
            guard let next = try next() else { throw .interrupted }
            if next.slice.length == 0 {
                spool.release(next.slot)
                break
            }
            part = next
        }
        try end()
        // Left from a stream that was longer.
        try forget(earlier.known.keys.filter { $0 > number })
        run.streamEnded(transfer, size: sent.load(ordering: .relaxed), partCount: number)
    }

    private func work(_ number: Int, _ part: Part) -> PartWork {
        let slot = part.slot
        underWay.add(1, ordering: .relaxed)
        return PartWork(
            number: number,
            slice: part.slice,
            candidate: earlier.candidates[number],
            known: earlier.known[number],
            release: { [self] in
                spool.release(slot)
                underWay.subtract(1, ordering: .relaxed)
            }
        )
    }

    private func forget(_ numbers: [Int]) throws(UploadFailure) {
        let number = transfer.number
        try run.ledger.reporting { ledger throws(LedgerError) in try ledger.forgetParts(numbers, of: number) }
    }

    /// Waits until the command has exited with success.
    func end() throws(UploadFailure) {
        try stream.end(unless: { isStopped }, onWait: { noteSilence() })
    }

    /// A command may print nothing for hours, which is no stall. While parts are in flight, these must make progress.
    private func noteSilence() {
        if underWay.load(ordering: .relaxed) == 0 { run.stallTimer.noteProgress() }
    }

    /// The rest of the stream is not needed.
    func stop() { stream.stop() }

    /// Reads the next part into the spool; nil if the run was stopped.
    func next() throws(UploadFailure) -> Part? {
        let number = partsRead.wrappingAdd(1, ordering: .relaxed).newValue
        let size = plan.partSize(number: number, after: sent.load(ordering: .relaxed), limits: limits)
        guard let slot = spool.take(size: size, unless: { self.isStopped }) else { return nil }
        var length: Int64 = 0
        var isLast = false
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.chunk, alignment: 4096)
        defer { buffer.deallocate() }
        while length < size {
            guard let count = try read(buffer, limit: Int(min(Int64(buffer.count), size - length))) else { return nil }
            if count == 0 {
                isLast = true
                break
            }
            do {
                try spool.file.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]), at: slot.offset + length)
            } catch {
                throw UploadFailure(
                    .source,
                    "Cannot buffer the stream's parts: \(error.reason). Free some space there or set TMPDIR to another "
                        + "directory.",
                    isResumable: true
                )
            }
            length += Int64(count)
        }
        noteLength(sent.wrappingAdd(length, ordering: .relaxed).newValue)
        return Part(
            slice: FileSlice(file: spool.file, offset: slot.offset, length: length),
            slot: slot,
            isLast: isLast
        )
    }

    /// A stream that exceeds its expected length has an unknown length.
    private func noteLength(_ length: Int64) {
        if let expected = transfer.change({ $0.outgrow(length) }) { run.progress.found(size: nil, insteadOf: expected) }
    }

    /// 0 at the end of the stream, nil if the run was stopped.
    private func read(_ buffer: UnsafeMutableRawBufferPointer, limit: Int) throws(UploadFailure) -> Int? {
        while !isStopped {
            // The loop must notice a stop while the command prints nothing.
            if let count = try stream.read(into: buffer, limit: limit) { return count }
            noteSilence()
        }
        return nil
    }
}
