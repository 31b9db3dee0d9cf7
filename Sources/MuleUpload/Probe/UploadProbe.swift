import MuleDigest
package import MuleLedger
package import MulePlan
package import MuleS3
import MuleSigning
import MuleTransport

/// An upload that gets one small part and is then aborted, to find out what a store permits and how it checks bytes.
/// It descends the ladder of checksum modes by the rules of real uploads. No object is created.
package struct UploadProbe {
    private let connection: S3Connection
    private let address: ObjectAddress
    private let integrity: IntegrityOptions
    /// Whether objects in the bucket get a retention.
    private let isLocked: Bool
    /// Nil while there is nothing to abort.
    package private(set) var uploadID: String?

    private static let content = Array("mule doctor\n".utf8)
    /// A store whose checksum differs is asked once more.
    private static let mostDifferences = 2

    package init(
        _ connection: S3Connection,
        _ address: ObjectAddress,
        integrity: IntegrityOptions,
        isLocked: Bool
    ) {
        self.connection = connection
        self.address = address
        self.integrity = integrity
        self.isLocked = isLocked
    }

    /// Starts the upload and sends its part.
    ///
    /// - Returns: the checksum mode that the store accepted.
    package mutating func send() throws(UploadFailure) -> ChecksumMode {
        var mode = integrity.firstMode(remembered: nil, connection.service.profile, isLocked: isLocked)
        while true {
            let created: CreatedUpload
            do {
                created = try connection.createMultipartUpload(
                    address,
                    attributes: ObjectAttributes(),
                    checksum: mode.checksumAlgorithm
                )
            } catch {
                guard integrity.isAutomatic, let lower = mode.lower(after: error, isLocked: isLocked) else {
                    throw refused(error)
                }
                mode = lower
                continue
            }
            uploadID = created.uploadID
            switch try sendPart(of: created, createdIn: mode) {
            case .accepted(let mode): return mode
            case .restart(let lower):
                try abort()
                mode = lower
            }
        }
    }

    private enum PartResult {
        case accepted(ChecksumMode)
        /// The upload must be created again in this mode.
        case restart(ChecksumMode)
    }

    private func sendPart(
        of created: CreatedUpload,
        createdIn asked: ChecksumMode
    ) throws(UploadFailure) -> PartResult {
        let negotiated = NegotiatedIntegrity(created, asked)
        let isPromised = negotiated.wholeObject != nil
        var mode = negotiated.checksumMode
        // The refusal after which a lower mode was tried without knowing that the checksum was the reason.
        var doubted: S3Error?
        var differences = 0
        while true {
            let digest = SliceDigest(of: Self.content, crc: mode.wholeObjectCRC)
            let stored: StoredObject
            do {
                stored = try connection.uploadPart(
                    address,
                    uploadID: created.uploadID,
                    number: 1,
                    body: .bytes(Self.content),
                    proof: mode.proof(digest, signs: signs(mode)),
                    transfer: BodyTransfer()
                )
            } catch {
                guard integrity.isAutomatic, doubted == nil else { throw refused(doubted ?? error) }
                let restart = mode.restart(
                    after: error,
                    isPromised: isPromised,
                    wasCreatedForChecksum: asked.checksumAlgorithm != nil,
                    isLocked: isLocked
                )
                if let restart { return .restart(restart) }
                guard let lower = mode.lowerForPart(after: error, isLocked: isLocked) else { throw refused(error) }
                if !error.refusesChecksum { doubted = error }
                mode = lower
                continue
            }
            doubted = nil
            if connection.service.terms.customerKey != nil, stored.encryption != .customerKey {
                throw UploadFailure(.store, "The store ignores the customer key (SSE-C): do not upload with it here.")
            }
            let verdict = try mode.verdict(
                on: stored,
                digest,
                isPromised: isPromised,
                tagsAreMD5: false,
                isCompared: { false }
            ) {
                digest.md5
            }
            switch verdict.kind {
            case .agrees, .silent: return .accepted(verdict.mode)
            case .sendAgain: mode = verdict.mode
            case .differs(let what):
                differences += 1
                guard differences < Self.mostDifferences else {
                    throw UploadFailure(
                        .verification,
                        "The store's \(what) of a part differed from the local one \(differences) times: check this "
                            + "machine's memory and network."
                    )
                }
            }
        }
    }

    private func signs(_ mode: ChecksumMode) -> Bool {
        (PayloadSigning(rawValue: integrity.payloadSigning) ?? .auto)
            .signs(isEncrypted: connection.service.endpoint.isEncrypted, checksumMode: mode)
    }

    /// What the store has of the upload; nil before it is started.
    package func parts() throws(S3Error) -> PartListing? {
        guard let uploadID else { return nil }
        return try connection.listParts(address, uploadID: uploadID)
    }

    /// Aborts the upload, if there is one.
    package mutating func abort() throws(UploadFailure) {
        guard let uploadID else { return }
        do {
            try connection.abortMultipartUpload(address, uploadID: uploadID)
        } catch {
            throw refused(error)
        }
        self.uploadID = nil
    }

    private func refused(_ error: S3Error) -> UploadFailure { .refused(error, sending: address.description) }
}

extension SliceDigest {
    /// All digests of bytes in memory.
    fileprivate init(of bytes: [UInt8], crc algorithm: CRCAlgorithm) {
        var crc = CRCDigest(algorithm)
        var md5 = MessageDigest(.md5)
        bytes.withUnsafeBytes {
            crc.update($0)
            md5.update($0)
        }
        self.init(crc: crc.checksum, sha256: MuleDigest.sha256(bytes), md5: md5.finish())
    }
}

extension Ledger {
    /// The checksum mode that an endpoint accepted in the last days; nil if none is known.
    package func checksumMode(of endpoint: String) throws(LedgerError) -> ChecksumMode? {
        try fact(EndpointFacts.factName, of: endpoint).flatMap(ChecksumMode.init(text:))
    }
}
