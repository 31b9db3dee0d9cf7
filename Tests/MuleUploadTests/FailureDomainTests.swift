import MuleLedger
import MulePlan
import MuleS3
import MuleSigning
import MuleSystem
import MuleTransport
import TestSupport
import Testing

@testable import MuleUpload

/// A failure ends what it belongs to, and nothing else: an object, a bucket, a store.
@Suite struct FailureDomainTests {
    /// Files of one byte more each, so that none is like another.
    private func files(
        _ harness: EngineHarness,
        _ keys: [String],
        partSize: Int64? = nil
    ) throws -> [(path: String, options: EngineHarness.Options)] {
        try keys.enumerated().map { index, key in
            let size = (partSize.map { $0 * 3 } ?? 100) + Int64(index)
            return (try harness.file(key, size: size), EngineHarness.Options(key: key, partSize: partSize))
        }
    }

    /// - Parameters:
    ///   - partSize: nil for objects that go in one request.
    ///   - isLast: whether the bad ones come last.
    @Test(arguments: [(nil, false), (nil, true), (Int64(1000), false)] as [(Int64?, Bool)])
    func `objects that always fail leave the others alone`(partSize: Int64?, isLast: Bool) throws {
        let bad = (0..<10).map { "bad-\($0)" }
        let good = (0..<20).map { "good-\($0)" }
        let operation: FakeOperation = partSize == nil ? .putObject : .uploadPart
        let harness = try EngineHarness(
            stallLimit: 3,
            requestPatience: 20,
            faults: bad.map { .on(operation, key: $0, times: .max, .status(500, code: "InternalError")) }
        )
        let outcome = try harness.upload(try files(harness, isLast ? good + bad : bad + good, partSize: partSize))
        #expect(Set(outcome.completed.map { $0.destination.key.string }) == Set(good))
        #expect(outcome.failures.count == 10)
        for failure in outcome.failures {
            #expect(failure.kind == .network)
            #expect(failure.isResumable)
            #expect(failure.scope == .transfer)
            #expect(failure.countsTowardsQuarantine)
            #expect(failure.message.contains("InternalError"), "\(failure.message)")
        }
    }

    @Test func `a part that always fails leaves the other parts to arrive`() throws {
        let harness = try EngineHarness(
            concurrency: 2,
            stallLimit: 0.5,
            requestPatience: 20,
            faults: [.on(.uploadPart, part: 1, times: .max, .status(500, code: "InternalError"))]
        )
        let path = try harness.file(size: 12 * EngineHarness.partSize)
        let outcome = try harness.upload(path)
        #expect(outcome.failure?.kind == .network)
        #expect(try harness.record().partsDone == 11)
    }

    /// Nothing says that the objects are what is wrong.
    @Test func `a store that never takes a body is one failure of the store`() throws {
        let harness = try EngineHarness(
            stallLimit: 0.3,
            requestPatience: 20,
            faults: [.on(.putObject, times: .max, .status(500, code: "InternalError"))]
        )
        let outcome = try harness.upload(try files(harness, (0..<10).map { "\($0)" }))
        #expect(outcome.failures.count == 10)
        #expect(outcome.failures.allSatisfy { !$0.countsTowardsQuarantine && $0.kind == .network })
    }

    private func job(_ harness: EngineHarness, _ key: String, bucket: String, _ service: S3Service) throws -> UploadJob
    {
        let path = try harness.file("\(bucket)-\(key)", size: 1000)
        var upload = try harness.newUpload(path, EngineHarness.Options(key: key, partSize: nil))
        upload.destination = ObjectAddress(bucket: bucket, key: ObjectKey(key))
        upload.store.endpoint = service.endpoint.url
        guard case .began(let record, let lease)? = try harness.ledger.claim([upload]).first else {
            throw HarnessFailure("no row")
        }
        return UploadJob(
            source: .file(Array(path.utf8)),
            destination: upload.destination,
            row: .claimed(record, lease),
            service: service
        )
    }

    @Test func `a dead store ends its own uploads alone`() throws {
        let harness = try EngineHarness(concurrency: 2, stallLimit: 0.4)
        let cancellation = Cancellation()
        let good = try harness.service(cancellation)
        let dead = S3Service(
            endpoint: try Endpoint(url: "http://127.0.0.1:1", region: "r"),
            transport: TransportSettings(userAgent: "mule-test"),
            credentials: FixedCredentials(Credentials(accessKeyID: "a", secretAccessKey: "b", sessionToken: nil)),
            cancellation: cancellation
        )
        var jobs = try (0..<6).map { try job(harness, "dead-\($0)", bucket: "bucket", dead) }
        jobs += try (0..<6).map { try job(harness, "good-\($0)", bucket: "bucket", good) }
        let outcome = harness.run(jobs, cancellation: cancellation)
        #expect(outcome.completed.count == 6)
        #expect(outcome.failures.count == 6)
        for failure in outcome.failures {
            #expect(failure.kind == .network)
            #expect(failure.scope == .store)
            #expect(failure.message.contains("127.0.0.1:1"), "\(failure.message)")
            #expect(failure.message.contains("has never answered"), "\(failure.message)")
        }
        // Nothing was created there, and nothing must be asked to clear the rows.
        #expect(try harness.ledger.unfinished().allSatisfy { !$0.mayHoldParts })
    }

    @Test func `a missing bucket ends its own uploads alone`() throws {
        let harness = try EngineHarness(concurrency: 2)
        let cancellation = Cancellation()
        let service = try harness.service(cancellation)
        var jobs = try (0..<4).map { try job(harness, "\($0)", bucket: "nowhere", service) }
        jobs += try (0..<4).map { try job(harness, "\($0)", bucket: "bucket", service) }
        let outcome = harness.run(jobs, cancellation: cancellation)
        #expect(outcome.completed.count == 4)
        #expect(outcome.failures.map(\.s3Code) == Array(repeating: "NoSuchBucket", count: 4))
    }

    /// An upload in parts that was never created leaves a row that needs no store to be removed.
    @Test func `a Create without a connection is no Create`() throws {
        let harness = try EngineHarness(stallLimit: 0.3)
        harness.server.stop()
        let outcome = try harness.upload(try harness.file())
        #expect(outcome.failure?.kind == .network)
        // So that nothing more is asked of it before the run ends.
        #expect(outcome.failure?.mayHaveSucceeded == false)
        #expect(try harness.record().createAttemptedAt == nil)
        #expect(try harness.abort(try harness.record(), stallLimit: 0.2).isEmpty)
        #expect(try harness.record().state == .aborted)
    }

    /// The store takes two bodies at a time, and refuses the others when it has read them.
    @Test func `a store that takes few at a time is not sent everything again and again`() throws {
        let counts = Monitor((inFlight: 0, bodies: 0))
        let count = 40
        let harness = try EngineHarness(concurrency: 32, stallLimit: 60)
        harness.server.script([
            .on(
                .uploadPart,
                times: .max,
                .custom { _ in
                    defer { counts.withLock { $0.inFlight -= 1 } }
                    let inFlight = counts.withLock { counts in
                        counts.bodies += 1
                        counts.inFlight += 1
                        return counts.inFlight
                    }
                    guard inFlight <= 2 else {
                        return FakeReply(
                            503,
                            headers: [FakeHeader("Content-Type", "application/xml")],
                            body: Array("<Error><Code>SlowDown</Code><Message>Slow down.</Message></Error>".utf8)
                        )
                    }
                    sleep(until: Moment.now().adding(seconds: 0.01), Cancellation())
                    return nil
                }
            )
        ])
        let path = try harness.file(size: Int64(count) * EngineHarness.partSize)
        let outcome = try harness.upload(path)
        #expect(outcome.completed.count == 1)
        let bodies = counts.withLock { $0.bodies }
        #expect(bodies < 3 * count, "\(bodies) bodies for \(count) parts")
    }
}
