// Negotiates the checksum mode of an upload with its store.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem

extension UploadRun {
    /// The checksum mode of an upload when the run starts or resumes it.
    func negotiated(_ record: UploadRecord, endpoint: String) -> NegotiatedIntegrity {
        if let settled = record.negotiated.flatMap(NegotiatedIntegrity.init(text:)) { return settled }
        let integrity = record.upload.integrity
        var checksumMode =
            integrity.isAutomatic ? facts.checksumMode(of: endpoint) : ChecksumMode(option: integrity.checksum)
        // A rung below is kept: the store has refused this one.
        if integrity.checksum == IntegrityOptions.automaticFromMD5, checksumMode?.checksumAlgorithm != nil {
            checksumMode = .md5
        }
        if checksumMode == .signedPayload, record.upload.attributes.isLocked { checksumMode = .md5 }
        return NegotiatedIntegrity(
            checksumMode: checksumMode ?? .checksum(.crc64nvme, confirmed: false),
            wholeObject: nil
        )
    }

    func signs(_ transfer: Transfer, _ checksumMode: ChecksumMode) -> Bool {
        let option =
            transfer.change { $0.record?.upload.integrity.payloadSigning }.flatMap(PayloadSigning.init) ?? .auto
        return option.signs(isEncrypted: transfer.job.service.endpoint.isEncrypted, checksumMode: checksumMode)
    }

    /// The next mode if the store refuses the checksum; nil if it refuses something else, or the user chose the mode.
    func lowerRung(_ checksumMode: ChecksumMode, after error: S3Error, _ record: UploadRecord) -> ChecksumMode? {
        guard record.upload.integrity.isAutomatic else { return nil }
        if error.refusesChecksum { return rung(below: checksumMode, record) }
        // Guess once: the mode below sends none of the headers that the store may refuse.
        return checksumMode.checksumAlgorithm != nil && error.mayRefuseChecksum ? .md5 : nil
    }

    /// The next mode of the ladder; nil at its end. A locked object needs a digest in a header, which the last one lacks.
    func rung(below checksumMode: ChecksumMode, _ record: UploadRecord) -> ChecksumMode? {
        let next = checksumMode.nextRung
        return next == .signedPayload && record.upload.attributes.isLocked ? nil : next
    }

    /// Records the checksum mode that an answer has shown.
    func setChecksumMode(_ checksumMode: ChecksumMode, _ transfer: Transfer) {
        guard let record = transfer.record else { return }
        guard let text = transfer.change({ $0.setChecksumMode(checksumMode) }) else { return }
        do {
            try ledger.recordNegotiated(record.number, text)
        } catch {
            stop(failure(error))
        }
        let asked = record.upload.integrity.checksumOption
        if checksumMode == .md5, asked != "auto", asked != "md5" {
            emit(
                .notice(
                    id: record.id,
                    "This store ignores --checksum \(asked); \(transfer.name) is sent with Content-MD5 instead."
                )
            )
        }
        learn(checksumMode, transfer)
    }

    func learn(_ checksumMode: ChecksumMode, _ transfer: Transfer) {
        guard let upload = transfer.record?.upload, upload.integrity.isAutomatic else { return }
        // That nothing better was tried says nothing of the store.
        if upload.integrity.checksum == IntegrityOptions.automaticFromMD5, checksumMode == .md5 { return }
        facts.learn(checksumMode, of: upload.store.endpoint)
    }
}

extension S3Error {
    /// Whether the store may have refused a checksum header without saying so.
    ///
    /// Google's store answers `SignatureDoesNotMatch`, because it does not sign the header; others answer 400 without a
    /// reason (qdrant/qdrant#9568, get-convex/convex-backend#238).
    var mayRefuseChecksum: Bool {
        guard case .answer(let status, let code, _) = cause, isOfS3, DiscoveredLimit(self) == nil else { return false }
        switch status {
        case 400, 415, 422: return retryClass == .fatal || retryClass == .unsupported
        case 403: return code == "SignatureDoesNotMatch"
        default: return false
        }
    }

    /// Whether the store requires a checksum, because the upload was created with one.
    var demandsChecksum: Bool {
        guard case .answer(400, _, let message) = cause, retryClass == .fatal, isOfS3 else { return false }
        return message.lowercased().contains("checksum")
    }

    /// Whether the store refuses a checksum header that it does not know.
    var refusesChecksum: Bool {
        guard case .answer(let status, let code, let message) = cause else { return false }
        if status == 501 { return true }
        guard status == 400 else { return false }
        let text = message.lowercased()
        return ["InvalidArgument", "InvalidRequest", "BadRequest", "MalformedHeader"].contains(code)
            && (text.contains("checksum") || text.contains("unsupported header") || text.contains("x-amz-sdk"))
    }
}
