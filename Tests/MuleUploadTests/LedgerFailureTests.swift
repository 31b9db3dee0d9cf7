import MuleSystem
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
    func aFailedCommitEndsTheRunAndIsReported(refusal: Refusal) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        _ = try harness.ledger.claim([try harness.newUpload(path)])
        let other = try Database(path: harness.ledger.path)
        try other.execute("CREATE TRIGGER refusal \(refusal.rawValue) BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        let outcome = try harness.resume()
        #expect(outcome.completed.isEmpty)
        #expect(outcome.result.failures.map(\.kind) == [.ledger])
        #expect(outcome.ends == 1)
        #expect(outcome.failure?.isResumable == true)
        #expect(try harness.record().state == .pending)
        if refusal == .createAttempt { #expect(harness.server.requests.isEmpty) }

        try other.execute("DROP TRIGGER refusal")
        try harness.expectDone(try harness.resume(), path)
    }

    @Test func everyFileOfTheRunIsReportedOnce() throws {
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
        #expect(outcome.completed.count + outcome.result.failures.count == 4)
        #expect(outcome.ends == 4)
        #expect(outcome.result.failures.allSatisfy { $0.kind == .ledger })
        let done = try harness.ledger.all().count { $0.state == .done }
        #expect(outcome.completed.count == done)
    }

    @Test func aSmallFilesEndThatIsNotRecordedIsNotReportedDone() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        _ = try harness.ledger.claim([try harness.newUpload(path, .init(partSize: nil))])
        let other = try Database(path: harness.ledger.path)
        try other.execute(
            "CREATE TRIGGER refusal \(Refusal.end.rawValue) BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
        let outcome = try harness.resume()
        #expect(outcome.completed.isEmpty)
        #expect(outcome.result.failures.map(\.kind) == [.ledger])
        #expect(outcome.ends == 1)
    }
}
