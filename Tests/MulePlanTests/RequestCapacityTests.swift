import MulePlan
import Testing

@Suite struct RequestCapacityTests {
    @Test(
        arguments: [
            (20_000, nil, 64, 64), (1_024, nil, 64, 64), (408, nil, 64, 64), (407, nil, 64, 63), (64, nil, 64, 6),
            (30, nil, 64, 1), (29, nil, 64, 1), (0, nil, 64, 1), (.max, nil, 256, 256),
            (20_000, 2 << 30, 64, 64), (20_000, 512 << 20, 64, 21), (20_000, 64 << 20, 64, 2), (20_000, 1, 64, 1),
            (20_000, .max, 256, 256), (64, 64 << 20, 64, 2), (64, 2 << 30, 3, 3),
        ] as [(Int, Int64?, Int, Int)]
    )
    func `as many as there are files and memory for, one at least`(
        openFiles: Int,
        memory: Int64?,
        wanted: Int,
        expected: Int
    ) {
        #expect(RequestCapacity(openFiles: openFiles, memory: memory).most(wanted) == expected)
    }

    @Test(
        arguments: [
            (20_000, nil, 256), (1_024, nil, 166), (20_000, 1 << 30, 256), (20_000, 512 << 20, 128), (64, 1 << 30, 6),
            (20_000, 1, 1),
        ] as [(Int, Int64?, Int)]
    )
    func `small files take less memory`(openFiles: Int, memory: Int64?, expected: Int) {
        #expect(RequestCapacity(openFiles: openFiles, memory: memory).mostSmall(256) == expected)
    }

    @Test
    func `what is asked for is enough`() {
        for wanted in 1...256 {
            #expect(RequestCapacity(openFiles: RequestCapacity.files(for: wanted)).most(wanted) == wanted)
            #expect(RequestCapacity(openFiles: RequestCapacity.files(for: wanted) - 1).most(wanted) < max(wanted, 2))
        }
    }
}
