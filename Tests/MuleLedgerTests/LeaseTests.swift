import Glibc
import MuleSystem
import Synchronization
import TestSupport
import Testing

@testable import MuleLedger

@Suite struct LeaseTests {
    private let directory = ScratchDirectory()

    @Test func `the first claim begins an upload`() throws {
        let claim = try #require(try Ledger(directory).claim([.sample()]).first)
        guard case .began(let record, _) = claim else {
            Issue.record("not started: \(claim)")
            return
        }
        #expect(record.state == .pending)
        #expect(record.upload == .sample())
        #expect(record.partCount == 8)
        #expect(record.token.utf8.count == 32)
        #expect(!record.mayHoldParts)
    }

    @Test func `a claim after the lease was given back finds the same upload`() throws {
        let ledger = try Ledger(directory)
        let first = try ledger.take()?.record
        guard case .found(let record, _) = try ledger.claim([.sample()]).first else {
            Issue.record("not found")
            return
        }
        #expect(record == first)
    }

    @Test func `two ledgers on one file exclude each other`() throws {
        let (one, other) = (try Ledger(directory), try Ledger(directory))
        var held = try one.take()
        let record = try #require(held?.record)
        guard case .heldElsewhere(let seen) = try other.claim([.sample()]).first else {
            Issue.record("the other ledger has it too")
            return
        }
        #expect(seen.number == record.number)
        #expect(try other.claim(record.number) == nil)
        #expect(other.isActive(record))
        #expect(!one.isActive(record), "a ledger does not count its own lease")

        held = nil
        #expect(!other.isActive(record))
        #expect(try other.claim(record.number) != nil)
    }

    @Test func `one ledger gives a lease once`() throws {
        let ledger = try Ledger(directory)
        let claims = try ledger.claim([.sample(), .sample()])
        guard case .began(let record, _) = claims[0], case .heldElsewhere(let same) = claims[1] else {
            Issue.record("two carry one upload: \(claims)")
            return
        }
        #expect(same.number == record.number)
        #expect(try ledger.claim(record.number) == nil)
    }

    @Test func `a refused claim takes nothing from the holder`() throws {
        let (one, other) = (try Ledger(directory), try Ledger(directory))
        let held = try one.take()
        for ledger in [one, other, one] { #expect(try ledger.take() == nil) }
        #expect(other.isActive(try #require(held?.record)))
        withExtendedLifetime(held) {}
    }

    @Test func `leases of different uploads are independent`() throws {
        let (one, other) = (try Ledger(directory), try Ledger(directory))
        let first = try one.take(.sample(key: "a"))
        var second = try other.take(.sample(key: "b"))
        #expect(first != nil && second != nil)
        second = nil
        #expect(try other.take(.sample(key: "a")) == nil)
        #expect(try one.take(.sample(key: "b")) != nil)
        withExtendedLifetime(first) {}
    }

    @Test func `uploads that begin together have a lease each`() throws {
        let (one, other) = (try Ledger(directory), try Ledger(directory))
        var held = try one.claim(["a", "b", "c"].map { .sample(key: $0) })
        #expect(try other.claim(["a", "b", "c"].map { .sample(key: $0) }).allSatisfy(\.isHeldElsewhere))
        held.remove(at: 1)
        #expect(try other.claim(["a", "c"].map { .sample(key: $0) }).allSatisfy(\.isHeldElsewhere))
        #expect(try other.take(.sample(key: "b")) != nil)
        held = []
        #expect(try other.take(.sample(key: "a")) != nil)
    }

    @Test func `ranges of numbers hold what was put into them`() {
        var random = SeededRandom(seed: 1)
        var (ranges, numbers): (NumberRanges, Set<Int64>) = (NumberRanges(), [])
        for _ in 0..<4000 {
            let first = Int64.random(in: 0..<60, using: &random)
            let new = first..<first + Int64.random(in: 1...4, using: &random)
            if ranges.contains(first) {
                ranges.remove(first)
                numbers.remove(first)
            } else if !ranges.overlaps(new) {
                ranges.insert(new)
                numbers.formUnion(new)
            }
            #expect((0..<64).allSatisfy { ranges.contains($0) == numbers.contains($0) })
        }
    }

    @Test func `an unknown number cannot be claimed`() throws {
        #expect(try Ledger(directory).claim(77) == nil)
    }

    @Test func `a claim by number reads the record again`() throws {
        let (one, other) = (try Ledger(directory), try Ledger(directory))
        let old = try #require(try one.take()?.record)
        _ = try one.recordCreateAttempt(old)
        let (record, _) = try #require(try other.claim(old.number))
        #expect(record.createAttemptedAt != nil)
    }

    @Test func `a stream always begins an upload of its own`() throws {
        let ledger = try Ledger(directory)
        let (one, other) = (try ledger.take(.sampleStream), try ledger.take(.sampleStream))
        #expect(one?.record.number != other?.record.number)
        #expect(try ledger.unfinished().count == 2)
    }

    @Test func `a lease ends with its process, killed or not`() throws {
        let ledger = try Ledger(directory)
        let command = {
            var command = child("hold", directory.path("ledger.sqlite"), home: directory)
            command.input = .pipe
            return command
        }()
        for kills in [true, false, true] {
            let running = try command.start()
            #expect(running.waitForText("holding\n"))
            let record = try #require(try ledger.unfinished().first)
            #expect(ledger.isActive(record))
            #expect(try ledger.claim(record.number) == nil)
            #expect(try command.run().lines == ["held elsewhere"])

            if kills { running.signal(SIGKILL) } else { running.closeInput() }
            #expect(running.wait().end == (kills ? .signal(SIGKILL) : .exit(0)))
            #expect(!ledger.isActive(record))
            #expect(try ledger.claim(record.number) != nil)
        }
    }

    /// Two threads register the same upload at the same moment, 200 times; each time one creates or finds it, and keeps
    /// it until both have asked.
    @Test func `of two that begin the same upload at once, one gets it`() throws {
        let ledgers = [try Ledger(directory), try Ledger(directory)]
        let rounds = 200
        let answers = Monitor<[[String]]>(Array(repeating: [], count: rounds))
        let threads = ledgers.map { ledger in
            startedThread("claimer") {
                for round in 0..<rounds {
                    let claim = (try? ledger.claim([.sample(key: "key-\(round)")]))?.first
                    let word =
                        switch claim {
                        case .began: "began"
                        case .found: "found"
                        case .heldElsewhere: "held"
                        case .doneBefore, .taken, nil: "failed"
                        }
                    answers.update { $0[round].append(word) }
                    answers.wait { $0[round].count == 2 ? () : nil }
                    withExtendedLifetime(claim) {}
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(answers.withLock { $0.filter { $0.sorted() != ["began", "held"] } }.isEmpty)
        #expect(try ledgers[0].unfinished().count == rounds)
    }

    @Test func `names of uploads differ`() throws {
        let ledger = try Ledger(directory)
        _ = try ledger.claim((0..<500).map { .sample(key: "key-\($0)") })
        let records = try ledger.unfinished()
        #expect(Set(records.map(\.id)).count == 500)
        #expect(Set(records.map(\.token)).count == 500)
        #expect(records.map(\.number) == records.map(\.number).sorted())
        #expect(records.allSatisfy { $0.id.utf8.count == 5 })
    }
}

extension Ledger.Claim {
    fileprivate var isHeldElsewhere: Bool {
        if case .heldElsewhere = self { true } else { false }
    }
}
