import MulePlan
import MuleSystem
import Synchronization
import Testing

@testable import MuleUpload

/// How long is hoped, and how fast is sent.
@Suite struct StallTimerTests {
    private final class TestClock: Sendable {
        private let time = Mutex<Double>(1000)

        func advance(_ seconds: Double) { time.withLock { $0 += seconds } }

        func now() -> Moment { Moment(nanoseconds: time.withLock { Int64($0 * 1e9) }) }
    }

    @Test func `the limit counts from the last progress`() {
        let clock = TestClock()
        let timer = StallTimer(limit: 10, clock: { clock.now() })
        #expect(timer.remaining == 10)
        clock.advance(4)
        #expect(timer.remaining == 6)
        timer.noteProgress()
        #expect(timer.remaining == 10)
        for _ in 1...10 {
            clock.advance(1)
            timer.tick()
        }
        #expect(timer.remaining == 0)
        clock.advance(1)
        #expect(timer.remaining < 0)
    }

    /// Commands without ticks wait longer between two tries than a gap is.
    @Test func `without ticks all time counts`() {
        let clock = TestClock()
        let timer = StallTimer(limit: 10, clock: { clock.now() })
        clock.advance(7)
        #expect(timer.remaining == 3)
        clock.advance(7)
        #expect(timer.remaining == -4)
    }

    /// SIGSTOP, a paused virtual machine: two hours in which nothing could move are not the network's fault.
    @Test func `time in which the process did not run does not count`() {
        let clock = TestClock()
        let timer = StallTimer(limit: 10, clock: { clock.now() })
        clock.advance(3)
        timer.tick()
        clock.advance(7200)
        #expect(timer.remaining == 7)
        // The first look after it is the one that counts, not every one.
        clock.advance(4)
        #expect(timer.remaining == 3)
    }

    @Test func `a cancelled pause is over`() {
        let cancellation = Cancellation()
        cancellation.cancel()
        let began = Moment.now()
        sleep(until: began.adding(seconds: 60), cancellation)
        #expect(Moment.now().seconds(since: began) < 30)
    }
}
