/// A CRC as its definition reads: one bit at a time, with neither table nor multiplication. What kernels are held to.
struct BitwiseCRC {
    private let reflectedPolynomial: UInt64
    private let mask: UInt64
    private var register: UInt64

    init(_ crc: TestedCRC, previous: UInt64 = 0) {
        reflectedPolynomial = crc.reflectedPolynomial
        mask = crc.mask
        register = ~previous & mask
    }

    mutating func update(_ byte: UInt8) {
        register ^= UInt64(byte)
        for _ in 0..<8 {
            register = register & 1 == 0 ? register >> 1 : register >> 1 ^ reflectedPolynomial
        }
    }

    var value: UInt64 { ~register & mask }
}

/// SplitMix64: the same numbers for the same seed on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }
}
