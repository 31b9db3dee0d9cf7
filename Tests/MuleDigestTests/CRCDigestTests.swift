import MuleDigest
import Testing

private func checksum(_ algorithm: CRCAlgorithm, _ bytes: some Collection<UInt8>) -> Checksum {
    var digest = CRCDigest(algorithm)
    Array(bytes).withUnsafeBytes { digest.update($0) }
    return digest.checksum
}

@Suite struct CRCDigestTests {
    // awslabs/aws-checksums, tests/crc64_test.c; the texts computed bit by bit.
    @Test(arguments: [
        ([], "0000000000000000"),
        ([UInt8](repeating: 0, count: 32), "cf3473434d4ecf3b"),
        ([UInt8](repeating: 0xFF, count: 32), "a0a06974c34d63c4"),
        ([UInt8](0...0x1F), "b9d9d4a8492cbd7f"),
        ([UInt8]((0...0x1F).reversed()), "17115a712025f5af"),
        (Array("hello world".utf8), "8d29d5c3f6ea8ebe"),
        (Array("123456789".utf8), "ae8b14860a799888"),
    ])
    func `CRC-64/NVME yields the values of the AWS test suite`(bytes: [UInt8], hex: String) {
        #expect(checksum(.crc64nvme, bytes).hex == hex)
    }

    // RFC 3720 appendix B.4 prints these bytes in wire order, lowest first.
    @Test(arguments: [
        ([UInt8](repeating: 0, count: 32), "8a9136aa"),
        ([UInt8](repeating: 0xFF, count: 32), "62a8ab43"),
        ([UInt8](0...0x1F), "46dd794e"),
        ([UInt8]((0...0x1F).reversed()), "113fdb5c"),
    ])
    func `CRC-32C yields the values of RFC 3720`(bytes: [UInt8], hex: String) {
        #expect(checksum(.crc32c, bytes).hex == hex)
    }

    @Test(arguments: [("a", "e8b7be43"), ("abc", "352441c2"), ("message digest", "20159d7f")])
    func `CRC-32 yields the values of zlib`(text: String, hex: String) {
        #expect(checksum(.crc32, Array(text.utf8)).hex == hex)
    }

    @Test func `the spelling for S3 is base64 of the highest byte first`() {
        #expect(checksum(.crc64nvme, []).base64 == "AAAAAAAAAAA=")
        #expect(checksum(.crc64nvme, Array("hello world".utf8)).base64 == "jSnVw/bqjr4=")
        #expect(checksum(.crc32, Array("123456789".utf8)).base64 == "y/Q5Jg==")
    }

    @Test(arguments: CRCAlgorithm.allCases)
    func `the value does not depend on the pieces`(algorithm: CRCAlgorithm) {
        var random = SeededGenerator(seed: 4)
        let bytes = random.bytes(3000)
        let whole = checksum(algorithm, bytes)
        var digest = CRCDigest(algorithm)
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = Array(rest.prefix(Int.random(in: 0...400, using: &random)))
            piece.withUnsafeBytes { digest.update($0) }
            rest.removeFirst(piece.count)
        }
        #expect(digest.checksum == whole)
    }

    @Test(arguments: CRCAlgorithm.allCases)
    func `parts combine into the whole wherever it is cut`(algorithm: CRCAlgorithm) {
        var random = SeededGenerator(seed: 5)
        let bytes = random.bytes(600)
        let whole = checksum(algorithm, bytes)
        for cut in 0...bytes.count {
            let (first, second) = (checksum(algorithm, bytes[..<cut]), checksum(algorithm, bytes[cut...]))
            let combined = CRCDigest.combine(first, second, secondLength: Int64(bytes.count - cut))
            #expect(combined == whole, "cut at \(cut)")
        }
    }

    @Test(arguments: CRCAlgorithm.allCases)
    func `many parts of random sizes combine into the whole`(algorithm: CRCAlgorithm) {
        var random = SeededGenerator(seed: 6)
        let bytes = random.bytes(40_000)
        var combined = checksum(algorithm, [])
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = rest.prefix(Int.random(in: 0...5000, using: &random))
            combined = CRCDigest.combine(combined, checksum(algorithm, part), secondLength: Int64(part.count))
            rest.removeFirst(part.count)
        }
        #expect(combined == checksum(algorithm, bytes))
    }

    @Test(arguments: CRCAlgorithm.allCases)
    func `an empty side changes nothing`(algorithm: CRCAlgorithm) {
        let (some, none) = (checksum(algorithm, Array("mule".utf8)), checksum(algorithm, []))
        #expect(CRCDigest.combine(some, none, secondLength: 0) == some)
        #expect(CRCDigest.combine(none, some, secondLength: 4) == some)
    }

    @Test(arguments: CRCAlgorithm.allCases)
    func `order and length matter`(algorithm: CRCAlgorithm) {
        let (a, b) = (checksum(algorithm, Array("aaaa".utf8)), checksum(algorithm, Array("bbbb".utf8)))
        #expect(CRCDigest.combine(a, b, secondLength: 4) != CRCDigest.combine(b, a, secondLength: 4))
        #expect(CRCDigest.combine(a, b, secondLength: 4) != CRCDigest.combine(a, b, secondLength: 5))
    }

    @Test(arguments: CRCAlgorithm.allCases, 1...20 as ClosedRange<UInt64>)
    func `combination is associative up to the largest object`(algorithm: CRCAlgorithm, seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let count = algorithm.checksumAlgorithm.byteCount
        let parts = (0..<3).map { _ in Checksum(algorithm: algorithm.checksumAlgorithm, bytes: random.bytes(count)) }
        // 10,000 parts of 5 GiB.
        let largest: Int64 = 10_000 * 5 << 30
        let second = Int64.random(in: 0...largest, using: &random)
        let third = Int64.random(in: 0...largest - second, using: &random)
        let fromLeft = CRCDigest.combine(
            CRCDigest.combine(parts[0], parts[1], secondLength: second),
            parts[2],
            secondLength: third
        )
        let fromRight = CRCDigest.combine(
            parts[0],
            CRCDigest.combine(parts[1], parts[2], secondLength: third),
            secondLength: second + third
        )
        #expect(fromLeft == fromRight)
    }

    /// A first value of x^0 and a second of 0 show the multiplier itself.
    @Test(arguments: [
        (Int64(0), "8000000000000000"), (1, "0080000000000000"), (8 << 20, "2574114889f670b2"),
    ])
    func `the multiplier of CRC-64/NVME for a length is the known one`(length: Int64, multiplier: String) throws {
        let one = try #require(Checksum(algorithm: .crc64nvme, hex: "8000000000000000"))
        let zero = try #require(Checksum(algorithm: .crc64nvme, hex: "0000000000000000"))
        #expect(CRCDigest.combine(one, zero, secondLength: length).hex == multiplier)
    }

    @Test func `only CRCs have a CRC algorithm`() {
        #expect(ChecksumAlgorithm.allCases.compactMap(CRCAlgorithm.init) == [.crc64nvme, .crc32c, .crc32])
        for algorithm in CRCAlgorithm.allCases { #expect(CRCAlgorithm(algorithm.checksumAlgorithm) == algorithm) }
    }
}
