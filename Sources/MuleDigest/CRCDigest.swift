import CChecksums

/// The checksums that can be combined: that of an object follows from those of its parts.
package enum CRCAlgorithm: Sendable, CaseIterable {
    case crc64nvme
    case crc32c
    case crc32

    package var checksumAlgorithm: ChecksumAlgorithm {
        switch self {
        case .crc64nvme: .crc64nvme
        case .crc32c: .crc32c
        case .crc32: .crc32
        }
    }

    /// Nil if the algorithm is not a CRC.
    package init?(_ algorithm: ChecksumAlgorithm) {
        switch algorithm {
        case .crc64nvme: self = .crc64nvme
        case .crc32c: self = .crc32c
        case .crc32: self = .crc32
        case .sha256, .md5: return nil
        }
    }
}

/// An incremental CRC. Its value may be read at any time.
package struct CRCDigest: Sendable {
    package let algorithm: CRCAlgorithm
    /// The CRC of the bytes so far; a CRC of 32 bits is in the low half.
    private var value: UInt64 = 0

    package init(_ algorithm: CRCAlgorithm) {
        self.algorithm = algorithm
    }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        switch algorithm {
        case .crc64nvme: value = mule_crc64nvme(value, bytes.baseAddress, bytes.count)
        case .crc32c: value = UInt64(mule_crc32c(UInt32(truncatingIfNeeded: value), bytes.baseAddress, bytes.count))
        case .crc32: value = UInt64(mule_crc32(UInt32(truncatingIfNeeded: value), bytes.baseAddress, bytes.count))
        }
    }

    /// The checksum of the bytes so far; 0 without any.
    package var checksum: Checksum { Self.checksum(of: value, algorithm) }

    /// The checksum of two consecutive byte ranges, from those of each. `secondLength` is the second's length in bytes.
    /// Both checksums must be of the same CRC.
    package static func combine(_ first: Checksum, _ second: Checksum, secondLength: Int64) -> Checksum {
        guard let algorithm = CRCAlgorithm(first.algorithm), first.algorithm == second.algorithm, secondLength >= 0
        else {
            preconditionFailure("\(first.algorithm) and \(second.algorithm) over \(secondLength) bytes do not combine")
        }
        let (left, right, length) = (value(of: first), value(of: second), UInt64(secondLength))
        switch algorithm {
        case .crc64nvme:
            return checksum(of: mule_crc64nvme_combine(left, right, length), algorithm)
        case .crc32c:
            let (left, right) = (UInt32(truncatingIfNeeded: left), UInt32(truncatingIfNeeded: right))
            return checksum(of: UInt64(mule_crc32c_combine(left, right, length)), algorithm)
        case .crc32:
            let (left, right) = (UInt32(truncatingIfNeeded: left), UInt32(truncatingIfNeeded: right))
            return checksum(of: UInt64(mule_crc32_combine(left, right, length)), algorithm)
        }
    }

    private static func checksum(of value: UInt64, _ algorithm: CRCAlgorithm) -> Checksum {
        let count = algorithm.checksumAlgorithm.byteCount
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - $0))) }
        return Checksum(algorithm: algorithm.checksumAlgorithm, bytes: bytes)
    }

    private static func value(of checksum: Checksum) -> UInt64 {
        checksum.bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
