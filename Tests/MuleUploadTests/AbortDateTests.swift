import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// The day on which the store gives an unfinished upload up: one warning in time.
@Suite struct AbortDateTests {
    private static func date(in seconds: Int64) -> String {
        UTCTime(millisecondsSince1970: wallClockMilliseconds() + seconds * 1000).iso8601
    }

    private static func harness(_ date: String?) throws -> EngineHarness {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.abortDate = date
        return try EngineHarness(profile, concurrency: 1)
    }

    private static func warnings(_ outcome: Outcome) -> [String] {
        outcome.notices.filter { $0.contains("lifecycle rule") }
    }

    @Test func `a distant date is not worth a word`() throws {
        let harness = try Self.harness(Self.date(in: 30 * 86_400))
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectDone(outcome, path)
        #expect(Self.warnings(outcome).isEmpty)
    }

    @Test(arguments: [(-60, "was due to abort"), (3_600, "will abort")] as [(Int64, String)])
    func `a date that is past or near is told once`(seconds: Int64, words: String) throws {
        let date = Self.date(in: seconds)
        let harness = try Self.harness(date)
        let path = try harness.file()
        let first = try harness.interrupt(path, afterParts: 2)
        #expect(Self.warnings(first).count == 1)
        #expect(try harness.record().abortDate == date)
        let second = try harness.resume()
        try harness.expectDone(second, path)
        #expect(Self.warnings(second).count == 1)
        #expect(Self.warnings(second).allSatisfy { $0.contains(words) && $0.contains("bucket/key") })
    }

    @Test func `a rule made after the upload began is learned from the list of parts`() throws {
        let harness = try Self.harness(nil)
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 2)
        #expect(try harness.record().abortDate == nil)
        let date = Self.date(in: 3_600)
        harness.server.profile.abortDate = date
        let cancellation = Cancellation()
        harness.server.add(.on(.uploadPart, .run(.headersRead) { _ in cancellation.cancel() }, .closeBeforeProcessing))
        let outcome = try harness.resume(cancellation: cancellation)
        #expect(Self.warnings(outcome).count == 1)
        #expect(try harness.record().abortDate == date)
    }

    @Test func `a limit that cannot make it is told at the start`() throws {
        let harness = try Self.harness(Self.date(in: 2 * 86_400))
        let path = try harness.scratch.write([1], to: "huge")
        try Files.truncate(path, to: 1 << 40)
        let cancellation = Cancellation()
        harness.server.add(.on(.uploadPart, .run(.headersRead) { _ in cancellation.cancel() }, .closeBeforeProcessing))
        var options = EngineHarness.Options()
        options.partSize = (1 << 40) / 10_000 + 1
        let settings = EngineHarness.settings(concurrency: 1, rateLimit: 1 << 20)
        let outcome = try harness.upload(path, options, settings: settings, cancellation: cancellation)
        #expect(Self.warnings(outcome).count == 1)
        #expect(Self.warnings(outcome).first?.contains("12d03h") == true, "\(outcome.notices)")
    }

    @Test func `a rate that cannot make it is told when it is measured`() throws {
        let harness = try Self.harness(Self.date(in: 90_000))
        harness.server.profile.bodies = .discard
        // 12 MB/s would do; what the kernel takes at once does not make it that.
        harness.server.profile.connectionBytesPerSecond = 2_000_000
        let path = try harness.scratch.write([1], to: "huge")
        try Files.truncate(path, to: 1 << 40)
        var options = EngineHarness.Options()
        options.partSize = (1 << 40) / 10_000 + 1
        var settings = EngineHarness.settings(concurrency: 1)
        settings.paceInterval = 0.01
        let cancellation = Cancellation()
        harness.server.onBodyBytes(.uploadPart, after: 4_000_000) { _ in cancellation.cancel() }
        let outcome = try harness.upload(path, options, settings: settings, cancellation: cancellation)
        #expect(Self.warnings(outcome).count == 1, "\(outcome.notices)")
        #expect(Self.warnings(outcome).first?.contains("at this rate") == true)
    }
}
