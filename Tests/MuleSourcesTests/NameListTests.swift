import Glibc
import MuleSources
import MuleSystem
import TestSupport
import Testing

@Suite("Lists of names")
struct NameListTests {
    private let home = ScratchDirectory()

    @Test(arguments: 1...9)
    func `names are cut at their separator alone, wherever the reads end`(chunk: Int) throws {
        let text = Array("a\r\nb c\n\n\nnew\0line\n".utf8) + [0xFF, 0x0A] + Array("last".utf8)
        let path = Array(try home.write(text, to: "list").utf8)
        let lines = try NameList(path: path, separator: 0x0A, chunk: chunk)
        #expect(
            names(lines) == [Array("a\r".utf8), Array("b c".utf8), Array("new\0line".utf8), [0xFF], Array("last".utf8)]
        )
        let records = try NameList(path: path, separator: 0, chunk: chunk)
        #expect(names(records).count == 2)
        #expect(names(records).isEmpty)
    }

    @Test
    func `a name that no file can have is passed over, in bounded memory`() throws {
        let text = [UInt8](repeating: UInt8(ascii: "x"), count: 10_000) + Array("\nnext\n".utf8)
        let list = try NameList(path: Array(home.write(text, to: "list").utf8), separator: 0x0A, chunk: 100)
        let beginning = [UInt8](repeating: UInt8(ascii: "x"), count: 64)
        #expect(list.next() == .failed(beginning, .nameTooLong))
        #expect(list.next() == .name(Array("next".utf8)))
        #expect(list.next() == nil)
        let longest = [UInt8](repeating: UInt8(ascii: "x"), count: 4096)
        let fits = try NameList(path: Array(home.write(longest, to: "fits").utf8), separator: 0x0A, chunk: 100)
        #expect(fits.next() == .name(longest))
    }

    @Test
    func `a stream gives what it has, and says when it has nothing`() throws {
        let path = home.path("fifo")
        try #require(mkfifo(path, 0o600) == 0)
        let list = try NameList(path: Array(path.utf8), separator: 0x0A)
        let writer = try File.open(path: Array(path.utf8), flags: O_WRONLY)
        #expect(list.next() == .idle)
        _ = "one\ntw".withCString { write(writer.descriptor, $0, 6) }
        #expect(list.next() == .name(Array("one".utf8)))
        #expect(list.next() == .idle)
        _ = "o\n".withCString { write(writer.descriptor, $0, 2) }
        #expect(list.next() == .name(Array("two".utf8)))
    }

    @Test
    func `a list that is none is refused`() throws {
        #expect(throws: SystemError(code: ENOENT, call: "open")) {
            try NameList(path: Array(home.path("gone").utf8), separator: 0)
        }
        #expect(throws: SystemError(code: EISDIR, call: "open")) {
            try NameList(path: Array(home.path.utf8), separator: 0)
        }
    }

    private func names(_ list: NameList) -> [[UInt8]] {
        var names: [[UInt8]] = []
        while let entry = list.next() {
            if case .name(let name) = entry { names.append(name) }
        }
        return names
    }
}
