import Glibc
import MuleDigest
import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload
import TestSupport
import Testing

@testable import MuleArchive

/// What happens to archived files: they are moved or removed only if unchanged, and the next run finds files that a
/// killed run left on the way.
@Suite struct AfterActionExecutorTests {
    private let directory = ScratchDirectory()

    private func bytes(_ name: String) -> [UInt8] { Array(directory.path(name).utf8) }

    private func make(_ name: String, _ content: String = "content") throws -> [UInt8] {
        if let slash = name.lastIndex(of: "/") { try directory.makeDirectory(String(name[..<slash])) }
        try directory.write(Array(content.utf8), to: name)
        return try canonicalPath(bytes(name))
    }

    private func plan(_ source: [UInt8], _ action: ItemAction) throws -> AfterActionExecutor.Plan {
        let identity = SourceIdentity(path: source, try FileStatus.of(path: source))
        return AfterActionExecutor.Plan(
            source: source,
            identity: identity,
            content: try recorded(source),
            action: action,
            id: "abcde"
        )
    }

    /// What the ledger keeps of the file's bytes when it is archived.
    private func recorded(_ source: [UInt8]) throws -> RecordedContent? {
        let bytes = try Files.read(String(decoding: source, as: UTF8.self))
        let proof = ObjectProof(
            checksumAlgorithm: ChecksumAlgorithm.sha256.rawValue,
            checksumType: "FULL_OBJECT",
            checksumValue: Base64.encode(sha256(bytes))
        )
        return RecordedContent(proof, size: Int64(bytes.count), partSize: nil)
    }

    private func deletion(of source: [UInt8]) throws -> AfterActionExecutor.Plan {
        try plan(
            source,
            ItemAction(AfterActionExecutor.delete, target: AfterActionExecutor.departing(source, id: "abcde"))
        )
    }

    private func move(of source: [UInt8], to name: String) throws -> AfterActionExecutor.Plan {
        try plan(source, ItemAction(AfterActionExecutor.move, target: bytes(name)))
    }

    @discardableResult
    private func perform(_ plan: AfterActionExecutor.Plan) throws -> ItemAction {
        var executor = AfterActionExecutor(isCancelled: { false })
        let done = try executor.perform(plan, replan: { _ in })
        try executor.sync()
        return done
    }

    private func resume(_ plan: AfterActionExecutor.Plan) throws -> ItemAction? {
        var executor = AfterActionExecutor(isCancelled: { false })
        let done = try executor.resume(plan, replan: { _ in })
        try executor.sync()
        return done
    }

    private func refusal(_ plan: AfterActionExecutor.Plan) throws -> AfterActionExecutor.Refusal {
        try #require(throws: AfterActionExecutor.Refusal.self) { try perform(plan) }
    }

    private func names() throws -> [String] { try directory.names().sorted() }

    // MARK: As it should be

    @Test func `a file is removed, and nothing else`() throws {
        let source = try make("file")
        _ = try make("other")
        try perform(try deletion(of: source))
        #expect(try names() == ["other"])
    }

    @Test func `a file is moved into directories that are made for it`() throws {
        let source = try make("file")
        let done = try perform(try move(of: source, to: "done/deep/er/file"))
        #expect(done.target == bytes("done/deep/er/file"))
        #expect(try directory.read("done/deep/er/file") == Array("content".utf8))
        #expect(try names() == ["done"])
    }

    @Test(arguments: ["link", "link/deep/er"])
    func `a place behind a symbolic link is one to move to`(place: String) throws {
        let source = try make("file")
        try directory.makeDirectory("real")
        #expect(symlink(directory.path("real"), directory.path("link")) == 0)
        let plan = try move(of: source, to: place + "/file")
        #expect(try perform(plan) == plan.action)
        #expect(try directory.read(place + "/file") == Array("content".utf8))
        #expect(try resume(plan) == plan.action)
    }

    @Test func `a file that has another name too loses only this one`() throws {
        let source = try make("file")
        #expect(link(directory.path("file"), directory.path("other")) == 0)
        try perform(try deletion(of: source))
        #expect(try names() == ["other"])
    }

    @Test(arguments: ["file", "a file.~1~"])
    func `a file that stands where another is to go stays, and the other gets a number`(name: String) throws {
        let source = try make(name, "new")
        _ = try make("done/\(name)", "old")
        let target = AfterActionExecutor.target(in: bytes("done"), for: Array(name.utf8))
        #expect(target == bytes("done/\(name).~1~"))
        var plan = try move(of: source, to: "done/\(name)")
        #expect(try perform(plan).target == target, "taken between the plan and the move")
        #expect(try directory.read("done/\(name)") == Array("old".utf8))
        #expect(try directory.read("done/\(name).~1~") == Array("new".utf8))
        plan.source = try make(name, "third")
        #expect(AfterActionExecutor.target(in: bytes("done"), for: Array(name.utf8)) == bytes("done/\(name).~2~"))
    }

    // MARK: Another file

    @Test(arguments: ["delete", "move"])
    func `a file that has changed since it was archived stays`(action: String) throws {
        let source = try make("file")
        let plan = action == "delete" ? try deletion(of: source) : try move(of: source, to: "done/file")
        try directory.write(Array("changed".utf8), to: "file")
        let refusal = try refusal(plan)
        #expect(refusal.isOver && refusal.reason == "has changed since it was archived")
        #expect(try directory.read("file") == Array("changed".utf8))
    }

    @Test func `a file that has taken the other's place stays`() throws {
        let source = try make("file")
        let plan = try deletion(of: source)
        _ = try make("new", "another")
        #expect(rename(directory.path("new"), directory.path("file")) == 0)
        #expect(try refusal(plan).isOver)
        #expect(try names() == ["file"])
    }

    /// Content changed in place, with size and modification time put back.
    @Test(arguments: [true, false])
    func `a change that only the change time shows is found by comparing`(isRecorded: Bool) throws {
        let source = try make("file")
        var plan = try deletion(of: source)
        if !isRecorded { plan.content = nil }
        let time = try modification(of: "file")
        try directory.write(Array("CONTENT".utf8), to: "file")
        let times = [timespec(tv_sec: 0, tv_nsec: omitted), time]
        #expect(utimensat(AT_FDCWD, directory.path("file"), times, 0) == 0)
        let refusal = try refusal(plan)
        #expect(refusal.isOver == isRecorded && refusal.reason.contains("changed since it was archived"))
        #expect(try names() == ["file"])
        #expect(try directory.read("file") == Array("CONTENT".utf8))
    }

    @Test func `a file of which only permissions and names were changed is removed`() throws {
        let source = try make("file")
        let plan = try deletion(of: source)
        #expect(chmod(directory.path("file"), 0o640) == 0)
        #expect(link(directory.path("file"), directory.path("other")) == 0)
        try perform(plan)
        #expect(try names() == ["other"])
    }

    @Test func `a file of another content under the name of one on its way gets its name back`() throws {
        let source = try make("file")
        let plan = try deletion(of: source)
        let time = try modification(of: "file")
        try directory.write(Array("CONTENT".utf8), to: "file")
        let times = [timespec(tv_sec: 0, tv_nsec: omitted), time]
        #expect(utimensat(AT_FDCWD, directory.path("file"), times, 0) == 0)
        #expect(rename(directory.path("file"), directory.path(".mule-abcde.gone")) == 0)
        #expect(try #require(throws: AfterActionExecutor.Refusal.self) { try resume(plan) }.isOver)
        #expect(try directory.read("file") == Array("CONTENT".utf8))
        #expect(try names() == ["file"])
    }

    @Test func `a symbolic link in the file's place is not followed`() throws {
        let source = try make("file")
        let plan = try deletion(of: source)
        #expect(rename(directory.path("file"), directory.path("kept")) == 0)
        #expect(symlink("kept", directory.path("file")) == 0)
        #expect(try refusal(plan).reason == "is now a symbolic link")
        #expect(try names() == ["file", "kept"])
    }

    @Test func `a symbolic link in the place of a directory on the way is not followed`() throws {
        let source = try make("place/file")
        let plan = try deletion(of: source)
        #expect(rename(directory.path("place"), directory.path("elsewhere")) == 0)
        #expect(symlink("elsewhere", directory.path("place")) == 0)
        #expect(try refusal(plan).reason == "is now behind a symbolic link")
        #expect(try directory.read("elsewhere/file") == Array("content".utf8))
    }

    @Test func `a file that someone writes to stays`() throws {
        let source = try make("file")
        let plan = try deletion(of: source)
        let writer = open(directory.path("file"), O_WRONLY | O_CLOEXEC)
        #expect(try refusal(plan).reason == "is still open for writing in another program")
        close(writer)
        try perform(plan)
        #expect(try names() == [])
    }

    @Test func `a file that has gone is no file any more`() throws {
        let source = try make("file")
        let plan = try deletion(of: source)
        #expect(unlink(directory.path("file")) == 0)
        let refusal = try refusal(plan)
        #expect(refusal.isOver && refusal.reason == "no longer exists")
    }

    // MARK: Resuming after a kill

    @Test func `a removal that was cut off is brought to its end`() throws {
        let source = try make("file")
        let plan = try deletion(of: source)
        #expect(rename(directory.path("file"), directory.path(".mule-abcde.gone")) == 0)
        #expect(try resume(plan) == plan.action)
        #expect(try names() == [])
        #expect(try resume(plan) == nil, "nothing is left of it")
    }

    @Test func `a move that had not started is made`() throws {
        let source = try make("file")
        let plan = try move(of: source, to: "done/file")
        #expect(try resume(plan) == plan.action)
        #expect(try directory.read("done/file") == Array("content".utf8))
    }

    @Test func `a move that was made is found`() throws {
        let source = try make("file")
        let plan = try move(of: source, to: "done/file")
        try perform(plan)
        #expect(try resume(plan) == plan.action)
        #expect(try directory.read("done/file") == Array("content".utf8))
    }

    @Test func `a copy that has its name is taken for the file, and only the original goes`() throws {
        let source = try make("file")
        let plan = try move(of: source, to: "done/file")
        _ = try make("done/file")
        let times = [timespec(tv_sec: 0, tv_nsec: omitted), try modification(of: "file")]
        #expect(utimensat(AT_FDCWD, directory.path("done/file"), times, 0) == 0)
        #expect(try resume(plan) == plan.action)
        #expect(try names() == ["done"])
        #expect(try directory.names("done") == ["file"])
    }

    @Test func `a file of another content in the copy's place is none`() throws {
        let source = try make("file", "content")
        let plan = try move(of: source, to: "done/file")
        _ = try make("done/file", "CONTENT")
        let times = [timespec(tv_sec: 0, tv_nsec: omitted), try modification(of: "file")]
        #expect(utimensat(AT_FDCWD, directory.path("done/file"), times, 0) == 0)
        #expect(try resume(plan)?.target == bytes("done/file.~1~"))
        #expect(try directory.read("done/file") == Array("CONTENT".utf8))
        #expect(try directory.read("done/file.~1~") == Array("content".utf8))
    }

    // MARK: File systems that give a file another time with another name, or keep it coarsely

    private func setTime(of name: String) throws {
        let times = [timespec(tv_sec: 0, tv_nsec: omitted), timespec(tv_sec: 1_700_000_000, tv_nsec: 0)]
        #expect(utimensat(AT_FDCWD, directory.path(name), times, 0) == 0)
    }

    @Test(arguments: ["content", "CONTENT"])
    func `a name that mule gave is no change, and another content under it is one`(now: String) throws {
        let source = try make("file")
        let plan = try deletion(of: source)
        let archived = ArchivedFile(plan: plan, isCancelled: { false })
        let place = try Directory.open(bytes("."))
        let checked = try archived.check(Array("file".utf8), in: place)
        // Another file, since the first may not be written to while it is checked.
        _ = try make("other", now)
        #expect(rename(directory.path(now == "content" ? "file" : "other"), directory.path("gone")) == 0)
        try setTime(of: "gone")
        #expect(archived.isStill(checked, named: Array("gone".utf8), in: place) == (now == "content"))
    }

    @Test(arguments: ["content", "CONTENT"])
    func `a file whose time its departing name has changed is resumed by its content`(now: String) throws {
        let source = try make("file")
        let plan = try deletion(of: source)
        let departing = ".mule-abcde.gone"
        #expect(rename(directory.path("file"), directory.path(departing)) == 0)
        try directory.write(Array(now.utf8), to: departing)
        try setTime(of: departing)
        #expect(AfterActionExecutor.hasStarted(plan))
        if now == "content" {
            #expect(try resume(plan) == plan.action)
            #expect(try names() == [])
        } else {
            #expect(try #require(throws: AfterActionExecutor.Refusal.self) { try resume(plan) }.isOver)
            #expect(try names() == ["file"])
        }
    }

    @Test(arguments: [true, false])
    func `a file that has another time where it was moved to is known by its content`(isCopy: Bool) throws {
        let source = try make("file")
        let plan = try move(of: source, to: "done/file")
        _ = try make("done/file")
        if !isCopy { #expect(unlink(directory.path("file")) == 0) }
        try setTime(of: "done/file")
        #expect(AfterActionExecutor.hasStarted(plan) == !isCopy)
        #expect(try resume(plan) == plan.action)
        #expect(try names() == ["done"])
        #expect(try directory.names("done") == ["file"])
    }

    @Test func `a second link that a run has left under the departing name is no obstacle`() throws {
        let source = try make("file")
        let plan = try deletion(of: source)
        #expect(link(directory.path("file"), directory.path(".mule-abcde.gone")) == 0)
        #expect(try resume(plan)?.name == AfterActionExecutor.delete)
        #expect(try names() == [])
    }

    @Test func `directories that are made for a file are no more open than those it came from`() throws {
        let source = try make("private/deep/file")
        try Files.setMode(directory.path("private"), 0o700)
        try Files.setMode(directory.path("private/deep"), 0o755)
        try perform(try move(of: source, to: "done/private/deep/file"))
        #expect(try FileStatus.of(path: bytes("done/private")).mode == 0o700)
        #expect(try FileStatus.of(path: bytes("done/private/deep")).mode == 0o755)
    }

    private func modification(of name: String) throws -> timespec {
        let time = try FileStatus.of(path: bytes(name)).modificationTime
        return timespec(tv_sec: Int(time / 1_000_000_000), tv_nsec: Int(time % 1_000_000_000))
    }
}

/// UTIME_OMIT of utimensat(2), which Swift does not import: the time stays.
private let omitted = (1 << 30) - 2

extension ScratchDirectory {
    /// What is in it, or in a directory below it.
    fileprivate func names(_ below: String = ".") throws -> [String] {
        guard let stream = opendir(path(below)) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}
