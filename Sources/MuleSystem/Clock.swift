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

/// Today by the clock on the wall, in the zone that `TZ` or the machine names.
package func localDate() -> (year: Int, month: Int, day: Int) {
    var seconds = time(nil)
    var fields = tm()
    localtime_r(&seconds, &fields)
    return (Int(fields.tm_year) + 1900, Int(fields.tm_mon) + 1, Int(fields.tm_mday))
}

/// When the clock on the wall shows this time of day next, in milliseconds since 1970.
package func nextLocalTime(minuteOfDay: Int) -> Int64 {
    let now = time(nil)
    var seconds = now
    var fields = tm()
    localtime_r(&seconds, &fields)
    fields.tm_hour = Int32(minuteOfDay / 60)
    fields.tm_min = Int32(minuteOfDay % 60)
    fields.tm_sec = 0
    // A night in which the clocks are changed is an hour longer or shorter.
    fields.tm_isdst = -1
    var then = mktime(&fields)
    if then <= now {
        fields.tm_mday += 1
        fields.tm_isdst = -1
        then = mktime(&fields)
    }
    return Int64(then) * 1000
}

/// The machine's name, as it was given; "localhost" where it has none.
package func hostName() -> String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
    let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return text.isEmpty ? "localhost" : text
}
