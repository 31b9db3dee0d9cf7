import MuleDigest
import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// A stream that is read again: each part is compared with the store's, and no byte of another stream gets into the
/// object.
@Suite struct StreamResumeTests {
    private static let part = Int(EngineHarness.partSize)

    /// - Parameter parts: whole ones; a few bytes more make the last.
    private static func write(_ harness: EngineHarness, _ name: String, parts: Int, seed: UInt64) throws -> String {
        try harness.file(name, size: Int64(parts * part + 7), seed: seed)
    }

    private static func print(_ path: String) -> String { "cat '\(path)'" }

    /// A first run that ends when so many parts are recorded, one at a time.
    private static func interrupt(
        _ harness: EngineHarness,
        _ command: String,
        afterParts count: Int,
        change: (inout StreamIntent) -> Void = { _ in }
    ) throws {
        let cancellation = Cancellation()
        harness.server.add(
            .on(
                .uploadPart,
                occurrence: count + 1,
                .run(.headersRead) { _ in cancellation.cancel() },
                .closeBeforeProcessing
            )
        )
        let outcome = try harness.upload(
            command: command,
            settings: EngineHarness.settings(concurrency: 1),
            cancellation: cancellation,
            change: change
        )
        harness.server.script([])
        #expect(outcome.failure?.kind == .interrupted)
        #expect(outcome.failure?.isResumable == true)
        let row = try #require(try harness.ledger.unfinished().last)
        #expect(row.partsDone == count && row.state == .pending)
    }

    @Test(arguments: [1, 4, 9])
    func `parts that the store has are not sent again`(count: Int) throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 9, seed: 1)
        try Self.interrupt(harness, Self.print(path), afterParts: count)
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.upload(command: Self.print(path))
        try harness.expectDone(outcome, path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == Array(count + 1...10))
        #expect(outcome.completed.first?.bytesSkipped == Int64(count * Self.part))
        #expect(outcome.completed.first?.parts == 10)
        #expect(harness.server.count(.create) == 1)
        #expect(outcome.notices.contains { $0.contains("compared with the \(count) part") })
    }

    /// As a crash leaves them: at the store, and not in the ledger.
    @Test(arguments: [false, true])
    func `parts that were not recorded are taken over`(showsNoChecksums: Bool) throws {
        let harness = try EngineHarness()
        harness.server.profile.listPartsOmitsChecksums = showsNoChecksums
        let path = try Self.write(harness, "file", parts: 9, seed: 1)
        try Self.interrupt(harness, Self.print(path), afterParts: 6)
        let row = try harness.record()
        try harness.ledger.forgetParts([2, 3, 6], of: row.number)
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.upload(command: Self.print(path))
        try harness.expectDone(outcome, path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [7, 8, 9, 10])
        #expect(outcome.completed.first?.bytesSkipped == Int64(6 * Self.part))
    }

    /// Entity tags that say nothing, and no checksums in the list: the rows hold what the store confirmed of its parts.
    @Test func `parts of a store that shows no digest are known from the ledger`() throws {
        let harness = try EngineHarness()
        harness.server.profile.listPartsOmitsChecksums = true
        harness.server.profile.eTagStyle = .random
        let path = try Self.write(harness, "file", parts: 9, seed: 1)
        try Self.interrupt(harness, Self.print(path), afterParts: 6)
        try harness.ledger.forgetParts([2], of: try harness.record().number)
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.upload(command: Self.print(path)), path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [2, 7, 8, 9, 10])
    }

    /// Nothing but the rows' MD5s and CRCs where the store takes no checksum.
    @Test(arguments: ["md5", "sha256", "none", "crc32c"])
    func `other checksums serve as well`(name: String) throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 9, seed: 1)
        let change: (inout StreamIntent) -> Void = { $0.integrity.checksum = name }
        try Self.interrupt(harness, Self.print(path), afterParts: 6, change: change)
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.upload(command: Self.print(path), change: change), path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [7, 8, 9, 10])
    }

    @Test func `parts that may not be listed are known from the ledger`() throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 9, seed: 1)
        try Self.interrupt(harness, Self.print(path), afterParts: 6)
        harness.server.add(.on(.listParts, times: 9, .status(403, code: "AccessDenied")))
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.upload(command: Self.print(path))
        try harness.expectDone(outcome, path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [7, 8, 9, 10])
    }

    @Test(arguments: [false, true])
    func `parts that the store has lost are sent again`(otherETag: Bool) throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 9, seed: 1)
        try Self.interrupt(harness, Self.print(path), afterParts: 6)
        let id = try #require(harness.server.uploads.first?.id)
        harness.server.edit(upload: id) { upload in
            if otherETag {
                upload.parts[3]?.eTag = "0123456789abcdef0123456789abcdef"
                upload.parts[3]?.checksum = nil
            } else {
                upload.parts[3] = nil
            }
        }
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.upload(command: Self.print(path)), path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [3, 7, 8, 9, 10])
    }

    /// Another content: nothing of the first may be in the object, wherever they differ and whichever is longer.
    @Test(arguments: [1, 3, 6, 9, 12], [[], [1], [2], [1, 2, 3, 4, 5, 6], [6], [9]] as [[Int]])
    func `another Content replaces what was there`(parts: Int, changed: [Int]) throws {
        let harness = try EngineHarness()
        let first = try Self.write(harness, "first", parts: 9, seed: 1)
        try Self.interrupt(harness, Self.print(first), afterParts: 6)
        let second = try Self.write(harness, "second", parts: parts, seed: 1)
        for number in changed where number <= parts {
            try Files.overwrite(second, at: Int64((number - 1) * Self.part + 17), with: Array("other".utf8))
        }
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.upload(command: Self.print(second))
        try harness.expectDone(outcome, second)
        let same = Set(1...6).subtracting(changed).filter { $0 <= parts }
        #expect(Set(harness.partsSent(from: requestsBefore)) == Set(1...parts + 1).subtracting(same))
        #expect(outcome.completed.first?.bytesSkipped == Int64(same.count * Self.part))
        #expect(try harness.record().size == Int64(parts * Self.part + 7))
    }

    /// The row of a part must go before other bytes take its place at the store.
    @Test(arguments: 1...8)
    func `a second interruption with another Content mixes nothing`(count: Int) throws {
        let harness = try EngineHarness()
        let first = try Self.write(harness, "first", parts: 9, seed: 1)
        let second = try Self.write(harness, "second", parts: 9, seed: 2)
        try Self.interrupt(harness, Self.print(first), afterParts: 6)
        let cancellation = Cancellation()
        harness.server.add(
            .on(
                .uploadPart,
                occurrence: count,
                .run(.afterProcessing) { _ in cancellation.cancel() },
                .closeAfterProcessing
            )
        )
        let stopped = try harness.upload(
            command: Self.print(second),
            settings: EngineHarness.settings(concurrency: 2),
            cancellation: cancellation
        )
        #expect(stopped.failure?.kind == .interrupted)
        harness.server.script([])
        for (path, isLast) in [(second, false), (first, true)] where isLast || count % 2 == 0 {
            let outcome = try harness.upload(
                command: Self.print(path),
                change: { $0.destination.key = ObjectKey("key") }
            )
            try harness.expectDone(outcome, path)
        }
    }

    @Test func `a stream that has become empty leaves nothing behind`() throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 9, seed: 1)
        try Self.interrupt(harness, Self.print(path), afterParts: 6)
        let empty = try harness.file("empty", size: 0)
        try harness.expectDone(try harness.upload(command: "true"), empty)
        #expect(harness.server.count(.putObject) == 1 && harness.server.count(.abort) >= 1)
    }

    @Test func `a stream that has become short is completed from one part`() throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 9, seed: 1)
        try Self.interrupt(harness, Self.print(path), afterParts: 6)
        let short = try harness.file("short", size: 9, seed: 1)
        let outcome = try harness.upload(command: Self.print(short))
        try harness.expectDone(outcome, short)
        #expect(outcome.completed.first?.parts == 1)
    }

    @Test func `standard input is compared likewise`() throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 9, seed: 1)
        func send(_ cancellation: Cancellation = Cancellation()) throws -> Outcome {
            let file = try File.openForReading(path: Array(path.utf8))
            return try harness.upload(
                harness.stream(.standardInput),
                StreamInput(.descriptor(file.descriptor)),
                settings: EngineHarness.settings(concurrency: 1),
                cancellation: cancellation
            )
        }
        let cancellation = Cancellation()
        harness.server.add(
            .on(.uploadPart, occurrence: 5, .run(.headersRead) { _ in cancellation.cancel() }, .closeBeforeProcessing)
        )
        #expect(try send(cancellation).failure?.kind == .interrupted)
        harness.server.script([])
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try send(), path)
        #expect(harness.partsSent(from: requestsBefore) == [5, 6, 7, 8, 9, 10])
    }

    // MARK: Which upload

    @Test func `the same stream is always sent once it is done`() throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 3, seed: 1)
        try harness.expectDone(try harness.upload(command: Self.print(path)), path)
        let again = try harness.upload(command: Self.print(path))
        try harness.expectDone(again, path)
        #expect(again.completed.first?.bytesSkipped == 0)
        #expect(again.completed.first?.bytesSent == Int64(3 * Self.part + 7))
        #expect(try harness.ledger.all().count == 2)
    }

    @Test func `the cut on record wins`() throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 9, seed: 1)
        try Self.interrupt(harness, Self.print(path), afterParts: 6)
        let outcome = try harness.upload(command: Self.print(path), change: { $0.partSize = 100_000 })
        try harness.expectDone(outcome, path)
        #expect(outcome.completed.first?.bytesSkipped == Int64(6 * Self.part))
        #expect(outcome.notices.contains { $0.contains("started with parts of 64.0 KiB") && $0.contains("--restart") })
    }

    @Test func `a restart restarts`() throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 9, seed: 1)
        try Self.interrupt(harness, Self.print(path), afterParts: 6)
        let outcome = try harness.upload(
            command: Self.print(path),
            change: {
                $0.partSize = 100_000
                $0.restart = true
            }
        )
        try harness.expectDone(outcome, path)
        #expect(outcome.completed.first?.bytesSkipped == 0)
        #expect(outcome.completed.first?.parts == 6)
        #expect(try harness.record().upload.partSize == 100_000)
    }

    @Test func `an upload with other options is left as it is`() throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 9, seed: 1)
        try Self.interrupt(harness, Self.print(path), afterParts: 6)
        let left = try harness.record()
        let outcome = try harness.upload(
            command: Self.print(path),
            change: { try? $0.attributes.set("x-amz-meta-day", "2") }
        )
        try harness.expectDone(outcome, path, openUploads: 1)
        #expect(outcome.completed.first?.bytesSkipped == 0)
        #expect(outcome.notices.contains { $0.contains("mule abort \(left.id)") })
        #expect(try harness.ledger.upload(id: left.id)?.partsDone == 6)
        try harness.abort(left)
        harness.expectClean()
    }

    @Test func `one that another run uploads is skipped`() throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 9, seed: 1)
        try Self.interrupt(harness, Self.print(path), afterParts: 6)
        let (_, lease) = try #require(try harness.ledger.claim(harness.record().number))
        let (entry, _) = try harness.register(harness.stream(.command))
        guard case .refused(let failure) = entry else {
            Issue.record("not refused")
            return
        }
        #expect(failure.kind == .held)
        withExtendedLifetime(lease) {}
    }

    @Test(arguments: [UploadState.pending, .failed])
    func `a row without parts is used again`(state: UploadState) throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 3, seed: 1)
        // The lease goes with the claim.
        guard case .job(.claimed(let record, _), _) = try harness.register(harness.stream(.command)).entry else {
            throw HarnessFailure("no row")
        }
        try harness.ledger.commit([.end(of: record, .stopped(state, error: nil))])
        try harness.expectDone(try harness.upload(command: Self.print(path)), path)
        #expect(try harness.ledger.all().count == 1)
    }

    /// With --no-overwrite too: the object is this very upload's, and the token in its row says so.
    @Test func `a request whose answer was lost is known again`() throws {
        let harness = try EngineHarness()
        let path = try harness.file("small", size: 100)
        let cancellation = Cancellation()
        harness.server.add(
            .on(.putObject, .run(.afterProcessing) { _ in cancellation.cancel() }, .closeAfterProcessing)
        )
        let change: (inout StreamIntent) -> Void = { $0.onlyIfAbsent = true }
        let lost = try harness.upload(command: Self.print(path), cancellation: cancellation, change: change)
        #expect(lost.failure?.kind == .interrupted)
        harness.server.script([])
        try harness.expectDone(try harness.upload(command: Self.print(path), change: change), path)
        #expect(harness.server.count(.putObject) == 1)
        let again = try harness.upload(command: Self.print(path), change: change)
        #expect(again.failure?.kind == .exists)
    }

    // MARK: The end

    /// The store executes the request; the run has ended before the answer.
    private static func loseComplete(_ harness: EngineHarness, _ path: String, isCarriedOut: Bool = true) throws {
        let cancellation = Cancellation()
        harness.server.add(
            .on(
                .complete,
                .run(isCarriedOut ? .afterProcessing : .headersRead) { _ in cancellation.cancel() },
                isCarriedOut ? .closeAfterProcessing : .closeBeforeProcessing
            )
        )
        let outcome = try harness.upload(command: print(path), cancellation: cancellation)
        #expect(outcome.failure?.kind == .interrupted)
        harness.server.script([])
    }

    @Test func `a Complete that did not arrive is sent again`() throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 5, seed: 1)
        try Self.loseComplete(harness, path, isCarriedOut: false)
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.upload(command: Self.print(path))
        try harness.expectDone(outcome, path)
        #expect(harness.partsSent(from: requestsBefore).isEmpty)
        #expect(outcome.completed.first?.bytesSkipped == Int64(5 * Self.part + 7))
    }

    @Test func `a Complete whose answer was lost closes its row`() throws {
        let harness = try EngineHarness()
        let first = try Self.write(harness, "first", parts: 5, seed: 1)
        let second = try Self.write(harness, "second", parts: 4, seed: 2)
        try Self.loseComplete(harness, first)
        #expect(try harness.server.object(key: "key")?.equals(file: first) == true)
        let lost = try harness.record()
        let outcome = try harness.upload(command: Self.print(second))
        try harness.expectDone(outcome, second)
        #expect(outcome.notices.contains { $0.contains("was already completed as \(lost.id)") })
        let row = try #require(try harness.ledger.upload(id: lost.id))
        #expect(row.state == .done && row.size == Int64(5 * Self.part + 7) && row.partCount == 6)
        #expect(row.proof.checksumValue != nil && row.proof.eTag != nil)
        #expect(try harness.ledger.all().count == 2)
    }

    @Test func `an outcome that no one may look at stays unknown`() throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 5, seed: 1)
        try Self.loseComplete(harness, path)
        let lost = try harness.record()
        harness.server.add(.on(.headObject, times: 100, .status(403, code: "AccessDenied")))
        let outcome = try harness.upload(command: Self.print(path))
        try harness.expectDone(outcome, path)
        #expect(try harness.ledger.upload(id: lost.id)?.state == .unknown)
        #expect(outcome.notices.contains { $0.contains("head-object") })
    }

    @Test func `an upload that was aborted elsewhere restarts`() throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 5, seed: 1)
        try Self.interrupt(harness, Self.print(path), afterParts: 3)
        harness.server.edit { $0.buckets["bucket"]?.uploads = [:] }
        let outcome = try harness.upload(command: Self.print(path))
        try harness.expectDone(outcome, path)
        #expect(outcome.completed.first?.bytesSkipped == 0)
        #expect(try harness.ledger.all().count == 1)
    }

    /// The store has created the object: the upload must not be reported as aborted.
    @Test func `an Abort of what was completed leaves it done`() throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 5, seed: 1)
        try Self.loseComplete(harness, path)
        let (record, lease) = try #require(try harness.ledger.claim(harness.record().number))
        let cancellation = Cancellation()
        let end = try AbortRun(ledger: harness.ledger, settings: harness.settings, cancellation: cancellation) { _ in }
            .abort(record, lease, service: try harness.service(cancellation))
        #expect(end == .wasDone)
        let row = try harness.record()
        #expect(row.state == .done && row.size == Int64(5 * Self.part + 7) && !row.abortRequested)
        #expect(try harness.server.object(key: "key")?.equals(file: path) == true)
    }

    @Test func `an Abort of what no one can prove says so`() throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 5, seed: 1)
        try Self.loseComplete(harness, path)
        try harness.ledger.forgetParts([2], of: try harness.record().number)
        #expect { try harness.abort(try harness.record()) } throws: { ($0 as? UploadFailure)?.kind == .verification }
        #expect(try harness.record().state == .unknown)
    }

    @Test func `an Abort where objects may not be looked at ends`() throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 5, seed: 1)
        try Self.interrupt(harness, Self.print(path), afterParts: 3)
        harness.server.add(.on(.headObject, .status(403, code: "AccessDenied")))
        let notices = try harness.abort(try harness.record())
        #expect(notices.contains { $0.contains("Cannot tell whether") })
        #expect(try harness.record().state == .aborted)
        harness.expectClean()
    }

    // MARK: What is expected

    @Test(arguments: [1, 3 * part, 20 * part, 400 * part])
    func `an expectation is a hint`(expected: Int) throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 5, seed: 1)
        let intent = harness.stream(.command, partSize: EngineHarness.partSize) { $0.expectedSize = Int64(expected) }
        let input = StreamInput(
            .program(["/bin/sh", "-c", Self.print(path)].map { Array($0.utf8) }),
            expectedSize: Int64(expected)
        )
        let outcome = try harness.upload(intent, input)
        try harness.expectDone(outcome, path)
        #expect(outcome.completed.first?.size == Int64(5 * Self.part + 7))
    }

    /// Progress shows a share of what is expected until the stream proves to be longer.
    @Test(arguments: [(20 * part, [20 * part]), (2 * part, [2 * part, nil])] as [(Int, [Int?])])
    func `progress knows what is expected`(expected: Int, totals: [Int?]) throws {
        let harness = try EngineHarness()
        let path = try Self.write(harness, "file", parts: 5, seed: 1)
        let intent = harness.stream(.command) { $0.expectedSize = Int64(expected) }
        guard case .job(let row, _) = try harness.register(intent).entry else { throw HarnessFailure("refused") }
        let cancellation = Cancellation()
        let job = UploadJob(
            source: .stream(
                StreamInput(
                    .program(["/bin/sh", "-c", Self.print(path)].map { Array($0.utf8) }),
                    expectedSize: Int64(expected)
                )
            ),
            destination: intent.destination,
            row: row,
            service: try harness.service(cancellation)
        )
        let run = UploadRun(
            ledger: harness.ledger,
            settings: EngineHarness.settings(concurrency: 1),
            cancellation: cancellation
        ) { _ in }
        let seen = Monitor<[Int64?]>([])
        harness.server.add(
            .on(
                .uploadPart,
                times: 100,
                .run(.headersRead) { _ in
                    let snapshot = run.snapshot()
                    #expect(snapshot.active.first?.size == snapshot.bytesTotal)
                    seen.withLock { if $0.last != .some(snapshot.bytesTotal) { $0.append(snapshot.bytesTotal) } }
                }
            )
        )
        #expect(run.run(JobFeed([job])).completed == 1)
        #expect(seen.withLock { $0.prefix(totals.count) } == totals.map { $0.map(Int64.init) }.prefix(totals.count))
        #expect(run.snapshot().bytesTotal == Int64(5 * Self.part + 7))
    }

    @Test func `more than an object holds is refused`() throws {
        let harness = try EngineHarness()
        let (entry, _) = try harness.register(
            harness.stream(.command, partSize: nil) { $0.expectedSize = 60 << 40 }
        )
        guard case .refused(let failure) = entry else {
            Issue.record("not refused")
            return
        }
        #expect(failure.kind == .usage)
        #expect(try harness.ledger.all().isEmpty)
    }
}
