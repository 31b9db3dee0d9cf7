// Proves that an object equals a file from what the store shows of it. Always reads the file: the ledger records what
// the file was, not what it is.

import MuleDigest
package import MuleLedger
package import MulePlan
package import MuleS3
package import MuleSystem
import MuleTransport

package struct VerifyRun {
    let remote: RemoteSteps
    var client: StoreClient { remote.client }
    /// How far the file has been read; restarts with each reading.
    package let progress = ReadProgress()

    package init(ledger: Ledger, settings: RunSettings, cancellation: Cancellation) {
        let client = StoreClient(settings: settings, cancellation: cancellation, ledger: ledger)
        self.init(RemoteSteps(client: client, ledger: ledger, emit: { _ in }))
    }

    init(_ remote: RemoteSteps) {
        self.remote = remote
    }

    /// Proves that the object equals the file, or throws why not.
    ///
    /// - Parameter downloads: whether to compare the bytes themselves, even if the store shows other proofs.
    package func verify(
        path: [UInt8],
        _ address: ObjectAddress,
        service: S3Service,
        downloads: Bool
    ) throws(VerifyFailure) -> Verification {
        let source = try asking { () throws(UploadFailure) in try SourceFile.open(path: path) }
        service.remember(regions: remote.ledger.regions(of: service.endpoint.url))
        let named = LossyUTF8.string(path)
        guard let subject = try subject(source, named: named, address, service: service) else {
            throw VerifyFailure(.missing, "The object \(address) does not exist.")
        }
        return try verify(subject, downloads: downloads)
    }

    /// What to compare; nil if the object does not exist.
    func subject(
        _ source: SourceFile,
        named name: String,
        _ address: ObjectAddress,
        service: S3Service
    ) throws(VerifyFailure) -> VerifySubject? {
        guard let head = try asking({ () throws(UploadFailure) in try remote.look(at: address, service) }) else {
            return nil
        }
        let record = try asking { () throws(UploadFailure) in try recorded(source.identity, address, service: service) }
        return VerifySubject(
            source: source,
            named: name,
            address: address,
            service: service,
            head: head,
            record: record
        )
    }

    func verify(_ subject: VerifySubject, downloads: Bool = false) throws(VerifyFailure) -> Verification {
        let size = subject.source.identity.size
        if let theirs = subject.head.size, theirs != size {
            throw VerifyFailure(
                .differs,
                "\(subject.address) differs from \(subject.named): it has \(theirs) bytes, the file \(size)."
            )
        }
        let outcome = Result { () throws(VerifyFailure) in
            downloads ? try compareBytes(subject) : try prove(subject)
        }
        if case .failure(let failure) = outcome, failure.verdict == nil { throw failure }
        // The result is only valid for a file that did not change while it was read.
        try checkUnchanged(subject)
        return Verification(
            source: subject.source.identity.path,
            destination: subject.address,
            size: size,
            eTag: subject.head.object.eTag,
            versionID: subject.head.object.versionID,
            proof: try outcome.get()
        )
    }

    /// A failed check is no verdict on the object.
    func asking<Result>(_ question: () throws(UploadFailure) -> Result) throws(VerifyFailure) -> Result {
        do {
            return try question()
        } catch {
            throw VerifyFailure(error)
        }
    }

    /// The latest finished upload of this file to this object in the ledger.
    private func recorded(
        _ source: SourceIdentity,
        _ address: ObjectAddress,
        service: S3Service
    ) throws(UploadFailure) -> UploadRecord? {
        let done = try remote.ledger.reporting { ledger throws(LedgerError) in
            try ledger.lastDone(source: source.path, destination: address, endpoint: service.endpoint.url)
        }
        guard let done, let before = done.upload.source, !source.verdict(since: before).isChanged else { return nil }
        return done
    }

    func checkUnchanged(_ subject: VerifySubject) throws(VerifyFailure) {
        let changes: [SourceChange]
        do {
            changes = try subject.source.changesInPlace()
        } catch {
            throw VerifyFailure(
                UploadFailure(.source, "\(subject.named) was removed while it was verified (\(error.reason)).")
            )
        }
        if (try? subject.source.holdsMoreThanItsSize()) != false {
            throw VerifyFailure(.moreThanItsSize(subject.named, subject.source.identity.size))
        }
        guard changes.isEmpty else {
            throw VerifyFailure(
                UploadFailure(
                    .source,
                    "\(subject.named) changed while it was verified: \(UploadFailure.words(changes)). Verify it again "
                        + "when no program writes to it."
                )
            )
        }
    }

    // MARK: Comparing bytes

    private func compareBytes(_ subject: VerifySubject) throws(VerifyFailure) -> Verification.Proof {
        let comparison = DownloadComparison(
            subject.source.file,
            size: subject.source.identity.size,
            progress: progress,
            onProgress: { [client] in client.context.noteBytes(client.context.store(subject.service), nil) }
        )
        let answer: Answer<Void>
        do {
            answer = try client.retrying(with: subject.service) { (connection) throws(S3Error) in
                do throws(S3Error) {
                    // Without an ETag for `If-Match`, two answers may be of two objects.
                    let eTag = subject.head.object.eTag
                    try connection.getObject(
                        subject.address,
                        from: eTag == nil ? 0 : comparison.position,
                        ifMatch: eTag,
                        reader: comparison
                    )
                } catch {
                    if comparison.end == nil { throw error }
                }
            }
        } catch {
            throw VerifyFailure(error)
        }
        if case .refused(let error, _) = answer {
            if error.status == 412 || error.status == 404 {
                throw VerifyFailure(
                    UploadFailure(
                        .verification,
                        "\(subject.address) was changed or removed at the store while it was compared with "
                            + "\(subject.named): verify it again.",
                        evidence: error
                    )
                )
            }
            throw VerifyFailure(.refused(error, sending: subject.address.description))
        }
        switch comparison.end {
        case .unreadable(let reason, let offset):
            throw VerifyFailure(
                UploadFailure(
                    .source,
                    "\(subject.named) cannot be read at byte \(offset) (\(reason)).",
                    isResumable: true
                )
            )
        case .differs(let offset):
            throw VerifyFailure(.differs, "\(subject.address) differs from \(subject.named) at byte \(offset).")
        case nil where comparison.position < subject.source.identity.size:
            throw VerifyFailure(
                .differs,
                "\(subject.address) differs from \(subject.named): the store sent \(comparison.position) bytes of it."
            )
        case nil:
            return Verification.Proof(kind: .download)
        }
    }
}

/// What is verified, and what is known about it.
struct VerifySubject {
    var source: SourceFile
    /// The file's name as the user gave it.
    var named: String
    var address: ObjectAddress
    var service: S3Service
    var head: ObjectHead
    /// The ledger's upload of this file to this object.
    var record: UploadRecord?
}
