import MuleDigest
import MuleS3

/// What an upload that was started elsewhere requires for resuming it: the checksum that it was created with.
enum ForeignIntegrity {
    case known(NegotiatedIntegrity)
    /// Words that follow on "it".
    case foreign(String)

    init(_ listing: PartListing) {
        guard let name = listing.checksumAlgorithm else {
            // AWS refuses a checksum on parts of an upload that was created without one; Content-MD5 is always taken.
            self = .known(NegotiatedIntegrity(checksumMode: .md5, wholeObject: nil))
            return
        }
        guard let algorithm = ChecksumAlgorithm(rawValue: name), algorithm != .md5 else {
            self = .foreign("was created with \(name) checksums, which mule cannot compute")
            return
        }
        // The defaults of CreateMultipartUpload where a store does not list the type.
        let type = listing.checksumType ?? (algorithm == .crc64nvme ? .fullObject : .composite)
        self = .known(NegotiatedIntegrity(checksumMode: .checksum(algorithm, confirmed: true), wholeObject: type))
    }
}

/// By what a listed part can be compared with the file.
enum PartProof {
    case checksum(Checksum)
    /// The ETag, which may be an MD5.
    case eTag(String)

    /// - Parameter crc: the one that is computed anyway; another CRC of the same bytes is not worth a second reading.
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

    /// Why the part does not hold these bytes, in words that follow on "it"; nil when it does.
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
