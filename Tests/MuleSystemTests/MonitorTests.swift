import MuleSystem
import TestSupport
import Testing

@Suite("Monitor")
struct MonitorTests {
    @Test
    func `what many threads add up under the lock is all there`() {
        let monitor = Monitor(0)
        let threads = (1...4).map { number in
            startedThread("adder-\(number)") {
                for _ in 1...5_000 { monitor.withLock { $0 += 1 } }
            }
        }
        for thread in threads { thread.join() }
        #expect(monitor.withLock { $0 } == 20_000)
    }

    @Test
    func `a waiter continues when an update makes its condition true, and not before`() {
        let monitor = Monitor(0)
        let thread = startedThread("counter") {
            for _ in 1...3 { monitor.update { $0 += 1 } }
        }
        let seen = monitor.wait { state in state >= 3 ? state : nil }
        thread.join()
        #expect(seen == 3)
    }

    @Test
    func `one update wakes all who wait, and each may take its own`() {
        let tickets = Monitor([Int]())
        let taken = Monitor(Set<Int>())
        let threads = (1...4).map { number in
            startedThread("taker-\(number)") {
                let ticket = tickets.wait { $0.popLast() }
                taken.update { _ = $0.insert(ticket) }
            }
        }
        tickets.update { $0 = [1, 2, 3, 4] }
        for thread in threads { thread.join() }
        #expect(taken.withLock { $0 } == [1, 2, 3, 4])
    }

    @Test
    func `a deadline ends the wait with nil, and not early`() {
        let start = Moment.now()
        let answer: Int? = Monitor(0).wait(until: start.adding(seconds: 0.05)) { _ in nil }
        #expect(answer == nil)
        #expect(Moment.now().seconds(since: start) >= 0.05)
    }

    @Test(arguments: [-1, 0, 1] as [Int64])
    func `a deadline that has passed still looks once`(nanoseconds: Int64) {
        let monitor = Monitor(7)
        let past = Moment(nanoseconds: nanoseconds)
        #expect(monitor.wait(until: past) { $0 } == 7)
        #expect(monitor.wait(until: past) { _ in Int?.none } == nil)
    }

    @Test
    func `a body that throws leaves the lock free`() {
        struct Problem: Error {}
        let monitor = Monitor(1)
        #expect(throws: Problem.self) { try monitor.withLock { _ throws in throw Problem() } }
        #expect(throws: Problem.self) { try monitor.update { _ throws in throw Problem() } }
        #expect(monitor.withLock { $0 } == 1)
    }
}

@Suite("Cancellation")
struct CancellationTests {
    @Test
    func `every waker is called, those that were taken back are not`() {
        let cancellation = Cancellation()
        let called = Monitor([Int]())
        let tickets = (1...3).map { number in cancellation.onCancel { called.update { $0.append(number) } } }
        #expect(Set(tickets).count == 3)
        cancellation.removeWaker(tickets[1])
        #expect(!cancellation.isCancelled)
        cancellation.cancel()
        #expect(cancellation.isCancelled)
        #expect(called.withLock { $0.sorted() } == [1, 3])
    }

    @Test
    func `it may be asked for again, and taking back an unknown waker does no harm`() {
        let cancellation = Cancellation()
        cancellation.removeWaker(42)
        cancellation.cancel()
        cancellation.cancel()
        #expect(cancellation.isCancelled)
    }

    @Test
    func `a waker that reads the flag sees it set, on another thread too`() {
        let cancellation = Cancellation()
        let seen = Monitor(Bool?.none)
        let ticket = cancellation.onCancel { seen.update { $0 = cancellation.isCancelled } }
        let thread = startedThread("canceller") { cancellation.cancel() }
        #expect(seen.wait { $0 })
        thread.join()
        cancellation.removeWaker(ticket)
    }
}

@Suite("Moments, threads and system errors")
struct SystemFactsTests {
    @Test
    func `moments are ordered and differ by what was added`() {
        let start = Moment(nanoseconds: 1_000)
        #expect(start.adding(seconds: 1.5).nanoseconds == 1_500_001_000)
        #expect(start.adding(seconds: 1.5).seconds(since: start) == 1.5)
        #expect(start.seconds(since: start.adding(seconds: 2)) == -2)
        #expect(start < start.adding(seconds: 1e-9))
        #expect(Moment.now() <= Moment.now())
    }

    @Test
    func `the wall clock is the one that the machine's dates come from`() {
        // Between 2024 and 2100.
        #expect((1_704_067_200_000...4_102_444_800_000).contains(wallClockMilliseconds()))
    }

    @Test
    func `a thread runs its body under its name`() {
        let name = Monitor("")
        startedThread("mule-part-7") {
            let text = try? File.contents(path: Array("/proc/thread-self/comm".utf8), limit: 100)
            name.update { $0 = String(decoding: text ?? [], as: UTF8.self) }
        }
        .join()
        #expect(name.withLock { $0 } == "mule-part-7\n")
    }

    @Test
    func `an error's reason is the C library's sentence, for unknown codes too`() {
        #expect(SystemError(code: 28, call: "write").description == "write: No space left on device")
        #expect(!SystemError(code: 9999, call: "write").reason.isEmpty)
    }
}
