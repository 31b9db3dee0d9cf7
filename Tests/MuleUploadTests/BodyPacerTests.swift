import MulePlan
import MuleS3
import MuleSystem
import Testing

@testable import MuleUpload

@Suite struct BodyPacerTests {
    /// What a body may send within a time, with repeated requests.
    private func granted(_ pacer: BodyPacer, _ age: Int, seconds: Double) -> Int {
        let end = Moment.now().adding(seconds: seconds)
        var sum = 0
        while Moment.now() < end { sum += pacer.grant(1_000_000, to: age) }
        return sum
    }

    @Test func `the rate is kept by all together`() {
        let pacer = BodyPacer(RateTimetable(always: 1_000_000), isBounded: false)
        var transfer = BodyTransfer()
        let began = Moment.now()
        let ages = [pacer.nextAge(), pacer.nextAge()]
        for age in ages { _ = pacer.start(age, length: 1 << 30, with: &transfer) {} }
        let sent = granted(pacer, ages[0], seconds: 0.2) + granted(pacer, ages[1], seconds: 0.2)
        #expect(Double(sent) <= 1e6 * (Moment.now().seconds(since: began) + 0.25))
        #expect(sent > 100_000)
    }

    @Test(arguments: [(true, false), (false, false), (false, true)])
    func `a body is paced only where it can be held`(isBounded: Bool, hasLimit: Bool) {
        let pacer = BodyPacer(hasLimit ? RateTimetable(always: 1000) : nil, isBounded: isBounded)
        var transfer = BodyTransfer()
        _ = pacer.start(pacer.nextAge(), length: 1 << 30, with: &transfer) {}
        #expect((transfer.pace != nil) == (isBounded || hasLimit))
    }

    @Test func `the timetable is asked again while it lasts`() throws {
        let minute = Monitor(7 * 60 + 59)
        let pacer = BodyPacer(try RateTimetable("08:00-18:00=10, *=off"), isBounded: true) {
            RateTimetable.Time(weekday: 0, minute: minute.withLock { $0 })
        }
        var transfer = BodyTransfer()
        let age = pacer.nextAge()
        let body = pacer.start(age, length: 1 << 30, with: &transfer) {}
        #expect(pacer.grant(1_000_000, to: age) > 10_000)
        #expect(pacer.outlook.budget == nil)
        minute.withLock { $0 += 1 }
        sleep(until: Moment.now().adding(seconds: 1.01), Cancellation())
        #expect(pacer.grant(1_000_000, to: age) <= 10)
        #expect(pacer.outlook.budget == 100)
        minute.withLock { $0 = 18 * 60 }
        sleep(until: Moment.now().adding(seconds: 1.01), Cancellation())
        #expect(pacer.grant(1_000_000, to: age) > 10_000)
        #expect(pacer.outlook.budget == nil)
        body.end(isThere: true)
    }

    @Test func `a body that is held is not slow and is told when it continues`() {
        let pacer = BodyPacer(RateTimetable(always: 1000), isBounded: true)
        let released = Monitor(0)
        var transfer = BodyTransfer()
        transfer.isLeftBehind = { true }
        let age = pacer.nextAge()
        let body = pacer.start(age, length: 1 << 20, with: &transfer) { released.withLock { $0 += 1 } }
        #expect(transfer.isLeftBehind?() == true)
        while transfer.pace?(1000) != 0 {}
        #expect(body.isHeld && transfer.isLeftBehind?() == false)
        while transfer.pace?(1000) == 0 { sleep(until: Moment.now().adding(seconds: 0.01), Cancellation()) }
        #expect(!body.isHeld && released.withLock { $0 } > 0)
        #expect(body.end(isThere: true) > 0)
    }
}
