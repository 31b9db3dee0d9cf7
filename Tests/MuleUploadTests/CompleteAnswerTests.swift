import MuleDigest
import MuleLedger
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// Answers to CompleteMultipartUpload: success is a parsed result, and a lost answer is reconciled with the object.
@Suite struct CompleteAnswerTests {
    /// An answer that leaves it open, or seems to, whether the object was made.
    enum Doubt: String, CaseIterable, Sendable {
        case whiteSpaceThenResult, whiteSpaceThenError, whiteSpaceThenErrorThoughDone, internalError, slowDown
        case emptyBodyThoughDone, emptyBody, cutDocument, closedInsideTheAnswer, closedAfterItWasDone, closedBeforeIt
        case noSuchUploadThoughDone, emptyETag, noChecksum

        var fault: Fault {
            switch self {
            case .whiteSpaceThenResult: .on(.complete, .whitespaceThenResult(seconds: 0.3))
            case .whiteSpaceThenError:
                .on(.complete, times: 2, .respond200ThenError(code: "InternalError", whitespaceSeconds: 0.1))
            case .whiteSpaceThenErrorThoughDone:
                // The retry gets NoSuchUpload, and the object exists.
                .on(.complete, .respond200ThenError(code: "InternalError", whitespaceSeconds: 0.1, processed: true))
            case .internalError: .on(.complete, .status(500, code: "InternalError"))
            case .slowDown: .on(.complete, .status(503, code: "SlowDown"))
            case .emptyBodyThoughDone: .on(.complete, .emptyBody200(processed: true))
            case .emptyBody: .on(.complete, .emptyBody200(processed: false))
            case .cutDocument: .on(.complete, .truncatedXML)
            case .closedInsideTheAnswer: .on(.complete, .closeInAnswer)
            case .closedAfterItWasDone: .on(.complete, .closeAfterProcessing)
            case .closedBeforeIt: .on(.complete, .closeBeforeProcessing)
            case .noSuchUploadThoughDone: .on(.complete, .noSuchUploadButObjectPresent())
            case .emptyETag: .on(.complete, .emptyETag)
            case .noChecksum: .on(.complete, .dropChecksumEcho)
            }
        }
    }

    @Test(arguments: Doubt.allCases)
    func `a doubtful answer ends in a proven object`(doubt: Doubt) throws {
        let harness = try EngineHarness(faults: [doubt.fault])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectDone(outcome, path)
        #expect(outcome.completed.first?.proof.eTag == harness.server.object(key: "key")?.eTag)
        #expect(harness.partsSent().count == 6)
    }

    @Test func `white space keeps Complete alive for longer than an answer may take`() throws {
        let harness = try EngineHarness(
            requestPatience: 3,
            faults: [.on(.complete, .whitespaceThenResult(seconds: 3.5))]
        )
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        #expect(harness.server.count(.complete) == 1)
    }

    /// Timed out and retried, while the store may still process the first request.
    @Test(arguments: [Fault.Action.stall, .delay(2.5)])
    func `silence instead of white space is a lost answer`(silence: Fault.Action) throws {
        let harness = try EngineHarness(requestPatience: 3, faults: [.on(.complete, silence)])
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        #expect(harness.server.count(.complete) == 2)
    }

    /// Every answer to a successful request is lost.
    @Test(arguments: [FakeOperation.complete, .putObject])
    func `answers that never come are settled by a look before the run ends`(operation: FakeOperation) throws {
        let harness = try EngineHarness(stallLimit: 2, requestPatience: 1)
        harness.server.script([
            .on(operation, times: 1, .closeAfterProcessing), .on(operation, times: 1_000, .stall),
        ])
        let path = try harness.file()
        let outcome = try harness.upload(path, .init(partSize: operation == .complete ? EngineHarness.partSize : nil))
        #expect(outcome.completed.count == 1, "\(outcome.failure?.message ?? "")")
    }

    /// One answer is swallowed; the run has time to look, or to ask again.
    @Test(arguments: [FakeOperation.create, .putObject, .uploadPart, .complete])
    func `one answer that never comes ends no run`(operation: FakeOperation) throws {
        let harness = try EngineHarness(stallLimit: 4)
        let gate = Monitor(0)
        harness.server.script([
            .on(
                operation,
                .run(.afterProcessing) { _ in
                    _ = gate.wait(until: Moment.now().adding(seconds: 20)) { $0 > 0 ? () : nil }
                }
            )
        ])
        defer { gate.update { $0 = 1 } }
        let path = try harness.file(size: EngineHarness.partSize - 100)
        let outcome = try harness.upload(path, .init(partSize: operation == .putObject ? nil : EngineHarness.partSize))
        try harness.expectDone(outcome, path)
        // A look shows that the object is there: it is not sent twice.
        if operation == .putObject { #expect(harness.server.count(.putObject) == 1) }
    }

    @Test func `an answer that is waited for is named`() throws {
        let harness = try EngineHarness(stallLimit: 1, faults: [.on(.complete, times: 1_000, .stall)])
        let outcome = try harness.upload(try harness.file())
        #expect(outcome.failure?.kind == .network)
        #expect(outcome.failure?.message.contains("CompleteMultipartUpload") == true)
    }

    @Test func `an error inside a 200 that comes again and again is no success`() throws {
        let harness = try EngineHarness(
            stallLimit: 0.5,
            faults: [.on(.complete, times: 1_000_000, .respond200ThenError(code: "InternalError"))]
        )
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .network, state: .pending, isResumable: true, openUploads: 1)
        harness.server.script([])
        try harness.expectDone(try harness.resume(settings: EngineHarness.settings()), path)
        #expect(harness.partsSent().count == 6)
    }

    @Test func `a result in spite of another checksum is a failure`() throws {
        let harness = try EngineHarness(faults: [.on(.complete, .wrongChecksumEcho)])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .verification, state: .unknown, openUploads: 0)
    }

    @Test func `an answer that never comes is unknown`() throws {
        let harness = try EngineHarness(faults: [.on(.complete, times: 100, .emptyBody200(processed: false))])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .verification, state: .unknown, isResumable: true, openUploads: 1)
        #expect(outcome.failure?.message.contains("head-object --bucket bucket --key 'key'") == true)
        harness.server.script([])
        let again = try harness.resume()
        try harness.expectDone(again, path)
        #expect(harness.partsSent().count == 6)
    }

    @Test func `another object under the key is not taken for ours`() throws {
        let harness = try EngineHarness(faults: [
            .on(.complete, .noSuchUploadButObjectPresent(other: true)),
            .on(.create, occurrence: 2, times: 100, .status(403, code: "AccessDenied")),
        ])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        #expect(outcome.completed.isEmpty)
        #expect(outcome.ends == 1)
        #expect(harness.server.object(key: "key")?.bytes == Array("somebody else's object".utf8))
        #expect(try harness.record().state != .done)
        harness.expectClean()
    }

    /// The first answer was an error, the second says that the upload is gone, and the object is another program's.
    @Test func `another object after a lost answer is left as it is`() throws {
        let harness = try EngineHarness(faults: [
            .on(.complete, .respond200ThenError(code: "InternalError", whitespaceSeconds: 0.1)),
            .on(.complete, .noSuchUploadButObjectPresent(other: true)),
        ])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .verification, state: .unknown, openUploads: 0)
        #expect(outcome.failure?.message.contains("another program has written") == true)
        #expect(harness.server.object(key: "key")?.bytes == Array("somebody else's object".utf8))
        #expect(harness.server.count(.create) == 1)
    }

    @Test func `an object that may not be looked at after a lost answer is unknown`() throws {
        let harness = try EngineHarness(faults: [.on(.complete, .closeAfterProcessing)])
        harness.server.profile.denied = [.headObject]
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .verification, state: .unknown, isResumable: true, openUploads: 0)
        #expect(outcome.failure?.message.contains("s3:GetObject") == true)
        // Once HEAD is allowed the same command finds out.
        harness.server.profile.denied = []
        try harness.expectDone(try harness.resume(), path)
        #expect(harness.partsSent().count == 6)
    }

    @Test func `confirmed but unseen is done with a notice`() throws {
        let harness = try EngineHarness()
        harness.server.profile.denied = [.headObject]
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectDone(outcome, path)
        #expect(outcome.notices.count { $0.contains("s3:GetObject") } == 1)
    }

    @Test func `an object that shows late is waited for`() throws {
        let harness = try EngineHarness(faults: [.on(.headObject, times: 2, .status(404, code: "NoSuchKey"))])
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        #expect(harness.server.count(.headObject) == 3)
    }

    @Test func `a head without checksums is enough`() throws {
        let harness = try EngineHarness()
        harness.server.profile.headOmitsChecksum = true
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
    }

    @Test func `an object overwritten by someone right after Complete is not reported done`() throws {
        let harness = try EngineHarness()
        harness.server.script([
            .on(
                .complete,
                .run(.afterProcessing) { _ in
                    harness.server.edit {
                        $0.buckets["bucket"]?.objects[Array("key".utf8)] = FakeObject(content: Array("other".utf8))
                    }
                }
            )
        ])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .verification, state: .unknown, openUploads: 0)
        #expect(outcome.failure?.message.contains("another program has written") == true)
    }

    // MARK: Conditions

    @Test(arguments: [EngineHarness.partSize, nil])
    func `an existing object is not replaced`(partSize: Int64?) throws {
        let harness = try EngineHarness()
        harness.server.edit {
            $0.buckets["bucket"]?.objects[Array("key".utf8)] = FakeObject(content: [1, 2, 3])
        }
        let path = try harness.file()
        let outcome = try harness.upload(path, .init(partSize: partSize, onlyIfAbsent: true))
        try harness.expectFailed(outcome, .exists, state: .failed, openUploads: 0)
        #expect(harness.server.object(key: "key")?.bytes == [1, 2, 3])
        #expect(harness.server.payloadBytesReceived == 0)
    }

    @Test func `an object that appears while parts are sent is not replaced`() throws {
        let harness = try EngineHarness()
        harness.server.script([
            .on(
                .complete,
                .run(.beforeProcessing) { _ in
                    harness.server.edit {
                        $0.buckets["bucket"]?.objects[Array("key".utf8)] = FakeObject(content: [1, 2, 3])
                    }
                }
            )
        ])
        let path = try harness.file()
        let outcome = try harness.upload(path, .init(onlyIfAbsent: true))
        try harness.expectFailed(outcome, .exists, state: .failed, openUploads: 1)
        #expect(harness.server.object(key: "key")?.bytes == [1, 2, 3])
    }

    /// Neither the store nor a look can tell whether there is an object: it must not be written without the condition.
    @Test(arguments: [EngineHarness.partSize, nil])
    func `a condition is not dropped unseen`(partSize: Int64?) throws {
        let harness = try EngineHarness(faults: [
            .on(
                partSize == nil ? .putObject : .complete,
                times: 20,
                where: { $0.header("if-none-match") != nil },
                .status(501, code: "NotImplemented")
            )
        ])
        harness.server.profile.denied = [.headObject]
        harness.server.edit {
            $0.buckets["bucket"]?.objects[Array("key".utf8)] = FakeObject(content: [1, 2, 3])
        }
        let path = try harness.file()
        let outcome = try harness.upload(path, .init(partSize: partSize, onlyIfAbsent: true))
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: partSize == nil ? 0 : 1)
        #expect(outcome.failure?.message.contains("--no-overwrite") == true)
        #expect(harness.server.object(key: "key")?.bytes == [1, 2, 3])
    }

    /// Without leave to list the bucket HEAD says 403 where nothing is; the store's own condition decides.
    @Test(arguments: [EngineHarness.partSize, nil])
    func `a missing object that may not be looked for is written on condition`(partSize: Int64?) throws {
        let harness = try EngineHarness()
        harness.server.profile.denied = [.headObject]
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, .init(partSize: partSize, onlyIfAbsent: true)), path)
        let last = harness.server.requests(partSize == nil ? .putObject : .complete).last
        #expect(last?.header("if-none-match") == "*")
    }

    @Test(arguments: [true, false])
    func `a repeated conditional Complete that had won is ours`(preconditionFirst: Bool) throws {
        let harness = try EngineHarness(faults: [.on(.complete, .closeAfterProcessing)])
        harness.server.profile.completeChecksPreconditionFirst = preconditionFirst
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, .init(onlyIfAbsent: true)), path)
    }

    @Test(arguments: [Fault.Action.closeAfterProcessing, .closeInAnswer])
    func `a repeated conditional put that had won is ours`(lost: Fault.Action) throws {
        let harness = try EngineHarness(faults: [.on(.putObject, lost)])
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, .init(partSize: nil, onlyIfAbsent: true)), path)
    }

    /// AWS asks for a new upload with all its parts.
    @Test func `a conflict at Complete restarts`() throws {
        let harness = try EngineHarness(faults: [.on(.complete, .status(409, code: "ConditionalRequestConflict"))])
        let path = try harness.file()
        let outcome = try harness.upload(path, .init(onlyIfAbsent: true))
        try harness.expectDone(outcome, path)
        #expect(harness.server.count(.create) == 2 && harness.server.count(.abort) == 1)
        #expect(harness.partsSent().sorted() == (1...6).flatMap { [$0, $0] })
    }

    @Test func `a conflict again and again is no success`() throws {
        let harness = try EngineHarness(faults: [
            .on(.complete, times: 100, .status(409, code: "ConditionalRequestConflict"))
        ])
        let path = try harness.file()
        let outcome = try harness.upload(path, .init(onlyIfAbsent: true))
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: 1)
        #expect(outcome.failure?.isResumable == true)
        #expect(harness.server.count(.complete) == 2)
        harness.server.script([])
        try harness.expectDone(try harness.resume(), path)
    }

    @Test func `a conflict in favour of another object leaves it there`() throws {
        let harness = try EngineHarness()
        harness.server.script([
            .on(
                .complete,
                .run(.beforeProcessing) { _ in
                    harness.server.edit {
                        $0.buckets["bucket"]?.objects[Array("key".utf8)] = FakeObject(content: [1, 2, 3])
                    }
                },
                .status(409, code: "ConditionalRequestConflict")
            )
        ])
        let path = try harness.file()
        let outcome = try harness.upload(path, .init(onlyIfAbsent: true))
        try harness.expectFailed(outcome, .exists, state: .failed, openUploads: 0)
        #expect(harness.server.object(key: "key")?.bytes == [1, 2, 3])
    }

    @Test func `a conflict at put is asked again`() throws {
        let harness = try EngineHarness(faults: [
            .on(.putObject, times: 2, .status(409, code: "ConditionalRequestConflict"))
        ])
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, .init(partSize: nil, onlyIfAbsent: true)), path)
        #expect(harness.server.count(.putObject) == 3)
    }

    @Test func `conflicts at put end some time`() throws {
        let harness = try EngineHarness(faults: [
            .on(.putObject, times: 100, .status(409, code: "ConditionalRequestConflict"))
        ])
        let path = try harness.file()
        let outcome = try harness.upload(path, .init(partSize: nil, onlyIfAbsent: true))
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: 0)
        #expect(harness.server.count(.putObject) == 3)
    }

    // MARK: Lost parts

    @Test func `a part lost before Complete is sent again`() throws {
        let harness = try EngineHarness()
        harness.server.script([
            .on(
                .complete,
                .run(.headersRead) { request in
                    harness.server.edit(upload: request.uploadID ?? "") { $0.parts[3] = nil }
                }
            )
        ])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectDone(outcome, path)
        #expect(harness.partsSent().sorted() == [1, 2, 3, 3, 4, 5, 6])
        #expect(harness.server.count(.complete) == 2)
        // What this run sent is not "skipped" because it was listed.
        #expect(outcome.completed.first?.bytesSkipped == 0)
    }

    @Test func `a store that loses parts forever is a failure`() throws {
        let harness = try EngineHarness(faults: [.on(.complete, times: 100, .status(400, code: "InvalidPart"))])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: 1)
        #expect(harness.server.count(.complete) == 2)
    }

    @Test func `a bad digest of the whole is a verification failure`() throws {
        let harness = try EngineHarness(faults: [.on(.complete, times: 100, .status(400, code: "BadDigest"))])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .verification, state: .unknown, openUploads: 1)
    }

    /// moto without its library for CRC-64/NVME answers a CRC-32 under that name.
    @Test func `a checksum of the wrong length is named`() throws {
        let harness = try EngineHarness()
        harness.server.script([
            .on(
                .complete,
                .run(.afterProcessing) { [server = harness.server] _ in
                    server.edit { store in
                        store.buckets["bucket"]?.objects[Array("key".utf8)]?.checksum = FakeChecksum(
                            algorithm: .crc64nvme,
                            kind: .fullObject,
                            value: "0cG43g=="
                        )
                    }
                },
                .dropChecksumEcho
            )
        ])
        let outcome = try harness.upload(try harness.file())
        #expect(outcome.failure?.kind == .verification)
        #expect(outcome.failure?.message.contains("--checksum md5") == true, "\(outcome.failure?.message ?? "")")
    }
}
