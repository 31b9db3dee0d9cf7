import MuleSQLite
import MuleSystem
import Synchronization
import TestSupport
import Testing

@testable import MuleLedger
@testable import MuleUpload

/// What is recorded, in which order, and which callbacks run.
@Suite struct RecorderTests {
    @Test func `entries are durable before what hangs on them and in order`() throws {
        let harness = try EngineHarness()
        let claims = try harness.ledger.claim([try harness.newUpload(try harness.file())])
        let number = try harness.record().number
        let recorder = Recorder(harness.ledger) { Issue.record("\($0)") }
        let order = Mutex<[Int]>([])
        for part in 1...50 {
            let row = PartRecord(number: part, size: 1, eTag: "e", crc: [UInt8](repeating: 0, count: 8), digest: nil)
            recorder.record(.part(Ledger.FinishedPart(upload: number, part: row, bytesSent: 1))) { _ in
                order.withLock { $0.append(part) }
                #expect(((try? harness.ledger.parts(of: number)) ?? []).count >= part)
            }
        }
        recorder.close()
        try recorder.start().join()
        #expect(order.withLock { $0 } == Array(1...50))
        #expect(try harness.record().partsDone == 50)
        withExtendedLifetime(claims) {}
    }

    @Test func `what has piled up is one commit`() throws {
        let moments = Atomic<Int>(0)
        let harness = try EngineHarness()
        let ledger = try Ledger(path: harness.ledger.path) {
            Int64(moments.add(1, ordering: .relaxed).newValue)
        }
        _ = try ledger.claim([try harness.newUpload(try harness.file())])
        let number = try harness.record().number
        let recorder = Recorder(ledger) { Issue.record("\($0)") }
        let batches = Mutex<Set<Int64>>([])
        for part in 1...10 {
            let row = PartRecord(number: part, size: 1, eTag: "e", crc: [], digest: nil)
            recorder.record(.part(Ledger.FinishedPart(upload: number, part: row, bytesSent: 1))) { _ in
                // All rows of the transaction are there before the first of its continuations runs.
                let count = Int64((try? ledger.parts(of: number))?.count ?? 0)
                batches.withLock { _ = $0.insert(count) }
            }
        }
        recorder.close()
        try recorder.start().join()
        #expect(batches.withLock { $0 } == [10])
    }

    /// Another check of the upload would take unrecorded parts for another program's, and count them twice.
    @Test func `all is recorded when what hangs on it has run`() throws {
        let harness = try EngineHarness()
        let claims = try harness.ledger.claim([try harness.newUpload(try harness.file())])
        let number = try harness.record().number
        let recorder = Recorder(harness.ledger) { Issue.record("\($0)") }
        let done = Atomic<Int>(0)
        for part in 1...3 {
            let row = PartRecord(number: part, size: 1, eTag: "e", crc: [], digest: nil)
            recorder.record(.part(Ledger.FinishedPart(upload: number, part: row, bytesSent: 1))) { _ in
                sleep(until: Moment.now().adding(seconds: 0.1), Cancellation())
                done.add(1, ordering: .relaxed)
            }
        }
        let thread = try recorder.start()
        recorder.waitUntilRecorded()
        #expect(done.load(ordering: .relaxed) == 3)
        recorder.close()
        thread.join()
        withExtendedLifetime(claims) {}
    }

    @Test func `what could not be recorded is said so`() throws {
        let harness = try EngineHarness()
        let claims = try harness.ledger.claim([try harness.newUpload(try harness.file())])
        let number = try harness.record().number
        let other = try Database(path: harness.ledger.path)
        try other.execute(
            "CREATE TRIGGER refusal BEFORE INSERT ON parts WHEN NEW.number = 2 BEGIN SELECT RAISE(ABORT, 'disk "
                + "full'); END"
        )
        let heard = Mutex<[Bool]>([])
        let failures = Mutex(0)
        let recorder = Recorder(harness.ledger) { _ in failures.withLock { $0 += 1 } }
        for part in 1...3 {
            let row = PartRecord(number: part, size: 1, eTag: "e", crc: [], digest: nil)
            recorder.record(.part(Ledger.FinishedPart(upload: number, part: row, bytesSent: 1))) { failure in
                heard.withLock { $0.append(failure != nil) }
            }
        }
        recorder.close()
        try recorder.start().join()
        #expect(failures.withLock { $0 } == 1)
        #expect(heard.withLock { $0 } == [true, true, true])
        // A step is there whole or not at all.
        #expect(try harness.ledger.parts(of: number).isEmpty)
        withExtendedLifetime(claims) {}
    }
}
