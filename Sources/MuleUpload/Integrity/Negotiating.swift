// Negotiates the checksum mode of an upload with its store.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem

extension UploadRun {
    /// The checksum mode of an upload when the run starts or resumes it.
    func negotiated(_ record: UploadRecord, _ service: S3Service) -> NegotiatedIntegrity {
        if let settled = record.negotiated.flatMap(NegotiatedIntegrity.init(text:)) { return settled }
        let integrity = record.upload.integrity
        let mode = integrity.firstMode(
            remembered: facts.checksumMode(of: service.url),
            service.profile,
            isLocked: record.upload.attributes.isLocked
        )
        return NegotiatedIntegrity(checksumMode: mode, wholeObject: nil)
    }

    func signs(_ transfer: Transfer, _ checksumMode: ChecksumMode) -> Bool {
        let option =
            transfer.change { $0.record?.upload.integrity.payloadSigning }.flatMap(PayloadSigning.init) ?? .auto
        return option.signs(isEncrypted: transfer.job.service.endpoint.isEncrypted, checksumMode: checksumMode)
    }

    /// Whether the signature over a part may replace its MD5, if the store compares the two.
    func mayOmitMD5(_ transfer: Transfer, _ record: UploadRecord) -> Bool {
        record.upload.integrity.maySignInsteadOfMD5(
            transfer.checksumMode,
            isEncrypted: transfer.job.service.endpoint.isEncrypted,
            isLocked: record.upload.attributes.isLocked,
            isHashFaster: MessageDigest.sha256IsFaster
        )
    }

    /// Whether parts need no MD5, because the store compares them with their signed hash.
    func omitsMD5(_ transfer: Transfer, _ record: UploadRecord) -> Bool {
        mayOmitMD5(transfer, record) && signedBodies.comparesHash(record.upload.store.endpoint)
            && !transfer.change { $0.needsMD5 }
    }

    /// The next mode if the store refuses the checksum; nil if it refuses something else, or the user chose the mode.
    func lowerRung(_ checksumMode: ChecksumMode, after error: S3Error, _ record: UploadRecord) -> ChecksumMode? {
        guard record.upload.integrity.isAutomatic else { return nil }
        return checksumMode.lower(after: error, isLocked: record.upload.attributes.isLocked)
    }

    /// The same for a part.
    func lowerRung(
        ofPart checksumMode: ChecksumMode,
        after error: S3Error,
        _ record: UploadRecord
    ) -> ChecksumMode? {
        guard record.upload.integrity.isAutomatic else { return nil }
        return checksumMode.lowerForPart(after: error, isLocked: record.upload.attributes.isLocked)
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
        if checksumMode.sendsMD5, asked != "auto", asked != "md5" {
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
        if upload.integrity.checksum == IntegrityOptions.automaticFromMD5, checksumMode.sendsMD5 { return }
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
