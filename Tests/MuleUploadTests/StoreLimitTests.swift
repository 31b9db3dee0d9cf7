import MuleDigest
import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// Stores that take less than Amazon's: the refusal names the limit, and the next plan keeps to it.
@Suite struct StoreLimitTests {
    /// The upload fails with a sentence; with `--restart` it goes through.
    private func learn(
        _ harness: EngineHarness,
        size: Int64,
        _ sizing: PartSizing = PartSizing(),
        then next: PartSizing? = nil,
        code: String,
        sentence: [String]
    ) throws -> (path: String, requests: Int) {
        let path = try harness.file(size: size)
        let outcome = try harness.run(try harness.register(path, sizing: sizing), path: path)
        let failure = try #require(outcome.failure)
        #expect(failure.kind == .store)
        #expect(failure.s3Code == code)
        for words in sentence { #expect(failure.message.contains(words), "\(failure.message)") }
        #expect(try harness.record().state == .failed)
        #expect(harness.server.object(key: "key") == nil)
        let requestsBefore = harness.server.requests.count
        let again = try harness.run(
            try harness.register(path, sizing: next ?? sizing) { $0.restart = true },
            path: path
        )
        try harness.expectDone(again, path)
        #expect(
            harness.server.requests.dropFirst(requestsBefore).allSatisfy {
                $0.errorCode == nil || $0.operation == .listParts
            }
        )
        return (path, requestsBefore)
    }

    /// Scaleway takes 1,000 parts.
    @Test func `a part number that is too high is not reached again`() throws {
        let harness = try EngineHarness(concurrency: 1)
        harness.server.profile.maxParts = 3
        let (_, requestsBefore) = try learn(
            harness,
            size: 17 << 20,
            PartSizing(partSize: 5 << 20),
            code: "InvalidArgument",
            sentence: ["bucket/key", "refuses part 4", "3 parts", "--restart", "parts of 6.0 MiB"]
        )
        #expect(harness.partsSent(from: requestsBefore).sorted() == [1, 2, 3])
        // What was learned holds for other files, and comes from the ledger.
        let other = try harness.file("other", size: 30 << 20)
        let entry = try harness.register(other, .init(key: "other"))
        try harness.expectDone(try harness.run(entry, path: other, key: "other"), other, key: "other")
    }

    @Test func `a limit that is not told is asked of the user`() throws {
        let harness = try EngineHarness(faults: [
            .on(.uploadPart, part: 3, times: 9, .status(400, code: "InvalidArgument", message: "Bad part number."))
        ])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: 1)
        #expect(outcome.failure?.message.contains("larger --part-size") == true)
        #expect(try harness.ledger.limits(of: harness.server.endpoint) == .amazon)
    }

    /// Storj takes no part below 64 MiB but the last, and says so at the end.
    @Test func `a part in the middle that is too small names the limit`() throws {
        let harness = try EngineHarness(.aws(minimumPartSize: 6 << 20))
        let path = try harness.file(size: 17 << 20)
        let sizing = PartSizing(partSize: 5 << 20)
        let outcome = try harness.run(try harness.register(path, sizing: sizing), path: path)
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: 1)
        #expect(outcome.failure?.s3Code == "EntityTooSmall")
        let message = outcome.failure?.message ?? ""
        #expect(message.contains("smaller than 6.0 MiB") && message.contains("parts of 6.0 MiB"), "\(message)")
        // The size that was asked for is not taken any more; without it the file goes.
        guard case .refused(let refusal) = try harness.register(path, sizing: sizing, change: { $0.restart = true })
        else { throw HarnessFailure("a size that the store refuses was taken") }
        #expect(refusal.kind == .usage)
        try harness.expectDone(
            try harness.run(try harness.register(path) { $0.restart = true }, path: path),
            path
        )
    }

    @Test func `parts that are too large are cut smaller the next time`() throws {
        let harness = try EngineHarness()
        harness.server.profile.maximumPartSize = 6 << 20
        _ = try learn(
            harness,
            size: 17 << 20,
            PartSizing(partSize: 8 << 20),
            then: PartSizing(),
            code: "EntityTooLarge",
            sentence: ["6.0 MiB at most", "--restart", "parts of 5.0 MiB"]
        )
    }

    @Test func `a file too large for one request goes in parts the next time`() throws {
        let harness = try EngineHarness()
        harness.server.profile.maximumPartSize = 6 << 20
        let (_, requestsBefore) = try learn(
            harness,
            size: 10 << 20,
            code: "EntityTooLarge",
            sentence: ["6.0 MiB at most", "Run the same command again", "parts of 5.0 MiB"]
        )
        #expect(harness.partsSent(from: requestsBefore).sorted() == [1, 2])
    }

    /// A proxy that stops large bodies says no more than its status.
    @Test(arguments: [EngineHarness.partSize, nil])
    func `a proxy that stops large bodies is named`(partSize: Int64?) throws {
        let harness = try EngineHarness(faults: [
            .on(
                partSize == nil ? .putObject : .uploadPart,
                times: 100,
                .custom { _ in FakeReply(413, body: Array("<html>413 Request Entity Too Large</html>".utf8)) }
            )
        ])
        let path = try harness.file()
        let outcome = try harness.upload(path, .init(partSize: partSize))
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: partSize == nil ? 0 : 1)
        #expect(outcome.failure?.httpStatus == 413)
        #expect(outcome.failure?.message.contains("proxy") == true)
        #expect(outcome.failure?.message.contains("client_max_body_size") == true)
    }

    @Test func `an object that is too large is said so`() throws {
        let harness = try EngineHarness(faults: [.on(.complete, .status(400, code: "EntityTooLarge"))])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: 1)
        #expect(outcome.failure?.message.contains("larger than this store accepts") == true)
    }

    /// R2: parts of equal size but the last, which is not larger. A file's are.
    @Test(arguments: [1, 2, 64 << 10, (64 << 10) + 1, 6 * (64 << 10), 6 * (64 << 10) - 100] as [Int64])
    func `the cut of a file is equal where the store wants it`(size: Int64) throws {
        let harness = try EngineHarness()
        harness.server.profile.partsMustBeEqual = true
        let path = try harness.file(size: size)
        try harness.expectDone(try harness.upload(path), path)
    }

    @Test func `a store that wants equal parts is remembered`() throws {
        let harness = try EngineHarness(faults: [
            .on(
                .complete,
                times: 9,
                .status(400, code: "InvalidPart", message: "All non-trailing parts must have the same length.")
            )
        ])
        let outcome = try harness.upload(try harness.file())
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: 1)
        #expect(outcome.failure?.message.contains("parts of equal size") == true)
        let limits = try harness.ledger.limits(of: harness.server.endpoint)
        #expect(limits.partsMustBeEqual)
        // Streams grow their parts; there they don't.
        #expect(StreamPlan().partSize(number: 2000, after: 1 << 40) > 1 << 30)
        #expect(StreamPlan().partSize(number: 2000, after: 1 << 40, limits: limits) == 64 << 20)
        #expect(StreamPlan().partSize(number: 1, after: 0, limits: limits) == 64 << 20)
    }

    @Test func `limits that contradict each other make a plan all the same`() throws {
        let ledger = try Ledger(path: Array(ScratchDirectory().path("ledger.sqlite").utf8))
        try ledger.remember("smallest-part", "67108864", of: "here", lifetime: 60)
        try ledger.remember("largest-body", "1048576", of: "here", lifetime: 60)
        try ledger.remember("part-count", "0", of: "here", lifetime: 60)
        let limits = try ledger.limits(of: "here")
        #expect(limits.minimumPartSize == 64 << 20)
        #expect(limits.maximumPartSize == 5 << 30)
        #expect(limits.maximumPartCount == 1)
        #expect(try PartSizing().method(size: 100 << 20, limits: limits) == .put)
        #expect(try ledger.limits(of: "there") == .amazon)
    }
}
