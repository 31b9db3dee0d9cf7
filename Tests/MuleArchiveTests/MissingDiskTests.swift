import Glibc
import MuleArchive
import MuleLedger
import MulePlan
import MuleSources
import MuleSystem
import MuleUpload
import TestSupport
import Testing

/// Disks that are not mounted. Another file system is what the ledger says of the runs before.
@Suite struct MissingDiskTests {
    private let harness: ArchiveHarness

    init() throws { harness = try ArchiveHarness() }

    private func archive(_ after: AfterAction = .keep) throws -> ArchiveHarness.Outcome {
        try harness.run { $0.after = after }
    }

    /// As if the runs before had found, or moved, files on another disk.
    private func swapDisk(_ path: [UInt8], _ role: JobPlace.Role) throws {
        let job = try harness.ledger.job(named: "test")
        #expect(try harness.ledger.places(of: job, role).map(\.path).contains(path))
        try harness.ledger.record([JobPlace(role: role, path: path, device: 1, fileSystem: 1)], of: job)
    }

    private func remove(_ name: String) { #expect(unlink(harness.scratch.path(name)) == 0) }

    @Test(arguments: [AfterAction.keep, .delete])
    func `a source that is empty and on another file system is no success`(after: AfterAction) throws {
        try harness.file("a")
        #expect(try archive(after).report.obstacle == nil)
        if after == .keep { remove("source/a") }
        try swapDisk(harness.source, .source)
        for _ in 1...2 {
            let outcome = try archive(after)
            #expect(outcome.report.obstacle?.kind == .source)
            #expect(outcome.report.obstacle?.message.contains("Mount the disk") == true)
        }
        #expect(try harness.plan { $0.after = after }.totals.failures.kinds == [.source])
        try harness.file("b")
        _ = try archive(after)
        #expect(try archive(after).report.obstacle == nil, "what was found there is the rule from now on")
    }

    @Test func `a file that lies where the disk should be makes no success of it`() throws {
        try harness.file("a")
        _ = try archive()
        remove("source/a")
        try harness.file("NOT MOUNTED")
        try swapDisk(harness.source, .source)
        let outcome = try archive()
        #expect(outcome.report.obstacle?.kind == .source && outcome.report.counts.archived == 1)
    }

    @Test func `a directory whose disk is gone is no success while other files are found`() throws {
        for name in ["a", "disk/b"] { try harness.file(name) }
        _ = try archive()
        remove("source/disk/b")
        let disk = harness.path("source/disk")
        let job = try harness.ledger.job(named: "test")
        try harness.ledger.record([JobPlace(role: .source, path: disk, device: 1, fileSystem: 1)], of: job)
        #expect(try archive().report.obstacle?.kind == .source)
        #expect(rmdir(harness.scratch.path("source/disk")) == 0)
        #expect(try archive().report.obstacle?.kind == .source, "its mount point has gone too")
        let rule = try ExcludeRule(Array("/disk/".utf8))
        let excluded = try harness.run { $0.selection.exclude = [rule] }
        #expect(excluded.report.obstacle == nil)
    }

    @Test func `files that are there count whatever their disk is called today`() throws {
        try harness.file("a")
        _ = try archive()
        try swapDisk(harness.source, .source)
        #expect(try archive().report.obstacle == nil)
    }

    @Test func `a source that has become empty on its own disk is a success`() throws {
        try harness.file("a")
        _ = try archive()
        remove("source/a")
        #expect(try archive().report.obstacle == nil)
    }

    @Test func `a source that is often empty may be so on another file system`() throws {
        try harness.file("a")
        _ = try archive(.delete)
        _ = try archive(.delete)
        try swapDisk(harness.source, .source)
        #expect(try archive(.delete).report.obstacle == nil)
    }

    @Test func `nothing fails that belongs to a disk which is not there`() throws {
        try harness.file("a")
        _ = try archive()
        remove("source/a")
        try swapDisk(harness.source, .source)
        let requests = harness.server.requests.count
        let outcome = try harness.run { $0.checksRemote = true }
        #expect(outcome.failures.isEmpty && harness.server.requests.count == requests)
    }

    @Test func `a target whose disk is gone is not made on the disk below it`() throws {
        try harness.file("a")
        let done = harness.path("done")
        _ = try archive(.move(done))
        remove("done/a")
        #expect(rmdir(harness.scratch.path("done")) == 0)
        try swapDisk(done, .target)
        try harness.file("b")
        let outcome = try archive(.move(done))
        #expect(outcome.report.obstacle?.kind == .source)
        #expect((outcome.report.actions.notMoved, outcome.report.counts.archived) == (1, 1))
        #expect(!harness.exists("done") && harness.exists("source/b"))
        try harness.scratch.makeDirectory("done")
        try harness.scratch.write([], to: "done/meant")
        #expect(try archive(.move(done)).report.actions.moved == 1)
        #expect(harness.exists("done/b"))
    }

    @Test func `what requireMount names must be a mount point, or a file`() throws {
        let marker = harness.path("source/marker")
        #expect(RequiredMounts.failure(of: [marker])?.message.contains("does not exist") == true)
        try harness.file("marker")
        #expect(RequiredMounts.failure(of: [marker, Array("/proc".utf8)]) == nil)
        let failure = RequiredMounts.failure(of: [harness.source])
        #expect(failure?.kind == .source && failure?.message.contains("not a mount point") == true)
    }

    @Test func `a disk that goes while a run is under way keeps its files from being moved`() throws {
        try harness.file("a")
        let marker = harness.path("marker")
        try harness.scratch.write([], to: "marker")
        let outcome = try harness.run(
            change: {
                $0.after = .delete
                $0.requiredMounts = [marker]
            },
            onEvent: { event in
                if case .upload(.completed) = event { unlink(String(decoding: marker, as: UTF8.self)) }
            }
        )
        #expect(outcome.report.obstacle?.kind == .source && harness.exists("source/a"))
        #expect((outcome.report.counts.archived, outcome.report.actions.notDeleted) == (1, 1))
    }
}
