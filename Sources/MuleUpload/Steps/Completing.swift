// The end of an upload: Complete, and the proof that the object is this upload's and complete.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import Synchronization

extension Worker {
    func complete(_ transfer: Transfer) throws(UploadFailure) {
        transfer.enter(.completing)
        var record = transfer.claimedRecord
        guard let uploadID = record.uploadID else {
            // Postponed while the upload was created again, which needs a source, so this is no stream.
            guard let source = transfer.source else { fatalError("completed without an upload ID") }
            return try startAgain(source, transfer, fresh: record)
        }
        if record.createAttemptedAt != nil { try removeSiblings(record, transfer) }
        let source = transfer.source
        let rows = try run.ledger.reporting { ledger throws(LedgerError) in try ledger.parts(of: record.number) }
        let size = rows.reduce(0) { $0 + $1.size }
        let count = transfer.partCount ?? rows.count
        guard rows.count == count, rows.map(\.number) == Array(1...count), size == source?.size ?? size else {
            throw UploadFailure(.ledger, "The ledger holds \(rows.count) of \(count) parts of \(transfer.name).")
        }
        let checksumMode = transfer.checksumMode
        guard rows.allSatisfy({ $0.isDigested(for: checksumMode) }) else { throw .differentDigests(transfer, source) }
        let content = run.plan(of: record).map { RecordedContent(rows, $0, checksumMode) }
        record = try confirmSource(source, content, record: transfer.record ?? record, transfer: transfer)
        let whole = MultipartChecksum(rows, transfer.negotiated)
        if let failure = try mismatch(record, transfer) {
            // An earlier Complete whose answer was lost may have created the object that is there now.
            guard let proof = try remote.ownObject(size: size, record, transfer) else { throw failure }
            return run.completed(transfer, record, proof: proof)
        }
        if let attempted = record.completeAttemptedAt,
            try remote.awaitObject(ofCompleteAt: attempted, size: size, record, transfer),
            let proof = try remote.ownObject(size: size, record, transfer)
        {
            run.emit(.alreadyCompleted(record, transfer))
            return run.completed(transfer, record, proof: proof)
        }
        if record.upload.onlyIfAbsent, transfer.job.service.conditionIsGeneration,
            let proof = try remote.ownObject(size: size, record, transfer)
        {
            return run.completed(transfer, record, proof: proof)
        }
        let answer: Answer<StoredObject>
        do throws(UploadFailure) {
            answer = try completed(uploadID, rows, checksum: whole, size: size, record: record, transfer: transfer)
        } catch {
            guard
                let proof = objectDespite(
                    error,
                    { () throws(UploadFailure) in
                        try remote.ownObject(size: size, record, transfer)
                    }
                )
            else { throw error }
            return run.completed(transfer, record, proof: proof)
        }
        let mine = ObjectProof(whole)
        switch answer {
        case .success(let stored, _):
            let proof = try remote.confirm(stored, mine, size: size, record: record, transfer: transfer)
            record = try confirmSource(transfer.source, content, record: record, transfer: transfer)
            run.completed(transfer, record, proof: proof)
        case .refused(let error, let ambiguous):
            try judgeRefusal(error, ambiguous: ambiguous, size: size, record, transfer: transfer)
        }
    }

    /// The proof that a request with a lost answer was executed; the last check before it counts as failed.
    ///
    /// - Parameter look: looks at the object; its own failure means nothing.
    func objectDespite(
        _ failure: UploadFailure,
        _ look: () throws(UploadFailure) -> ObjectProof?
    ) -> ObjectProof? {
        guard failure.kind == .network, failure.mayHaveSucceeded, failure.postponement == nil else { return nil }
        return try? look()
    }

    /// Sends Complete until it is answered; without the condition if the store does not support one.
    func completed(
        _ uploadID: String,
        _ rows: [PartRecord],
        checksum: MultipartChecksum,
        size: Int64,
        record: UploadRecord,
        transfer: Transfer
    ) throws(UploadFailure) -> Answer<StoredObject> {
        let checksumMode = transfer.checksumMode
        var whole = wholeObject(checksum, size: size, record, transfer: transfer)
        if whole.onlyIfAbsent, transfer.job.service.conditionIsGeneration {
            // Created before it was known that the store ignores the condition.
            guard try isKnownAbsent(transfer) else { throw .cannotKnow(transfer) }
            run.emit(.noCondition(record, transfer))
            whole.onlyIfAbsent = false
        }
        let answer = try sendComplete(uploadID, rows, checksumMode, whole, size: size, record, transfer)
        guard whole.onlyIfAbsent, case .refused(let error, _) = answer, error.retryClass == .unsupported else {
            return answer
        }
        guard try isKnownAbsent(transfer) else { throw .cannotKnow(transfer) }
        run.emit(.noCondition(record, transfer))
        whole.onlyIfAbsent = false
        return try sendComplete(uploadID, rows, checksumMode, whole, size: size, record, transfer)
    }

    /// Sends Complete until it is answered. After a lost answer, the object has time to appear before Complete is sent
    /// again.
    ///
    /// - Returns: the answer, or the failure of an attempt whose object has appeared.
    private func sendComplete(
        _ uploadID: String,
        _ rows: [PartRecord],
        _ checksumMode: ChecksumMode,
        _ whole: WholeObject,
        size: Int64,
        _ record: UploadRecord,
        _ transfer: Transfer
    ) throws(UploadFailure) -> Answer<StoredObject> {
        let parts = rows.map { row in
            CompletedPart(
                number: row.number,
                eTag: row.eTag,
                checksum: checksumMode.isConfirmed ? Self.checksum(of: row, checksumMode) : nil
            )
        }
        var lost = 0
        while true {
            let answer: Answer<StoredObject>
            do throws(UploadFailure) {
                answer = try client.retrying(transfer, after: earlier, returnsAfter: \.mayStillRun) {
                    (connection) throws(S3Error) in
                    noteComplete(since: run.ledger.now(), transfer)
                    return try connection.completeMultipartUpload(
                        transfer.job.destination,
                        uploadID: uploadID,
                        parts: parts,
                        whole: whole
                    )
                }
            } catch {
                var failure = error
                if lost > 0 {
                    failure.mayHaveSucceeded = true
                    failure.postponement?.isAmbiguous = true
                } else if failure.kind != .interrupted, !failure.mayHaveSucceeded,
                    failure.postponement?.isAmbiguous != true
                {
                    // Refused, or never sent.
                    noteComplete(since: nil, transfer)
                }
                throw failure
            }
            switch answer {
            case .success(let stored, let ambiguous): return .success(stored, ambiguous: ambiguous || lost > 0)
            case .refused(let error, let ambiguous):
                guard error.mayStillRun else {
                    noteComplete(since: nil, transfer)
                    return .refused(error, ambiguous: ambiguous || lost > 0)
                }
                lost += 1
                if try remote.awaitObject(ofCompleteAt: run.ledger.now(), size: size, record, transfer) {
                    return answer
                }
                // A server whose answers are never those of S3.
                if case .unreadable = error.cause, lost >= run.settings.retry.unreadableTries { return answer }
            }
        }
    }

    /// Records that Complete is about to be sent, or that it was answered. Not awaited: a process that dies before the
    /// commit loses only the reason to wait.
    private func noteComplete(since moment: Int64?, _ transfer: Transfer) {
        guard var record = transfer.record else { return }
        record.completeAttemptedAt = moment
        transfer.update(record)
        run.recorder.record(.completing(upload: record.number, since: moment)) { _ in }
    }

    func wholeObject(
        _ checksum: MultipartChecksum,
        size: Int64,
        _ record: UploadRecord,
        transfer: Transfer
    ) -> WholeObject {
        var whole = WholeObject()
        whole.onlyIfAbsent = record.upload.onlyIfAbsent
        whole.ifMatch = record.upload.ifMatch
        // Only for stores that have shown support; others may refuse unknown headers.
        if transfer.negotiated.wholeObject == checksum.type {
            whole.size = size
            whole.checksum = (checksum.algorithm, checksum.type, checksum.value)
        }
        return whole
    }

    static func checksum(of row: PartRecord, _ checksumMode: ChecksumMode) -> Checksum? {
        guard let algorithm = checksumMode.checksumAlgorithm else { return nil }
        let bytes = algorithm == .sha256 ? row.digest ?? [] : row.crc
        return bytes.count == algorithm.byteCount ? Checksum(algorithm: algorithm, bytes: bytes) : nil
    }

    /// Removes what unanswered attempts of Create have left. Not earlier, because such an attempt may reach the store
    /// after the answered one.
    private func removeSiblings(_ record: UploadRecord, _ transfer: Transfer) throws(UploadFailure) {
        switch try remote.removeUnanswered(record, transfer) {
        case .removed:
            transfer.update(
                try run.ledger.reporting { ledger throws(LedgerError) in try ledger.forgetCreateAttempt(record) }
            )
        case .refused(let error):
            run.emit(.siblingsUnknown(record, transfer, error: error))
        }
    }

    // MARK: Refusals

    private func judgeRefusal(
        _ error: S3Error,
        ambiguous: Bool,
        size: Int64,
        _ record: UploadRecord,
        transfer: Transfer
    ) throws(UploadFailure) {
        if error.mayStillRun {
            if let proof = try remote.ownObject(size: size, record, transfer) {
                return run.completed(transfer, record, proof: proof)
            }
            throw .unknownOutcome(transfer, error.shortReason)
        }
        if error.failsMatch(record) {
            if error.status == 412, !ambiguous, try isHidden(transfer) { throw .unmatched(transfer, record) }
            if let proof = try remote.ownObject(size: size, record, transfer) {
                return run.completed(transfer, record, proof: proof)
            }
            throw try mismatch(record, transfer) ?? .unmatched(transfer, record)
        }
        if error.isVanishedUpload || error.retryClass == .reconcile {
            if error.status == 412, !ambiguous, try isHidden(transfer) { throw .exists(transfer.name) }
            // Any of these may follow from a Complete that succeeded: the object shows it.
            if let proof = try remote.ownObject(size: size, record, transfer) {
                run.completed(transfer, record, proof: proof)
                return
            }
            if error.status == 412 { throw .exists(transfer.name) }
            if error.isVanishedUpload, let source = transfer.source {
                return try reconcileVanished(source, transfer, record: record)
            }
            if error.code == "ConditionalRequestConflict", let source = transfer.source {
                return try sendAgain(source, transfer, record: record, after: error)
            }
            throw refusal(error, transfer)
        }
        if error.code == "InvalidPart", transfer.source != nil {
            // The store has lost or changed a part since it was recorded.
            var failure = refusal(error, transfer)
            failure.needsReconciling = true
            throw failure
        }
        if error.code == "BadDigest" {
            throw UploadFailure(
                .verification,
                "The store's checksum of \(transfer.name) differs from the local one, and the store did not create the "
                    + "object. Upload it again with --restart.",
                evidence: error
            )
        }
        throw refusal(error, transfer)
    }

    /// The upload ID is gone: the upload was completed, and the object is this upload's, or it was aborted or has
    /// expired.
    func reconcileVanished(
        _ source: SourceFile,
        _ transfer: Transfer,
        record: UploadRecord
    ) throws(UploadFailure) {
        if let proof = try remote.ownObject(size: source.size, record, transfer) {
            return wasCompleted(transfer, record, source, proof)
        }
        let found: ObjectHead? = if case .success(let head, _) = try remote.headObject(transfer) { head } else { nil }
        if let theirs = found?.size, found?.metadata[UploadToken.metadataName] == record.token, !record.isAdopted {
            // It may have appeared between the two looks.
            if theirs == source.size, let proof = try remote.ownObject(size: source.size, record, transfer) {
                return wasCompleted(transfer, record, source, proof)
            }
            throw .differs(transfer, "\(theirs) bytes, and \(source.size) were sent")
        }
        if let head = found, try !isOfBefore(head, record),
            let modified = head.lastModified?.millisecondsSince1970,
            // By the store's clock, which has whole seconds.
            modified + 1_000 > record.createdAt + transfer.job.service.clockDifference
        {
            throw UploadFailure(
                .verification,
                "The upload of \(transfer.name) no longer exists at the store, and another program has written the "
                    + "object since the upload started. Check the object; to replace it, run the upload again with "
                    + "--restart."
            )
        }
        run.emit(
            .notice(
                id: record.id,
                "The upload of \(transfer.name) no longer exists at the store (aborted or expired), and neither does "
                    + "the object: restarting the upload."
            )
        )
        let fresh = try run.ledger.reporting { ledger throws(LedgerError) in try ledger.restart(record) }
        try startAgain(source, transfer, fresh: fresh)
    }

    private func wasCompleted(
        _ transfer: Transfer,
        _ record: UploadRecord,
        _ source: SourceFile,
        _ proof: ObjectProof
    ) {
        transfer.bytesDone.store(source.size, ordering: .relaxed)
        transfer.bytesSkipped.store(source.size - transfer.bytesSent.load(ordering: .relaxed), ordering: .relaxed)
        run.emit(.alreadyCompleted(record, transfer))
        run.completed(transfer, record, proof: proof)
    }

    /// Whether the object comes from this upload before a restart, or from an upload of this ledger that was done
    /// before this one was registered: then no other program made it, and it is not newer.
    private func isOfBefore(_ head: ObjectHead, _ record: UploadRecord) throws(UploadFailure) -> Bool {
        guard let token = head.metadata[UploadToken.metadataName] else { return false }
        if record.began(token: token) { return true }
        return try run.ledger.reporting { ledger throws(LedgerError) in try ledger.hasMade(token: token, before: record)
        }
    }

    /// Another program removed or wrote the object during Complete. The parts cannot be completed any more:
    /// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html asks for a new upload.
    private func sendAgain(
        _ source: SourceFile,
        _ transfer: Transfer,
        record: UploadRecord,
        after error: S3Error
    ) throws(UploadFailure) {
        guard transfer.change({ $0.meetConflict() }) else {
            var failure = refusal(error, transfer)
            failure.isResumable = true
            throw failure
        }
        run.emit(
            .notice(
                id: record.id,
                "Another program changed \(transfer.name) while it was completed, and the store requires a new upload: "
                    + "restarting the upload."
            )
        )
        try startAgain(source, transfer, fresh: try abandon(record, for: record.upload, transfer))
    }

    /// Creates the upload again and sends all parts.
    func startAgain(
        _ source: SourceFile,
        _ transfer: Transfer,
        fresh: UploadRecord
    ) throws(UploadFailure) {
        transfer.update(fresh)
        transfer.countPartsAgain()
        transfer.use(run.negotiated(fresh, transfer.job.service))
        transfer.bytesSkipped.store(0, ordering: .relaxed)
        try create(transfer, fresh)
        sendAll(source, transfer)
    }
}

extension UploadEvent {
    fileprivate static func alreadyCompleted(_ record: UploadRecord, _ transfer: Transfer) -> UploadEvent {
        .notice(id: record.id, "\(transfer.name) was already completed; only the answer was lost.")
    }
}

extension PartRecord {
    /// Whether the row has the CRC needed for the whole object's in this mode.
    func isDigested(for checksumMode: ChecksumMode) -> Bool {
        crc.count == checksumMode.wholeObjectCRC.checksumAlgorithm.byteCount
    }
}

extension UploadFailure {
    /// The mode changed while parts were sent. Checking the upload again digests the parts that need it; for a stream,
    /// the next run does.
    fileprivate static func differentDigests(_ transfer: Transfer, _ source: SourceFile?) -> UploadFailure {
        var failure = UploadFailure(
            .ledger,
            "The parts of \(transfer.name) have checksums of different types, which cannot be combined. Run the same "
                + "command again; it computes them again.",
            isResumable: true
        )
        failure.needsReconciling = source != nil
        return failure
    }
}

extension ObjectProof {
    /// What the object must show.
    init(_ whole: MultipartChecksum) {
        self.init(
            checksumAlgorithm: whole.algorithm.rawValue,
            checksumType: whole.type.rawValue,
            checksumValue: whole.value
        )
    }
}

/// The checksum of an object, computed from those of its parts.
struct MultipartChecksum {
    var algorithm: ChecksumAlgorithm
    var type: ChecksumType
    var value: String

    /// - Parameter rows: all parts, in order.
    init(_ rows: [PartRecord], _ negotiated: NegotiatedIntegrity) {
        let checksumMode = negotiated.checksumMode
        if let crc = checksumMode.checksumAlgorithm, crc != .sha256, negotiated.wholeObject == .composite {
            algorithm = crc
            type = .composite
            let parts = rows.map { Checksum(algorithm: crc, bytes: $0.crc) }
            value = ObjectChecksums.Composite.digest(of: parts, crc).base64 + "-\(rows.count)"
            return
        }
        if checksumMode.checksumAlgorithm == .sha256 {
            algorithm = .sha256
            type = .composite
            value = Base64.encode(sha256(rows.flatMap { $0.digest ?? [] })) + "-\(rows.count)"
            return
        }
        algorithm = checksumMode.wholeObjectCRC.checksumAlgorithm
        type = .fullObject
        var whole = CRCDigest(checksumMode.wholeObjectCRC).checksum
        for row in rows {
            whole = CRCDigest.combine(
                whole,
                Checksum(algorithm: algorithm, bytes: row.crc),
                secondLength: row.size
            )
        }
        value = whole.base64
    }
}
