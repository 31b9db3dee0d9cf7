import MulePlan
import TestSupport
import Testing

@Suite("Part size guess")
struct PartSizeGuessTests {
    @Test
    func `each candidate makes exactly so many parts, none comes twice, and those known go first`() {
        for objectSize in Int64(1)...60 {
            for count in 1...Int(objectSize) + 1 {
                let known = Array(1...objectSize)
                let candidates = PartSizeGuess.candidates(objectSize: objectSize, partCount: count, known: known)
                let right = known.filter { PartPlan(objectSize: objectSize, partSize: $0).count == count }
                #expect(count == 1 ? candidates == [objectSize] : candidates == right, "\(objectSize) in \(count)")
            }
        }
    }

    @Test(arguments: UInt64(1)...50)
    func `what common clients cut by is found without being known`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let partSize = Int64([5, 8, 16, 64].randomElement(using: &random) ?? 8) << 20
        // Few parts leave the widest choice.
        let count = Int.random(in: 2...(seed.isMultiple(of: 2) ? 4 : 10_000), using: &random)
        let objectSize = Int64(count - 1) * partSize + Int64.random(in: 1...partSize, using: &random)
        let candidates = PartSizeGuess.candidates(objectSize: objectSize, partCount: count, known: [])
        #expect(candidates.contains(partSize))
        #expect(candidates.count <= 6)
        #expect(candidates.allSatisfy { PartPlan(objectSize: objectSize, partSize: $0).count == count })
    }

    @Test
    func `nothing is guessed where there is nothing to cut`() {
        #expect(PartSizeGuess.candidates(objectSize: 0, partCount: 1, known: [1]) == [])
        #expect(PartSizeGuess.candidates(objectSize: 3, partCount: 4, known: [1]) == [])
        #expect(PartSizeGuess.candidates(objectSize: 10, partCount: 0, known: [1]) == [])
    }
}
