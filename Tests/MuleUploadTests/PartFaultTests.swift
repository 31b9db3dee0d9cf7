import MuleLedger
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// What may happen to UploadPart.
@Suite struct PartFaultTests {
    enum Passing: String, CaseIterable, Sendable {
        case resetAtTheFirstByte, resetAfterOneByte, resetInTheMiddle, resetBeforeTheLastByte, resetAtTheEnd
        case internalError, badGateway, slowDown, requestTimeout, incompleteBody, tooManyRequests, operationAborted
        case closedBeforeItWasDone, closedAfterItWasDone
        case badDigest, badDigestTwice, payloadMismatch, flippedBit, wrongChecksum, noChecksum, wrongETag
        case errorsEverywhere, closingEverywhere, lostAnswersEverywhere

        private static let last = EngineHarness.partSize - 1

        var fault: Fault {
            switch self {
            case .resetAtTheFirstByte: .on(.uploadPart, part: 2, times: 2, .resetAfter(bytes: 0))
            case .resetAfterOneByte: .on(.uploadPart, part: 2, times: 2, .resetAfter(bytes: 1))
            case .resetInTheMiddle: .on(.uploadPart, part: 2, times: 2, .resetAfter(bytes: 40_000))
            case .resetBeforeTheLastByte: .on(.uploadPart, part: 2, times: 2, .resetAfter(bytes: Self.last))
            case .resetAtTheEnd: .on(.uploadPart, part: 2, times: 2, .resetAfter(bytes: Self.last + 1))
            case .internalError: .on(.uploadPart, part: 2, times: 2, .status(500, code: "InternalError"))
            case .badGateway: .on(.uploadPart, part: 2, .status(502, code: ""))
            case .slowDown: .on(.uploadPart, times: 8, .status(503, code: "SlowDown"))
            case .requestTimeout: .on(.uploadPart, part: 2, .status(400, code: "RequestTimeout"))
            case .incompleteBody: .on(.uploadPart, part: 2, .status(400, code: "IncompleteBody"))
            case .tooManyRequests: .on(.uploadPart, part: 2, .status(429, code: "TooManyRequests"))
            case .operationAborted: .on(.uploadPart, part: 2, .status(409, code: "OperationAborted"))
            case .closedBeforeItWasDone: .on(.uploadPart, part: 2, .closeBeforeProcessing)
            case .closedAfterItWasDone: .on(.uploadPart, part: 2, .closeAfterProcessing)
            case .badDigest: .on(.uploadPart, part: 2, .status(400, code: "BadDigest"))
            case .badDigestTwice: .on(.uploadPart, part: 2, times: 2, .status(400, code: "BadDigest"))
            case .payloadMismatch: .on(.uploadPart, part: 2, .status(400, code: "XAmzContentSHA256Mismatch"))
            case .flippedBit: .on(.uploadPart, part: 2, times: 2, .flipBit)
            case .wrongChecksum: .on(.uploadPart, part: 2, times: 2, .wrongChecksumEcho)
            case .noChecksum: .on(.uploadPart, part: 2, .dropChecksumEcho)
            case .wrongETag: .on(.uploadPart, part: 2, .wrongETag)
            case .errorsEverywhere:
                .on(nil, times: 30, probability: 0.3, seed: 7, .status(500, code: "InternalError"))
            case .closingEverywhere: .on(nil, times: 30, probability: 0.3, seed: 8, .closeBeforeProcessing)
            case .lostAnswersEverywhere:
                .on(.uploadPart, times: 10, probability: 0.5, seed: 9, .closeAfterProcessing)
            }
        }
    }

    @Test(arguments: Passing.allCases)
    func `a passing fault is survived`(fault: Passing) throws {
        let harness = try EngineHarness(faults: [fault.fault])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectDone(outcome, path)
        // Every byte that goes out is counted: all of them once, and what was sent again.
        let summary = try #require(outcome.completed.first)
        #expect(summary.bytesSent >= summary.size)
        #expect(summary.bytesSkipped == 0)
    }

    @Test(arguments: [Fault.Action.stall, .stallAfter(bytes: 10_000)])
    func `a part that stands still is sent again`(stall: Fault.Action) throws {
        let harness = try EngineHarness(requestPatience: 1, faults: [.on(.uploadPart, part: 2, stall)])
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        #expect(harness.partsSent().sorted() == [1, 2, 2, 3, 4, 5, 6])
    }

    /// Others may send such a part a second time; here it is waited for, since its bytes have gone.
    @Test func `a slow answer is waited for and its part is not sent twice`() throws {
        let harness = try EngineHarness(faults: [.on(.uploadPart, part: 2, .delay(1.5))])
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
        #expect(harness.partsSent().sorted() == [1, 2, 3, 4, 5, 6])
    }

    /// The bytes may have been damaged between disk and digest: they are read again before they are sent again.
    @Test func `a body that the store calls damaged is read and digested again`() throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: 5 << 20)
        // Parts of 2 MiB wait for leave to send the body: it has been digested, and not read again, when it comes.
        harness.server.script([
            .on(
                .uploadPart,
                part: 1,
                .run(.headersRead) { _ in
                    try? Files.overwrite(path, at: 5000, with: [1, 2, 3])
                    try? Files.setModificationTime(path, seconds: EngineHarness.past)
                }
            )
        ])
        let outcome = try harness.upload(
            path,
            .init(partSize: 2 << 20),
            settings: EngineHarness.settings(concurrency: 1)
        )
        try harness.expectDone(outcome, path)
        #expect(harness.server.requests(.uploadPart).first?.errorCode == "XAmzContentSHA256Mismatch")
    }

    @Test func `small objects bear the same faults`() throws {
        let harness = try EngineHarness(faults: [
            .on(.putObject, .status(500, code: "InternalError")), .on(.putObject, .flipBit),
            .on(.putObject, .wrongChecksumEcho), .on(.putObject, .closeAfterProcessing),
            .on(.putObject, .dropChecksumEcho),
        ])
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, .init(partSize: nil)), path)
        #expect(harness.server.count(.putObject) >= 5)
    }

    @Test func `retry after is heeded`() throws {
        let harness = try EngineHarness(faults: [
            .on(.uploadPart, part: 1, .status(503, code: "SlowDown", retryAfter: 1))
        ])
        let path = try harness.file(size: EngineHarness.partSize)
        try harness.expectDone(try harness.upload(path), path)
        let tries = harness.server.requests(.uploadPart)
        #expect(tries.count == 2)
        let first = try #require(tries.first?.finishedAt)
        #expect((tries.last?.startedAt.seconds(since: first) ?? 0) >= 1)
    }

    @Test(arguments: [true, false])
    func `an early refusal is heard as what it is`(honoursExpect: Bool) throws {
        let harness = try EngineHarness(faults: [
            .on(.uploadPart, part: 1, .earlyStatus(403, code: "AccessDenied", honoursExpect: honoursExpect))
        ])
        let path = try harness.file(size: 3 << 20)
        let outcome = try harness.upload(
            path,
            .init(partSize: 2 << 20),
            settings: EngineHarness.settings(concurrency: 1)
        )
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: 1)
        #expect(outcome.failure?.s3Code == "AccessDenied")
        #expect(outcome.failure?.message.contains("s3:PutObject") == true)
        #expect(outcome.failure?.requestID != nil)
        if honoursExpect { #expect(harness.server.payloadBytesReceived == 0) }
    }

    /// A connection that has sent a body sends the next one without `Expect`. A refusal during the body, even with a
    /// reset, is still read. After a reset alone, the retry uses `Expect`.
    @Test(
        arguments: [
            [.on(.uploadPart, part: 2, times: 100, .earlyStatus(403, code: "AccessDenied"))],
            [.on(.uploadPart, part: 2, times: 100, .earlyStatus(403, code: "AccessDenied", lingers: false))],
            [
                .on(
                    .uploadPart,
                    part: 2,
                    times: 100,
                    where: { $0.header("expect") == nil },
                    .resetAfter(bytes: 1 << 20)
                ),
                .on(.uploadPart, part: 2, times: 100, .earlyStatus(403, code: "AccessDenied")),
            ],
        ] as [[Fault]]
    )
    func `a refusal of a body that is on its way is heard as what it is`(faults: [Fault]) throws {
        let harness = try EngineHarness(faults: faults)
        let path = try harness.file(size: 9 << 20)
        let outcome = try harness.upload(
            path,
            .init(partSize: 4 << 20),
            settings: EngineHarness.settings(concurrency: 1)
        )
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: 1)
        #expect(outcome.failure?.s3Code == "AccessDenied")
        let tries = harness.server.requests(.uploadPart).filter { $0.partNumber == 2 }
        #expect(tries.first?.header("expect") == nil)
        // libcurl itself sends once more when a connection that served before dies without an answer.
        #expect(tries.count { $0.header("expect") == nil } <= 2)
        #expect(tries.count <= 3)
    }

    @Test(arguments: [Fault.Action.no100Continue, .expectationFailed])
    func `a way that does not know Expect is gone all the same`(action: Fault.Action) throws {
        let harness = try EngineHarness(faults: [.on(.uploadPart, times: 2, action)])
        let path = try harness.file(size: 3 << 20)
        let outcome = try harness.upload(
            path,
            .init(partSize: 2 << 20),
            settings: EngineHarness.settings(concurrency: 1)
        )
        try harness.expectDone(outcome, path)
    }

    @Test(
        arguments: [
            .on(.uploadPart, part: 2, times: 100, .status(400, code: "BadDigest")),
            .on(.uploadPart, part: 2, times: 100, .flipBit),
            .on(.uploadPart, part: 2, times: 100, .wrongChecksumEcho),
        ] as [Fault]
    )
    func `bytes that are damaged again and again end the upload`(fault: Fault) throws {
        let harness = try EngineHarness(faults: [fault])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .verification, state: .unknown, openUploads: 1)
        #expect(harness.partsSent().count { $0 == 2 } == 3)
        #expect(harness.server.object(key: "key") == nil)
        harness.server.script([])
        try harness.expectDone(try harness.resume(), path)
    }

    @Test func `a part without an ETag is no part`() throws {
        let harness = try EngineHarness(faults: [.on(.uploadPart, part: 2, .emptyETag)])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .store, state: .failed, isResumable: true, openUploads: 1)
        try harness.expectDone(try harness.resume(), path)
    }

    @Test(arguments: [Fault.Action.stall, .stallAfter(bytes: 10_000), .status(500, code: "InternalError")])
    func `nothing moving for the stall limit ends the run resumable`(action: Fault.Action) throws {
        let harness = try EngineHarness(stallLimit: 0.4, faults: [.on(.uploadPart, part: 4, times: 1_000_000, action)])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .network, state: .pending, isResumable: true, openUploads: 1)
        harness.server.script([])
        let requestsBefore = harness.server.requests.count
        let again = try harness.resume(settings: EngineHarness.settings())
        try harness.expectDone(again, path)
        // What was recorded in the first run stays.
        #expect(again.completed.first?.bytesSkipped ?? 0 > 0)
        #expect(harness.partsSent(from: requestsBefore).count <= 4)
    }

    @Test func `a server that is down leaves a pending row`() throws {
        let harness = try EngineHarness(stallLimit: 0.3)
        let path = try harness.file()
        harness.server.stop()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .network, state: .pending, isResumable: true, openUploads: 0)
    }

    @Test func `throttling leaves fewer requests in flight`() throws {
        let harness = try EngineHarness(
            concurrency: 8,
            faults: [.on(.uploadPart, times: 24, .status(503, code: "SlowDown"))]
        )
        let path = try harness.file(size: 20 * EngineHarness.partSize)
        try harness.expectDone(try harness.upload(path), path)
        #expect(harness.server.count(.uploadPart) == 44)
    }

    @Test(arguments: [(507, "QuotaExceeded"), (403, "QuotaExceeded"), (400, "EntityTooLarge"), (403, "AccessDenied")])
    func `a refusal for good is a failure of the store`(status: Int, code: String) throws {
        let harness = try EngineHarness(faults: [.on(.uploadPart, part: 3, .status(status, code: code))])
        let path = try harness.file()
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: 1)
        #expect(outcome.failure?.s3Code == code)
        #expect(outcome.failure?.httpStatus == status)
        // The parts are kept, and the same command resumes.
        try harness.expectDone(try harness.resume(), path)
        #expect(harness.partsSent().count { $0 == 3 } == 2)
    }

    @Test(
        arguments: [
            ("InvalidAccessKeyId", UploadFailure.Kind.credentials), ("SignatureDoesNotMatch", .credentials),
            ("ExpiredToken", .credentials), ("NoSuchBucket", .store),
        ]
    )
    func `what every file would meet stops the run`(code: String, kind: UploadFailure.Kind) throws {
        let status = code == "NoSuchBucket" ? 404 : 403
        let harness = try EngineHarness(
            concurrency: 1,
            faults: [.on(nil, times: 100, .status(status, code: code))]
        )
        let files = try (1...3).map { number in
            (try harness.file("file\(number)"), EngineHarness.Options(key: "key\(number)"))
        }
        let outcome = try harness.upload(files)
        #expect(outcome.completed.isEmpty)
        #expect(outcome.failures.map(\.kind) == [kind, kind, kind])
        #expect(outcome.ends == 3)
        // Some stores answer a checksum header that they don't know by SignatureDoesNotMatch: one try without it.
        #expect(harness.server.requests.count == (code == "SignatureDoesNotMatch" ? 2 : 1))
    }

    @Test func `credentials that end on the way leave the parts pending`() throws {
        let harness = try EngineHarness(faults: [
            .on(.uploadPart, occurrence: 4, times: 100, .status(400, code: "ExpiredToken"))
        ])
        let path = try harness.file()
        let outcome = try harness.upload(path, settings: EngineHarness.settings(concurrency: 1))
        try harness.expectFailed(outcome, .credentials, state: .pending, isResumable: true, openUploads: 1)
        harness.server.script([])
        try harness.expectDone(try harness.resume(), path)
        #expect(harness.partsSent().sorted() == [1, 2, 3, 4, 4, 5, 6])
    }

    @Test func `a clock that is wrong is made good`() throws {
        let harness = try EngineHarness()
        harness.server.profile.clockOffsetSeconds = 3600
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path), path)
    }
}
