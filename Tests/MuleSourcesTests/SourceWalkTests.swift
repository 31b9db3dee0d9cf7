import Glibc
import MuleSources
import MuleSystem
import TestSupport
import Testing

@Suite("Walking through directories")
struct SourceWalkTests {
    private let home = ScratchDirectory()

    @Test("files come in the order of their names' bytes, whatever their names are")
    func order() throws {
        let names = [
            "-r", "a b", "deep/er/file", "deep.txt", "new\nline", String(repeating: "n", count: 255), "ümlaut",
        ]
        for name in names { try home.write(name, to: "tree/\(name)") }
        let (files, problems) = all(SourceWalk([bytes("tree")], isRecursive: true))
        #expect(problems.isEmpty)
        #expect(
            files.map { String(decoding: $0.name, as: UTF8.self) }
                == ["-r", "a b", "deep/er/file", "deep.txt", "new\nline", String(repeating: "n", count: 255), "ümlaut"]
        )
        #expect(files[2].path == bytes("tree/deep/er/file"))
        #expect(files[2].status?.size == 12)
    }

    @Test("what can't be sent is a problem, and the walk goes on")
    func problems() throws {
        try home.write("1", to: "tree/a")
        try home.write("2", to: "tree/z")
        try home.write("3", to: "other/file")
        try #require(mkfifo(home.path("tree/fifo"), 0o600) == 0)
        try #require(symlink("loop", home.path("tree/loop")) == 0)
        try #require(symlink(home.path("other"), home.path("tree/linked")) == 0)
        try #require(symlink(home.path("other/file"), home.path("tree/linked-file")) == 0)
        let (files, problems) = all(SourceWalk([bytes("tree"), bytes("gone")], isRecursive: true))
        #expect(files.map { String(decoding: $0.name, as: UTF8.self) } == ["a", "linked-file", "z"])
        #expect(
            problems == [
                "tree/fifo": .endless(.fifo, wasNamed: false), "tree/linked": .linkToDirectory,
                "tree/loop": .unreadable(SystemError(code: ELOOP, call: "stat")),
                "gone": .unreadable(SystemError(code: ENOENT, call: "stat")),
            ]
        )
    }

    @Test("a directory that was named is gone into only when that was asked for")
    func directoryAlone() throws {
        try home.write("1", to: "tree/a")
        let (files, problems) = all(SourceWalk([bytes("tree"), bytes("tree/a")], isRecursive: false))
        #expect(files.map(\.name) == [Array("a".utf8)])
        #expect(problems == ["tree": .directory])
    }

    private func bytes(_ name: String) -> [UInt8] { Array(home.path(name).utf8) }

    /// What a walk finds: its files, and its problems by their paths below the scratch directory.
    private func all(_ walk: SourceWalk) -> (files: [SourceWalk.Found], problems: [String: SourceProblem]) {
        var walk = walk
        var files: [SourceWalk.Found] = []
        var problems: [String: SourceProblem] = [:]
        while let step = walk.next() {
            switch step {
            case .file(let found): files.append(found)
            case .problem(let found, let problem):
                problems[String(decoding: found.path.dropFirst(home.path.utf8.count + 1), as: UTF8.self)] = problem
            }
        }
        return (files, problems)
    }
}
