// Checks that the file is still the one that was sent. If its times cannot tell, compares its content with the records
// before an upload is skipped, resumed or completed.

import MuleLedger
import MulePlan
import MuleS3
import MuleSystem

extension Worker {
    /// The record of a confirmed upload if the file is still what was sent; nil if not, or if that cannot be
    /// determined.
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

    /// The record of the upload that this file can resume.
    ///
    /// - Parameter source: opened with `serving`.
    /// - Throws: `source` if finished parts differ from the file, unless the job restarts the upload then.
    func recordMatching(
        _ source: SourceFile,
        _ record: UploadRecord,
        transfer: Transfer
    ) throws(UploadFailure) -> UploadRecord {
        guard let before = record.upload.source,
            case .compare = source.identity.verdict(
                since: before,
                changing: record.upload.changing,
                lookedAt: record.createdAt
            )
        else { return record }
        let rows = try run.ledger.reporting { ledger throws(LedgerError) in try ledger.parts(of: record.number) }
        // Without finished parts, the file is sent as it is now.
        if !rows.isEmpty, let plan = run.plan(of: record) {
            let wrong = try differences(source, RecordedContent(rows, plan, transfer.checksumMode))
            // A file that only grows keeps its start, so a different start is a change under any policy.
            if !wrong.isEmpty { return try meetChange(source, record, transfer: transfer) }
        }
        let noted = try note(source, record)
        transfer.update(noted)
        return noted
    }

    /// Finished parts of the upload have other content.
    private func meetChange(
        _ source: SourceFile,
        _ record: UploadRecord,
        transfer: Transfer
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
            transfer.use(run.negotiated(replanned, transfer.job.service))
            return replanned
        case .abort:
            _ = try run.ledger.reporting { ledger throws(LedgerError) in try ledger.requestAbort(record) }
        case .refuse: break
        }
        throw .changed(source.identity.path, [.content], while: "since its upload \(record.id) started")
    }

    /// Checks that the path still leads to what was sent.
    ///
    /// - Parameters:
    ///   - source: nil for a stream.
    ///   - content: what was sent.
    /// - Returns: the record, with the file's current identity.
    /// - Throws: `source` if it does not.
    func confirmSource(
        _ source: SourceFile?,
        _ content: @autoclosure () -> RecordedContent?,
        record: UploadRecord,
        transfer: Transfer
    ) throws(UploadFailure) -> UploadRecord {
        guard let source, case .compare(let changes) = try source.verdictInPlace() else { return record }
        // The path may lead to another file by now.
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

    /// Records the file's current identity if it differs.
    private func note(_ source: SourceFile, _ record: UploadRecord) throws(UploadFailure) -> UploadRecord {
        guard record.upload.source != source.identity else { return record }
        return try run.ledger.reporting { ledger throws(LedgerError) in try ledger.note(source.identity, of: record) }
    }
}
