import Glibc
import MuleSystem
import Testing

@Suite("The clock on the wall")
struct ClockTests {
    /// Run in a separate process, because the zone applies to all threads. Moments are seconds since 1970; the clocks
    /// of this zone go forward on 2026-03-29 at 01:00 UTC and back on 2026-10-25 at 01:00 UTC.
    private static func useBerlin() {
        setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1)
        tzset()
    }

    @Test
    func `an ordinary day has each time once, and it is the next one that counts`() async {
        await #expect(processExitsWith: .success) {
            ClockTests.useBerlin()
            // 2026-06-15 10:00 UTC is noon.
            #expect(nextLocalTime(minuteOfDay: 13 * 60, after: 1_781_517_600) == 1_781_521_200_000)
            #expect(nextLocalTime(minuteOfDay: 12 * 60, after: 1_781_517_600) == 1_781_604_000_000)
        }
    }

    @Test
    func `in the night in which the clocks go forward, a time that they jump over is the moment of the jump`() async {
        await #expect(processExitsWith: .success) {
            ClockTests.useBerlin()
            let jump = 1_774_746_000
            let wanted = 2 * 60 + 30
            // The evening before, and an hour before.
            #expect(nextLocalTime(minuteOfDay: wanted, after: jump - 4 * 3600) == Int64(jump) * 1000)
            #expect(nextLocalTime(minuteOfDay: wanted, after: jump - 3600) == Int64(jump) * 1000)
            // After it the next one is the next day's, and not an hour late: 02:30 is half past midnight in UTC.
            for later in [0, 900, 2 * 3600, 12 * 3600] {
                let next = Int64(jump + 23 * 3600 + 1800) * 1000
                #expect(nextLocalTime(minuteOfDay: wanted, after: jump + later) == next)
            }
            // 02:00 is the jump, 03:00 too.
            #expect(nextLocalTime(minuteOfDay: 3 * 60, after: jump - 60) == Int64(jump) * 1000)
            #expect(nextLocalTime(minuteOfDay: 2 * 60, after: jump - 60) == Int64(jump) * 1000)
        }
    }

    @Test
    func `in the night in which the clocks go back, a time that comes twice counts both times`() async {
        await #expect(processExitsWith: .success) {
            ClockTests.useBerlin()
            let change = 1_792_890_000
            let first = Int64(change - 1800) * 1000
            #expect(nextLocalTime(minuteOfDay: 2 * 60 + 30, after: change - 4 * 3600) == first)
            #expect(nextLocalTime(minuteOfDay: 2 * 60 + 30, after: change - 1800) == Int64(change + 1800) * 1000)
            let next = Int64(change + 1800 + 86_400) * 1000
            #expect(nextLocalTime(minuteOfDay: 2 * 60 + 30, after: change + 1800) == next)
        }
    }
}
