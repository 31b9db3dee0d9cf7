import Glibc
import Testing

@testable import TestSupport

@Suite struct ScratchDirectoryTests {
    @Test func `directory goes with its last reference`() throws {
        var path = ""
        do {
            let scratch = ScratchDirectory()
            path = scratch.path
            try scratch.write("x", to: "deep/er/file")
            symlink("/nowhere", scratch.path("dangling"))
            symlink("/usr", scratch.path("outside"))
            mkdir(scratch.path("locked"), 0)
            let name = Array("\(path)/".utf8).map { CChar(bitPattern: $0) } + [-1, 0]
            mkdir(name, 0o755)
            #expect(Files.exists(path))
        }
        #expect(!Files.exists(path))
        #expect(Files.exists("/usr"))
    }

    @Test func `random file is the generators bytes`() throws {
        let scratch = ScratchDirectory()
        try scratch.writeRandom("r", count: (2 << 20) + 5, seed: 9)
        var random = SeededRandom(seed: 9)
        let expected = random.bytes((2 << 20) + 5)
        #expect(try scratch.read("r") == expected)
    }

    @Test func `split mix matches its published sequence`() {
        var random = SeededRandom(seed: 1_234_567)
        #expect(random.next() == 6_457_827_717_110_365_317)
        #expect(random.next() == 3_203_168_211_198_807_973)
        #expect(SeededRandom(seed: 1).first8 != SeededRandom(seed: 2).first8)
    }

    @Test func `sparse file takes no space`() throws {
        let scratch = ScratchDirectory()
        let path = try scratch.makeSparse("s", size: 1 << 40)
        #expect(try Files.size(path) == 1 << 40)
        var facts = stat()
        stat(path, &facts)
        #expect(facts.st_blocks < 64)
    }

    @Test func `files change in place`() throws {
        let scratch = ScratchDirectory()
        let path = try scratch.write("hello", to: "f")
        try Files.overwrite(path, at: 1, with: Array("u".utf8))
        try Files.truncate(path, to: 3)
        try Files.setModificationTime(path, seconds: 1_000, nanoseconds: 7)
        #expect(try scratch.read("f") == Array("hul".utf8))
        var facts = stat()
        stat(path, &facts)
        #expect(facts.st_mtim.tv_sec == 1_000 && facts.st_mtim.tv_nsec == 7)
        try Files.remove(path)
        #expect(throws: FileFailure.self) { try scratch.read("f") }
    }
}

extension SeededRandom {
    fileprivate var first8: UInt64 {
        var copy = self
        return copy.next()
    }
}
