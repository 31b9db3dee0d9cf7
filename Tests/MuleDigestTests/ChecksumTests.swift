import MuleDigest
import Testing

@Suite struct ChecksumTests {
    @Test(arguments: [
        (ChecksumAlgorithm.crc64nvme, "CRC64NVME", 8), (.crc32c, "CRC32C", 4), (.crc32, "CRC32", 4),
        (.sha256, "SHA256", 32), (.md5, "MD5", 16),
    ])
    func `an algorithm knows its names in headers and XML and its length`(
        algorithm: ChecksumAlgorithm,
        name: String,
        byteCount: Int
    ) {
        #expect(algorithm.rawValue == name)
        #expect(algorithm.headerName == "x-amz-checksum-\(name.lowercased())")
        #expect(algorithm.xmlElement == "Checksum\(name)")
        #expect(algorithm.byteCount == byteCount)
    }

    @Test(arguments: ChecksumAlgorithm.allCases)
    func `both spellings are read back`(algorithm: ChecksumAlgorithm) {
        var random = SeededGenerator(seed: 8)
        let checksum = Checksum(algorithm: algorithm, bytes: random.bytes(algorithm.byteCount))
        #expect(Checksum(algorithm: algorithm, base64: checksum.base64) == checksum)
        #expect(Checksum(algorithm: algorithm, hex: checksum.hex) == checksum)
    }

    @Test(arguments: ["", "AAAAAAA=", "AAAAAAAAAAAA", "AAAAAAAAAAA", "AAAAAAAAAAA=-3", " AAAAAAAAAAA="])
    func `a text of another length or form is no checksum`(text: String) {
        #expect(Checksum(algorithm: .crc64nvme, base64: text) == nil)
    }

    @Test func `equal bytes of different algorithms are different checksums`() {
        let bytes: [UInt8] = [1, 2, 3, 4]
        #expect(Checksum(algorithm: .crc32, bytes: bytes) != Checksum(algorithm: .crc32c, bytes: bytes))
    }
}
