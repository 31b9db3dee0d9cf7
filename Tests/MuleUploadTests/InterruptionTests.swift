import MuleLedger
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// Stops, limits and leases.
@Suite struct InterruptionTests {
    @Test(
        arguments: [
            .on(.uploadPart, part: 3, times: 100, .stall), .on(.uploadPart, part: 3, .stallAfter(bytes: 1000)),
            .on(.uploadPart, times: 1_000_000, .status(503, code: "SlowDown", retryAfter: 30)),
            .on(.create, .stall), .on(.complete, .stall), .on(.complete, .whitespaceThenResult(seconds: 20)),
        ] as [Fault]
    )
    func `a stop is heard at once`(fault: Fault) throws {
        let harness = try EngineHarness(faults: [fault])
        let path = try harness.file()
        let cancellation = Cancellation()
        let stopped = Once()
        let watcher = startedThread("stop") {
            harness.server.waitUntil { server in server.requests.contains { $0.disturbed } }
            stopped.set(Moment.now())
            cancellation.cancel()
        }
        let outcome = try harness.upload(path, cancellation: cancellation)
        let ended = Moment.now()
        watcher.join()
        let began = try #require(stopped.value)
        #expect(ended.seconds(since: began) < 10, "and not the stall limit")
        #expect(outcome.ends == 1)
        #expect(outcome.failure?.kind == .interrupted)
        #expect(outcome.failure?.isResumable == true)
        let row = try harness.record()
        #expect(row.state == .pending)
        // An interruption is no error of the upload.
        #expect(row.lastError == nil)
        #expect(harness.server.violations == [])
        // The lease is free again.
        #expect(try harness.ledger.claim(row.number) != nil)
    }

    @Test func `files that had not started stay pending too`() throws {
        let harness = try EngineHarness(concurrency: 1, faults: [.on(.create, .stall)])
        let files = try (1...3).map { number in
            (try harness.file("file\(number)"), EngineHarness.Options(key: "key\(number)"))
        }
        let cancellation = Cancellation()
        let watcher = startedThread("stop") {
            harness.server.waitUntil { $0.count(.create) == 1 }
            cancellation.cancel()
        }
        let outcome = try harness.upload(files, cancellation: cancellation)
        watcher.join()
        #expect(outcome.failures.map(\.kind) == [.interrupted, .interrupted, .interrupted])
        #expect(outcome.ends == 3)
        #expect(try harness.ledger.unfinished().map(\.state) == [.pending, .pending, .pending])
        harness.server.script([])
        let again = try harness.resume()
        for file in files { try harness.expectDone(again, file.0, key: file.1.key) }
    }

    @Test func `a stop before the beginning sends nothing`() throws {
        let harness = try EngineHarness()
        let cancellation = Cancellation()
        cancellation.cancel()
        let outcome = try harness.upload(try harness.file(), cancellation: cancellation)
        #expect(outcome.result.obstacle?.kind == .interrupted)
        #expect(!outcome.result.hasFoundAll)
        #expect(outcome.ends == 0)
        #expect(try harness.record().state == .pending)
        #expect(harness.server.requests.isEmpty)
    }

    @Test func `the rate is kept for the whole run`() throws {
        let harness = try EngineHarness(rateLimit: 400_000)
        let path = try harness.file(size: 400_000)
        let began = Moment.now()
        try harness.expectDone(try harness.upload(path), path)
        let seconds = Moment.now().seconds(since: began)
        #expect(seconds > 0.7)
        #expect(seconds < 30)
    }

    @Test func `a rate limit does not delay a stop`() throws {
        let harness = try EngineHarness(rateLimit: 20_000)
        let path = try harness.file()
        let cancellation = Cancellation()
        let stopped = Once()
        let watcher = startedThread("stop") {
            harness.server.waitUntil { $0.payloadBytesReceived > 0 }
            stopped.set(Moment.now())
            cancellation.cancel()
        }
        let outcome = try harness.upload(path, cancellation: cancellation)
        let ended = Moment.now()
        watcher.join()
        #expect(outcome.failure?.kind == .interrupted)
        #expect(ended.seconds(since: try #require(stopped.value)) < 10)
    }

    @Test func `an upload is uploaded by one run at a time`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        let upload = try harness.newUpload(path)
        let other = try Ledger(path: harness.ledger.path)
        let held = try other.claim([upload])
        guard case .began = held.first else {
            Issue.record("not started")
            return
        }
        guard case .refused(let failure) = try harness.register(path) else {
            Issue.record("taken twice")
            return
        }
        #expect(failure.kind == .held)
        #expect(try harness.ledger.all().count == 1)
        withExtendedLifetime(held) {}
    }

    private final class Once: Sendable {
        private let moment = Monitor<Moment?>(nil)

        func set(_ value: Moment) { moment.update { $0 = $0 ?? value } }

        var value: Moment? { moment.withLock { $0 } }
    }
}
