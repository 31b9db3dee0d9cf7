import MulePlan
import MuleSystem
import Testing

@testable import MuleCLI

/// When a run of a job may start, and when it stops.
@Suite struct BorderTests {
    private static let hour: Int64 = 3_600_000

    private func session(startedAgo milliseconds: Int64) throws -> Session {
        var session = try Session(
            Arguments(),
            environment: [:],
            cancellation: Cancellation(),
            diagnostics: Diagnostics(environment: [:]),
            output: StandardOutput(isNeeded: false)
        )
        session.startedAt = wallClockMilliseconds() - milliseconds
        return session
    }

    private func minute(ago milliseconds: Int64) -> Int { localMinuteOfDay(at: wallClockMilliseconds() - milliseconds) }

    @Test func `a job whose border passed while another one ran does not begin`() throws {
        var job = JobOptions()
        job.until = minute(ago: Self.hour)
        #expect(
            try session(startedAgo: 2 * Self.hour).reasonNotToBegin(job)?.contains("its time limit has passed") == true
        )
        #expect(try session(startedAgo: 0).reasonNotToBegin(job) == nil, "that is tomorrow's border")
        job.until = nil
        job.window = DayWindow(start: minute(ago: 3 * Self.hour), end: minute(ago: Self.hour))
        #expect(
            try session(startedAgo: 2 * Self.hour).reasonNotToBegin(job)?.contains("its time limit has passed") == true
        )
        #expect(try session(startedAgo: 0).reasonNotToBegin(job)?.contains("outside its window") == true)
    }

    @Test func `the first of two borders counts`() throws {
        var job = JobOptions()
        job.window = DayWindow(start: minute(ago: Self.hour), end: minute(ago: -2 * Self.hour))
        job.until = minute(ago: -Self.hour)
        let border = try #require(try session(startedAgo: 0).border(job))
        #expect(border - wallClockMilliseconds() <= Self.hour)
    }
}
