import MuleSQLite
import TestSupport
import Testing

@Suite("What is held on disk for the moment")
struct SpillTests {
    @Test
    func `records come in the order of their ranks, equals in the order in which they were added`() throws {
        let sorter = try SpillSorter()
        var random = SeededRandom(seed: 5)
        var expected: [(rank: Int64, number: Int)] = []
        for number in 0..<3000 {
            let rank = [Int64.min, -1, 0, 1, .max].randomElement(using: &random) ?? 0
            expected.append((rank, number))
            try sorter.add(rank: rank, Array("\(number)".utf8))
        }
        expected.sort { ($0.rank, $0.number) < ($1.rank, $1.number) }
        #expect(sorter.count == 3000)
        for (_, number) in expected { #expect(try sorter.next() == Array("\(number)".utf8)) }
        #expect(try sorter.next() == nil)
        #expect(try sorter.next() == nil)
        #expect(try SpillSorter().next() == nil)
    }

    /// More than the pages that are kept in memory.
    @Test
    func `what does not fit into memory is held on disk`() throws {
        let sorter = try SpillSorter()
        let names = try SpillNames()
        let count = 20_000
        let tail = [UInt8](repeating: 0xFF, count: 500)
        for number in 0..<count {
            try sorter.add(rank: Int64((number * 7919) % count), Array("\((number * 7919) % count)".utf8) + tail)
            #expect(try names.take(Array("\(number)".utf8) + tail, for: [UInt8(number % 251)]) == nil)
        }
        for rank in 0..<count { #expect(try sorter.next() == Array("\(rank)".utf8) + tail) }
        for number in stride(from: 0, to: count, by: 997) {
            #expect(try names.take(Array("\(number)".utf8) + tail, for: [1]) == [UInt8(number % 251)])
        }
    }

    @Test
    func `a name belongs to who took it first; bytes are compared, not letters`() throws {
        let names = try SpillNames()
        #expect(try names.take([0xFF, 0], for: [1]) == nil)
        #expect(try names.take([0xFF], for: [2]) == nil)
        #expect(try names.take([0xFF, 0], for: [3]) == [1])
        #expect(try names.take([], for: []) == nil)
        #expect(try names.take([], for: [4]) == [])
    }
}
