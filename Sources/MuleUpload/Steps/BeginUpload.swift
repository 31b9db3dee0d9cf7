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
        var known = transfer.record
        var source = try SourceFile.open(path: path, canonical: known?.upload.source?.path) {
            run.stallTimer.noteProgress()
            return run.isStopping
        }
        transfer.change { [source] in $0.open(source) }
        if known == nil, case .doneBefore(let previous, let again) = transfer.job.row {
            let same = transfer.job.comparesFile ? try same(source, as: previous) : previous
            if let same, try isStillThere(same, source, transfer: transfer) { return }
            known = try claim(again, transfer)
        }
        // A job has either a row or an earlier confirmed upload (`UploadJob.Row`).
        guard var record = known else { fatalError("a transfer started without a row") }
        if let fresh = transfer.job.restartsAs, !transfer.hasRestarted.load(ordering: .relaxed) {
            record = try abandon(record, for: fresh, transfer)
            transfer.hasRestarted.store(true, ordering: .relaxed)
        }
        let key = transfer.job.service.terms.customerKey?.fingerprint(bucket: transfer.job.destination.bucket)
        if let failure = UploadFailure.otherCustomerKey(record, given: key) { throw failure }
        transfer.use(run.negotiated(record, endpoint: transfer.job.service.endpoint.url))
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

    // MARK: Confirmed before

    /// Whether the object that the ledger remembers is still the one at the store.
    private func isStillThere(
        _ previous: UploadRecord,
        _ source: SourceFile,
        transfer: Transfer
    ) throws(UploadFailure) -> Bool {
        // Without permission to look, the file is sent.
        guard case .success(let head?, _) = try remote.headObject(transfer, after: earlier), head.size == source.size
        else {
            return false
        }
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
