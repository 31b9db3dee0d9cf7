import MuleLedger
import MulePlan
import MuleSystem
import MuleTransport
import Synchronization
import TestSupport
import Testing

@testable import MuleUpload

/// Which work comes next, and how much of it at a time.
@Suite struct WorkQueueTests {
    static func transfers(_ count: Int, areSmall: Bool = false) throws -> (EngineHarness, [Transfer]) {
        try transfers(count, ofSize: areSmall ? 100 : nil)
    }

    /// - Parameter size: nil for uploads in parts.
    static func transfers(_ count: Int, ofSize size: Int64?) throws -> (EngineHarness, [Transfer]) {
        let harness = try EngineHarness()
        let service = try harness.service(Cancellation())
        let path = try size.map { try harness.file(size: $0) } ?? harness.file()
        let partSize = size == nil ? EngineHarness.partSize : nil
        let uploads = try (0..<count).map { number in
            try harness.newUpload(path, EngineHarness.Options(key: "\(number)", partSize: partSize))
        }
        let transfers = try harness.ledger.claim(uploads).map { claim in
            guard case .began(let record, let lease) = claim else { throw HarnessFailure("no row") }
            return Transfer(
                UploadJob(
                    source: .file([]),
                    destination: record.upload.destination,
                    row: .claimed(record, lease),
                    service: service
                )
            )
        }
        return (harness, transfers)
    }

    static func parts(_ numbers: [Int]) throws -> [PartWork] {
        let file = try File.openForReading(path: Array("/dev/null".utf8))
        return numbers.map { PartWork(number: $0, slice: FileSlice(file: file, offset: 0, length: 1)) }
    }

    static func describe(_ work: Work?) -> String {
        guard let work else { return "end" }
        let key = work.transfer.job.destination.key.string
        return switch work.step {
        case .begin: "begin \(key)"
        case .reconcile(let isGone): "look again \(key) \(isGone)"
        case .part(let part): "part \(key).\(part.number)"
        case .complete: "complete \(key)"
        }
    }

    @Test func `ends go before parts and parts before beginnings`() throws {
        let (_, transfers) = try Self.transfers(3)
        let queue = WorkQueue.holding(transfers, concurrency: 1)
        func next() -> String {
            let work = queue.next()
            work.map(queue.done)
            return Self.describe(work)
        }
        #expect(next() == "begin 0")
        queue.add(parts: try Self.parts([1, 2]), of: transfers[0])
        #expect(next() == "part 0.1")
        queue.add(completionOf: transfers[0])
        #expect(next() == "complete 0")
        #expect(next() == "part 0.2")
        #expect(next() == "begin 1")
        #expect(next() == "begin 2")
    }

    @Test func `one is started ahead of the last parts`() throws {
        let (_, transfers) = try Self.transfers(4)
        let queue = WorkQueue.holding(transfers, concurrency: 3)
        func next() -> String {
            let work = queue.next()
            work.map(queue.done)
            return Self.describe(work)
        }
        #expect(next() == "begin 0")
        queue.add(parts: try Self.parts([1, 2, 3, 4]), of: transfers[0])
        // As many parts wait as may be in flight: no worker will be idle for some time.
        #expect(next() == "part 0.1")
        #expect(next() == "part 0.2")
        #expect(next() == "begin 1")
        // One at a time, or a list of files would be open at once.
        #expect(next() == "part 0.3")
        queue.add(parts: try Self.parts([1, 2]), of: transfers[1])
        #expect(next() == "part 0.4")
        #expect(next() == "part 1.1")
        #expect(next() == "begin 2")
        #expect(next() == "part 1.2")
        // It had no parts: what is left is for all that have nothing else to do.
        #expect(next() == "begin 3")
    }

    /// If the link decides the number of bodies in flight, completing does not count as one; a configured number limits
    /// all requests.
    @Test(arguments: [true, false]) func `an end leaves room for a body`(isAdaptive: Bool) throws {
        let (_, transfers) = try Self.transfers(2)
        let queue = WorkQueue.holding(transfers, concurrency: 1, isAdaptive: isAdaptive)
        queue.add(parts: try Self.parts([1, 2]), of: transfers[1])
        queue.add(completionOf: transfers[0])
        queue.add(completionOf: transfers[1])
        #expect(queue.wantsWorker())
        let end = queue.next()
        #expect(Self.describe(end) == "complete 1")
        try #require(queue.wantsWorker() == isAdaptive)
        guard isAdaptive, let end else { return }
        #expect(Self.describe(queue.next()) == "complete 0", "the second one counts")
        #expect(!queue.wantsWorker())
        queue.done(end)
        // There is one thread more than leave.
        #expect(Self.describe(queue.next()) == "end")
    }

    @Test func `what was not announced is given out all the same`() throws {
        let (_, transfers) = try Self.transfers(2)
        let queue = WorkQueue(concurrency: 2)
        queue.add(transfers)
        queue.seal()
        let taker = startedThread("taker") {
            for _ in 0..<2 { #expect(queue.next() != nil) }
            queue.close()
        }
        taker.join()
    }

    @Test func `the oldest upload is finished first`() throws {
        let (_, transfers) = try Self.transfers(2)
        let queue = WorkQueue.holding(transfers, concurrency: 100)
        for _ in 0..<2 { _ = queue.next() }
        queue.add(parts: try Self.parts([1, 2]), of: transfers[0])
        queue.add(parts: try Self.parts([1, 2]), of: transfers[1])
        queue.add(parts: try Self.parts([3]), of: transfers[0])
        #expect(
            (0..<5).map { _ in Self.describe(queue.next()) } == [
                "part 0.1", "part 0.2", "part 1.1", "part 1.2", "part 0.3",
            ]
        )
    }

    @Test func `a dropped transfer leaves no work`() throws {
        let (_, transfers) = try Self.transfers(2)
        let queue = WorkQueue.holding(transfers, concurrency: 100)
        _ = queue.next()
        _ = queue.next()
        queue.add(parts: try Self.parts([1, 2]), of: transfers[0])
        queue.add(parts: try Self.parts([1]), of: transfers[1])
        queue.add(completionOf: transfers[0])
        queue.drop(transfers[0])
        #expect(Self.describe(queue.next()) == "part 1.1")
        queue.transferEnded()
        queue.transferEnded()
        #expect(Self.describe(queue.next()) == "end")
    }

    @Test func `a closed queue gives nothing`() throws {
        let (_, transfers) = try Self.transfers(1)
        let queue = WorkQueue.holding(transfers, concurrency: 1)
        queue.close()
        #expect(Self.describe(queue.next()) == "end")
    }

    @Test func `throttling halves and success grows`() throws {
        let (_, transfers) = try Self.transfers(1)
        let queue = WorkQueue.holding(transfers, concurrency: 8)
        queue.add(parts: try Self.parts(Array(1...20)), of: transfers[0])
        var taken: [Work] = []
        for _ in 0..<8 { taken.append(try #require(queue.next())) }
        queue.throttled()
        for work in taken[..<4] { queue.done(work) }
        // Four are in flight, the limit is four: no worker gets more until one more is done.
        let hasTaken = Atomic<Bool>(false)
        let taker = startedThread("taker") {
            _ = queue.next()
            hasTaken.store(true, ordering: .sequentiallyConsistent)
        }
        let tookEarly = hasTaken.load(ordering: .sequentiallyConsistent)
        #expect(!tookEarly)
        queue.bodyDelivered(in: 0.1)
        taker.join()
        // Never below one.
        for _ in 0..<10 { queue.throttled() }
        for work in taken[4...] + taken[..<1] { queue.done(work) }
        #expect(Self.describe(queue.next()).hasPrefix("part"))
    }
}

extension WorkQueueTests {
    /// One who waits for leave that may never come is woken by all that happens, for nothing.
    @Test func `workers beyond the limit leave and are hired again`() throws {
        let (_, transfers) = try Self.transfers(1)
        let queue = WorkQueue.holding(transfers, concurrency: 4)
        queue.add(parts: try Self.parts(Array(1...20)), of: transfers[0])
        var taken: [Work] = []
        for _ in 0..<4 {
            #expect(queue.wantsWorker())
            taken.append(try #require(queue.next()))
        }
        #expect(!queue.wantsWorker())
        queue.throttled()
        for work in taken[..<2] {
            queue.done(work)
            #expect(Self.describe(queue.next()) == "end")
        }
        queue.done(taken[2])
        #expect(Self.describe(queue.next()).hasPrefix("part"))
        #expect(!queue.wantsWorker())
        queue.bodyDelivered(in: 1)
        #expect(queue.wantsWorker())
        #expect(Self.describe(queue.next()).hasPrefix("part"))
    }

    /// The law itself is tested where it is: `ConcurrencyControlTests`.
    @Test func `an adaptive queue begins with few and follows the line`() throws {
        #expect(try Self.limit(concurrency: 64, isAdaptive: true, expected: 8) == 8)
        #expect(try Self.limit(concurrency: 3, isAdaptive: true, expected: 3) == 3)
        #expect(try Self.limit(concurrency: 64, isAdaptive: true, expected: 1) { $0.throttled() } == 1)
    }

    @Test(arguments: [1, 3, 16])
    func `a fixed concurrency does not follow the link`(concurrency: Int) throws {
        let limit = try Self.limit(concurrency: concurrency, isAdaptive: false, expected: concurrency) { queue in
            for seconds in [1, 30, 30, 30, 1.0] { queue.bodyDelivered(in: seconds) }
        }
        #expect(limit == concurrency)
    }

    /// How many pieces of work the queue hands out while none is done.
    private static func limit(
        concurrency: Int,
        isAdaptive: Bool,
        expected: Int,
        after prepare: (WorkQueue) -> Void = { _ in }
    ) throws -> Int {
        let (_, transfers) = try transfers(1)
        let queue = WorkQueue.holding(transfers, concurrency: concurrency, isAdaptive: isAdaptive)
        prepare(queue)
        queue.add(parts: try parts(Array(1...40)), of: transfers[0])
        let count = Monitor(0)
        let taker = startedThread("taker") {
            while queue.next() != nil { count.update { $0 += 1 } }
        }
        _ = count.wait(until: Moment.now().adding(seconds: 5)) { $0 >= expected ? true : nil }
        queue.close()
        taker.join()
        return count.withLock { $0 }
    }
}

/// Small files in addition to the limit; their law is tested in `SmallFileControlTests`.
extension WorkQueueTests {
    /// Takes work on one thread as long as there is some, and counts it.
    private struct Taker {
        let queue: WorkQueue
        let taken = Monitor<[Work]>([])

        func start() -> Thread {
            startedThread("taker") { [queue, taken] in
                while let work = queue.next() { taken.update { $0.append(work) } }
            }
        }

        var count: Int { taken.withLock { $0.count } }

        func wait(for expected: Int) -> Int {
            _ = taken.wait(until: Moment.now().adding(seconds: 10)) { $0.count >= expected ? true : nil }
            return count
        }
    }

    private static func answer(_ slot: Work.Slot) -> WorkQueue.SmallAnswer {
        WorkQueue.SmallAnswer(size: 100, seconds: 0.2, slot: slot)
    }

    @Test func `small files that wait for a distant store are sent in addition to the limit`() throws {
        let (_, transfers) = try Self.transfers(300, areSmall: true)
        let queue = WorkQueue.holding(transfers, concurrency: 64, smallFiles: 256, isAdaptive: true)
        let taker = Taker(queue: queue)
        let thread = taker.start()
        // Without an answer.
        #expect(taker.wait(for: 96) == 96)
        for _ in 0..<16 { queue.bodyDelivered(in: 0.2, of: Self.answer(.smallFile)) }
        // The square root of 300 files, 0.2 s each, over 2 ms for a connection.
        #expect(taker.wait(for: 173) == 173)
        queue.throttled()
        let extra = taker.taken.withLock { taken in taken.filter { $0.slot == .smallFile } }
        #expect(extra.count == 173 - ConcurrencyControl.start)
        for work in extra.prefix(80) { queue.done(work, in: 0.2) }
        sleep(until: Moment.now().adding(seconds: 0.1), Cancellation())
        #expect(taker.count == 173, "86 may be in flight, and 93 are")
        for work in extra[80..<90] { queue.done(work, in: 0.2) }
        #expect(taker.wait(for: 176) == 176)
        queue.close()
        thread.join()
    }

    @Test func `a larger file at the head does not hold small files back`() throws {
        let (harness, small) = try Self.transfers(80, ofSize: 100)
        let (other, larger) = try Self.transfers(2, ofSize: 1 << 20)
        let queue = WorkQueue.holding(
            Array(small[..<7] + larger + small[7...]),
            concurrency: 64,
            smallFiles: 256,
            isAdaptive: true
        )
        let taker = Taker(queue: queue)
        let thread = taker.start()
        // Seven small files and a larger one reach the limit. The other larger file waits.
        #expect(taker.wait(for: 65) == 65)
        queue.close()
        thread.join()
        withExtendedLifetime((harness, other)) {}
        let first = taker.taken.withLock { taken in taken.prefix(8).map { $0.slot } }
        #expect(first == Array(repeating: .limit, count: 8), "the order is kept up to the limit")
        #expect(taker.taken.withLock { $0.count { $0.transfer.smallSize == nil } } == 1)
    }

    @Test func `larger files that wait do not keep small ones from being found`() throws {
        let (harness, larger) = try Self.transfers(200, ofSize: 1 << 20)
        let (other, small) = try Self.transfers(130, ofSize: 100)
        let queue = WorkQueue.holding(larger, concurrency: 8, smallFiles: 256, isAdaptive: true)
        #expect(queue.short(of: [.small]) == [.small])
        queue.add(small)
        #expect(queue.short(of: [.small]) == [])
        withExtendedLifetime((harness, other)) {}
    }

    @Test(arguments: [true, false])
    func `nothing is in addition to a number that the user set, nor larger files`(isAdaptive: Bool) throws {
        let (_, transfers) = try Self.transfers(40, areSmall: !isAdaptive)
        let queue = WorkQueue.holding(transfers, concurrency: 8, smallFiles: 256, isAdaptive: isAdaptive)
        let taker = Taker(queue: queue)
        let thread = taker.start()
        #expect(taker.wait(for: 8) == 8)
        if !isAdaptive {
            for _ in 0..<16 { queue.bodyDelivered(in: 0.2, of: Self.answer(.limit)) }
        }
        sleep(until: Moment.now().adding(seconds: 0.1), Cancellation())
        #expect(taker.count == 8)
        queue.close()
        thread.join()
    }

    @Test func `parts get their share of the limit while small files are sent`() throws {
        let (harness, small) = try Self.transfers(100, areSmall: true)
        let (other, large) = try Self.transfers(1)
        let queue = WorkQueue.holding(small + large, concurrency: 64, smallFiles: 256, isAdaptive: true)
        queue.add(parts: try Self.parts(Array(1...100)), of: large[0])
        let taker = Taker(queue: queue)
        let thread = taker.start()
        _ = taker.wait(for: 60)
        queue.close()
        thread.join()
        withExtendedLifetime((harness, other)) {}
        let parts = taker.taken.withLock { $0.count { $0.share == .part } }
        #expect((1...8).contains(parts))
        #expect(taker.count > 40, "small files do not count against the limit")
    }

    @Test func `threads for small files leave when there are no more`() throws {
        let (_, transfers) = try Self.transfers(30, areSmall: true)
        let queue = WorkQueue.holding(transfers, concurrency: 64, smallFiles: 256, isAdaptive: true)
        let pool = WorkerPool()
        let inFlight = Monitor((now: 0, most: 0))
        @Sendable func serve() {
            while let work = queue.next() {
                if queue.wantsWorker() { try? pool.start(serve) }
                inFlight.update { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
                sleep(until: Moment.now().adding(seconds: 0.2), Cancellation())
                inFlight.update { $0.now -= 1 }
                queue.done(work, in: 0.2)
                queue.transferEnded()
            }
        }
        #expect(queue.wantsWorker())
        try pool.start(serve)
        pool.waitForAll()
        #expect(inFlight.withLock { $0.most } > ConcurrencyControl.start)
    }
}

/// Only what concerns those who wait wakes them, so each thing that does must.
@Suite struct WorkQueueWakingTests {
    /// What a thread that has gone to sleep in `body` comes back with after `event`; nil when it sleeps on.
    private func answer(
        _ queue: WorkQueue,
        to event: () throws -> Void,
        of body: @escaping @Sendable (WorkQueue) -> String
    ) rethrows -> String? {
        let answer = Monitor(String?.none)
        let sleeper = startedThread("sleeper") {
            let text = body(queue)
            answer.update { $0 = text }
        }
        while queue.sleepers == 0 { sleep(until: Moment.now().adding(seconds: 0.001), Cancellation()) }
        try event()
        let text = answer.wait(until: Moment.now().adding(seconds: 20)) { $0 }
        queue.close()
        sleeper.join()
        return text
    }

    private func next(_ queue: WorkQueue, after event: () throws -> Void) rethrows -> String? {
        try answer(queue, to: event) { WorkQueueTests.describe($0.next()) }
    }

    /// A queue of one started upload, with as many workers as allowed.
    private func startedUpload(concurrency: Int = 2) throws -> (queue: WorkQueue, transfer: Transfer, work: Work) {
        let (_, transfers) = try WorkQueueTests.transfers(1)
        let queue = WorkQueue.holding(transfers, concurrency: concurrency)
        return (queue, transfers[0], try #require(queue.next()))
    }

    @Test func `parts that are added`() throws {
        let (queue, transfer, _) = try startedUpload()
        #expect(try next(queue) { queue.add(parts: try WorkQueueTests.parts([1]), of: transfer) } == "part 0.1")
    }

    @Test func `an end of an upload`() throws {
        let (queue, transfer, _) = try startedUpload()
        #expect(next(queue) { queue.add(completionOf: transfer) } == "complete 0")
    }

    @Test func `a second look`() throws {
        let (queue, transfer, _) = try startedUpload()
        #expect(next(queue) { queue.add(reconciling: transfer, isGone: true) } == "look again 0 true")
    }

    @Test func `uploads that are added`() throws {
        let (_, transfers) = try WorkQueueTests.transfers(1)
        let queue = WorkQueue(concurrency: 2)
        #expect(next(queue) { queue.add(transfers) } == "begin 0")
    }

    @Test func `the end of the last`() throws {
        let (queue, _, _) = try startedUpload()
        #expect(next(queue) { queue.transferEnded() } == "end")
    }

    @Test func `that there will be no more`() {
        let queue = WorkQueue(concurrency: 2)
        #expect(next(queue) { queue.seal() } == "end")
    }

    @Test func `a place that is free`() throws {
        let (queue, transfer, work) = try startedUpload(concurrency: 1)
        queue.add(parts: try WorkQueueTests.parts([1]), of: transfer)
        #expect(next(queue) { queue.done(work) } == "part 0.1")
    }

    @Test func `leave for one more`() throws {
        let (queue, transfer, work) = try startedUpload(concurrency: 2)
        queue.add(parts: try WorkQueueTests.parts([1, 2]), of: transfer)
        queue.done(work)
        queue.throttled()
        _ = queue.next()
        #expect(next(queue) { queue.bodyDelivered(in: 1) } == "part 0.2")
    }

    @Test func `leave for one fewer`() throws {
        let (queue, transfer, _) = try startedUpload(concurrency: 2)
        queue.add(parts: try WorkQueueTests.parts([1]), of: transfer)
        for _ in 0..<2 { #expect(queue.wantsWorker()) }
        _ = queue.next()
        #expect(next(queue) { queue.throttled() } == "end")
    }

    @Test(arguments: [true, false]) func `little that waits`(isTaken: Bool) throws {
        let (_, transfers) = try WorkQueueTests.transfers(128)
        let kind = transfers[0].job.share
        let queue = WorkQueue.holding(transfers, concurrency: 2)
        let kinds = answer(
            queue,
            to: { if isTaken { _ = queue.next() } else { queue.close() } },
            of: { "\($0.waitUntilShort(of: [kind]).count)" }
        )
        #expect(kinds == (isTaken ? "1" : "0"))
    }
}

/// Threads that come and go.
@Suite struct CrewTests {
    @Test func `those that have left are cleared away`() throws {
        let pool = WorkerPool()
        let done = Atomic<Int>(0)
        for number in 1...50 {
            try pool.start { done.add(1, ordering: .relaxed) }
            while done.load(ordering: .relaxed) < number {
                sleep(until: Moment.now().adding(seconds: 0.001), Cancellation())
            }
        }
        // The last ones may be on their way out.
        #expect(pool.count < 10)
        pool.waitForAll()
        #expect(pool.count == 0)
    }

    @Test func `all are waited for also those that others hire`() throws {
        let pool = WorkerPool()
        let done = Atomic<Int>(0)
        try pool.start {
            for _ in 0..<5 {
                try? pool.start {
                    sleep(until: Moment.now().adding(seconds: 0.05), Cancellation())
                    done.add(1, ordering: .relaxed)
                }
            }
        }
        pool.waitForAll()
        let count = done.load(ordering: .relaxed)
        #expect(count == 5)
    }
}

extension WorkQueue {
    /// All that a run will ever have.
    static func holding(
        _ transfers: [Transfer],
        concurrency: Int,
        smallFiles: Int = 0,
        isAdaptive: Bool = false
    ) -> WorkQueue {
        let queue = WorkQueue(
            concurrency: concurrency,
            smallFiles: smallFiles,
            pacer: isAdaptive ? BodyPacer(nil, isBounded: true) : nil
        )
        var findings = FeedCounts()
        for transfer in transfers { findings.count(transfer.job) }
        queue.announce(findings.waiting)
        queue.add(transfers)
        queue.seal()
        return queue
    }

    fileprivate func done(_ work: Work) {
        done(work, in: 1)
    }
}
