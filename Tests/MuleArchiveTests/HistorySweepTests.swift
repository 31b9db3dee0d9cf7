import Glibc
import MuleArchive
import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload
import TestSupport
import Testing

/// What leaves the ledger when it is old, and what keeps a file from being sent again and stays.
@Suite struct HistorySweepTests {
    private let directory = ScratchDirectory()
    private let time = Monitor<Int64>(1_000_000)
    private let ledger: Ledger
    private let job: Int64

    init() throws {
        let time = time
        ledger = try Ledger(path: Array(directory.path("ledger.sqlite").utf8), now: { time.withLock { $0 } })
        job = try ledger.job(named: "job")
    }

    private func identity(_ name: String) throws -> SourceIdentity {
        let path = Array(directory.path(name).utf8)
        return SourceIdentity(path: path, try FileStatus.of(path: path))
    }

    /// A run in which one file is archived.
    ///
    /// - Parameter device: the file's, where it is not the true one.
    @discardableResult
    private func archive(
        _ name: String,
        device: UInt64? = nil,
        action: ItemAction? = nil,
        asItem: Bool = true
    ) throws -> Int64 {
        try directory.write("content", to: name)
        var source = try identity(name)
        source.device = device ?? source.device
        let run = JobRun(job: job, run: try ledger.beginRun(of: job))
        let upload = NewUpload(
            source: source,
            store: StoreAddress(endpoint: "https://s3", region: "r", addressing: "path", profile: nil, caBundle: nil),
            destination: ObjectAddress(bucket: "bucket", key: ObjectKey(name)),
            attributes: ObjectAttributes(),
            onlyIfAbsent: true,
            integrity: IntegrityOptions(checksum: "auto", payloadSigning: "auto"),
            partSize: nil
        )
        let items = Ledger.NewItems(run: run, items: [.init(source: source.path, sharesKey: false)])
        guard case .began(let record, let lease) = try ledger.claim([upload], as: asItem ? items : nil).first else {
            throw Unexpected()
        }
        let done = Ledger.Outcome.done(ObjectProof(eTag: "e"), size: 7, partCount: nil)
        try ledger.commit([.upload(.init(upload: record.number, outcome: done, bytesSent: 7))])
        withExtendedLifetime(lease) {}
        if asItem {
            let receipt = Receipt(
                number: 1,
                upload: record.number,
                source: source.path,
                destination: upload.destination,
                result: .archived,
                endedAt: ledger.now()
            )
            var steps: [Ledger.JobStep] = [.archived(action == nil ? .settled : .acting, action, receipt)]
            if let action { steps.append(.acted(action, failure: nil, receipt: 1, receipt)) }
            try ledger.record(steps, of: run)
        }
        var counts = RunCounts()
        counts.archived = 1
        counts.bytes = 7
        counts.failed = 2
        try ledger.note(counts, of: run.run, status: 0, error: nil)
        return record.number
    }

    private struct Unexpected: Error {}

    private func sweep(removes: Bool = true) throws -> HistoryCounts {
        time.withLock { $0 += 10_000 }
        return try HistorySweep(ledger, cutoff: ledger.now() - 1000, removes: removes, cancellation: Cancellation())
            .run()
    }

    private func item(_ name: String) throws -> JobItem? {
        try ledger.items(of: job, at: [Array(directory.path(name).utf8)])[0]
    }

    @Test func `a file that exists keeps its rows`() throws {
        let number = try archive("a")
        try archive("b")
        let counts = try sweep()
        #expect(counts.items == 0 && counts.uploads == 0)
        #expect(try item("a")?.upload?.number == number)
        #expect(counts.runs == 1 && counts.receipts == 1)
        // The last run tells how the job stands.
        #expect(try ledger.runs(since: 0).map(\.number) == [2])
        #expect(try sweep().isEmpty)
    }

    @Test func `a file that is gone takes its rows along`() throws {
        let number = try archive("sub/deep/a")
        #expect(system("rm -r '\(directory.path("sub"))'") == 0)
        let dry = try sweep(removes: false)
        #expect(dry.items == 1 && dry.uploads == 1)
        #expect(try item("sub/deep/a") != nil)
        let counts = try sweep()
        #expect(counts == dry)
        #expect(try item("sub/deep/a") == nil)
        #expect(try ledger.upload(number: number) == nil)
    }

    @Test func `young rows stay`() throws {
        try archive("a")
        unlink(directory.path("a"))
        let counts = try HistorySweep(ledger, cutoff: ledger.now(), removes: true, cancellation: Cancellation()).run()
        #expect(counts.isEmpty)
    }

    /// A disk that is not mounted takes its files along, and brings them back.
    @Test func `a file on another disk than its directory is not taken for gone`() throws {
        let number = try archive("a", device: 1)
        unlink(directory.path("a"))
        let counts = try sweep()
        #expect(counts.items == 0 && counts.uploads == 0)
        #expect(try item("a")?.upload?.number == number)
    }

    @Test(arguments: ["move", "delete"]) func `what was taken away is gone whatever the disk`(action: String) throws {
        try archive("a", device: 1, action: ItemAction(action))
        unlink(directory.path("a"))
        let counts = try sweep()
        #expect(counts.items == 1 && counts.uploads == 1)
        #expect(try ledger.all().isEmpty)
    }

    @Test func `what is still to be done stays`() throws {
        let source = Array(directory.path("a").utf8)
        try archive("a")
        let run = JobRun(job: job, run: 1)
        try ledger.record([.planned(.acting, ItemAction("delete"), source: source)], of: run)
        unlink(directory.path("a"))
        #expect(try sweep().items == 0)
        #expect(try item("a")?.state == .acting)
    }

    @Test func `uploads without a job stay while their file is the same`() throws {
        let kept = try archive("kept", asItem: false)
        let older = try archive("twice", asItem: false)
        let newer = try archive("twice", asItem: false)
        let changed = try archive("changed", asItem: false)
        try directory.write("other content", to: "changed")
        let gone = try archive("gone", asItem: false)
        unlink(directory.path("gone"))
        let unmounted = try archive("unmounted", device: 1, asItem: false)
        unlink(directory.path("unmounted"))
        // Rewritten with the same content, the file differs from that of the older upload.
        #expect(try sweep(removes: false).uploads == 3)
        #expect(try sweep().uploads == 3)
        let left = try ledger.all().map(\.number)
        #expect(left == [kept, newer, unmounted], "\(left), gone \(older), \(changed), \(gone)")
    }

    @Test func `counters go on over forgotten runs`() throws {
        for name in ["a", "b", "c"] { try archive(name) }
        let known = try #require(try ledger.jobs().first)
        let before = try ledger.totals(of: known)
        #expect(before.archived == 3 && before.bytes == 21 && before.failures == 6 && before.lastSuccess == 1_000_000)
        #expect(try sweep().runs == 2)
        #expect(try ledger.totals(of: known) == before)
    }

    @Test func `many rows go in slices`() throws {
        let run = JobRun(job: job, run: try ledger.beginRun(of: job))
        for first in stride(from: 1, through: 12_000, by: 1000) {
            let steps: [Ledger.JobStep] = (first..<first + 1000).map { number in
                let receipt = Receipt(
                    number: Int64(number),
                    upload: nil,
                    source: Array("/none/\(number)".utf8),
                    destination: nil,
                    result: .failed,
                    failure: .init(kind: "source", message: "m"),
                    endedAt: 0
                )
                return .failed(isFinal: true, receipt)
            }
            try ledger.record(steps, of: run)
        }
        try ledger.note(RunCounts(), of: run.run, status: 3, error: nil)
        try archive("last")
        let counts = try sweep()
        #expect(counts.receipts == 12_000 && counts.runs == 1 && counts.items == 12_000)
        #expect(try ledger.runs(since: 0).map(\.number) == [2])
    }
}
