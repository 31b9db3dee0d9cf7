import Glibc

/// A moment of the monotonic clock, which stands still while the machine sleeps and never jumps.
package struct Moment: Hashable, Comparable, Sendable {
    /// Nanoseconds since some fixed moment in the past.
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    package static func now() -> Moment {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Moment(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    package func adding(seconds: Double) -> Moment {
        Moment(nanoseconds: nanoseconds + Int64(seconds * 1e9))
    }

    /// Seconds that have passed since the other moment.
    package func seconds(since other: Moment) -> Double {
        Double(nanoseconds - other.nanoseconds) / 1e9
    }

    package static func < (one: Moment, other: Moment) -> Bool { one.nanoseconds < other.nanoseconds }
}

/// Milliseconds since 1970 by the machine's wall clock, which may be wrong and may jump.
package func wallClockMilliseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
}

/// The time of the week by the clock on the wall, in the zone that `TZ` or the machine names.
package func localTimeOfWeek() -> (weekday: Int, minute: Int) {
    var seconds = time(nil)
    var fields = tm()
    localtime_r(&seconds, &fields)
    // `tm_wday` counts from Sunday; here 0 is Monday.
    return ((Int(fields.tm_wday) + 6) % 7, Int(fields.tm_hour) * 60 + Int(fields.tm_min))
}
