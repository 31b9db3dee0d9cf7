// Compares a file's bytes with the recorded digests, if its times and other metadata cannot tell.

import MuleDigest
package import MuleLedger
import MulePlan
import MuleS3
package import MuleSystem
import MuleTransport

/// The recorded digests of a file's bytes.
package struct RecordedContent: Sendable {
    private enum Digests: Sendable {
        case whole(Checksum)
        /// The checksum of the parts' checksums.
        case composite(ObjectChecksums.Composite, PartPlan)
        /// Checksums of the finished parts of an unfinished upload.
        case parts([PartRecord], PartPlan, CRCAlgorithm)
    }

    private let digests: Digests
    private let size: Int64

    /// The content of a confirmed object; nil if no checksum of it is recorded.
    ///
    /// - Parameter partSize: nil for an object sent in one request.
    package init?(_ proof: ObjectProof, size: Int64, partSize: Int64?) {
        guard let algorithm = proof.checksumAlgorithm.flatMap(ChecksumAlgorithm.init(rawValue:)),
            let words = proof.checksumValue?.split(separator: "-", maxSplits: 1), let value = words.first,
            let checksum = Checksum(algorithm: algorithm, base64: String(value))
        else { return nil }
        self.size = size
        if proof.checksumType == ChecksumType.composite.rawValue {
            guard let partSize, size > 0 else { return nil }
            let count = words.dropFirst().first.flatMap { Int($0) }
            let composite = ObjectChecksums.Composite(checksum: checksum, partCount: count)
            digests = .composite(composite, PartPlan(objectSize: size, partSize: partSize))
        } else {
            digests = .whole(checksum)
        }
    }

    /// What a finished upload of a file has sent; nil if no checksum of it is recorded.
    package init?(_ record: UploadRecord) {
        guard record.state == .done, let size = record.size else { return nil }
        self.init(record.proof, size: size, partSize: record.upload.partSize)
    }

    /// The finished parts of an unfinished upload.
    init(_ rows: [PartRecord], _ plan: PartPlan, _ checksumMode: ChecksumMode) {
        digests = .parts(rows.filter { $0.isDigested(for: checksumMode) }, plan, checksumMode.wholeObjectCRC)
        size = plan.objectSize
    }

    /// Reads the file and compares it.
    ///
    /// - Parameter named: the file's name in messages.
    package func isContent(
        of file: File,
        named name: String,
        shouldStop: @escaping @Sendable () -> Bool
    ) throws(UploadFailure) -> Bool {
        try differences(FileDigests(file: file, name: name, shouldStop: shouldStop)).isEmpty
    }

    /// The numbers of the parts whose bytes differ from the recorded ones; [1] for an object without recorded parts.
    func differences(_ file: FileDigests) throws(UploadFailure) -> [Int] {
        switch digests {
        case .whole(let checksum):
            return try file.digestWhole(size: size, checksum.algorithm) == checksum ? [] : [1]
        case .composite(let composite, let plan):
            let algorithm = composite.checksum.algorithm
            let parts = try file.digest(
                plan.slices(of: file.file),
                crc: CRCAlgorithm(algorithm) ?? .crc64nvme,
                withSHA256: algorithm == .sha256,
                withMD5: algorithm == .md5
            )
            return composite.isOf(parts.compactMap { $0.checksum(algorithm) }) ? [] : [1]
        case .parts(let rows, let plan, let crc):
            let parts = try file.digest(
                rows.map { plan.slice($0.number, of: file.file) },
                crc: crc,
                withSHA256: rows.contains { $0.digest?.count == ChecksumAlgorithm.sha256.byteCount },
                withMD5: rows.contains { $0.digest?.count == ChecksumAlgorithm.md5.byteCount }
            )
            return zip(rows, parts).filter { row, part in !row.isOf(part) }.map(\.0.number)
        }
    }
}

extension PartRecord {
    /// Whether the digested bytes are the part's.
    func isOf(_ bytes: SliceDigest) -> Bool {
        crc == bytes.crc.bytes && (digest == nil || digest == bytes.sha256 || digest == bytes.md5)
    }
}

extension PartPlan {
    func slice(_ number: Int, of file: File) -> FileSlice {
        FileSlice(file: file, offset: range(of: number).lowerBound, length: size(of: number))
    }

    /// All parts, in order.
    func slices(of file: File) -> [FileSlice] {
        (1...count).map { slice($0, of: file) }
    }
}
