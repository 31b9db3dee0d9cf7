import Glibc
import MuleArchive
import MuleLedger
import MulePlan
import MuleS3
import MuleSigning
import MuleSources
import MuleSystem
import MuleTransport
import MuleUpload
import TestSupport

/// A job in process: a fake store, a ledger, and a directory of its own for each test.
final class ArchiveHarness: Sendable {
    let server: FakeS3
    let scratch = ScratchDirectory("mule-archive")
    let ledger: Ledger
    /// Milliseconds by which this machine's clock, as the ledger sees it, is ahead.
    let ahead = Monitor<Int64>(0)

    struct Outcome {
        var report: ArchiveReport
        var events: [ArchiveEvent]

        var kinds: [UploadFailure.Kind] { report.failures.kinds.sorted { $0.rawValue < $1.rawValue } }
        var acted: [ItemAction] {
            events.compactMap { if case .acted(_, _, let action) = $0 { action } else { nil } }
        }
        var refusals: [String] {
            events.compactMap { if case .actionFailed(_, _, _, let failure) = $0 { failure.message } else { nil } }
        }
        var failures: [String] {
            events.compactMap { if case .upload(.failed(let end)) = $0 { end.failure.message } else { nil } }
        }
    }

    init(_ profile: FakeProfile = .aws(minimumPartSize: 1)) throws {
        server = FakeS3(profile)
        let ahead = ahead
        ledger = try Ledger(
            path: Array(scratch.path("state/ledger.sqlite").utf8),
            now: { wallClockMilliseconds() + ahead.withLock { $0 } }
        )
        try scratch.makeDirectory("source")
    }

    /// Lets time pass, here and at the store.
    func wait(seconds: Int) {
        ahead.withLock { $0 += Int64(seconds) * 1000 }
        server.profile.clockOffsetSeconds += seconds
    }

    var source: [UInt8] { Array(scratch.path("source").utf8) }

    @discardableResult
    func file(_ name: String, _ content: String = "content") throws -> String {
        if let slash = name.lastIndex(of: "/") { try scratch.makeDirectory("source/" + name[..<slash]) }
        let path = try scratch.write(Array(content.utf8), to: "source/" + name)
        try Files.setModificationTime(path, seconds: 1_700_000_000)
        return path
    }

    func path(_ name: String) -> [UInt8] { Array(scratch.path(name).utf8) }

    func exists(_ name: String) -> Bool { (try? FileStatus.of(path: path(name), followingLinks: false)) != nil }

    var objects: [String] {
        server.edit { $0.buckets["bucket"]?.objects.keys.map { String(decoding: $0, as: UTF8.self) } ?? [] }.sorted()
    }

    func holds(_ content: String, at key: String) throws -> Bool {
        guard let object = server.object(key: key) else { return false }
        return try object.equals(file: try scratch.write(Array(content.utf8), to: "expected"))
    }

    /// Runs the job "test" once.
    ///
    /// - Parameter onEvent: called for each event, before the run continues.
    func run(
        to destination: String = "bucket/",
        day: Int = 21,
        stallLimit: Double = 30,
        cancellation: Cancellation = Cancellation(),
        change: (inout ArchiveJob) -> Void = { _ in },
        onEvent: @escaping @Sendable (ArchiveEvent) -> Void = { _ in }
    ) throws -> Outcome {
        let job = try job(to: destination, day: day, cancellation: cancellation, change)
        let service = job.service
        var settings = RunSettings(concurrency: 4, stallLimit: stallLimit)
        settings.retry.base = 0.001
        settings.retry.throttledBase = 0.001
        settings.retry.cap = 0.002
        let events = Monitor<[ArchiveEvent]>([])
        let run = try ArchiveRun(
            job,
            number: try ledger.job(named: job.name),
            ledger: ledger,
            settings: settings,
            cancellation: cancellation
        ) { event in
            events.withLock { $0.append(event) }
            onEvent(event)
        }
        let report = run.run { _ in service }
        try run.close(report, status: report.obstacle != nil ? 3 : report.failures.count == 0 ? 0 : 1)
        return Outcome(report: report, events: events.withLock { $0 })
    }

    /// What a run of the job "test" would do.
    func plan(
        to destination: String = "bucket/",
        change: (inout ArchiveJob) -> Void = { _ in }
    ) throws -> (files: [PlannedFile], totals: PlanTotals) {
        try plan(to: destination, ledger: ledger, change: change)
    }

    func plan(
        to destination: String = "bucket/",
        ledger: Ledger?,
        change: (inout ArchiveJob) -> Void = { _ in }
    ) throws -> (files: [PlannedFile], totals: PlanTotals) {
        let cancellation = Cancellation()
        let job = try job(to: destination, day: 21, cancellation: cancellation, change)
        var files: [PlannedFile] = []
        let planner = ArchivePlanner(
            job,
            number: try ledger?.knownJob(named: job.name),
            ledger: ledger,
            cancellation: cancellation
        ) { files.append($0) }
        let totals = try planner.plan()
        return (files, totals)
    }

    private func job(
        to destination: String,
        day: Int,
        cancellation: Cancellation,
        _ change: (inout ArchiveJob) -> Void
    ) throws -> ArchiveJob {
        let service = S3Service(
            endpoint: try Endpoint(url: server.endpoint, region: server.region),
            transport: TransportSettings(userAgent: "mule-test"),
            credentials: FixedCredentials(
                Credentials(
                    accessKeyID: server.credentials.accessKey,
                    secretAccessKey: server.credentials.secretKey,
                    sessionToken: server.credentials.sessionToken
                )
            ),
            cancellation: cancellation,
            patience: 30
        )
        var selection = Selection()
        selection.symlinks = .report
        var job = ArchiveJob(
            name: "test",
            source: source,
            selection: selection,
            destination: try DestinationTemplate(destination),
            naming: DestinationTemplate.Run(host: "host", year: 2026, month: 11, day: day),
            store: StoreAddress(
                endpoint: server.endpoint,
                region: server.region,
                addressing: "path",
                profile: nil,
                caBundle: nil
            ),
            service: service
        )
        change(&job)
        return job
    }
}
