// Whether a store compares a signed body with its hash. If it does, parts over plain HTTP need no Content-MD5.

import MuleDigest
import MuleLedger
import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport

/// An upload of its own, which gets two small parts and is aborted: one that is signed correctly, and one with the hash of
/// other bytes. Nothing of it can reach the object, even at a store that stores the second part and joins all parts that
/// it has.
enum SignedBodyProbe {
    static let content = Array("mule".utf8)

    static var rightProof: BodyProof { BodyProof(payload: .sha256(sha256(content))) }
    /// The hash of the same bytes in another order.
    static var wrongProof: BodyProof { BodyProof(payload: .sha256(sha256(content.reversed()))) }

    /// What the answers show. The only difference between the requests is the hash.
    ///
    /// - Parameters:
    ///   - right: the refusal of the correct part; nil if it was accepted.
    ///   - wrong: the refusal of the other part; nil if it was accepted.
    /// - Returns: whether the store compares; nil if the answers do not show it.
    static func comparesHash(right: S3Error?, wrong: S3Error?) -> Bool? {
        if let right {
            // A store that demands more than a signature, such as Content-MD5.
            return right.status == 400 && (right.refusesChecksum || right.mayRefuseChecksum) ? false : nil
        }
        guard let wrong else { return false }
        return wrong.status == 400 && wrong.retryClass == .damaged ? true : nil
    }
}

/// An upload of a probe, as the ledger remembers it from before its first part until it is aborted.
struct ProbeUpload: Equatable {
    static let factName = "probe-upload"

    var address: ObjectAddress
    var uploadID: String

    var text: String { "\(address.bucket) \(Hex.encode(address.key.utf8)) \(uploadID)" }

    init(_ address: ObjectAddress, uploadID: String) {
        self.address = address
        self.uploadID = uploadID
    }

    init?(text: String) {
        let words = text.split(separator: " ", maxSplits: 2).map(String.init)
        guard words.count == 3, let key = Hex.decode(words[1]) else { return nil }
        address = ObjectAddress(bucket: words[0], key: ObjectKey(key))
        uploadID = words[2]
    }
}

extension Worker {
    /// Asks the store whether it compares signed bodies with their hash, if that is unknown and would save work: before
    /// its first answer to a signed body, so that this needs no MD5 if the store ignores the checksum header. Other
    /// workers send parts at the same time.
    func askAboutSignedBodies(_ transfer: Transfer, _ record: UploadRecord) throws(UploadFailure) {
        let checksumMode = transfer.checksumMode
        guard checksumMode.sendsMD5 || run.signs(transfer, checksumMode), run.mayOmitMD5(transfer, record),
            transfer.job.service.signsHere,
            transfer.size ?? .max >= run.settings.leastSizeToAsk
        else { return }
        let endpoint = record.upload.store.endpoint
        guard run.signedBodies.mustAsk(endpoint) else { return }
        var comparesHash: Bool?
        defer { run.signedBodies.learn(comparesHash, of: endpoint) }
        try abortLeftProbe(transfer, endpoint)
        comparesHash = try probeSignedBodies(transfer, record, endpoint)
    }

    /// A probe that was killed has left its upload.
    private func abortLeftProbe(_ transfer: Transfer, _ endpoint: String) throws(UploadFailure) {
        guard let text = try? run.ledger.fact(ProbeUpload.factName, of: endpoint), let left = ProbeUpload(text: text)
        else { return }
        _ = try ask(transfer) { (connection) throws(S3Error) in
            try connection.abortMultipartUpload(left.address, uploadID: left.uploadID)
        }
        try remember(nil, endpoint)
    }

    private func probeSignedBodies(
        _ transfer: Transfer,
        _ record: UploadRecord,
        _ endpoint: String
    ) throws(UploadFailure) -> Bool? {
        let address = transfer.job.destination
        // With the attributes of the object, so that a bucket's policy treats it like the upload that was created.
        let attributes = run.attributes(of: record, at: transfer.job.service.now())
        let created = try ask(transfer) { (connection) throws(S3Error) in
            try connection.createMultipartUpload(address, attributes: attributes, checksum: nil)
        }
        guard case .success(let upload) = created else { return nil }
        // Not sent unless the next run can find it.
        try remember(ProbeUpload(address, uploadID: upload.uploadID), endpoint)
        func refusal(_ proof: BodyProof) throws(UploadFailure) -> S3Error? {
            let answer = try ask(transfer) { (connection) throws(S3Error) in
                try connection.uploadPart(
                    address,
                    uploadID: upload.uploadID,
                    number: 1,
                    body: .bytes(SignedBodyProbe.content),
                    proof: proof,
                    transfer: BodyTransfer()
                )
            }
            if case .failure(let error) = answer { return error }
            return nil
        }
        let right = try refusal(SignedBodyProbe.rightProof)
        let wrong = right == nil ? try refusal(SignedBodyProbe.wrongProof) : nil
        let removal = try client.retrying(transfer) { (connection) throws(S3Error) in
            try connection.abortMultipartUpload(address, uploadID: upload.uploadID)
        }
        if case .refused(let error, _) = removal, !error.isVanishedUpload {
            run.emit(
                .notice(
                    id: record.id,
                    "An upload of \(SignedBodyProbe.content.count) bytes that only tested the store could not be aborted "
                        + "(\(error.shortReason)); this needs \(error.operation.permission). Its ID for \(address) is "
                        + "\(upload.uploadID)."
                )
            )
        }
        try remember(nil, endpoint)
        return SignedBodyProbe.comparesHash(right: right, wrong: wrong)
    }

    /// Sends one request once: what fails now is asked again later.
    private func ask<Success>(
        _ transfer: Transfer,
        _ request: (S3Connection) throws(S3Error) -> Success
    ) throws(UploadFailure) -> Result<Success, S3Error> {
        let answer = try client.retrying(transfer) { (connection) throws(S3Error) -> Result<Success, S3Error> in
            do throws(S3Error) {
                return .success(try request(connection))
            } catch {
                if error.retryClass == .cancelled { throw error }
                return .failure(error)
            }
        }
        switch answer {
        case .success(let result, _): return result
        case .refused(let error, _): return .failure(error)
        }
    }

    /// - Parameter upload: nil once it is aborted.
    private func remember(_ upload: ProbeUpload?, _ endpoint: String) throws(UploadFailure) {
        try run.ledger.reporting { ledger throws(LedgerError) in
            try ledger.remember(
                ProbeUpload.factName,
                upload?.text ?? "",
                of: endpoint,
                lifetime: upload == nil ? 0 : ProbeUpload.lifetime
            )
        }
    }
}

extension ProbeUpload {
    /// In seconds.
    fileprivate static let lifetime: Int64 = 90 * 86_400
}
