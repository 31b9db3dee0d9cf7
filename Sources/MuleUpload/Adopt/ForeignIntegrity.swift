import MuleDigest
import MuleS3

/// The checksum that an upload started elsewhere was created with; resuming it requires the same one.
enum ForeignIntegrity {
    case known(NegotiatedIntegrity)
    /// Completes a sentence that starts with "it".
    case foreign(String)

    init(_ listing: PartListing, at profile: StoreProfile?) {
        guard let name = listing.checksumAlgorithm else {
            // AWS refuses checksums on parts of an upload created without one, but always accepts Content-MD5.
            self = .known(NegotiatedIntegrity(checksumMode: ChecksumMode.md5.fitting(profile), wholeObject: nil))
            return
        }
        guard let algorithm = ChecksumAlgorithm(rawValue: name), algorithm != .md5 else {
            self = .foreign("was created with \(name) checksums, which mule cannot compute")
            return
        }
        // CreateMultipartUpload's defaults, for stores that do not list the type.
        let type = listing.checksumType ?? (algorithm == .crc64nvme ? .fullObject : .composite)
        self = .known(NegotiatedIntegrity(checksumMode: .checksum(algorithm, confirmed: true), wholeObject: type))
    }
}

/// How a listed part can be compared with the file.
enum PartProof {
    case checksum(Checksum)
    /// The ETag, which may be an MD5.
    case eTag(String)

    /// - Parameter crc: the CRC that is computed anyway. Another CRC is not worth reading the bytes again.
    init(of part: StoredPart, crc: CRCAlgorithm) {
        for algorithm in [crc.checksumAlgorithm, .sha256, .md5] {
            if let checksum = part.checksums[algorithm].flatMap({ Checksum(algorithm: algorithm, base64: $0) }) {
                self = .checksum(checksum)
                return
            }
        }
        self = .eTag(part.eTag)
    }

    var algorithm: ChecksumAlgorithm {
        switch self {
        case .checksum(let checksum): checksum.algorithm
        case .eTag: .md5
        }
    }

    /// Why the part does not hold these bytes, as the end of a sentence that starts with "it"; nil if it does.
    func difference(from digest: SliceDigest, _ number: Int) -> String? {
        let mine = digest.checksum(algorithm)
        switch self {
        case .checksum(let checksum):
            return mine == checksum ? nil : "has a part \(number) that differs from the file"
        case .eTag(let text):
            guard let eTag = DigestETag(text), eTag.partCount == nil else {
                return "has a part \(number) that cannot be compared: the store lists no checksum, and its ETag is not "
                    + "an MD5"
            }
            return mine == eTag.md5
                ? nil
                : "has a part \(number) whose ETag does not match the file, and the store lists no checksum of it"
        }
    }
}
