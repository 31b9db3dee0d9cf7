import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// Hundreds of small files in flight to a store at a distance: what may happen to one request happens to many.
///
/// One after the other: each has hundreds of threads on both sides, and what is late counts as lost.
@Suite(.serialized) struct SmallFileTests {
    private static let count = TestCommand.isSanitized ? 200 : 500

    /// A store that takes a while for each answer.
    private static func harness(requestPatience: Double? = nil) throws -> EngineHarness {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.latencySeconds = 0.15
        return try EngineHarness(profile, stallLimit: 120, requestPatience: requestPatience)
    }

    private static var settings: RunSettings {
        var settings = EngineHarness.settings(concurrency: RunSettings.mostConcurrency, stallLimit: 120)
        settings.adaptsConcurrency = true
        return settings
    }

    private static func files(_ harness: EngineHarness) throws -> [(path: String, options: EngineHarness.Options)] {
        try (0..<count).map { number in
            let path = try harness.file("file\(number)", size: Int64(1000 + number), seed: UInt64(number))
            return (path, EngineHarness.Options(key: "key\(number)", partSize: nil))
        }
    }

    private static func expectObjects(
        _ harness: EngineHarness,
        _ files: [(path: String, options: EngineHarness.Options)]
    ) throws {
        for file in files {
            let object = try #require(harness.server.object(key: file.options.key))
            #expect(try object.equals(file: file.path))
        }
        #expect(try harness.ledger.unfinished().isEmpty)
        #expect(harness.server.violations.isEmpty)
    }

    @Test func `more are in flight than of other requests`() throws {
        let harness = try Self.harness()
        let files = try Self.files(harness)
        let outcome = try harness.upload(files, settings: Self.settings)
        #expect(outcome.failures.isEmpty)
        #expect(outcome.completed.count == Self.count)
        try Self.expectObjects(harness, files)
        #expect(harness.server.count(.putObject) == Self.count)
        guard !TestCommand.isSanitized else { return }
        let most = harness.server.mostAtOnce(.putObject)
        #expect(most > RunSettings.mostConcurrency)
        #expect(most <= RunSettings.mostSmallFiles)
    }

    @Test func `what was confirmed before is looked at as quickly, and not sent again`() throws {
        let harness = try Self.harness()
        let files = try Self.files(harness)
        #expect(try harness.upload(files, settings: Self.settings).failures.isEmpty)
        let connections = harness.server.connectionsAccepted
        let cancellation = Cancellation()
        let service = try harness.service(cancellation)
        let jobs = try files.map { file in
            guard case .job(let row, nil) = try harness.register(file.path, file.options) else {
                throw HarnessFailure("no job")
            }
            return UploadJob(
                source: .file(Array(file.path.utf8)),
                destination: ObjectAddress(bucket: "bucket", key: ObjectKey(file.options.key)),
                row: row,
                service: service
            )
        }
        let again = harness.run(jobs, settings: Self.settings, cancellation: cancellation)
        #expect(again.completed.count == Self.count)
        #expect(again.completed.allSatisfy { $0.wasThere })
        #expect(harness.server.count(.putObject) == Self.count)
        #expect(harness.server.count(.headObject) == Self.count)
        #expect(harness.server.connectionsAccepted - connections > 2 * ConcurrencyControl.start)
    }

    @Test func `refusals, broken connections and lost answers end well`() throws {
        let harness = try Self.harness(requestPatience: 15)
        let files = try Self.files(harness)
        harness.server.script([
            .on(.putObject, occurrence: 100, times: 30, probability: 0.5, seed: 1, .status(503, code: "SlowDown")),
            .on(.putObject, occurrence: 20, times: 20, probability: 0.2, seed: 2, .resetAfter(bytes: 500)),
            .on(.putObject, occurrence: 50, times: 20, probability: 0.2, seed: 3, .closeAfterProcessing),
            .on(.putObject, occurrence: 70, times: 20, probability: 0.2, seed: 4, .closeBeforeProcessing),
            .on(.putObject, occurrence: 30, times: 20, probability: 0.2, seed: 5, .status(500, code: "InternalError")),
            .on(.putObject, occurrence: 150, times: 3, .stallAfter(bytes: 100)),
            .on(.putObject, key: "key\(Self.count - 1)", .flipBit),
            .on(.putObject, key: "key\(Self.count - 2)", .flipBit),
            .on(.putObject, key: "key\(Self.count - 3)", .dropChecksumEcho),
            .on(.putObject, key: "key\(Self.count - 4)", .wrongChecksumEcho),
        ])
        let outcome = try harness.upload(files, settings: Self.settings)
        #expect(outcome.failures.isEmpty)
        #expect(outcome.completed.count == Self.count)
        try Self.expectObjects(harness, files)
    }

    @Test func `a stop sends again at most what was in flight`() throws {
        let harness = try Self.harness()
        let files = try Self.files(harness)
        let cancellation = Cancellation()
        harness.server.script([
            .on(.putObject, occurrence: Self.count / 2, .run(.headersRead) { _ in cancellation.cancel() })
        ])
        let stopped = try harness.upload(files, settings: Self.settings, cancellation: cancellation)
        #expect(stopped.result.failures.count > 0)
        let done = stopped.completed.count
        #expect(try harness.ledger.unfinished().count == Self.count - done)
        harness.server.script([])
        let resumed = try harness.resume(settings: Self.settings)
        #expect(resumed.failures.isEmpty)
        #expect(resumed.completed.count == Self.count - done)
        let puts = harness.server.requests(.putObject)
        let before = puts.filter { $0.header("user-agent") != EngineHarness.resumeAgent }
        #expect(puts.count - before.count == Self.count - done, "each of the others once")
        // Each request in flight has a connection of its own.
        #expect(before.count - done <= Set(before.map(\.connection)).count, "no more than were in flight")
        try Self.expectObjects(harness, files)
    }
}
