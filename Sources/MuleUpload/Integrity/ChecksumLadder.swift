// The rules by which an upload descends the ladder of checksum modes. They change nothing: `UploadRun` applies them to
// uploads and records the result, and `UploadProbe` applies them to an upload that is aborted.

import MuleDigest
import MuleLedger
import MuleS3
import MuleSigning

extension IntegrityOptions {
    /// The first mode to try.
    ///
    /// - Parameters:
    ///   - remembered: the mode that the store accepted before; nil if none is known.
    ///   - profile: what is known of the store; nil for any store.
    ///   - isLocked: whether objects get a retention.
    func firstMode(remembered: ChecksumMode?, _ profile: StoreProfile?, isLocked: Bool) -> ChecksumMode {
        let best: ChecksumMode =
            profile?.firstRung == .md5WithCRC32C ? .md5WithCRC32C : .checksum(.crc64nvme, confirmed: false)
        var mode = (isAutomatic ? remembered : ChecksumMode(option: checksum)) ?? best
        // A rung below is kept: the store has refused this one.
        if checksum == Self.automaticFromMD5, mode.checksumAlgorithm != nil { mode = .md5 }
        if mode == .signedPayload, isLocked { mode = .md5 }
        return mode.fitting(profile)
    }
}

extension IntegrityOptions {
    /// Whether the signature over a part may replace its MD5, at a store that compares bodies with their signed hash:
    /// the Content-MD5, or the comparison with its ETag if the store ignores the checksum header.
    ///
    /// - Parameters:
    ///   - isEncrypted: whether TLS protects the bytes in transit; then the hash is computed only for this purpose.
    ///   - isHashFaster: whether this machine computes a SHA-256 faster than an MD5.
    func maySignInsteadOfMD5(
        _ checksumMode: ChecksumMode,
        isEncrypted: Bool,
        isLocked: Bool,
        isHashFaster: @autoclosure () -> Bool
    ) -> Bool {
        // A locked object needs a digest in a header, and a mode that the user chose is kept.
        guard checksumMode.mayNeedMD5, isAutomatic, !isLocked else { return false }
        switch PayloadSigning(rawValue: payloadSigning) ?? .auto {
        case .always: return true
        case .never: return false
        case .auto: return !isEncrypted || isHashFaster()
        }
    }
}

extension ChecksumMode {
    /// The next mode of the ladder; nil at its end. A locked object needs a digest in a header, which the last one lacks.
    func rungBelow(isLocked: Bool) -> ChecksumMode? {
        nextRung == .signedPayload && isLocked ? nil : nextRung
    }

    /// The next mode if the store refuses the checksum; nil if it refuses something else.
    func lower(after error: S3Error, isLocked: Bool) -> ChecksumMode? {
        if error.refusesChecksum { return rungBelow(isLocked: isLocked) }
        // Guess once: the mode below sends none of the headers that the store may refuse.
        return checksumAlgorithm != nil && error.mayRefuseChecksum ? .md5 : nil
    }

    /// The same for a part. Some stores accept the algorithm at Create and refuse the header here. Rows may exist
    /// already, so only a mode with the same CRC works.
    func lowerForPart(after error: S3Error, isLocked: Bool) -> ChecksumMode? {
        var lower = lower(after: error, isLocked: isLocked)
        while let rung = lower, rung.wholeObjectCRC != wholeObjectCRC { lower = rung.rungBelow(isLocked: isLocked) }
        return lower
    }

    /// The mode to create the upload again with after its first part was refused; nil if it can continue in this mode
    /// or a lower one.
    ///
    /// A store that accepted a checksum at Create requires it for the parts and Complete. Some still refuse the header
    /// of a part.
    ///
    /// - Parameters:
    ///   - isPromised: whether Create promised a checksum of the whole object.
    ///   - wasCreatedForChecksum: whether the upload was created with an algorithm.
    func restart(
        after error: S3Error,
        isPromised: Bool,
        wasCreatedForChecksum: Bool,
        isLocked: Bool
    ) -> ChecksumMode? {
        if checksumAlgorithm != nil {
            return isPromised && error.refusesChecksum ? rungBelow(isLocked: isLocked) : nil
        }
        return wasCreatedForChecksum && error.demandsChecksum ? self : nil
    }

    /// What is sent with a body.
    ///
    /// - Parameter signs: whether the signature covers the body.
    func proof(_ digest: SliceDigest, signs: Bool) -> BodyProof {
        var proof = BodyProof(payload: .unsigned)
        if signs, let sha256 = digest.sha256 { proof.payload = .sha256(sha256) }
        switch self {
        case .checksum(.sha256, _):
            proof.checksum = digest.sha256.map { Checksum(algorithm: .sha256, bytes: $0) }
        case .checksum: proof.checksum = digest.crc
        case .md5, .md5WithCRC32C: proof.md5 = digest.md5
        case .signedPayload, .none: break
        }
        return proof
    }

    /// Checks the proof in the answer to a body.
    ///
    /// - Parameters:
    ///   - isPromised: whether Create promised a checksum of the whole object.
    ///   - tagsAreMD5: whether earlier ETags of this store were MD5s of its data.
    ///   - isCompared: whether the store compares this body with its signed hash; may wait for that to be known.
    ///   - md5: digests the body again.
    func verdict(
        on stored: StoredObject,
        _ digest: SliceDigest,
        isPromised: Bool,
        tagsAreMD5: Bool,
        isCompared: () -> Bool,
        md5: () throws(UploadFailure) -> [UInt8]?
    ) throws(UploadFailure) -> BodyVerdict {
        switch self {
        case .checksum(let algorithm, let confirmed):
            let mine = algorithm == .sha256 ? digest.sha256.map(Base64.encode) : digest.crc.base64
            if let theirs = stored.checksums[algorithm] {
                guard theirs == mine else { return BodyVerdict(.differs("checksum"), self) }
                return BodyVerdict(.agrees, .checksum(algorithm, confirmed: true))
            }
            // Complete will compare the whole object's checksum.
            if confirmed && isPromised { return BodyVerdict(.silent, self) }
            // The store ignores the header.
            if mayNeedMD5, isCompared() { return BodyVerdict(.silent, .md5) }
            // Unless it encrypts, its ETag is the MD5 of what it holds, which is as good. A row must hold the CRC of the
            // upload's mode, or the object's checksum cannot be combined.
            guard wholeObjectCRC == ChecksumMode.md5.wholeObjectCRC, let eTag = stored.eTag, isMD5(eTag),
                Self.isTag(eTag, ofMD5: try md5())
            else { return BodyVerdict(.sendAgain, .md5) }
            return BodyVerdict(.agrees, .md5, tagIsMD5: true)
        case .md5, .md5WithCRC32C:
            // Google says what it holds.
            if self == .md5WithCRC32C, let theirs = stored.checksums[.crc32c] {
                return BodyVerdict(theirs == digest.crc.base64 ? .agrees : .differs("checksum"), self)
            }
            // The store checks Content-MD5 before it answers 200; an MD5 as ETag confirms it. Another ETag proves
            // nothing, because stores that encrypt make it up; but if the ETags were MD5s before, it shows that nothing
            // was checked.
            //
            // Without an MD5 here, the store has compared the body with its signed hash.
            guard let md5 = digest.md5, let eTag = stored.eTag, isMD5(eTag) else { return BodyVerdict(.silent, self) }
            if Self.isTag(eTag, ofMD5: md5) { return BodyVerdict(.agrees, self, tagIsMD5: true) }
            return BodyVerdict(tagsAreMD5 ? .differs("entity tag") : .silent, self)
        case .signedPayload, .none:
            return BodyVerdict(.silent, self)
        }
    }

    private static func isTag(_ eTag: String, ofMD5 md5: [UInt8]?) -> Bool {
        md5.map(Hex.encode) == eTag.lowercased()
    }
}

/// What the answer to a body shows.
struct BodyVerdict: Equatable {
    enum Kind: Equatable {
        /// The store has proved that it holds the digested bytes.
        case agrees
        /// The store accepted the bytes without proof.
        case silent
        /// Send again with a proof that this store understands.
        case sendAgain
        case differs(String)
    }

    var kind: Kind
    /// The mode for the next body.
    var mode: ChecksumMode
    /// Whether the ETag is the MD5 of the body.
    var tagIsMD5: Bool

    init(_ kind: Kind, _ mode: ChecksumMode, tagIsMD5: Bool = false) {
        self.kind = kind
        self.mode = mode
        self.tagIsMD5 = tagIsMD5
    }
}

/// Whether an ETag has the form of an MD5.
func isMD5(_ eTag: String) -> Bool {
    eTag.utf8.count == 32 && Hex.decode(eTag) != nil
}

extension NegotiatedIntegrity {
    /// What Create has settled for an upload in this mode.
    init(_ created: CreatedUpload, _ asked: ChecksumMode) {
        var mode = asked
        if case .checksum(let algorithm, _) = asked, created.checksumAlgorithm == algorithm {
            mode = .checksum(algorithm, confirmed: true)
        }
        self.init(checksumMode: mode, wholeObject: mode.isConfirmed ? created.checksumType : nil)
    }
}
