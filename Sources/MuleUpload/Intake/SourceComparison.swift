// Whether the file is still the one that was sent: where its times can't tell, its content is compared with what is on
// record, before an upload is skipped, resumed or called done.

import MuleLedger
import MulePlan
import MuleS3
import MuleSystem

extension Worker {
    /// The record of a confirmed upload, if the file is still what it sent; nil where it is not, or nothing can tell.
    func same(_ source: SourceFile, as record: UploadRecord) throws(UploadFailure) -> UploadRecord? {
        guard let before = record.upload.source else { return nil }
        switch source.identity.verdict(since: before, lookedAt: record.createdAt) {
        case .same: return record
        case .changed: return nil
        case .compare:
            guard let content = RecordedContent(record), try differences(source, content).isEmpty else { return nil }
            return try note(source, record)
        }
    }

    /// The record of an upload that this file may go on with.
    ///
    /// - Parameter source: as it serves the upload.
    /// - Throws: `source` where finished parts are not the file's, unless the job says what is to be done then.
    func recordMatching(
        _ source: SourceFile,
        _ record: UploadRecord,
        _ transfer: Transfer
    ) throws(UploadFailure) -> UploadRecord {
        guard let before = record.upload.source,
            case .compare = source.identity.verdict(
                since: before,
                changing: record.upload.changing,
                lookedAt: record.createdAt
            )
        else { return record }
        let rows = try run.ledger.reporting { ledger throws(LedgerError) in try ledger.parts(of: record.number) }
        // Where nothing has been sent, the file is sent as it is now.
        if !rows.isEmpty, let plan = run.plan(of: record) {
            let wrong = try differences(source, RecordedContent(rows, plan, transfer.checksumMode))
            // A file that only grows still begins with what was sent: another beginning is another content under any policy.
            if !wrong.isEmpty { return try meetChange(source, record, transfer) }
        }
        let noted = try note(source, record)
        transfer.update(noted)
        return noted
    }

    /// Finished parts of the upload are of another content.
    private func meetChange(
        _ source: SourceFile,
        _ record: UploadRecord,
        _ transfer: Transfer
    ) throws(UploadFailure) -> UploadRecord {
        switch transfer.job.onChange {
        case .restart:
            run.emit(
                .notice(
                    id: record.id,
                    "\(LossyUTF8.string(source.identity.path)) changed since its upload started: it is sent again "
                        + "from its start."
                )
            )
            var fresh = record.upload
            fresh.source = source.identity
            let replanned = try abandon(record, for: fresh, transfer)
            transfer.use(run.negotiated(replanned, endpoint: transfer.job.service.endpoint.url))
            return replanned
        case .abort:
            _ = try run.ledger.reporting { ledger throws(LedgerError) in try ledger.requestAbort(record) }
        case .refuse: break
        }
        throw .changed(source.identity.path, [.content], while: "since its upload \(record.id) started")
    }

    /// Makes sure that the file in its place is what was sent.
    ///
    /// - Parameters:
    ///   - source: nil for a stream.
    ///   - content: what was sent.
    /// - Returns: the record, with the file as it is now.
    /// - Throws: `source` where it is not.
    func confirmSource(
        _ source: SourceFile?,
        _ content: @autoclosure () -> RecordedContent?,
        _ record: UploadRecord,
        _ transfer: Transfer
    ) throws(UploadFailure) -> UploadRecord {
        guard let source, case .compare(let changes) = try source.verdictInPlace() else { return record }
        // Its name may lead to another file by now.
        let path = source.identity.path
        let now = try SourceFile.open(path: path, canonical: path).serving(record.upload)
        guard let content = content() else { throw .changed(path, changes, while: "while it was sent") }
        guard try differences(now, content).isEmpty else {
            throw .changed(path, [.content], while: "while it was sent")
        }
        transfer.change { $0.open(now) }
        let noted = try note(now, record)
        transfer.update(noted)
        return noted
    }

    private func differences(_ source: SourceFile, _ content: RecordedContent) throws(UploadFailure) -> [Int] {
        try source.differences(
            from: content,
            shouldStop: { [run] in run.isStopping },
            onProgress: { [run] in run.stallTimer.noteProgress() }
        )
    }

    /// Keeps what the file is now, unless it is kept already.
    private func note(_ source: SourceFile, _ record: UploadRecord) throws(UploadFailure) -> UploadRecord {
        guard record.upload.source != source.identity else { return record }
        return try run.ledger.reporting { ledger throws(LedgerError) in try ledger.note(source.identity, of: record) }
    }
}
