import MuleDigest
import MulePlan
import MuleS3
import MuleTransport

/// The checksums that a store shows of an object, and how the object was split.
struct ObjectChecksums {
    struct Full {
        var checksum: Checksum
        /// Whether the store says that it covers all bytes. Some stores show a value without its type.
        var isCertain: Bool
    }

    struct Composite {
        var checksum: Checksum
        var partCount: Int?

        /// Whether it is the checksum of these parts' checksums.
        func isOf(_ parts: [Checksum]) -> Bool {
            (partCount ?? parts.count) == parts.count && Self.digest(of: parts, checksum.algorithm) == checksum
        }

        static func digest(of parts: [Checksum], _ algorithm: ChecksumAlgorithm) -> Checksum {
            let bytes = parts.flatMap(\.bytes)
            if let crc = CRCAlgorithm(algorithm) {
                var digest = CRCDigest(crc)
                bytes.withUnsafeBytes { digest.update($0) }
                return digest.checksum
            }
            var digest = MessageDigest(algorithm == .md5 ? .md5 : .sha256)
            bytes.withUnsafeBytes { digest.update($0) }
            return Checksum(algorithm: algorithm, bytes: digest.finish())
        }
    }

    private(set) var full: Full?
    private(set) var composite: Composite?
    private(set) var partCount: Int?
    private var listed: [ObjectAttributesAnswer.Part] = []
    private let isMultipart: Bool

    init(_ head: ObjectHead) {
        let eTag = head.object.eTag.flatMap(DigestETag.init)
        isMultipart = eTag?.partCount != nil
        partCount = eTag?.partCount
        read(head.object.checksums, head.object.checksumType)
    }

    mutating func add(_ answer: ObjectAttributesAnswer?) {
        guard let answer else { return }
        partCount = answer.partCount ?? partCount
        listed = answer.parts
        read(answer.checksums, answer.checksumType ?? (composite == nil ? nil : .composite))
    }

    /// Takes the first full-object checksum and the first composite one, CRC-64/NVME before all others.
    private mutating func read(_ checksums: [ChecksumAlgorithm: String], _ type: ChecksumType?) {
        for algorithm in ChecksumAlgorithm.allCases {
            guard let text = checksums[algorithm] else { continue }
            let words = text.split(separator: "-", maxSplits: 1)
            guard let value = words.first, let checksum = Checksum(algorithm: algorithm, base64: String(value)) else {
                continue
            }
            let suffix = words.count > 1 ? Int(words[1]) : nil
            if suffix != nil || type == .composite {
                if composite == nil { composite = Composite(checksum: checksum, partCount: suffix ?? partCount) }
            } else if full == nil {
                let isCertain = type == .fullObject || algorithm == .crc64nvme || !isMultipart
                full = Full(checksum: checksum, isCertain: isCertain)
                if !isCertain, composite == nil { composite = Composite(checksum: checksum, partCount: partCount) }
            }
        }
    }

    struct Parts {
        var all: [ObjectAttributesAnswer.Part]

        func slices(of source: SourceFile) -> [FileSlice] {
            var offset: Int64 = 0
            return all.map { part in
                defer { offset += part.size }
                return FileSlice(file: source.file, offset: offset, length: part.size)
            }
        }
    }

    /// The parts that the store lists, if they are complete and add up to the object.
    func parts(of size: Int64) -> Parts? {
        guard !listed.isEmpty, partCount.map({ $0 == listed.count }) ?? true,
            listed.allSatisfy({ $0.size >= 0 }), listed.reduce(0, { $0 &+ $1.size }) == size,
            zip(listed, listed.dropFirst()).allSatisfy({ $0.number < $1.number })
        else { return nil }
        return Parts(all: listed)
    }
}

/// An ETag that may be a digest: 32 hexadecimal digits, followed by `-N` for an object of N parts.
struct DigestETag {
    var md5: Checksum
    var partCount: Int?

    init?(_ text: String) {
        let words = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = words.first, let md5 = Checksum(algorithm: .md5, hex: String(first)) else { return nil }
        self.md5 = md5
        if words.count > 1 {
            guard let count = Int(words[1]), count > 0 else { return nil }
            partCount = count
        }
    }

    /// The ETag's digits for parts with these MD5s.
    static func md5(ofParts parts: [Checksum]) -> Checksum { ObjectChecksums.Composite.digest(of: parts, .md5) }
}
