// Accepts an existing object that must not be replaced, if it is proven to equal the file.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import Synchronization

extension Worker {
    /// Ends the upload as done if the existing object is proven to equal the file, as `verify` proves it.
    ///
    /// - Parameter failure: says that the object exists.
    /// - Throws: that failure, with the reason why the object was not accepted.
    func acceptExisting(_ transfer: Transfer, after failure: UploadFailure) throws(UploadFailure) {
        // A stream cannot be read again, and for a growing file the object is only its start.
        guard let source = transfer.source, source.size == source.identity.size, var record = transfer.record,
            record.upload.onlyIfAbsent
        else { throw failure }
        transfer.enter(.checking)
        let verification = VerifyRun(remote)
        let subject: VerifySubject
        let found: Verification
        let proof: ObjectProof
        do throws(VerifyFailure) {
            let looked = try verification.subject(
                source,
                named: LossyUTF8.string(source.identity.path),
                transfer.job.destination,
                service: transfer.job.service
            )
            guard let looked else {
                throw VerifyFailure(.missing, "The object is gone: run the same command again.")
            }
            subject = looked
            found = try verification.verify(subject)
            proof = try verification.recordable(found, subject)
        } catch {
            throw failure.because(error)
        }
        // Parts sent in vain cost money.
        if record.mayHoldParts { record = try abandon(record, for: record.upload, transfer) }
        record = try confirmSource(
            source,
            RecordedContent(proof, size: source.size, partSize: nil),
            record: record,
            transfer: transfer
        )
        transfer.bytesDone.store(source.size, ordering: .relaxed)
        transfer.bytesSkipped.store(source.size, ordering: .relaxed)
        run.completed(transfer, record, proof: proof, found: subject.head, provenBy: found.proof)
    }
}

extension UploadFailure {
    /// The failure, with the reason why the object was not accepted. If the check itself failed, other than by a
    /// refusal of the store, that failure.
    fileprivate func because(_ reason: VerifyFailure) -> UploadFailure {
        if reason.verdict == nil, reason.failure.kind != .store || reason.failure.scope != .transfer {
            return reason.failure
        }
        var failure = self
        failure.message +=
            reason.verdict == nil
            ? " Cannot tell whether it has the file's content: \(reason.failure.message)"
            : " \(reason.failure.message)"
        return failure
    }
}

extension VerifyRun {
    /// The proof as the ledger stores it: a checksum of all bytes, independent of the object's parts.
    func recordable(_ verification: Verification, _ subject: VerifySubject) throws(VerifyFailure) -> ObjectProof {
        let whole: Checksum
        if let checksum = verification.proof.checksumOfAll {
            whole = checksum
        } else {
            whole = try asking { () throws(UploadFailure) in
                try digests(of: subject).digestWhole(size: verification.size, .crc64nvme)
            }
            // The bytes just read must be those proven before.
            try checkUnchanged(subject)
        }
        return ObjectProof(
            eTag: verification.eTag,
            versionID: verification.versionID,
            checksumAlgorithm: whole.algorithm.rawValue,
            checksumType: ChecksumType.fullObject.rawValue,
            checksumValue: whole.base64
        )
    }
}

extension Verification.Proof {
    /// The checksum of all bytes, if that is what proved the object.
    fileprivate var checksumOfAll: Checksum? {
        switch kind {
        case .fullObjectChecksum, .recordedChecksum:
            algorithm.flatMap(ChecksumAlgorithm.init(rawValue:)).flatMap { algorithm in
                value.flatMap { Checksum(algorithm: algorithm, base64: $0) }
            }
        case .eTagMD5, .compositeChecksum, .multipartETagMD5, .recordedETag, .download: nil
        }
    }
}
