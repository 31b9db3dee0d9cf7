import Glibc
import MuleSources
import MuleSystem
import TestSupport
import Testing

@Suite("Walking through directories")
struct SourceWalkTests {
    private let home = ScratchDirectory()

    @Test
    func `files come in the order of their names' bytes, whatever their names are`() throws {
        let names = [
            "-r", "a b", "deep/er/file", "deep.txt", "new\nline", String(repeating: "n", count: 255), "ümlaut",
        ]
        for name in names { try home.write(name, to: "tree/\(name)") }
        let seen = Seen(SourceWalk([bytes("tree")], isRecursive: true), home)
        #expect(seen.problems.isEmpty && seen.leftOut.isEmpty)
        #expect(
            seen.names
                == ["-r", "a b", "deep/er/file", "deep.txt", "new\nline", String(repeating: "n", count: 255), "ümlaut"]
        )
        #expect(seen.files[2].path == bytes("tree/deep/er/file"))
        #expect(seen.files[2].status?.size == 12)
        #expect(seen.files[2].size == 12)
    }

    @Test
    func `what cannot be sent is a problem, and the walk continues`() throws {
        try home.write("1", to: "tree/a")
        try home.write("2", to: "tree/z")
        try home.write("3", to: "other/file")
        try #require(mkfifo(home.path("tree/fifo"), 0o600) == 0)
        try #require(symlink("loop", home.path("tree/loop")) == 0)
        try #require(symlink("nowhere", home.path("tree/dangling")) == 0)
        try #require(symlink(home.path("other"), home.path("tree/linked")) == 0)
        try #require(symlink(home.path("other/file"), home.path("tree/linked-file")) == 0)
        let seen = Seen(SourceWalk([bytes("tree"), bytes("gone")], isRecursive: true), home)
        #expect(seen.names == ["a", "linked-file", "z"])
        #expect(seen.files.map(\.isLinked) == [false, true, false])
        #expect(seen.files.map(\.size) == [1, 1, 1])
        #expect(
            seen.problems == [
                "tree/fifo": .endless(.fifo, wasNamed: false), "tree/linked": .linkToDirectory,
                "tree/loop": .unreadable(SystemError(code: ELOOP, call: "stat")),
                "tree/dangling": .unreadable(SystemError(code: ENOENT, call: "stat")),
                "gone": .unreadable(SystemError(code: ENOENT, call: "stat")),
            ]
        )
    }

    @Test
    func `a directory that was named is gone into only when that was asked for`() throws {
        try home.write("1", to: "tree/a")
        let seen = Seen(SourceWalk([bytes("tree"), bytes("tree/a")], isRecursive: false), home)
        #expect(seen.names == ["a"])
        #expect(seen.problems == ["tree": .directory])
    }

    // MARK: Selection

    @Test
    func `of the rules that match the last one decides, and a directory that is left out is not gone into`() throws {
        for name in ["a.log", "keep.log", "b", "tmp/x", "tmp/keep.log", "deep/c.log", "deep/tmp/y"] {
            try home.write(name, to: "tree/\(name)")
        }
        var selection = Selection()
        selection.exclude = try rules("*.log", "tmp/", "!keep.log")
        let seen = Seen(SourceWalk([bytes("tree")], isRecursive: true, selection: selection), home)
        #expect(seen.names == ["b", "keep.log"])
        #expect(
            seen.leftOut == [
                "tree/a.log": .excluded, "tree/deep/c.log": .excluded, "tree/deep/tmp": .excluded,
                "tree/tmp": .excluded,
            ]
        )
        selection.exclude = try rules("!keep.log", "*.log")
        #expect(Seen(SourceWalk([bytes("tree")], isRecursive: true, selection: selection), home).names.count == 3)
    }

    @Test
    func `patterns see the path below the directory that was named, whatever leads to it`() throws {
        for name in ["top/a", "top/sub/a"] { try home.write(name, to: name) }
        var selection = Selection()
        selection.exclude = try rules("/a")
        let named = Seen(SourceWalk([bytes("top")], isRecursive: true, selection: selection), home)
        #expect(named.names == ["sub/a"])
        let list = try NameList(path: Array(home.write(home.path("top") + "\n", to: "list").utf8), separator: 0x0A)
        let listed = Seen(SourceWalk(list, isRecursive: true, selection: selection), home)
        #expect(listed.leftOut == ["top/a": .excluded])
        #expect(listed.names == [String(home.path("top/sub/a").dropFirst())])
    }

    @Test
    func `with include patterns only what one of them means is sent, a directory with all that is in it`() throws {
        for name in ["a.db", "b.txt", "sub/c.db", "sub/d", "logs/e", "logs/deep/f"] {
            try home.write("", to: "tree/\(name)")
        }
        var selection = Selection()
        selection.include = [try GlobPattern(Array("*.db".utf8)), try GlobPattern(Array("logs/".utf8))]
        selection.exclude = try rules("deep/")
        let seen = Seen(SourceWalk([bytes("tree")], isRecursive: true, selection: selection), home)
        #expect(seen.names == ["a.db", "logs/e", "sub/c.db"])
        #expect(seen.leftOut == ["tree/b.txt": .notIncluded, "tree/sub/d": .notIncluded, "tree/logs/deep": .excluded])
    }

    @Test
    func `a file that was named itself is sent whatever is left out`() throws {
        let file = try home.write("1", to: "a.log")
        var selection = Selection()
        selection.exclude = try rules("*")
        selection.minimumSize = 100
        selection.symlinks = .report
        try #require(symlink(file, home.path("link")) == 0)
        let seen = Seen(SourceWalk([bytes("a.log"), bytes("link")], isRecursive: true, selection: selection), home)
        #expect(seen.names == ["a.log", "link"])
    }

    @Test
    func `sizes and ages have both their ends`() throws {
        let now: Int64 = 1_000_000
        for (name, age) in [("10", 10), ("20", 20), ("30", 30), ("future", -5)] {
            let path = try home.write([UInt8](repeating: 0, count: abs(age)), to: "tree/\(name)")
            try Files.setModificationTime(path, seconds: now - Int64(age))
        }
        var selection = Selection()
        func names() -> [String] {
            let walk = SourceWalk(
                [bytes("tree")],
                isRecursive: true,
                selection: selection,
                now: now * 1_000_000_000
            )
            return Seen(walk, home).names
        }
        selection.minimumAge = 20
        #expect(names() == ["20", "30"])
        selection.maximumAge = 20
        #expect(names() == ["20"])
        selection.minimumAge = nil
        #expect(names() == ["10", "20", "future"])
        selection.maximumAge = nil
        selection.minimumSize = 10
        #expect(names() == ["10", "20", "30"])
        selection.maximumSize = 20
        #expect(names() == ["10", "20"])
    }

    @Test
    func `an excluded problem is none`() throws {
        try home.write("1", to: "tree/a")
        try #require(mkfifo(home.path("tree/fifo"), 0o600) == 0)
        try #require(symlink("loop", home.path("tree/loop")) == 0)
        var selection = Selection()
        selection.exclude = try rules("fifo", "loop")
        #expect(Seen(SourceWalk([bytes("tree")], isRecursive: true, selection: selection), home).problems.isEmpty)
        selection.exclude = []
        selection.include = [try GlobPattern(Array("a".utf8))]
        let seen = Seen(SourceWalk([bytes("tree")], isRecursive: true, selection: selection), home)
        #expect(Array(seen.problems.keys) == ["tree/loop"])
    }

    // MARK: Links

    @Test(arguments: SymlinkPolicy.allCases)
    func `links are treated as the policy says`(policy: SymlinkPolicy) throws {
        try home.write("1", to: "tree/sub/file")
        try home.write("22", to: "other/deep/file")
        try #require(symlink(home.path("other/deep/file"), home.path("tree/a-file")) == 0)
        try #require(symlink(home.path("other"), home.path("tree/b-directory")) == 0)
        try #require(symlink("..", home.path("tree/sub/up")) == 0)
        try #require(symlink(".", home.path("other/deep/here")) == 0)
        var selection = Selection()
        selection.symlinks = policy
        let seen = Seen(SourceWalk([bytes("tree")], isRecursive: true, selection: selection), home)
        switch policy {
        case .files:
            #expect(seen.names == ["a-file", "sub/file"])
            #expect(seen.problems == ["tree/b-directory": .linkToDirectory, "tree/sub/up": .linkToDirectory])
        case .follow:
            #expect(seen.names == ["a-file", "b-directory/deep/file", "sub/file"])
            #expect(seen.files.map(\.isLinked) == [true, true, false])
            #expect(seen.problems == ["tree/b-directory/deep/here": .loop, "tree/sub/up": .loop])
        case .skip:
            #expect(seen.names == ["sub/file"])
            #expect(seen.problems.isEmpty && seen.leftOut.count == 3)
        case .report:
            #expect(seen.names == ["sub/file"])
            #expect(seen.problems == ["tree/a-file": .link, "tree/b-directory": .link, "tree/sub/up": .link])
        }
    }

    @Test(arguments: [SymlinkPolicy.files, .report]
    )
    func `with include patterns a link is a problem where something behind it may be meant`(policy: SymlinkPolicy)
        throws
    {
        try home.write("1", to: "other/x.db")
        try home.write("1", to: "tree/y.db")
        for (target, name) in [("other", "current"), ("other/x.db", "a.txt"), ("other/x.db", "b.db")] {
            try #require(symlink(home.path(target), home.path("tree/" + name)) == 0)
        }
        var selection = Selection()
        selection.include = [try GlobPattern(Array("*.db".utf8))]
        selection.symlinks = policy
        let seen = Seen(SourceWalk([bytes("tree")], isRecursive: true, selection: selection), home)
        #expect(seen.names == (policy == .files ? ["b.db", "y.db"] : ["y.db"]))
        #expect(Set(seen.problems.keys) == (policy == .files ? ["tree/current"] : ["tree/current", "tree/b.db"]))
        #expect(seen.leftOut == ["tree/a.txt": .notIncluded])
    }

    /// What two walks go into at once is no loop.
    @Test
    func `a directory that two links lead to is gone into under both names`() throws {
        try home.write("1", to: "other/file")
        try home.makeDirectory("tree")
        for name in ["a", "b"] { try #require(symlink(home.path("other"), home.path("tree/\(name)")) == 0) }
        var selection = Selection()
        selection.symlinks = .follow
        let seen = Seen(SourceWalk([bytes("tree")], isRecursive: true, selection: selection), home)
        #expect(seen.names == ["a/file", "b/file"])
    }

    // MARK: Lists

    @Test
    func `listed names keep the path they are listed with, without what no key should have`() throws {
        for name in ["sub/a", "b", "dir/c/d"] { try home.write(name, to: name) }
        let here = home.path("")
        let lines = [
            "\(here)sub/a", "\(here)./sub//a", "", "\(here)sub/../b", "\(here)b", "\(here)dir/", "\(here)gone",
        ]
        let path = try home.write(lines.joined(separator: "\n"), to: "list")
        let list = try NameList(path: Array(path.utf8), separator: 0x0A, chunk: 7)
        let seen = Seen(SourceWalk(list, isRecursive: true), home)
        let prefix = String(here.dropFirst())
        #expect(seen.names == ["sub/a", "sub/a", "b", "dir/c/d"].map { prefix + $0 })
        #expect(
            seen.problems == [
                "sub/../b": .leadsUp, "gone": .unreadable(SystemError(code: ENOENT, call: "stat")),
            ]
        )
    }

    @Test
    func `a listed directory needs to be asked for`() throws {
        try home.write("1", to: "dir/c")
        let list = try NameList(path: Array(home.write(home.path("dir"), to: "list").utf8), separator: 0x0A)
        #expect(Seen(SourceWalk(list, isRecursive: false), home).problems == ["dir": .directory])
    }

    private func bytes(_ name: String) -> [UInt8] { Array(home.path(name).utf8) }

    private func rules(_ texts: String...) throws -> [ExcludeRule] { try texts.map { try ExcludeRule(Array($0.utf8)) } }
}

/// What a walk has found; problems and what is left out by their paths below the scratch directory.
private struct Seen {
    var files: [SourceWalk.Found] = []
    var problems: [String: SourceProblem] = [:]
    var leftOut: [String: LeftOut] = [:]

    var names: [String] { files.map { String(decoding: $0.name, as: UTF8.self) } }

    init(_ walk: SourceWalk, _ home: ScratchDirectory) {
        var walk = walk
        func inner(_ found: SourceWalk.Found) -> String {
            String(decoding: found.path.dropFirst(home.path.utf8.count + 1), as: UTF8.self)
        }
        while let step = walk.next() {
            switch step {
            case .file(let found): files.append(found)
            case .problem(let found, let problem): problems[inner(found)] = problem
            case .leftOut(let found, let reason): leftOut[inner(found)] = reason
            case .idle: break
            }
        }
    }
}
