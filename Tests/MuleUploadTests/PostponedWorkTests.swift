import MuleSystem
import Testing

@testable import MuleUpload

/// Work that has failed waits while other work takes its place.
@Suite struct PostponedWorkTests {
    private static func later(_ seconds: Double, isThrottled: Bool = false, failures: Int = 3) -> Postponement {
        Postponement(
            until: Moment.now().adding(seconds: seconds),
            isThrottled: isThrottled,
            isFixed: false,
            failures: failures
        )
    }

    private static func fail(_ queue: WorkQueue, _ work: Work?, _ postponement: Postponement) throws {
        let work = try #require(work)
        queue.postpone(work, postponement)
        queue.done(work, in: 0, isSuccess: false)
    }

    @Test func `what has failed goes behind other work and comes again`() throws {
        let (_, transfers) = try WorkQueueTests.transfers(3)
        let queue = WorkQueue.holding(transfers, concurrency: 1)
        try Self.fail(queue, queue.next(), Self.later(0.05))
        for expected in ["begin 1", "begin 2"] {
            let work = try #require(queue.next())
            if expected == "begin 1" { #expect(WorkQueueTests.describe(work) == expected) }
            queue.done(work, in: 0)
        }
        // Waits for the time, since there is nothing else.
        let last = try #require(queue.next())
        #expect(last.isRetry)
        #expect(WorkQueueTests.describe(last) == "begin 0")
    }

    @Test func `retries take a quarter of the places while there is other work`() throws {
        let (_, transfers) = try WorkQueueTests.transfers(12)
        let queue = WorkQueue.holding(transfers, concurrency: 8)
        let failing = (0..<4).map { _ in queue.next() }
        for work in failing { try Self.fail(queue, work, Self.later(-1)) }
        let taken = (0..<8).compactMap { _ in queue.next() }
        #expect(taken.count == 8)
        #expect(taken.count(where: \.isRetry) == 2)
    }

    @Test func `a body that arrives makes room for one that was asked to wait`() throws {
        let (_, transfers) = try WorkQueueTests.transfers(1)
        let queue = WorkQueue.holding(transfers, concurrency: 4)
        try Self.fail(queue, queue.next(), Self.later(3600, isThrottled: true))
        #expect(queue.isDry)
        queue.bodyDelivered(in: 1)
        #expect(!queue.isDry)
        #expect(queue.next()?.isRetry == true)
    }

    @Test func `of an upload that only fails one part at a time is tried`() throws {
        let (_, transfers) = try WorkQueueTests.transfers(1)
        let queue = WorkQueue.holding(transfers, concurrency: 4)
        queue.next().map { queue.done($0, in: 0) }
        queue.add(parts: try WorkQueueTests.parts(Array(1...6)), of: transfers[0])
        let now = Moment.now()
        for _ in 0..<8 { transfers[0].streak.noteFailure(ofTryStartedAt: now, at: now) }
        let first = queue.next()
        #expect(WorkQueueTests.describe(first) == "part 0.1")
        try Self.fail(queue, first, Self.later(-1))
        #expect(queue.postponedCount == 6)
        let second = try #require(queue.next())
        #expect(WorkQueueTests.describe(second) == "part 0.2", "each in its turn")
        #expect(queue.isDry)
        queue.done(second, in: 0)
        #expect(queue.postponedCount == 0, "it works again")
        #expect((0..<4).map { _ in WorkQueueTests.describe(queue.next()) } == (3...6).map { "part 0.\($0)" })
    }

    @Test func `what is dropped does not come again`() throws {
        let (_, transfers) = try WorkQueueTests.transfers(1)
        let queue = WorkQueue.holding(transfers, concurrency: 1)
        try Self.fail(queue, queue.next(), Self.later(-1))
        queue.drop(transfers[0])
        #expect(queue.isDry)
        #expect(queue.postponedCount == 0)
    }

    /// Another upload's failures, hours ago, are none of today's.
    @Test func `a streak counts only while something is tried`() {
        let streak = FailureStreak()
        func at(_ seconds: Double) -> Moment { Moment(nanoseconds: Int64(seconds * 1e9)) }
        streak.noteFailure(ofTryStartedAt: at(10), at: at(11))
        #expect(streak.seconds(at: at(20)) == 10)
        streak.noteFailure(ofTryStartedAt: at(1000), at: at(1001))
        #expect(streak.seconds(at: at(1001)) == 2)
        streak.noteProgress(at: at(1002))
        #expect(streak.seconds(at: at(2000)) == 0)
    }
}
