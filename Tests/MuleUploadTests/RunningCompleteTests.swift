import MuleLedger
import MuleS3
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// A Complete whose answer was lost may still run at the store. A second one, or an abort, would destroy the object
/// at some stores.
@Suite struct RunningCompleteTests {
    /// As in production, but for the size of the files.
    private static func patient(_ seconds: Double = 20) -> RunSettings {
        var settings = EngineHarness.settings()
        settings.retry.completionBase = seconds
        return settings
    }

    /// Interrupts a run after its Complete has arrived, which the store executes a second later.
    private func interruptCompleting(
        _ harness: EngineHarness,
        _ path: String,
        _ options: EngineHarness.Options = EngineHarness.Options()
    ) throws {
        let cancellation = Cancellation()
        harness.server.script([
            .on(
                .complete,
                .run(.beforeProcessing) { _ in
                    cancellation.cancel()
                    _ = Monitor(0).wait(until: Moment.now().adding(seconds: 1)) { _ -> Void? in nil }
                }
            )
        ])
        let outcome = try harness.upload(path, options, settings: Self.patient(), cancellation: cancellation)
        #expect(outcome.failure?.kind == .interrupted)
        #expect(harness.server.object(key: "key") == nil)
        #expect(try harness.record().completeAttemptedAt != nil)
    }

    @Test func `a timeout does not send a second Complete while the first one runs`() throws {
        let harness = try EngineHarness(requestPatience: 3, faults: [.on(.complete, .delay(2))])
        let path = try harness.file()
        let outcome = try harness.upload(path, settings: Self.patient())
        try harness.expectDone(outcome, path)
        #expect(harness.server.count(.complete) == 1)
    }

    @Test(arguments: [502, 503, 504])
    func `a proxy that does not wait for Complete does not cause a second one`(status: Int) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        harness.server.script([.on(.complete, .custom { _ in FakeReply(status) })])
        var settings = Self.patient(1)
        settings.retry.assemblyRate = .infinity
        let begin = Moment.now()
        try harness.expectDone(try harness.upload(path, settings: settings), path)
        #expect(harness.server.count(.complete) == 2)
        #expect(Moment.now().seconds(since: begin) >= 1)
    }

    @Test func `the next run waits for the object of a Complete that still runs`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try interruptCompleting(harness, path)
        let outcome = try harness.resume(settings: Self.patient())
        try harness.expectDone(outcome, path)
        #expect(harness.server.count(.complete) == 1)
        #expect(outcome.notices.contains { $0.contains("only the answer was lost") })
    }

    @Test(arguments: ["auto", "crc32c", "crc32"])
    func `an abort does not overtake a Complete that still runs`(checksum: String) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try interruptCompleting(harness, path, .init(checksum: checksum))
        _ = try harness.abort(try harness.record(), settings: Self.patient())
        #expect(harness.server.object(key: "key") != nil)
        #expect(try harness.record().state == .done)
    }

    @Test func `a Complete that was refused is over`() throws {
        let harness = try EngineHarness(faults: [.on(.complete, .status(403, code: "AccessDenied"))])
        let path = try harness.file()
        let outcome = try harness.upload(path, settings: Self.patient(1_000))
        #expect(outcome.failure?.kind == .store)
        #expect(try harness.record().completeAttemptedAt == nil)
        try harness.expectDone(try harness.resume(settings: Self.patient(1_000)), path)
    }

    @Test func `a Complete that the store wants later is not waited for`() throws {
        let harness = try EngineHarness(faults: [.on(.complete, times: 4, .status(503, code: "SlowDown"))])
        let path = try harness.file()
        let begin = Moment.now()
        try harness.expectDone(try harness.upload(path, settings: Self.patient()), path)
        #expect(harness.server.count(.complete) == 5)
        #expect(Moment.now().seconds(since: begin) < 15)
    }

    /// The time spent waiting for the object counts.
    @Test func `a Complete that is never answered reaches the stall limit`() throws {
        let harness = try EngineHarness(
            stallLimit: 3,
            faults: [.on(.complete, times: 1_000, .custom { _ in FakeReply(502) })]
        )
        let begin = Moment.now()
        var settings = Self.patient(60)
        settings.stallLimit = 3
        let outcome = try harness.upload(try harness.file(), settings: settings)
        #expect(outcome.failure?.kind == .network)
        #expect(Moment.now().seconds(since: begin) < 40)
        #expect(harness.server.count(.complete) < 10)
    }

    @Test func `a Complete of long ago is not waited for`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        let cancellation = Cancellation()
        harness.server.script([
            .on(.complete, .run(.headersRead) { _ in cancellation.cancel() }, .closeBeforeProcessing)
        ])
        _ = try harness.upload(path, settings: Self.patient(), cancellation: cancellation)
        let number = try harness.record().number
        try harness.ledger.commit([.completing(upload: number, since: wallClockMilliseconds() - 3_600_000)])
        let begin = Moment.now()
        try harness.expectDone(try harness.resume(settings: Self.patient()), path)
        #expect(Moment.now().seconds(since: begin) < 15)
        #expect(harness.server.count(.complete) == 2)
    }

    @Test func `waiting ends when the run is stopped`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        let cancellation = Cancellation()
        harness.server.script([
            .on(.complete, .run(.headersRead) { _ in cancellation.cancel() }, .closeBeforeProcessing)
        ])
        _ = try harness.upload(path, settings: Self.patient(), cancellation: cancellation)
        let second = Cancellation()
        harness.server.script([.on(.headObject, occurrence: 2, .run(.afterAnswer) { _ in second.cancel() })])
        let outcome = try harness.resume(settings: Self.patient(200), cancellation: second)
        #expect(outcome.failure?.kind == .interrupted)
        #expect(harness.server.count(.complete) == 1)
        #expect(try harness.record().completeAttemptedAt != nil)
    }
}
