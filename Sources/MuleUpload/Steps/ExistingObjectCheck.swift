// An object that is there already and may not be replaced: one that is proven to equal the file is as good as sent.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import Synchronization

extension Worker {
    /// Ends the upload as done where the object that is in its way is proven to equal the file, as `verify` proves it.
    ///
    /// - Parameter failure: that the object exists.
    /// - Throws: that failure, with the reason why the object does not do.
    func acceptExisting(_ transfer: Transfer, after failure: UploadFailure) throws(UploadFailure) {
        // A stream can't be read again, and of a file that grows only the beginning is the object.
        guard let source = transfer.source, source.size == source.identity.size, var record = transfer.record else {
            throw failure
        }
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
                transfer.job.service
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
        // The parts that were sent for nothing cost money.
        if record.mayHoldParts { record = try abandon(record, for: record.upload, transfer) }
        record = try confirmSource(
            source,
            RecordedContent(proof, size: source.size, partSize: nil),
            record,
            transfer
        )
        transfer.bytesDone.store(source.size, ordering: .relaxed)
        transfer.bytesSkipped.store(source.size, ordering: .relaxed)
        run.completed(transfer, record, proof, found: subject.head, provenBy: found.proof)
    }
}

extension UploadFailure {
    /// The object exists; why it was not taken for the file's. What kept the question from its answer, but for a refusal of
    /// the store, is a failure of its own.
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
    /// The proof in the form that the ledger keeps: a checksum of all bytes, whatever parts the object was made of.
    func recordable(_ verification: Verification, _ subject: VerifySubject) throws(VerifyFailure) -> ObjectProof {
        let whole: Checksum
        if let checksum = verification.proof.checksumOfAll {
            whole = checksum
        } else {
            whole = try asking { () throws(UploadFailure) in
                try digests(of: subject).digestWhole(size: verification.size, .crc64nvme)
            }
            // What was read now must be what was proven before.
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
    /// The checksum of all bytes that proved the object; nil where something else did.
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
