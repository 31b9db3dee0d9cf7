import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleTransport
import Synchronization

/// A thread of the pool: its client, its buffer, and the loop that takes work and performs it.
final class Worker {
    let run: UploadRun
    let digester = Digester()
    let client: StoreClient
    /// Requests to stores other than sending bytes.
    let remote: RemoteSteps
    /// Earlier failures of the current work; nil if it cannot be postponed.
    private(set) var earlier: EarlierFailures?
    /// What the current work counts against.
    private(set) var slot = Work.Slot.limit

    init(_ run: UploadRun) {
        self.run = run
        client = StoreClient(run.context)
        remote = RemoteSteps(client: client, ledger: run.ledger, emit: { [run] in run.emit($0) })
    }

    /// Works until the queue returns nil.
    func work() {
        while let work = run.queue.next() {
            if run.queue.wantsWorker() { run.startWorker() }
            let began = Moment.now()
            let isSuccess = perform(work)
            run.queue.done(work, in: Moment.now().seconds(since: began), isSuccess: isSuccess)
        }
    }

    private func perform(_ work: Work) -> Bool {
        let transfer = work.transfer
        var isSuccess = false
        earlier = work.canStartAgain ? work.earlier : nil
        slot = work.slot
        client.isRetry = work.isRetry
        do throws(UploadFailure) {
            if let failure = run.failureOfStore(of: transfer) { throw failure }
            if transfer.isStopped || run.isStopping { throw UploadFailure.interrupted }
            run.recorder.waitForRoom()
            do throws(UploadFailure) {
                try perform(work.step, of: transfer, isFirst: !work.isRetry)
            } catch {
                guard error.kind == .exists else { throw error }
                try acceptExisting(transfer, after: error)
            }
            isSuccess = true
            if work.isRetry { run.context.noteProgress(run.context.store(transfer.job.service), transfer) }
        } catch {
            if let postponement = error.postponement {
                if case .begin = work.step { transfer.change { $0.close() } }
                run.queue.postpone(work, postponement)
                run.noteSign()
            } else {
                if case .part(let part) = work.step { part.release?() }
                run.fail(transfer, error)
            }
        }
        transfer.change { $0.endWork() }
        run.endIfStopped(transfer)
        return isSuccess
    }

    private func perform(_ step: Work.Step, of transfer: Transfer, isFirst: Bool) throws(UploadFailure) {
        switch step {
        case .begin: try begin(transfer, isFirst: isFirst)
        case .reconcile(let isGone): try reconcile(transfer, isGone: isGone)
        case .part(let part): try uploadPart(part, of: transfer)
        case .complete: try complete(transfer)
        }
    }

    // MARK: Digests

    func digest(
        _ slice: FileSlice,
        _ transfer: Transfer,
        crc: CRCAlgorithm,
        withSHA256: Bool = false,
        withMD5: Bool = false
    ) throws(UploadFailure) -> SliceDigest {
        do {
            return try digester.digest(slice, crc: crc, withSHA256: withSHA256, withMD5: withMD5) {
                run.stallTimer.noteProgress()
                return run.isStopping || transfer.isStopped
            }
        } catch {
            switch error {
            case .cancelled: throw .interrupted
            case .sourceEnded(let offset):
                throw UploadFailure(.source, "The source of \(transfer.name) ends at byte \(offset); it changed.")
            default:
                throw UploadFailure(
                    .source,
                    "The source of \(transfer.name) cannot be read: \(error.sentence).",
                    isResumable: true
                )
            }
        }
    }
}
