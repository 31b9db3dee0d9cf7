import MuleSQLite
import MuleSystem
import Synchronization
import TestSupport
import Testing

@testable import MuleLedger
@testable import MuleUpload

/// A ledger that can't be written to: nothing that is not in it is reported done, and everything is reported.
@Suite struct LedgerFailureTests {
    /// What a full disk would refuse, refused by a trigger that another connection has set.
    enum Refusal: String, CaseIterable, Sendable {
        case firstPart = "BEFORE INSERT ON parts WHEN NEW.number = 1"
        case laterPart = "BEFORE INSERT ON parts WHEN NEW.number = 4"
        case createAttempt = "BEFORE UPDATE ON uploads WHEN NEW.create_attempted_at IS NOT NULL"
        case uploadID = "BEFORE UPDATE ON uploads WHEN NEW.upload_id IS NOT NULL"
        case end = "BEFORE UPDATE ON uploads WHEN NEW.state = 'done'"
    }

    @Test(arguments: Refusal.allCases)
    func `a failed commit ends the run and is reported`(refusal: Refusal) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        _ = try harness.ledger.claim([try harness.newUpload(path)])
        let other = try Database(path: harness.ledger.path)
        try other.execute("CREATE TRIGGER refusal \(refusal.rawValue) BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        let outcome = try harness.resume()
        #expect(outcome.completed.isEmpty)
        #expect(outcome.failures.map(\.kind) == [.ledger])
        #expect(outcome.ends == 1)
        #expect(outcome.failure?.isResumable == true)
        #expect(try harness.record().state == .pending)
        if refusal == .createAttempt { #expect(harness.server.requests.isEmpty) }

        try other.execute("DROP TRIGGER refusal")
        try harness.expectDone(try harness.resume(), path)
    }

    @Test func `every file of the run is reported once`() throws {
        let harness = try EngineHarness()
        let files = try (1...4).map { number in
            (try harness.file("file\(number)", seed: UInt64(number)), EngineHarness.Options(key: "key\(number)"))
        }
        _ = try harness.ledger.claim(try files.map { try harness.newUpload($0.0, $0.1) })
        let other = try Database(path: harness.ledger.path)
        try other.execute(
            "CREATE TRIGGER refusal BEFORE UPDATE ON uploads WHEN NEW.state = 'done' AND NEW.number > 1 "
                + "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
        let outcome = try harness.resume()
        #expect(outcome.completed.count + outcome.failures.count == 4)
        #expect(outcome.ends == 4)
        #expect(outcome.failures.allSatisfy { $0.kind == .ledger })
        let done = try harness.ledger.all().count { $0.state == .done }
        #expect(outcome.completed.count == done)
    }

    @Test func `a small files end that is not recorded is not reported done`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        _ = try harness.ledger.claim([try harness.newUpload(path, .init(partSize: nil))])
        let other = try Database(path: harness.ledger.path)
        try other.execute(
            "CREATE TRIGGER refusal \(Refusal.end.rawValue) BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
        let outcome = try harness.resume()
        #expect(outcome.completed.isEmpty)
        #expect(outcome.failures.map(\.kind) == [.ledger])
        #expect(outcome.ends == 1)
    }

    // MARK: Disks without room

    /// A disk that is full from some look at it on, until it is freed.
    private final class FillingDisk: Sendable {
        let looks = Atomic<Int>(0)
        let isFreed = Atomic<Bool>(false)
        private let goodLooks: Int

        init(goodLooks: Int) { self.goodLooks = goodLooks }

        /// A new ledger looks before it is created, when it is opened, before a run, and after each commit of it.
        func look() -> FileSystem {
            let count = looks.add(1, ordering: .relaxed).newValue
            let isFree = count <= goodLooks || isFreed.load(ordering: .relaxed)
            return FileSystem(name: "test", isShared: true, available: isFree ? .max : 1000)
        }

        func harness() throws -> EngineHarness {
            try EngineHarness(concurrency: 2) { path in
                try Ledger(path: path, fileSystem: { _ in self.look() })
            }
        }
    }

    @Test func `nothing is sent without room to record it`() throws {
        let disk = FillingDisk(goodLooks: 2)
        let harness = try disk.harness()
        let path = try harness.file()
        let outcome = try harness.upload(path)
        // The run does not start; that is reported once, not per upload.
        #expect(outcome.result.obstacle?.kind == .ledger)
        #expect(outcome.result.obstacle?.isResumable == true)
        #expect(outcome.ends == 0)
        #expect(harness.server.requests.isEmpty)
        #expect(try harness.record().state == .pending)
        disk.isFreed.store(true, ordering: .relaxed)
        try harness.expectDone(try harness.resume(), path)
    }

    /// More than may wait for the ledger at a time.
    private static let parts = 200

    /// The disk fills up while parts are in flight: they finish and are recorded, no others start, and the next run
    /// sends only those.
    @Test(arguments: [1, 2])
    func `a disk that fills up stops the run behind what is recorded`(commits: Int) throws {
        let disk = FillingDisk(goodLooks: 2 + commits)
        let harness = try disk.harness()
        let path = try harness.file(size: Int64(Self.parts) * EngineHarness.partSize)
        let outcome = try harness.upload(path)
        #expect(outcome.completed.isEmpty)
        #expect(outcome.failures.map(\.kind) == [.ledger])
        #expect(outcome.failure?.isResumable == true)
        let record = try harness.record()
        let recorded = try harness.ledger.parts(of: record.number).map(\.number)
        let sent = harness.server.requests.filter { $0.operation == .uploadPart }.compactMap(\.partNumber)
        #expect(Set(recorded) == Set(sent), "what was sent is on record")
        #expect(!recorded.isEmpty && recorded.count < Self.parts, "\(recorded)")
        #expect(record.partsDone == recorded.count)

        disk.isFreed.store(true, ordering: .relaxed)
        let before = harness.server.requests.count
        try harness.expectDone(try harness.resume(), path)
        let again = harness.server.requests.dropFirst(before).filter { $0.operation == .uploadPart }
        #expect(Set(again.compactMap(\.partNumber)) == Set(1...Self.parts).subtracting(recorded))
    }

    /// A failed commit leaves parts at the store that are not recorded: the next run compares them with the file and
    /// does not send them again.
    @Test func `what reached the store and was not recorded is adopted`() throws {
        let harness = try EngineHarness(concurrency: 1)
        let path = try harness.file()
        _ = try harness.ledger.claim([try harness.newUpload(path)])
        let other = try Database(path: harness.ledger.path)
        try other.execute(
            "CREATE TRIGGER refusal \(Refusal.laterPart.rawValue) BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
        _ = try harness.resume()
        let stored = Set(
            harness.server.requests.filter { $0.operation == .uploadPart && $0.status == 200 }.compactMap(\.partNumber)
        )
        let recorded = Set(try harness.ledger.parts(of: try harness.record().number).map(\.number))
        #expect(stored.contains(4) && !recorded.contains(4))
        try other.execute("DROP TRIGGER refusal")
        let before = harness.server.requests.count
        try harness.expectDone(try harness.resume(), path)
        let again = harness.server.requests.dropFirst(before).filter { $0.operation == .uploadPart }
        #expect(Set(again.compactMap(\.partNumber)).isDisjoint(with: stored))
    }

    @Test func `a ledger that is removed under a run is no success`() throws {
        let harness = try EngineHarness(concurrency: 1)
        let path = try harness.file()
        harness.server.add(
            .on(
                .uploadPart,
                occurrence: 3,
                .run(.headersRead) { _ in try? Files.remove(String(decoding: harness.ledger.path, as: UTF8.self)) }
            )
        )
        let outcome = try harness.upload(path)
        #expect(outcome.completed.isEmpty)
        #expect(outcome.failures.map(\.kind) == [.ledger])
        #expect(outcome.failure?.message.contains("removed or replaced") == true)
        #expect(!harness.server.requests.contains { $0.operation == .complete })
    }

    /// An import of many uploads holds the ledger for a while; the run waits for it.
    @Test func `a long writer is waited for`() throws {
        let harness = try EngineHarness(concurrency: 2) { path in
            try Ledger(
                path: path,
                fileSystem: { path throws(SystemError) in try FileSystem.of(path: path) },
                busyTimeout: 0.02
            )
        }
        let path = try harness.file()
        let other = try Database(path: harness.ledger.path)
        let claims = try harness.ledger.claim([try harness.newUpload(path)])
        withExtendedLifetime(claims) {}
        let number = try harness.record().number
        let recorder = Recorder(harness.ledger) { Issue.record("\($0)") }
        try other.execute("BEGIN IMMEDIATE")
        let row = PartRecord(number: 1, size: 1, eTag: "e", crc: [], digest: nil)
        let heard = Atomic<Bool>(false)
        recorder.record(.part(Ledger.FinishedPart(upload: number, part: row, bytesSent: 1))) { failure in
            heard.store(failure == nil, ordering: .relaxed)
        }
        recorder.close()
        let thread = try recorder.start()
        // Longer than one wait of SQLite's: without patience, the commit would have failed by now.
        for _ in 0..<4 {
            #expect(throws: LedgerError.busy) { _ = try harness.ledger.restart(try harness.record()) }
        }
        try other.execute("COMMIT")
        thread.join()
        let wasHeard = heard.load(ordering: .relaxed)
        #expect(wasHeard)
        #expect(try harness.ledger.parts(of: number).count == 1)
    }

    /// While the disk stands still, no more than a bounded number of parts is sent.
    @Test func `too much that is unrecorded holds the workers back`() throws {
        let harness = try EngineHarness()
        let claims = try harness.ledger.claim([try harness.newUpload(try harness.file())])
        let number = try harness.record().number
        let recorder = Recorder(harness.ledger) { Issue.record("\($0)") }
        let row = PartRecord(number: 1, size: 1, eTag: "e", crc: [], digest: nil)
        for _ in 1..<Recorder.mostWaiting {
            recorder.record(.part(Ledger.FinishedPart(upload: number, part: row, bytesSent: 1))) { _ in }
        }
        recorder.waitForRoom()
        recorder.record(.part(Ledger.FinishedPart(upload: number, part: row, bytesSent: 1))) { _ in }
        let passed = Atomic<Bool>(false)
        let waiter = startedThread("waiter") {
            recorder.waitForRoom()
            // Only a commit makes room.
            let isWritten = ((try? harness.ledger.parts(of: number))?.count ?? 0) == 1
            passed.store(isWritten, ordering: .relaxed)
        }
        recorder.close()
        let thread = try recorder.start()
        waiter.join()
        thread.join()
        let hasPassed = passed.load(ordering: .relaxed)
        #expect(hasPassed)
        withExtendedLifetime(claims) {}
    }
}
