import CChecksums
import Glibc
import Testing

/// One of the three CRCs, with 64 bits for every value.
enum TestedCRC: CaseIterable, Sendable {
    case crc64nvme
    case crc32c
    case crc32

    var reflectedPolynomial: UInt64 {
        switch self {
        case .crc64nvme: 0x9A6C_9329_AC4B_C9B5
        case .crc32c: 0x82F6_3B78
        case .crc32: 0xEDB8_8320
        }
    }

    var mask: UInt64 { self == .crc64nvme ? .max : 0xFFFF_FFFF }

    func value(by kernel: Int, after previous: UInt64 = 0, of bytes: some Collection<UInt8>) -> UInt64 {
        let value = bytes.withContiguousStorageIfAvailable { buffer in
            switch self {
            case .crc64nvme: mule_crc64nvme_by(kernel, previous, buffer.baseAddress, buffer.count)
            case .crc32c: UInt64(mule_crc32c_by(kernel, UInt32(previous), buffer.baseAddress, buffer.count))
            case .crc32: UInt64(mule_crc32_by(kernel, UInt32(previous), buffer.baseAddress, buffer.count))
            }
        }
        guard let value else { fatalError("tests hand over contiguous bytes") }
        return value
    }
}

/// A kernel that this machine can run.
struct Kernel: CustomTestStringConvertible, Sendable {
    let number: Int
    var testDescription: String { String(cString: mule_crc_kernel_name(number)) }

    static let supported = (0..<mule_crc_kernel_count()).filter { mule_crc_kernel_supported($0) }.map(Kernel.init)
}

@Suite struct CRCKernelTests {
    @Test(arguments: Kernel.supported, TestedCRC.allCases)
    func `agrees with the definition for every length to 1100 at every offset to 15`(kernel: Kernel, crc: TestedCRC) {
        var random = SeededGenerator(seed: 1)
        let bytes = random.bytes(1200)
        for offset in 0...15 {
            let previous = random.next() & crc.mask
            var reference = BitwiseCRC(crc, previous: previous)
            var wrongLengths: [Int] = []
            for length in 0...1100 {
                let value = crc.value(by: kernel.number, after: previous, of: bytes[offset..<offset + length])
                if value != reference.value { wrongLengths.append(length) }
                reference.update(bytes[offset + length])
            }
            #expect(wrongLengths.isEmpty, "at offset \(offset)")
        }
    }

    @Test(arguments: Kernel.supported, TestedCRC.allCases)
    func `agrees with the definition for long buffers`(kernel: Kernel, crc: TestedCRC) {
        var random = SeededGenerator(seed: 2)
        for length in [4096, 65_535, 65_536, Int.random(in: 20_000...90_000, using: &random)] {
            let bytes = random.bytes(length)
            var reference = BitwiseCRC(crc)
            for byte in bytes { reference.update(byte) }
            #expect(crc.value(by: kernel.number, of: bytes) == reference.value, "of \(length) bytes")
        }
    }

    @Test(arguments: Kernel.supported, TestedCRC.allCases)
    func `resumes from any split of a buffer`(kernel: Kernel, crc: TestedCRC) {
        var random = SeededGenerator(seed: 3)
        let bytes = random.bytes(700)
        let whole = crc.value(by: kernel.number, of: bytes)
        for split in 0...bytes.count {
            let first = crc.value(by: kernel.number, of: bytes[..<split])
            #expect(crc.value(by: kernel.number, after: first, of: bytes[split...]) == whole, "split at \(split)")
        }
    }

    /// The pages around the bytes may not be read: a kernel that strays ends the test run.
    @Test(arguments: Kernel.supported, TestedCRC.allCases)
    func `reads nothing before or after its bytes`(kernel: Kernel, crc: TestedCRC) throws {
        let page = Int(getpagesize())
        let mapping = mmap(nil, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        let pages = try #require(mapping == MAP_FAILED ? nil : mapping)
        defer { munmap(pages, 3 * page) }
        try #require(mprotect(pages, page, PROT_NONE) == 0)
        try #require(mprotect(pages + 2 * page, page, PROT_NONE) == 0)

        let middle = UnsafeBufferPointer(start: (pages + page).assumingMemoryBound(to: UInt8.self), count: page)
        for length in 0...1100 {
            let first = crc.value(by: kernel.number, of: UnsafeBufferPointer(rebasing: middle.prefix(length)))
            let last = crc.value(by: kernel.number, of: UnsafeBufferPointer(rebasing: middle.suffix(length)))
            #expect(first == last, "the page holds zeros only")
        }
    }

    @Test(arguments: Kernel.supported)
    func `yields the published check values`(kernel: Kernel) {
        let check = Array("123456789".utf8)
        #expect(TestedCRC.crc64nvme.value(by: kernel.number, of: check) == 0xAE8B_1486_0A79_9888)
        #expect(TestedCRC.crc32c.value(by: kernel.number, of: check) == 0xE306_9283)
        #expect(TestedCRC.crc32.value(by: kernel.number, of: check) == 0xCBF4_3926)
    }

    @Test func `the portable kernel is first and always supported`() {
        #expect(Kernel.supported.first?.testDescription == "table")
    }

    @Test func `the fastest supported kernel is the one in use`() {
        #expect(mule_crc_kernel_chosen() == Kernel.supported.last?.number)
    }

    @Test(arguments: TestedCRC.allCases)
    func `nothing at no address is allowed`(crc: TestedCRC) {
        for kernel in Kernel.supported {
            #expect(crc.value(by: kernel.number, after: 77, of: UnsafeBufferPointer<UInt8>(start: nil, count: 0)) == 77)
        }
    }
}
