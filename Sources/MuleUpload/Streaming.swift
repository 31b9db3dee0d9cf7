// A source that can be read once, from front to back. What has been read lies in a nameless file until the store has it,
// so that a part can be sent again; memory stays small whatever the parts' size.

import Glibc
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleTransport
import Synchronization

extension Worker {
    /// Reads the first part. A stream that ends within it goes in one request; any other is created here and read on by
    /// a thread of its own.
    func beginStream(_ transfer: Transfer, descriptor: Int32, plan: StreamPlan) throws(UploadFailure) {
        guard let record = transfer.record else { fatalError("a stream begins with a row") }
        transfer.use(run.negotiated(record, endpoint: transfer.job.service.endpoint.url))
        run.emit(.started(record))
        let spool = try Spool(slots: min(run.settings.concurrency, Spool.maximumSlots) + 1)
        let reader = StreamReader(
            descriptor: descriptor,
            plan: plan,
            limits: try limits(record),
            spool: spool,
            run: run,
            transfer: transfer
        )
        guard let first = try reader.next() else { throw .interrupted }
        if first.isLast {
            transfer.state.withLock { $0.size = first.slice.length }
            run.progress.found(size: first.slice.length)
            let proof = try put(first.slice, transfer, record) { () throws(UploadFailure) in }
            run.completed(transfer, record, proof)
            return
        }
        try create(transfer, record)
        transfer.enter(.sending)
        transfer.state.withLock { $0.workers += 1 }
        let thread = Thread(name: "reader") { [run] in
            do {
                try reader.feed(first)
            } catch let failure as UploadFailure {
                run.fail(transfer, failure)
            } catch {
                fatalError("the reader throws UploadFailure only: \(error)")
            }
            transfer.state.withLock { $0.workers -= 1 }
            run.endIfStopped(transfer)
        }
        run.keep(reader: thread)
    }

    private func limits(_ record: UploadRecord) throws(UploadFailure) -> StoreLimits {
        do {
            return try run.ledger.limits(of: record.upload.store.endpoint)
        } catch {
            throw run.failure(error)
        }
    }
}

/// Where parts of a stream wait: slots of a file that has no name and vanishes with the process.
final class Spool: Sendable {
    static let maximumSlots = 8

    let file: File
    private let free: Monitor<[Slot]>

    struct Slot: Sendable {
        var offset: Int64
    }

    /// Slots are this far apart, more than any part is long; the file is sparse.
    private static let stride: Int64 = 5 << 30

    init(slots: Int) throws(UploadFailure) {
        let directory = getenv("TMPDIR").map { Array(String(cString: $0).utf8) } ?? Array("/var/tmp".utf8)
        do {
            file = try File.openNameless(directory: directory)
        } catch {
            throw UploadFailure(
                .source,
                "No room to hold the stream's parts in \(UTF8Repair.string(directory)): \(error.reason). Name another "
                    + "directory in TMPDIR."
            )
        }
        free = Monitor((0..<slots).map { Slot(offset: Int64($0) * Self.stride) })
    }

    /// Waits for a free slot; nil when the wait is over for another reason.
    func take(unless isStopped: () -> Bool) -> Slot? {
        while !isStopped() {
            if let slot = free.wait(until: Moment.now().adding(seconds: 0.2), for: { $0.popLast() }) { return slot }
        }
        return nil
    }

    func release(_ slot: Slot) {
        free.update { $0.append(slot) }
    }
}

/// Cuts a stream into parts.
private final class StreamReader: Sendable {
    struct Part: Sendable {
        var slice: FileSlice
        var slot: Spool.Slot
        var isLast: Bool
    }

    private let descriptor: Int32
    private let plan: StreamPlan
    private let limits: StoreLimits
    private let spool: Spool
    private let run: UploadRun
    private let transfer: Transfer
    private let sent = Atomic<Int64>(0)

    private static let chunk = 256 << 10

    init(
        descriptor: Int32,
        plan: StreamPlan,
        limits: StoreLimits,
        spool: Spool,
        run: UploadRun,
        transfer: Transfer
    ) {
        self.descriptor = descriptor
        self.plan = plan
        self.limits = limits
        self.spool = spool
        self.run = run
        self.transfer = transfer
    }

    private var isStopped: Bool { run.isStopping || transfer.isStopped }

    /// Hands all parts to the workers, then says how many there were.
    func feed(_ first: Part) throws(UploadFailure) {
        var number = 0
        var part = first
        while true {
            number += 1
            guard number <= limits.maximumPartCount else {
                throw UploadFailure(
                    .source,
                    "The stream is longer than \(limits.maximumPartCount) parts can hold: use a larger --part-size."
                )
            }
            let slot = part.slot
            run.queue.add(
                parts: [
                    PartWork(number: number, slice: part.slice, release: { [spool] in spool.release(slot) })
                ],
                of: transfer
            )
            if part.isLast { break }
            guard let next = try next() else { throw .interrupted }
            if next.slice.length == 0 {
                spool.release(next.slot)
                break
            }
            part = next
        }
        run.streamEnded(transfer, size: sent.load(ordering: .relaxed), partCount: number)
    }

    /// Reads the next part into the spool; nil when the run has been stopped.
    func next() throws(UploadFailure) -> Part? {
        guard let slot = spool.take(unless: { self.isStopped }) else { return nil }
        let size = plan.partSize(after: sent.load(ordering: .relaxed), limits: limits)
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
                    "The stream's parts can't be held: \(error.reason). Free space there or name another directory in "
                        + "TMPDIR."
                )
            }
            length += Int64(count)
        }
        sent.add(length, ordering: .relaxed)
        return Part(
            slice: FileSlice(file: spool.file, offset: slot.offset, length: length),
            slot: slot,
            isLast: isLast
        )
    }

    /// 0 at the end of the stream, nil when the run has been stopped.
    private func read(_ buffer: UnsafeMutableRawBufferPointer, limit: Int) throws(UploadFailure) -> Int? {
        do {
            while !isStopped {
                // A producer may be silent for hours; a stop must be heard all the same.
                var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                let ready = try retryingInterrupts("poll") { poll(&request, 1, 200) }
                if ready == 0 {
                    run.patience.noteProgress()
                    continue
                }
                return try retryingInterrupts("read") { Glibc.read(descriptor, buffer.baseAddress, limit) }
            }
            return nil
        } catch {
            throw UploadFailure(.source, "Standard input can't be read: \(error.reason).")
        }
    }
}
