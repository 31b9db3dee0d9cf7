// Takes one part from the queue to its row.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleTransport
import Synchronization

extension Worker {
    func uploadPart(_ part: PartWork, of transfer: Transfer) throws(UploadFailure) {
        if let known = part.known, try skip(known, part, transfer: transfer) { return }
        if let candidate = part.candidate, try adopt(candidate, part, transfer: transfer) { return }
        let checksumMode = transfer.checksumMode
        guard let record = transfer.record, let uploadID = record.uploadID else {
            // Parts are queued only once the upload has its ID (`sendAll`, `resume`).
            fatalError("a part of an upload that was not created")
        }
        let source = transfer.source
        try source?.checkUnchanged()
        run.progress.partsInFlight.add(1, ordering: .relaxed)
        defer { run.progress.partsInFlight.subtract(1, ordering: .relaxed) }

        try askAboutSignedBodies(transfer, record)
        let omitsMD5 = checksumMode.sendsMD5 && run.omitsMD5(transfer, record)
        let answer = try send(part.slice, of: transfer, omitsMD5: omitsMD5) {
            (connection, body, proof, options) throws(S3Error) in
            try connection.uploadPart(
                transfer.job.destination,
                uploadID: uploadID,
                number: part.number,
                body: body,
                proof: proof,
                transfer: options
            )
        }
        switch answer {
        case .refused(let error, _):
            if error.isVanishedUpload { throw .vanished(transfer, error, canRestart: source != nil) }
            if omitsMD5, error.refusesChecksum || error.mayRefuseChecksum {
                // A bucket with Object Lock demands it, even if others of the store do not.
                transfer.change { $0.noteMD5IsNeeded() }
                var again = part
                (again.candidate, again.known) = (nil, nil)
                return try uploadPart(again, of: transfer)
            }
            if let rung = rungToRestart(checksumMode, after: error, record, transfer: transfer) {
                throw refusal(error, transfer).restarting(on: rung)
            }
            let lower = run.lowerRung(ofPart: checksumMode, after: error, record)
            guard let lower else { throw refusal(error, transfer) }
            var again = part
            (again.candidate, again.known) = (nil, nil)
            try uploadPart(again, of: transfer, on: lower, after: error)
        case .success(let body, _):
            guard let eTag = body.stored.eTag else {
                throw UploadFailure(
                    .store,
                    "The store accepted part \(part.number) of \(transfer.name) without an ETag, by which it would be "
                        + "completed.",
                    isResumable: true
                )
            }
            try source?.checkUnchanged()
            recordPart(
                PartRecord(
                    number: part.number,
                    size: part.slice.length,
                    eTag: eTag,
                    crc: body.digest.crc.bytes,
                    digest: body.digest.sha256 ?? body.digest.md5
                ),
                part,
                transfer: transfer,
                bytesSent: part.bytesSent + body.bytesSent,
                bytesInFlight: body.bytesInFlight
            )
        }
    }

    /// Sends the part again in a lower mode, which is kept if the store asked for it or if it works.
    private func uploadPart(
        _ part: PartWork,
        of transfer: Transfer,
        on lower: ChecksumMode,
        after error: S3Error
    ) throws(UploadFailure) {
        if error.refusesChecksum {
            run.setChecksumMode(lower, transfer)
            return try uploadPart(part, of: transfer)
        }
        let before = transfer.negotiated
        let isFirst = transfer.change { $0.recordedParts == 0 }
        transfer.use(NegotiatedIntegrity(checksumMode: lower, wholeObject: before.wholeObject))
        do {
            try uploadPart(part, of: transfer)
        } catch {
            transfer.use(before)
            throw error
        }
        transfer.use(before)
        if isFirst, before.wholeObject != nil, transfer.source != nil {
            // The header was the reason, and Complete would require what Create promised.
            throw refusal(error, transfer).restarting(on: lower)
        }
        run.setChecksumMode(lower, transfer)
    }

    /// The mode to create the upload again with; nil if its parts can continue in this mode or a lower one.
    private func rungToRestart(
        _ checksumMode: ChecksumMode,
        after error: S3Error,
        _ record: UploadRecord,
        transfer: Transfer
    ) -> ChecksumMode? {
        guard record.upload.integrity.isAutomatic, transfer.source != nil else { return nil }
        let (isFirst, isPromised, wasCreatedForChecksum) = transfer.change {
            ($0.recordedParts == 0, $0.negotiated.wholeObject != nil, $0.wasCreatedForChecksum)
        }
        guard isFirst else { return nil }
        return checksumMode.restart(
            after: error,
            isPromised: isPromised,
            wasCreatedForChecksum: wasCreatedForChecksum,
            isLocked: record.upload.attributes.isLocked
        )
    }

    /// Compares a part of a stream with the record under its number; if they match, the part is not sent. If not, the
    /// row is deleted before other bytes are sent under that number.
    private func skip(_ known: PartRecord, _ part: PartWork, transfer: Transfer) throws(UploadFailure) -> Bool {
        let length = known.digest?.count
        let digest = try digest(
            part.slice,
            transfer,
            crc: transfer.checksumMode.wholeObjectCRC,
            withSHA256: length == 32,
            withMD5: length == 16
        )
        guard known.size == part.slice.length, known.isOf(digest) else {
            let number = transfer.number
            try run.ledger.reporting { ledger throws(LedgerError) in try ledger.forgetParts([known.number], of: number)
            }
            return false
        }
        recordPart(known, part, transfer: transfer, bytesSent: 0, bytesInFlight: nil)
        return true
    }

    /// Compares a part at the store with the file; if they match, it is recorded and not sent.
    private func adopt(_ candidate: StoredPart, _ part: PartWork, transfer: Transfer) throws(UploadFailure) -> Bool {
        guard candidate.size == part.slice.length else { return false }
        let checksumMode = transfer.checksumMode
        let listed = checksumMode.checksumAlgorithm.flatMap { algorithm in
            candidate.checksums[algorithm].map { (algorithm, $0) }
        }
        let digest = try digest(
            part.slice,
            transfer,
            crc: checksumMode.wholeObjectCRC,
            withSHA256: checksumMode.checksumAlgorithm == .sha256,
            withMD5: listed == nil
        )
        let isSame: Bool
        if let (algorithm, value) = listed {
            isSame = value == (algorithm == .sha256 ? digest.sha256.map(Base64.encode) : digest.crc.base64)
        } else {
            isSame = digest.md5.map(Hex.encode) == candidate.eTag
        }
        guard isSame else { return false }
        try transfer.source?.checkUnchanged()
        recordPart(
            PartRecord(
                number: part.number,
                size: candidate.size,
                eTag: candidate.eTag,
                crc: digest.crc.bytes,
                digest: digest.sha256 ?? digest.md5
            ),
            part,
            transfer: transfer,
            bytesSent: 0,
            bytesInFlight: nil
        )
        return true
    }

    /// Hands the part to the recorder. It counts as finished when its row is committed.
    ///
    /// - Parameter bytesInFlight: nil for a part that the store already had.
    private func recordPart(
        _ row: PartRecord,
        _ part: PartWork,
        transfer: Transfer,
        bytesSent: Int64,
        bytesInFlight: Int64?
    ) {
        let number = transfer.number
        let entry = Ledger.FinishedPart(upload: number, part: row, bytesSent: bytesSent)
        run.recorder.record(.part(entry)) { [run] failure in
            guard failure == nil else { return }
            run.dropCache(part.slice, of: transfer)
            transfer.bytesInFlight.subtract(bytesInFlight ?? 0, ordering: .relaxed)
            if let onPart = run.onPart, let record = transfer.record { onPart(record, row.number) }
            run.partRecorded(transfer, size: row.size, wasSkipped: bytesInFlight == nil)
            part.release?()
        }
    }
}

extension UploadFailure {
    fileprivate func restarting(on rung: ChecksumMode) -> UploadFailure {
        var failure = self
        failure.lowerRung = rung
        // The transfer does not end, even if the refusal would be final.
        failure.scope = .transfer
        return failure
    }

    /// The upload was aborted or expired while it was sent, or another program completed it.
    ///
    /// - Parameter canRestart: whether there is a source from which this run could restart the upload.
    fileprivate static func vanished(
        _ transfer: Transfer,
        _ error: S3Error,
        canRestart: Bool
    ) -> UploadFailure {
        var failure = UploadFailure(
            .store,
            "The upload of \(transfer.name) no longer exists at the store (\(error.shortReason)): it was aborted or "
                + "has expired. "
                + (canRestart
                    ? "Run the same command again; it checks the object and restarts the upload if needed."
                    : "Run the same command again; it sends the stream from its start."),
            evidence: error,
            isResumable: true
        )
        failure.needsReconciling = canRestart
        return failure
    }
}
