import Glibc
import MuleArchive
import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload
import TestSupport
import Testing

/// `--dry-run`: a plan says what the run then does, and changes nothing.
@Suite struct PlanTests {
    private let harness: ArchiveHarness

    init() throws {
        harness = try ArchiveHarness()
        try harness.ledger.remember("smallest-part", "1", of: harness.server.endpoint, lifetime: 3600)
    }

    private typealias Kinds = [PlannedFile.Kind: Int]

    /// Plans, runs, and compares: kinds, the objects that are made, bytes, bodies and requests.
    private func check(
        _ expected: Kinds,
        to destination: String = "bucket/",
        change: @escaping (inout ArchiveJob) -> Void = { _ in }
    ) throws {
        let ledgerBefore = try rows()
        let requests = harness.server.requests.count
        let (files, totals) = try harness.plan(to: destination, change: change)
        #expect(totals.files == expected)
        #expect(harness.server.requests.count == requests, "the plan has asked the store")
        #expect(try rows() == ledgerBefore, "the plan has changed the ledger")
        let outcome = try harness.run(to: destination, change: change)
        #expect(Set(outcome.kinds) == totals.failures.kinds)
        #expect(outcome.report.unsettled == totals.files[.tooYoung] ?? 0)
        #expect(outcome.report.counts.unchanged - (totals.files[.check] ?? 0) == totals.files[.unchanged] ?? 0)
        #expect(outcome.report.counts.quarantined == totals.files[.quarantined] ?? 0)
        let sent = [PlannedFile.Kind.new, .changed, .pending].reduce(0) { $0 + (totals.files[$1] ?? 0) }
        #expect(outcome.report.counts.archived == sent)
        #expect(outcome.report.counts.bytesSent == totals.bytes)
        let made = harness.server.requests.dropFirst(requests).map { "\($0.operation)" }
        #expect(made.count == totals.requests, "\(made)")
        let keys = files.filter { [.new, .changed, .pending].contains($0.kind) }.compactMap(\.destination?.key)
        for key in keys { #expect(harness.objects.contains(String(decoding: key.utf8, as: UTF8.self))) }
    }

    private func rows() throws -> [String] {
        try harness.ledger.all().map { "\($0)" } + (try harness.ledger.runs(since: 0).map { "\($0)" })
    }

    private let inParts = PartSizing(partSize: 100_000, multipartThreshold: 1000)

    @Test func `what is new, of every kind, and then nothing`() throws {
        try harness.file("a")
        try harness.file("empty", "")
        try harness.scratch.writeRandom("source/big", count: 450_000)
        #expect(mkfifo(harness.scratch.path("source/fifo"), 0o600) == 0)
        let sizing = inParts
        try check([.new: 3, .problem: 1]) { $0.sizing = sizing }
        try check([.unchanged: 3, .problem: 1]) { $0.sizing = sizing }
        try check([.check: 3, .problem: 1]) {
            $0.sizing = sizing
            $0.checksRemote = true
        }
    }

    @Test func `a replaceable object costs no question`() throws {
        try harness.file("a")
        try check([.new: 1]) { $0.mayOverwrite = true }
        try Files.overwrite(harness.scratch.path("source/a"), at: 0, with: Array("CONTENT".utf8))
        try check([.changed: 1]) { $0.mayOverwrite = true }
    }

    @Test(arguments: [false, true])
    func `what is pending continues, or restarts when the file has changed`(hasChanged: Bool) throws {
        try harness.scratch.writeRandom("source/big", count: 450_000)
        let sizing = inParts
        let cancellation = Cancellation()
        harness.server.add(
            .on(.uploadPart, part: 4, .run(.headersRead) { _ in cancellation.cancel() }, .closeBeforeProcessing)
        )
        let first = try harness.run(to: "bucket/{dd}/{relpath}", cancellation: cancellation) { $0.sizing = sizing }
        #expect(first.kinds == [.interrupted])
        if hasChanged { try Files.overwrite(harness.scratch.path("source/big"), at: 0, with: [1, 2, 3]) }
        // Parts may lie at the store that the ledger does not know: on a busy machine all that were sent.
        let (files, _) = try harness.plan(to: "bucket/{dd}/{relpath}") { $0.sizing = sizing }
        let parts = try #require(files.first).parts
        #expect(hasChanged ? parts == 5 : (1...5).contains(parts))
        let outcome = try harness.run(to: "bucket/{dd}/{relpath}") { $0.sizing = sizing }
        #expect(outcome.report.counts.archived == 1)
        #expect(files.map(\.kind) == [hasChanged ? .changed : .pending])
        #expect(outcome.report.counts.bytesSent <= files.reduce(0) { $0 + $1.bytes })
    }

    @Test func `two files that would get one key`() throws {
        for name in ["a/x", "b/x"] { try harness.file(name, name) }
        try check([.new: 1, .problem: 1], to: "bucket/{name}") { $0.mayOverwrite = true }
    }

    @Test func `a file that is too young`() throws {
        try harness.file("a")
        try check([.tooYoung: 1]) { $0.settle = 30 }
    }

    @Test func `what fails for good is planned until it is left alone`() throws {
        try harness.file("a")
        #expect(mkfifo(harness.scratch.path("source/fifo"), 0o600) == 0)
        harness.server.add(.on(.putObject, key: "a", times: 100, .status(403, code: "AccessDenied")))
        for _ in 1...2 { _ = try harness.run { $0.quarantineAfter = 2 } }
        try check([.quarantined: 2]) { $0.quarantineAfter = 2 }
        let (files, _) = try harness.plan {
            $0.quarantineAfter = 2
            $0.retriesQuarantined = true
        }
        #expect(files.map(\.kind).sorted { $0.rawValue < $1.rawValue } == [.new, .problem])
    }

    @Test func `a file whose time has come, and one whose action was not done`() throws {
        try harness.file("a")
        try check([.new: 1]) { $0.after = .deleteAfter(60) }
        try check([.unchanged: 1]) { $0.after = .deleteAfter(60) }
        harness.wait(seconds: 61)
        try check([.check: 1]) { $0.after = .deleteAfter(60) }
        try check([:]) { $0.after = .deleteAfter(60) }
    }

    @Test func `without a ledger all is new, and none is made`() throws {
        try harness.file("a")
        let (_, totals) = try harness.plan(ledger: nil)
        #expect(totals.files == [.new: 1])
        #expect(totals.requests == 2)
    }
}
