import TestSupport
import Testing

@testable import MuleLedger

/// A write-ahead log as a power cut or a broken disk leaves it. https://sqlite.org/fileformat2.html#walformat
@Suite struct TornLogTests {
    private let directory = ScratchDirectory()
    private static let frame = 4096 + 24
    private static let header = 32

    /// A ledger and its log after 12 commits of a part each, taken while it is open.
    private func files() throws -> (main: [UInt8], log: [UInt8]) {
        let ledger = try Ledger(path: Array(directory.path("made/ledger.sqlite").utf8))
        let (record, lease) = try #require(try ledger.take())
        for number in 1...12 { try ledger.commit(.sample(number), of: record) }
        let files = (try directory.read("made/ledger.sqlite"), try directory.read("made/ledger.sqlite-wal"))
        withExtendedLifetime(lease) {}
        return files
    }

    /// The parts that a ledger of these files has; the file must be whole afterwards and take another part.
    private func parts(_ main: [UInt8], _ log: [UInt8], _ name: String) throws -> [Int]? {
        try directory.write(main, to: "\(name)/ledger.sqlite")
        try directory.write(log, to: "\(name)/ledger.sqlite-wal")
        let path = directory.path("\(name)/ledger.sqlite")
        var numbers: [Int]?
        do {
            let ledger = try Ledger(path: Array(path.utf8))
            if let record = try ledger.unfinished().first {
                let parts = try ledger.parts(of: record.number)
                #expect(parts == parts.map { .sample($0.number) }, "\(name): a row that nobody wrote")
                #expect((record.partsDone, record.bytesDone) == (parts.count, Int64(parts.count) * 8 * mebibyte))
                numbers = parts.map(\.number)
                try ledger.commit(.sample(20), of: record)
                #expect(try ledger.parts(of: record.number).last == .sample(20))
            } else {
                #expect(try ledger.take() != nil)
            }
        }
        #expect(try RawDatabase(path).column("PRAGMA integrity_check") == ["ok"], "\(name)")
        return numbers
    }

    @Test func `a log that is cut anywhere loses rows of its tail alone`() throws {
        let (main, log) = try files()
        let frames = (log.count - Self.header) / Self.frame
        try #require(frames > 20)
        var last = -1
        for frame in 0...frames {
            let boundary = Self.header + frame * Self.frame
            // At the boundary, inside the next frame's header, and inside its page.
            for extra in [0, 10, 24, 2_000] where boundary + extra <= log.count {
                let found = try parts(main, Array(log[..<(boundary + extra)]), "cut-\(frame)-\(extra)")
                let count = found?.count ?? 0
                #expect(found ?? [] == Array(1..<count + 1))
                #expect(count >= last, "a longer log holds no less")
                last = max(last, count)
            }
        }
        #expect(last == 12)
    }

    @Test func `a log that is garbled anywhere is read up to there`() throws {
        let (main, log) = try files()
        let frames = (log.count - Self.header) / Self.frame
        var random = SeededRandom(seed: 52)
        for frame in 0..<frames {
            for within in [0, 5, 16, 24 + Int.random(in: 0..<4096, using: &random)] {
                var garbled = log
                garbled[Self.header + frame * Self.frame + within] ^= 0x55
                let found = try parts(main, garbled, "garbled-\(frame)-\(within)")
                let whole = try parts(
                    main,
                    Array(log[..<(Self.header + frame * Self.frame)]),
                    "whole-\(frame)-\(within)"
                )
                #expect(found == whole, "frame \(frame), byte \(within)")
            }
        }
    }

    @Test(arguments: [0, 4, 8, 12, 16, 24, 31])
    func `a log whose header is garbled is none`(offset: Int) throws {
        let (main, log) = try files()
        var garbled = log
        garbled[offset] ^= 0xFF
        #expect(try parts(main, garbled, "header-\(offset)") == (try parts(main, [], "none-\(offset)")))
    }

    @Test func `room that was reserved behind the log is no part of it`() throws {
        let (main, log) = try files()
        let found = try parts(main, log + [UInt8](repeating: 0, count: 1 << 20), "reserved")
        #expect(found == Array(1...12))
        // A kill before the first commit leaves nothing but the reserve.
        #expect(try parts(main, [UInt8](repeating: 0, count: 1 << 20), "empty") == (try parts(main, [], "no-log")))
    }

    @Test func `shared memory of a process that was killed is made again`() throws {
        let (main, log) = try files()
        for (index, content) in [[], [UInt8](repeating: 0xA5, count: 32_768)].enumerated() {
            try directory.write(content, to: "shm-\(index)/ledger.sqlite-shm")
            #expect(try parts(main, log, "shm-\(index)") == Array(1...12))
        }
    }
}
