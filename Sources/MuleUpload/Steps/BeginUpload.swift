// The first steps of an upload: find what already exists, and decide what to send.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleTransport
import Synchronization

extension Worker {
    /// - Parameter isFirst: false if the step was postponed before.
    func begin(_ transfer: Transfer, isFirst: Bool) throws(UploadFailure) {
        if isFirst { run.progress.begin(transfer) }
        transfer.enter(.checking)
        if case .stream(let input) = transfer.job.source { return try beginStream(transfer, input) }
        guard case .file(let path) = transfer.job.source else { return }
        var source = try open(path, transfer)
        transfer.change { [source] in $0.open(source) }
        var known = transfer.record
        if known == nil { known = try claimAgain(source, transfer) }
        guard var record = known else { return }
        if transfer.job.restartsAs != nil { record = try restarted(record, transfer) }
        let key = transfer.job.service.terms.customerKey?.fingerprint(bucket: transfer.job.destination.bucket)
        if let failure = UploadFailure.otherCustomerKey(record, given: key) { throw failure }
        transfer.use(run.negotiated(record, transfer.job.service))
        if isFirst { run.emit(.started(record)) }
        source = try source.serving(record.upload)
        transfer.change { [source] in $0.open(source) }
        record = try recordMatching(source, record, transfer: transfer)
        run.noteCache(source, run.plan(of: record), transfer: transfer)
        if record.upload.partSize == nil {
            try putFile(source, transfer, record: record)
        } else if record.uploadID != nil {
            try resume(source, transfer, record: record)
        } else {
            try create(transfer, record)
            sendAll(source, transfer)
        }
    }

    // The rare cases have functions of their own: each copy of a record takes more than a kilobyte of a worker's stack,
    // and with small files there are hundreds of workers.

    @inline(never) private func open(_ path: [UInt8], _ transfer: Transfer) throws(UploadFailure) -> SourceFile {
        try SourceFile.open(path: path, canonical: transfer.record?.upload.source?.path) {
            run.stallTimer.noteProgress()
            return run.isStopping
        }
    }

    /// - Returns: a new row for a file that was confirmed before; nil if its object still exists.
    @inline(never) private func claimAgain(
        _ source: SourceFile,
        _ transfer: Transfer
    ) throws(UploadFailure) -> UploadRecord? {
        // A job has either a row or an earlier confirmed upload (`UploadJob.Row`).
        guard case .doneBefore(let previous, let again) = transfer.job.row else {
            fatalError("a transfer started without a row")
        }
        let same = transfer.job.comparesFile ? try same(source, as: previous) : previous
        if let same, try isStillThere(same, source, transfer: transfer) { return nil }
        return try claim(again, transfer)
    }

    /// - Returns: the row of the restarted upload, or the same if it was restarted before.
    @inline(never) private func restarted(
        _ record: UploadRecord,
        _ transfer: Transfer
    ) throws(UploadFailure) -> UploadRecord {
        guard let fresh = transfer.job.restartsAs, !transfer.hasRestarted.load(ordering: .relaxed) else {
            return record
        }
        let record = try abandon(record, for: fresh, transfer)
        transfer.hasRestarted.store(true, ordering: .relaxed)
        return record
    }

    /// - Returns: the row, now held by this process.
    @discardableResult func claim(_ upload: NewUpload, _ transfer: Transfer) throws(UploadFailure) -> UploadRecord {
        let claim = try run.ledger.reporting { ledger throws(LedgerError) in try ledger.claim([upload]).first }
        switch claim {
        case .began(let record, let lease), .found(let record, let lease):
            transfer.change { $0.claim(record, lease) }
            return record
        case .heldElsewhere, .doneBefore, .taken, nil:
            throw UploadFailure(.held, "Another mule process is uploading to \(transfer.name); skipped.")
        }
    }

    /// - Parameter seconds: with those for a new connection, because a thread needs one only once.
    private func noteSmallAnswer(of transfer: Transfer, after seconds: Double) {
        guard transfer.smallSize != nil else { return }
        run.queue.answered(
            WorkQueue.SmallAnswer(
                size: 0,
                seconds: seconds,
                slot: slot,
                isEncrypted: transfer.job.service.endpoint.isEncrypted
            )
        )
    }

    // MARK: Confirmed before

    /// Whether the object that the ledger remembers is still the one at the store.
    private func isStillThere(
        _ previous: UploadRecord,
        _ source: SourceFile,
        transfer: Transfer
    ) throws(UploadFailure) -> Bool {
        let asked = Moment.now()
        let answer = try remote.headObject(transfer, after: earlier)
        if case .success = answer { noteSmallAnswer(of: transfer, after: Moment.now().seconds(since: asked)) }
        // Without permission to look, the file is sent.
        guard case .success(let head?, _) = answer, head.size == source.size else { return false }
        let token = previous.isAdopted ? nil : head.metadata[UploadToken.metadataName]
        let isOurs =
            token.map { $0 == previous.token }
            ?? (head.object.eTag != nil && head.object.eTag == previous.proof.eTag)
        guard isOurs else { return false }
        let size = source.size
        transfer.bytesDone.store(size, ordering: .relaxed)
        transfer.bytesSkipped.store(size, ordering: .relaxed)
        run.completed(transfer, previous, proof: previous.proof, found: head)
        return true
    }
}
