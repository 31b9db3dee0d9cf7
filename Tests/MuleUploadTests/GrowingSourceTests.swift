import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// `--changing=snapshot-size`: a file that others append to.
@Suite struct GrowingSourceTests {
    private let options = EngineHarness.Options(changing: .snapshotSize)

    /// The object has the first bytes of the file.
    private func expectFirst(_ count: Int, of path: String, _ harness: EngineHarness) throws {
        let object = try #require(harness.server.object(key: "key"))
        #expect(object.bytes == Array(try Files.read(path).prefix(count)))
    }

    @Test(arguments: [EngineHarness.partSize, nil])
    func `a file that grows while it is sent is sent as long as it was`(partSize: Int64?) throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: 300_000)
        harness.server.onBodyBytes(partSize == nil ? .putObject : .uploadPart, after: 1000) { _ in
            do { try Files.overwrite(path, at: 300_000, with: [7, 7, 7]) } catch { Issue.record(error) }
        }
        var options = options
        options.partSize = partSize
        let outcome = try harness.upload(path, options)
        #expect(outcome.failure == nil && outcome.completed.first?.size == 300_000)
        #expect(try Files.read(path).count == 300_003)
        try expectFirst(300_000, of: path, harness)
        harness.expectClean()
    }

    @Test func `a file that has grown between two runs is resumed`() throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: 300_000)
        try harness.interrupt(path, options, afterParts: 2)
        try Files.overwrite(path, at: 300_000, with: [UInt8](repeating: 7, count: 100_000))
        let requestsBefore = harness.server.requests.count
        #expect(try harness.resume().failure == nil)
        // What was there was compared and kept.
        #expect(harness.partsSent(from: requestsBefore).sorted() == [3, 4, 5])
        try expectFirst(300_000, of: path, harness)
        harness.expectClean()
    }

    @Test(arguments: [true, false])
    func `a file whose beginning has changed is refused`(mayList: Bool) throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: 300_000)
        try harness.interrupt(path, options, afterParts: 2)
        if !mayList { harness.server.profile.denied = [.listParts] }
        try Files.overwrite(path, at: 10, with: [1, 2, 3, 4, 5])
        try Files.overwrite(path, at: 300_000, with: [7])
        let requestsBefore = harness.server.requests.count
        let failure = try #require(try harness.resume().failure)
        #expect(failure.kind == .source && failure.message.contains("--restart"))
        #expect(harness.partsSent(from: requestsBefore).isEmpty)
    }

    @Test(arguments: [SourceChangeTests.Change.truncated, .replaced, .removed])
    func `other changes are refused all the same`(change: SourceChangeTests.Change) throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: 400_000)
        harness.server.onBodyBytes(.uploadPart, part: 2, after: 1000) { _ in
            do { try change.make(path) } catch { Issue.record(error) }
        }
        let outcome = try harness.upload(path, options)
        try harness.expectFailed(outcome, .source, state: .failed, openUploads: 1)
        #expect(harness.server.object(key: "key") == nil)
    }

    /// After an upload was refused for growth, the next command may allow it.
    @Test func `the policy of a pending upload can be changed`() throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: 300_000)
        try harness.interrupt(path, afterParts: 2)
        try Files.overwrite(path, at: 300_000, with: [7])
        guard case .refused(let failure) = try harness.register(path) else {
            Issue.record("not refused")
            return
        }
        #expect(failure.kind == .source && failure.message.contains("--changing=snapshot-size"))
        let entry = try harness.register(path) { $0.changing = .snapshotSize }
        #expect(try harness.record().upload.changing == .snapshotSize)
        #expect(try harness.run(entry, path: path).failure == nil)
        try expectFirst(300_000, of: path, harness)
    }

    @Test func `a file that has grown since it was confirmed is sent again`() throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: 300_000)
        #expect(try harness.upload(path, options).failure == nil)
        try Files.overwrite(path, at: 300_000, with: [7])
        let entry = try harness.register(path) { $0.changing = .snapshotSize }
        #expect(try harness.run(entry, path: path).completed.first?.size == 300_001)
        try expectFirst(300_001, of: path, harness)
    }
}

/// `--settle`
@Suite struct SettlingTests {
    private let scratch = ScratchDirectory("mule-settle")

    private func wait(
        _ paths: [String],
        seconds: Double,
        during: @escaping (Double) -> Void = { _ in }
    ) -> [Int: UploadFailure] {
        Settling.wait(
            for: paths.map { Array($0.utf8) },
            seconds: seconds,
            cancellation: Cancellation(),
            now: { Self.now * 1000 },
            willWait: during
        )
    }

    private static let now: Int64 = 1_700_000_000

    private func file(_ name: String, age: Int64) throws -> String {
        let path = try scratch.write([1, 2, 3], to: name)
        try Files.setModificationTime(path, seconds: Self.now - age)
        return path
    }

    @Test func `old files are not waited for`() throws {
        let path = try file("old", age: 60)
        let failures = wait([path, scratch.path("missing")], seconds: 60) { _ in Issue.record("waited") }
        #expect(failures.isEmpty)
    }

    @Test func `a young file is waited for once`() throws {
        let (young, younger) = (try file("young", age: 1), try file("younger", age: -3600))
        var waited: [Double] = []
        #expect(wait([young, younger], seconds: 1.2) { waited.append($0) }.isEmpty)
        // A time in the future counts as this very moment.
        #expect(waited == [1.2])
    }

    @Test func `a file that changes meanwhile is refused`() throws {
        let (still, changing) = (try file("still", age: 0), try file("changing", age: 0))
        let failures = wait([still, changing], seconds: 0.1) { _ in
            do { try Files.overwrite(changing, at: 3, with: [4]) } catch { Issue.record(error) }
        }
        #expect(failures.keys.sorted() == [1])
        #expect(failures[1]?.kind == .source && failures[1]?.isResumable == true)
        #expect(failures[1]?.message.contains("still being written") == true)
    }
}
