import Glibc
import MuleArchive
import MuleDigest
import MuleLedger
import MulePlan
import MuleSources
import MuleSystem
import MuleUpload
import TestSupport
import Testing

/// Runs of a job, one after another: what is sent, what is skipped, and what happens to the files.
@Suite struct ArchiveRunTests {
    private let harness: ArchiveHarness

    init() throws { harness = try ArchiveHarness() }

    private var puts: Int { harness.server.requests(.putObject).count }

    // MARK: Runs that follow each other

    @Test func `a second run passes over what is archived, without a request`() throws {
        for name in ["a", "b/c", "b/d"] { try harness.file(name) }
        let first = try harness.run()
        #expect(first.report.counts.archived == 3)
        #expect(first.report.counts.bytes == 21)
        #expect(harness.objects == ["a", "b/c", "b/d"])
        let requests = harness.server.requests.count
        let second = try harness.run(to: "bucket/{date}/{relpath}", day: 22)
        #expect(second.report.counts.unchanged == 3)
        #expect(second.report.counts.archived == 0)
        #expect(harness.server.requests.count == requests)
    }

    @Test func `a file that has changed is archived under the name of that day`() throws {
        try harness.file("a")
        _ = try harness.run(to: "bucket/{dd}/{relpath}")
        try Files.overwrite(harness.scratch.path("source/a"), at: 0, with: Array("CONTENT".utf8))
        let second = try harness.run(to: "bucket/{dd}/{relpath}", day: 22)
        #expect(second.report.counts.archived == 1)
        #expect(harness.objects == ["21/a", "22/a"])
    }

    @Test func `an object that is there is not replaced unless the job allows it`() throws {
        try harness.file("a")
        _ = try harness.run()
        try Files.overwrite(harness.scratch.path("source/a"), at: 0, with: Array("CONTENT".utf8))
        let second = try harness.run(change: { $0.after = .delete })
        #expect(second.kinds == [.exists])
        #expect(harness.exists("source/a"))
        #expect(try harness.holds("content", at: "a"))
        let third = try harness.run {
            $0.mayOverwrite = true
            $0.after = .delete
        }
        #expect(third.report.counts.archived == 1)
        #expect(try harness.holds("CONTENT", at: "a"))
        #expect(!harness.exists("source/a"))
    }

    @Test(arguments: [true, false])
    func `what is there already and proven is archived, and only then the file goes`(isSame: Bool) throws {
        let path = try harness.file("a")
        let bytes = Array((isSame ? "content" : "CONTENT").utf8)
        harness.server.edit {
            $0.buckets["bucket"]?.objects[Array("a".utf8)] = FakeObject(content: bytes, eTag: Hex.encode(md5(bytes)))
        }
        let run = try harness.run { $0.after = .delete }
        #expect(run.report.counts.archived == (isSame ? 1 : 0))
        #expect(run.kinds == (isSame ? [] : [.exists]))
        #expect(run.acted.count == (isSame ? 1 : 0))
        #expect(Files.exists(path) != isSame)
        #expect(try harness.holds(isSame ? "content" : "CONTENT", at: "a"))
    }

    @Test func `what is there already and proven waits for its day like what was sent`() throws {
        let path = try harness.file("a")
        harness.server.edit {
            let bytes = Array("content".utf8)
            $0.buckets["bucket"]?.objects[Array("a".utf8)] = FakeObject(content: bytes, eTag: Hex.encode(md5(bytes)))
        }
        #expect(try harness.run { $0.after = .deleteAfter(3600) }.report.counts.archived == 1)
        #expect(Files.exists(path))
        harness.wait(seconds: 4000)
        #expect(try harness.run { $0.after = .deleteAfter(3600) }.acted.count == 1)
        #expect(!Files.exists(path))
    }

    @Test func `an upload that is pending continues under its own name`() throws {
        try harness.scratch.writeRandom("source/big", count: 400_000)
        let sizing = PartSizing(partSize: 100_000, multipartThreshold: 1000)
        try harness.ledger.remember("smallest-part", "1", of: harness.server.endpoint, lifetime: 3600)
        let cancellation = Cancellation()
        harness.server.add(
            .on(.uploadPart, part: 3, .run(.headersRead) { _ in cancellation.cancel() }, .closeBeforeProcessing)
        )
        let first = try harness.run(to: "bucket/{dd}/{relpath}", cancellation: cancellation) { $0.sizing = sizing }
        #expect(first.kinds == [.interrupted])
        #expect(harness.objects == [])
        let second = try harness.run(to: "bucket/{dd}/{relpath}", day: 22) { $0.sizing = sizing }
        #expect(second.report.counts.archived == 1)
        #expect(second.report.counts.bytesSkipped > 0)
        #expect(harness.objects == ["21/big"])
        #expect(harness.server.requests(.create).count == 1)
    }

    @Test func `a pending upload whose file has changed is aborted, and the file archived as it is now`() throws {
        try harness.scratch.writeRandom("source/big", count: 400_000)
        let sizing = PartSizing(partSize: 100_000, multipartThreshold: 1000)
        try harness.ledger.remember("smallest-part", "1", of: harness.server.endpoint, lifetime: 3600)
        let cancellation = Cancellation()
        harness.server.add(
            .on(.uploadPart, part: 3, .run(.headersRead) { _ in cancellation.cancel() }, .closeBeforeProcessing)
        )
        _ = try harness.run(to: "bucket/{dd}/{relpath}", cancellation: cancellation) { $0.sizing = sizing }
        try Files.overwrite(harness.scratch.path("source/big"), at: 0, with: [1, 2, 3])
        let second = try harness.run(to: "bucket/{dd}/{relpath}", day: 22) { $0.sizing = sizing }
        #expect(second.report.failures.count == 0)
        #expect(harness.objects == ["22/big"])
        #expect(harness.server.uploads.isEmpty)
    }

    // MARK: Actions on files

    @Test func `files are moved, each once, with their paths`() throws {
        for name in ["a", "b/c"] { try harness.file(name) }
        let done = harness.path("done")
        let outcome = try harness.run { $0.after = .move(done) }
        #expect(outcome.report.counts.acted == 2)
        #expect(harness.exists("done/a") && harness.exists("done/b/c"))
        #expect(!harness.exists("source/a") && !harness.exists("source/b/c"))
        let again = try harness.run { $0.after = .move(done) }
        #expect(again.report.counts == RunCounts())
    }

    @Test(arguments: ["move", "delete"])
    func `a file that changes between its proof and its action stays`(action: String) throws {
        let path = try harness.file("a")
        let after = action == "move" ? AfterAction.move(harness.path("done")) : .delete
        let outcome = try harness.run(
            change: { $0.after = after },
            onEvent: { event in
                guard case .upload(.completed) = event else { return }
                try? Files.overwrite(path, at: 0, with: Array("CHANGED".utf8))
            }
        )
        #expect(outcome.report.counts.archived == 1)
        #expect(outcome.report.counts.actionsFailed == 1)
        #expect(outcome.kinds == [.source])
        #expect(outcome.refusals.first?.contains("has changed since it was archived") == true)
        #expect(try Files.read(path) == Array("CHANGED".utf8))
        // It is another file now, and goes its own way.
        let second = try harness.run(to: "bucket/next/") { $0.after = after }
        #expect(second.report.counts.acted == 1)
        #expect(try harness.holds("CHANGED", at: "next/a"))
        #expect(!harness.exists("source/a"))
    }

    @Test func `a file that cannot be moved is archived, and moved by the next run without being sent again`() throws {
        try harness.file("a")
        // A file where a directory is to be.
        try harness.scratch.write(Array("".utf8), to: "done")
        let done = harness.path("done")
        let first = try harness.run { $0.after = .move(done) }
        #expect((first.report.counts.archived, first.report.counts.actionsFailed) == (1, 1))
        #expect(harness.exists("source/a"))
        #expect(unlink(harness.scratch.path("done")) == 0)
        let second = try harness.run { $0.after = .move(done) }
        #expect((second.report.counts.archived, second.report.counts.acted) == (0, 1))
        #expect(harness.exists("done/a"))
        #expect(puts == 1)
    }

    @Test func `a file is deleted when its time has come and the store still has the object`() throws {
        try harness.file("a")
        _ = try harness.run { $0.after = .deleteAfter(3600) }
        let early = try harness.run { $0.after = .deleteAfter(3600) }
        #expect(early.report.counts.unchanged == 1)
        #expect(harness.exists("source/a"))
        harness.wait(seconds: 3601)
        let heads = harness.server.requests(.headObject).count
        let late = try harness.run { $0.after = .deleteAfter(3600) }
        #expect(late.report.counts.acted == 1)
        #expect(!harness.exists("source/a"))
        #expect(harness.server.requests(.headObject).count > heads)
        #expect(puts == 1)
    }

    @Test func `a file whose object has gone is sent again before it is deleted`() throws {
        try harness.file("a")
        _ = try harness.run { $0.after = .deleteAfter(3600) }
        harness.server.edit { $0.buckets["bucket"]?.objects.removeAll() }
        harness.wait(seconds: 3601)
        let late = try harness.run { $0.after = .deleteAfter(3600) }
        #expect(late.report.counts.acted == 1)
        #expect(harness.objects == ["a"])
        #expect(puts == 2)
    }

    @Test func `what was kept is moved when the job comes to say so, without being sent again`() throws {
        try harness.file("a")
        _ = try harness.run()
        let done = harness.path("done")
        let second = try harness.run(to: "bucket/{date}/{relpath}") { $0.after = .move(done) }
        #expect(second.report.counts.acted == 1)
        #expect(puts == 1)
        #expect(harness.exists("done/a"))
    }

    @Test
    func `what another command archived is not deleted before the store was asked`() throws {
        try harness.file("a")
        _ = try harness.run()
        harness.server.edit { $0.buckets["bucket"]?.objects.removeAll() }
        // The question is under way when the run ends.
        let cancellation = Cancellation()
        harness.server.add(.on(.headObject, .run(.headersRead) { _ in cancellation.cancel() }, .closeBeforeProcessing))
        let stopped = try harness.run(cancellation: cancellation) { $0.after = .delete }
        #expect(stopped.report.counts.acted == 0)
        #expect(harness.exists("source/a"))
        let next = try harness.run { $0.after = .delete }
        #expect(next.report.counts.acted == 1)
        #expect(harness.objects == ["a"], "it was sent again before it was deleted")
    }

    @Test(arguments: [AfterAction.keep, .delete])
    func `a file whose clock could hide a change is left for the next run`(after: AfterAction) throws {
        let path = try harness.file("a")
        try Files.setModificationTime(path, seconds: wallClockMilliseconds() / 1000)
        let early = try harness.run { $0.after = after }
        #expect((early.report.unsettled, early.report.counts.found) == (1, 0))
        harness.wait(seconds: 10)
        #expect(try harness.run { $0.after = after }.report.counts.archived == 1)
        #expect(try harness.run { $0.after = after }.report.failures.count == 0)
    }

    /// Changes a file in place and restores its size and modification time, as VeraCrypt and some databases do.
    private func changeUnseen(_ path: String) throws {
        try Files.overwrite(path, at: 0, with: Array("CONTENT".utf8))
        try Files.setModificationTime(path, seconds: 1_700_000_000)
    }

    @Test(arguments: [AfterAction.keep, .deleteAfter(3600)], [true, false])
    func `a content that is nowhere else is not deleted, though size and time are the old ones`(
        first: AfterAction,
        isDue: Bool
    ) throws {
        let path = try harness.file("a")
        #expect(try harness.run(to: "bucket/{dd}/{relpath}") { $0.after = first }.report.counts.archived == 1)
        try changeUnseen(path)
        if isDue { harness.wait(seconds: 3700) }
        let after = first == .keep && isDue ? AfterAction.delete : first
        if after != .delete, isDue {
            let due = try harness.run(to: "bucket/{dd}/{relpath}", day: 21) { $0.after = after }
            #expect(due.refusals.count == 1 && due.report.counts.acted == 0)
        }
        let late = try harness.run(to: "bucket/{dd}/{relpath}", day: 22) { $0.after = after }
        #expect(late.report.failures.count == 0 && late.report.counts.archived == 1)
        #expect(harness.exists("source/a") == !(first == .keep && isDue))
        #expect(try harness.holds("content", at: "21/a"))
        #expect(try harness.holds("CONTENT", at: "22/a"), "what stood there was archived before it went")
    }

    @Test(arguments: ["bucket/{relpath}", "bucket/{sha256}"])
    func `a file of which only the change time has moved is compared once, and not sent again`(to: String) throws {
        let path = try harness.file("a")
        #expect(try harness.run(to: to).report.counts.archived == 1)
        let requestsBefore = harness.server.requests.count
        for change in [
            { try Files.setMode(path, 0o640) }, {}, { try Files.setModificationTime(path, seconds: 1_700_003_600) },
        ] {
            try change()
            let run = try harness.run(to: to)
            #expect((run.report.counts.unchanged, run.report.failures.count) == (1, 0))
            let identity = SourceIdentity(path: Array(path.utf8), try FileStatus.of(path: Array(path.utf8)))
            #expect(try harness.ledger.all().map(\.upload.source) == [identity])
        }
        #expect(harness.server.requests.count == requestsBefore)
    }

    @Test func `a changed content gets the key that is made of it`() throws {
        let path = try harness.file("a")
        _ = try harness.run(to: "bucket/{sha256}")
        try changeUnseen(path)
        #expect(try harness.run(to: "bucket/{sha256}").report.counts.archived == 1)
        #expect(harness.objects.count == 2)
    }

    @Test(arguments: ["settle", "minAge"])
    func `a time in the future keeps no file from being archived`(least: String) throws {
        let path = try harness.file("a")
        try Files.setModificationTime(path, seconds: wallClockMilliseconds() / 1000 + 400_000_000)
        let rule: (inout ArchiveJob) -> Void = {
            if least == "settle" { $0.settle = 60 } else { $0.selection.minimumAge = 60 }
        }
        #expect(try harness.run(change: rule).report.counts.archived == 0)
        harness.wait(seconds: 61)
        let first = try harness.run(change: rule)
        #expect(first.report.counts.archived == 1)
        let second = try harness.run(change: rule)
        #expect((second.report.counts.unchanged, second.report.failures.count) == (1, 0))
    }

    @Test func `what was not dealt with when the run was stopped is no success`() throws {
        for name in ["a", "b", "c"] { try harness.file(name) }
        let cancellation = Cancellation()
        let outcome = try harness.run(
            cancellation: cancellation,
            change: { $0.after = .delete },
            onEvent: { event in
                guard case .upload(.completed) = event else { return }
                cancellation.cancel()
            }
        )
        #expect(outcome.report.obstacle?.kind == .interrupted || outcome.kinds == [.interrupted])
        #expect(outcome.report.counts.unfinished > 0)
        #expect(try harness.run { $0.after = .delete }.report.failures.count == 0)
        #expect(["a", "b", "c"].allSatisfy { !harness.exists("source/" + $0) })
        #expect(harness.objects == ["a", "b", "c"])
    }

    // MARK: Jobs that change

    /// The result for "a" in a run that cannot act, because the file is open for writing.
    private func fail(_ after: AfterAction) throws -> JobItem {
        let path = try harness.file("a")
        let writer = open(path, O_WRONLY | O_CLOEXEC)
        defer { close(writer) }
        let outcome = try harness.run { $0.after = after }
        #expect((outcome.report.counts.archived, outcome.report.counts.actionsFailed) == (1, 1))
        let item = try harness.ledger.items(of: outcome.report.run.job, at: [Array(path.utf8)])[0]
        #expect(item?.state == .acting)
        return try #require(item)
    }

    @Test(arguments: ["delete", "move"])
    func `a file whose action has not started stays when the job comes to keep files`(action: String) throws {
        let item = try fail(action == "delete" ? .delete : .move(harness.path("done")))
        let plan = try harness.plan { $0.after = .keep }
        #expect(plan.totals.files == [.unchanged: 1])
        let second = try harness.run { $0.after = .keep }
        #expect(harness.exists("source/a") && !harness.exists("done/a"))
        #expect((second.report.counts.acted, second.report.counts.unchanged) == (0, 1))
        #expect(second.report.failures.count == 0)
        #expect(try harness.ledger.items(of: second.report.run.job, at: [item.source])[0]?.state == .settled)
        let third = try harness.run { $0.after = .delete }
        #expect(third.report.actions.deleted == 1)
        #expect(!harness.exists("source/a") && puts == 1)
    }

    @Test(arguments: ["delete", "move"])
    func `a file whose action has not started goes where the job moves files today`(action: String) throws {
        _ = try fail(action == "delete" ? .delete : .move(harness.path("done")))
        let other = harness.path("other")
        let second = try harness.run { $0.after = .move(other) }
        #expect(harness.exists("other/a") && !harness.exists("done/a") && !harness.exists("source/a"))
        #expect(second.acted == [ItemAction("move", target: other + Array("/a".utf8))])
        #expect((second.report.actions.moved, second.report.actions.deleted) == (1, 0))
    }

    @Test(arguments: ["delete", "move"])
    func `a file whose action has not started waits when the job comes to wait`(action: String) throws {
        _ = try fail(action == "delete" ? .delete : .move(harness.path("done")))
        for _ in 1...2 {
            let early = try harness.run { $0.after = .deleteAfter(3600) }
            #expect((early.report.counts.acted, early.report.counts.unchanged) == (0, 1))
        }
        #expect(harness.exists("source/a"))
        harness.wait(seconds: 3601)
        #expect(try harness.run { $0.after = .deleteAfter(3600) }.report.actions.deleted == 1)
        #expect(!harness.exists("source/a") && puts == 1)
    }

    @Test func `a delay that the job has made longer holds for files that wait`() throws {
        try harness.file("a")
        _ = try harness.run { $0.after = .deleteAfter(60) }
        harness.wait(seconds: 61)
        #expect(try harness.run { $0.after = .deleteAfter(3600) }.report.counts.acted == 0)
        #expect(harness.exists("source/a"))
    }

    @Test func `a removal that has started is finished whatever the job says`() throws {
        let item = try fail(.delete)
        let id = try #require(item.upload?.id)
        #expect(rename(harness.scratch.path("source/a"), harness.scratch.path("source/.mule-\(id).gone")) == 0)
        let second = try harness.run { $0.after = .keep }
        #expect((second.report.actions.deleted, second.report.counts.acted) == (1, 1))
        #expect(!harness.exists("source/.mule-\(id).gone"))
    }

    @Test func `a move that was made is recorded whatever the job says, and counted as one`() throws {
        _ = try fail(.move(harness.path("done")))
        try harness.scratch.makeDirectory("done")
        #expect(rename(harness.scratch.path("source/a"), harness.scratch.path("done/a")) == 0)
        let second = try harness.run { $0.after = .delete }
        #expect((second.report.actions.moved, second.report.actions.deleted) == (1, 0))
        #expect(harness.exists("done/a"))
    }

    // MARK: Wrong clocks

    private static let day = 86_400

    /// Sets this machine's clock alone.
    private func setClock(aheadBy seconds: Int) { harness.ahead.withLock { $0 = Int64(seconds) * 1000 } }

    @Test(arguments: [31 * day, 86_400_000])
    func `a clock that is ahead deletes nothing by age`(seconds: Int) throws {
        try harness.file("a")
        let job: (inout ArchiveJob) -> Void = { $0.after = .deleteAfter(Double(30 * Self.day)) }
        _ = try harness.run(change: job)
        setClock(aheadBy: seconds)
        let wrong = try harness.run(change: job)
        #expect(harness.exists("source/a"))
        #expect(wrong.report.obstacle?.kind == .source)
        #expect(wrong.report.obstacle?.message.contains("clock") == true)
        #expect((wrong.report.counts.acted, wrong.report.actions.notDeleted) == (0, 1))
        setClock(aheadBy: 0)
        let right = try harness.run(change: job)
        #expect(right.report.obstacle == nil && right.report.counts.acted == 0)
        #expect(harness.exists("source/a"))
        harness.wait(seconds: 31 * Self.day)
        #expect(try harness.run(change: job).report.actions.deleted == 1)
        #expect(puts == 1)
    }

    @Test func `a file that was archived while the clock was behind is not old when the clock is right`() throws {
        try harness.file("a")
        let job: (inout ArchiveJob) -> Void = { $0.after = .deleteAfter(Double(30 * Self.day)) }
        setClock(aheadBy: -56 * 365 * Self.day)
        _ = try harness.run(change: job)
        setClock(aheadBy: 0)
        let right = try harness.run(change: job)
        #expect(right.report.counts.acted == 0 && right.report.failures.count == 0)
        #expect(harness.exists("source/a"))
        harness.wait(seconds: 31 * Self.day)
        #expect(try harness.run(change: job).report.actions.deleted == 1)
    }

    @Test func `a clock that is ahead makes no file old enough to be deleted`() throws {
        let path = try harness.file("a")
        try Files.setModificationTime(path, seconds: wallClockMilliseconds() / 1000 - 60)
        let job: (inout ArchiveJob) -> Void = {
            $0.after = .delete
            $0.selection.minimumAge = Double(30 * Self.day)
        }
        setClock(aheadBy: 31 * Self.day)
        let wrong = try harness.run(change: job)
        #expect((wrong.report.counts.archived, wrong.report.counts.acted) == (1, 0))
        #expect(wrong.report.obstacle?.kind == .source)
        setClock(aheadBy: 0)
        #expect(try harness.run(change: job).report.counts.acted == 0)
        #expect(harness.exists("source/a"))
        harness.wait(seconds: 31 * Self.day)
        #expect(try harness.run(change: job).report.actions.deleted == 1)
        #expect(puts == 1)
    }

    @Test func `a wrong clock holds back no action that depends on no age`() throws {
        try harness.file("a")
        setClock(aheadBy: 31 * Self.day)
        #expect(try harness.run { $0.after = .delete }.report.actions.deleted == 1)
    }

    // MARK: Keys

    @Test func `two files that would get one key do not replace each other`() throws {
        for name in ["a/x", "b/x", "c/x"] { try harness.file(name, name) }
        let outcome = try harness.run(to: "bucket/{name}") {
            $0.mayOverwrite = true
            $0.after = .delete
        }
        #expect(outcome.report.counts.archived == 1)
        #expect(outcome.report.counts.failed == 2)
        #expect(outcome.kinds == [.exists])
        #expect(harness.objects == ["x"])
        let left = ["a/x", "b/x", "c/x"].filter { harness.exists("source/" + $0) }
        #expect(left.count == 2)
    }

    @Test func `a key may hold the content's digest`() throws {
        try harness.file("a", "")
        _ = try harness.run(to: "bucket/{sha256}{ext}")
        #expect(harness.objects == ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"])
    }

    // MARK: Limits

    @Test func `a run stops at its border, and the next continues`() throws {
        for name in ["a", "b", "c", "d", "e", "f"] { try harness.file(name) }
        let first = try harness.run { job in
            job.limits = RunLimits(until: wallClockMilliseconds() - 1)
        }
        #expect(first.kinds == [.limit] || first.report.obstacle?.kind == .limit)
        #expect(first.report.counts.archived < 6)
        let second = try harness.run()
        #expect(first.report.counts.archived + second.report.counts.archived == 6)
        #expect(second.report.failures.count == 0)
    }

    @Test func `a run stops when it has sent as much as it may`() throws {
        for name in 0..<50 { try harness.file("\(name)") }
        harness.server.add(.on(.putObject, times: 1000, .delay(0.05)))
        let first = try harness.run { $0.limits = RunLimits(maximumBytes: 7) }
        #expect(first.report.obstacle?.kind == .limit || first.kinds == [.limit])
        #expect(try harness.run().report.failures.count == 0)
        #expect(harness.objects.count == 50)
    }

    // MARK: What fails

    @Test func `a file that fails for good is left alone after some runs, until it changes`() throws {
        let path = try harness.file("a")
        harness.server.add(.on(.putObject, key: "a", times: 100, .status(403, code: "AccessDenied")))
        for run in 1...3 {
            let outcome = try harness.run { $0.quarantineAfter = 3 }
            #expect((outcome.kinds, outcome.failures.count) == ([.store], 1), "run \(run)")
        }
        let requests = harness.server.requests.count
        let fourth = try harness.run { $0.quarantineAfter = 3 }
        #expect(fourth.report.counts.quarantined == 1)
        #expect(fourth.kinds == [.store], "the status says so all the same")
        #expect(fourth.failures.isEmpty)
        #expect(harness.server.requests.count == requests)
        try Files.overwrite(path, at: 0, with: Array("CHANGED".utf8))
        let fifth = try harness.run { $0.quarantineAfter = 3 }
        #expect(fifth.failures.count == 1)
        #expect(harness.server.requests.count > requests)
    }

    /// The store itself says so, of this file, while it takes others.
    @Test func `a file that the store can never take is left alone after some runs`() throws {
        for name in ["a", "b", "c"] { try harness.file(name) }
        harness.server.add(.on(.putObject, key: "b", times: .max, .status(500, code: "InternalError")))
        for run in 1...3 {
            // Something must arrive, so that the store is seen to work.
            try harness.file("new-\(run)")
            let outcome = try harness.run(stallLimit: 0.4) { $0.quarantineAfter = 3 }
            #expect((outcome.kinds, outcome.failures.count) == ([.network], 1), "run \(run)")
        }
        #expect(harness.objects.count == 5)
        #expect(try harness.run { $0.quarantineAfter = 3 }.report.counts.quarantined == 1)
    }

    /// What answers without an S3 document may be a proxy: it says nothing of the file.
    @Test(arguments: [522, 403, 404, 451])
    func `a front that refuses everything for some nights leaves nothing alone`(status: Int) throws {
        try harness.file("a")
        harness.server.add(
            .on(.putObject, times: .max, .custom { _ in FakeReply(status, body: Array("<html>no</html>".utf8)) })
        )
        for _ in 1...3 {
            let outcome = try harness.run(stallLimit: 0.3) { $0.quarantineAfter = 3 }
            #expect(outcome.failures.count == 1)
        }
        harness.server.script([])
        let fourth = try harness.run { $0.quarantineAfter = 3 }
        #expect(fourth.report.counts.quarantined == 0)
        #expect(harness.objects == ["a"])
    }

    @Test(arguments: [true, false])
    func `a file whose object cannot be asked for is left alone after some runs, and stays`(isKnown: Bool) throws {
        let path = try harness.file("a")
        let due: (inout ArchiveJob) -> Void = {
            $0.after = isKnown ? .deleteAfter(60) : .delete
            $0.quarantineAfter = 3
        }
        _ = try harness.run { if isKnown { due(&$0) } }
        harness.wait(seconds: 61)
        harness.server.add(.on(.headObject, times: 100, .status(403, code: "AccessDenied")))
        for run in 1...3 {
            let outcome = try harness.run(change: due)
            #expect((outcome.kinds, outcome.failures.count) == ([.exists], 1), "run \(run)")
        }
        let requests = harness.server.requests.count
        let fourth = try harness.run(change: due)
        #expect(fourth.report.counts.quarantined == 1)
        #expect((fourth.kinds, fourth.failures.count) == ([.exists], 0))
        #expect(harness.server.requests.count == requests)
        let job = try #require(try harness.ledger.jobs().first)
        let alone = try harness.ledger.quarantinedFiles(of: job, after: nil, limit: 9)
        #expect(alone.map(\.item.source) == [Array(path.utf8)])
        #expect(harness.exists("source/a"))
        harness.server.script([])
        let forced = try harness.run {
            due(&$0)
            $0.retriesQuarantined = true
        }
        #expect(forced.report.counts.acted == 1)
        #expect(!harness.exists("source/a"))
    }

    @Test func `what another command archived is sent as it is now`() throws {
        let path = try harness.file("a")
        _ = try harness.run()
        harness.server.add(.on(.headObject, times: 100, .status(403, code: "AccessDenied")))
        #expect(try harness.run { $0.after = .delete }.report.failures.count == 1)
        harness.server.script([])
        try Files.overwrite(path, at: 0, with: Array("CHANGED".utf8))
        let next = try harness.run {
            $0.after = .delete
            $0.mayOverwrite = true
        }
        #expect((next.report.counts.archived, next.report.counts.acted) == (1, 1))
        #expect(try harness.holds("CHANGED", at: "a"))
    }

    @Test func `what is no file is told in the first runs, and counted in all`() throws {
        #expect(mkfifo(harness.scratch.path("source/fifo"), 0o600) == 0)
        for _ in 1...2 { #expect(try harness.run { $0.quarantineAfter = 2 }.failures.count == 1) }
        let third = try harness.run { $0.quarantineAfter = 2 }
        #expect(third.failures.isEmpty)
        #expect(third.kinds == [.source])
        #expect(third.report.counts.quarantined == 1)
        let forced = try harness.run {
            $0.quarantineAfter = 2
            $0.retriesQuarantined = true
        }
        #expect(forced.failures.count == 1)
    }

    @Test func `a file that is too young waits for the next run`() throws {
        try harness.file("a")
        let early = try harness.run { $0.settle = 30 }
        #expect(early.report.unsettled == 1)
        #expect(early.report.counts.found == 0)
        harness.ahead.withLock { $0 = 31_000 }
        #expect(try harness.run { $0.settle = 30 }.report.counts.archived == 1)
    }

    // MARK: What the ledger says

    @Test func `each run and each file of it is on record`() throws {
        try harness.file("a")
        #expect(mkfifo(harness.scratch.path("source/fifo"), 0o600) == 0)
        let done = harness.path("done")
        let report = try harness.run { $0.after = .move(done) }.report
        let run = try #require(try harness.ledger.run(number: report.run.run))
        #expect((run.jobName, run.status, run.counts) == ("test", 1, report.counts))
        #expect(run.endedAt != nil)
        let receipts = try harness.ledger.receipts(of: run.number, after: 0, limit: 10)
        #expect(receipts.map(\.receipt.result).sorted { $0.rawValue < $1.rawValue } == [.archived, .failed])
        let archived = try #require(receipts.first { $0.receipt.result == .archived })
        #expect(archived.receipt.source == harness.source + Array("/a".utf8))
        #expect(archived.receipt.action == ItemAction("move", target: done + Array("/a".utf8)))
        #expect((archived.receipt.attempts, archived.receipt.bytesSent) == (1, 7))
        #expect(archived.upload?.proof.checksumAlgorithm == "CRC64NVME")
        let items = try harness.ledger.items(of: report.run.job, at: [archived.receipt.source])
        #expect(items.first??.state == .settled)
    }
}

private func md5(_ bytes: [UInt8]) -> [UInt8] {
    var digest = MessageDigest(.md5)
    bytes.withUnsafeBytes { digest.update($0) }
    return digest.finish()
}
