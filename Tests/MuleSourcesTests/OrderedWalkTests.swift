import Glibc
import MuleSources
import MuleSystem
import TestSupport
import Testing

@Suite("Files in another order")
struct OrderedWalkTests {
    private let home = ScratchDirectory()

    @Test(arguments: [
        (FileOrder.name, ["a", "b", "c", "d"]), (.oldest, ["b", "d", "a", "c"]), (.newest, ["c", "a", "b", "d"]),
        (.smallest, ["c", "a", "b", "d"]), (.largest, ["d", "a", "b", "c"]),
    ]
    )
    func `files come as the order says, equals as they are found`(order: FileOrder, names: [String]) throws {
        for (name, size, time) in [("a", 5, 30), ("b", 5, -7), ("c", 0, 40), ("d", 9, -7)] as [(String, Int, Int64)] {
            let path = try home.write([UInt8](repeating: 1, count: size), to: "tree/\(name)")
            try Files.setModificationTime(path, seconds: time)
        }
        let found = try files(SourceWalk([Array(home.path("tree").utf8)], isRecursive: true), order)
        #expect(found.map { String(decoding: $0.name, as: UTF8.self) } == names)
        #expect(found.allSatisfy { $0.status?.kind == .regular })
    }

    @Test(arguments: FileOrder.allCases)
    func `paths, names and links come out as they went in`(order: FileOrder) throws {
        let odd: [UInt8] = Array(home.path("tree/").utf8) + [0xE9, 0x0A]
        try home.write("1", to: "tree/sub/a")
        _ = try File.open(path: odd, flags: O_WRONLY | O_CREAT, mode: 0o600)
        try #require(symlink("sub/a", home.path("tree/link")) == 0)
        let listed = "\(home.path("tree"))\n\(home.path("tree"))//sub/./a\n"
        func walk() throws -> SourceWalk {
            SourceWalk(
                try NameList(path: Array(home.write(listed, to: "list").utf8), separator: 0x0A),
                isRecursive: true
            )
        }
        let before = try files(walk(), .name)
        let after = try files(walk(), order)
        #expect(before.count == 4)
        #expect(Set(after.map(\.path)) == Set(before.map(\.path)))
        for found in before {
            let same = try #require(after.first { $0.path == found.path })
            #expect(same.name == found.name && same.isLinked == found.isLinked && same.status == found.status)
            #expect(same.size == found.size && same.modificationTime == found.modificationTime)
        }
    }

    @Test
    func `what has changed since it was found is looked at again`() throws {
        for name in ["a", "b", "c"] { try home.write(name, to: "tree/\(name)") }
        var walk = OrderedWalk(SourceWalk([Array(home.path("tree").utf8)], isRecursive: true), order: .smallest)
        guard case .file(let first)? = try walk.next() else { throw Unexpected() }
        #expect(first.size == 1)
        try home.write("longer", to: "tree/b")
        try Files.remove(home.path("tree/c"))
        guard case .file(let second)? = try walk.next(), case .problem(let third, let problem)? = try walk.next() else {
            throw Unexpected()
        }
        #expect(second.size == 6 && second.status?.size == 6)
        #expect(third.name == Array("c".utf8))
        #expect(problem == .unreadable(SystemError(code: ENOENT, call: "stat")))
        #expect(try walk.next() == nil)
    }

    private struct Unexpected: Error {}

    private func files(_ walk: SourceWalk, _ order: FileOrder) throws -> [SourceWalk.Found] {
        var ordered = OrderedWalk(walk, order: order)
        var files: [SourceWalk.Found] = []
        while let step = try ordered.next() {
            switch step {
            case .file(let found): files.append(found)
            case .idle: break
            default: Issue.record("\(step)")
            }
        }
        return files
    }
}
