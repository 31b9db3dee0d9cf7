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

/// The minute of the day that the clock on the wall shows at a time, in milliseconds since 1970; 0 to 1439.
package func localMinuteOfDay(at milliseconds: Int64) -> Int {
    var seconds = time_t(milliseconds / 1000)
    var fields = tm()
    localtime_r(&seconds, &fields)
    return Int(fields.tm_hour) * 60 + Int(fields.tm_min)
}

/// When the clock on the wall shows this time of day next, or passes it by where the clocks are put forward over it; in
/// milliseconds since 1970.
///
/// - Parameter now: seconds since 1970.
package func nextLocalTime(minuteOfDay: Int, after now: Int = time(nil)) -> Int64 {
    for day in 0...2 {
        if let then = moments(minuteOfDay: minuteOfDay, days: day, from: now).first(where: { $0 > now }) {
            return Int64(then) * 1000
        }
    }
    // No day is passed over as a whole, but in a zone that crosses the date line.
    return Int64(now + 86_400) * 1000
}

/// When the clock shows the time on a day, seconds since 1970: twice where the clocks are put back over it, and once where they
/// are put forward.
private func moments(minuteOfDay: Int, days: Int, from now: Int) -> [Int] {
    var start = tm()
    var seconds = now
    localtime_r(&seconds, &start)
    // Fields that mktime(3) has looked at are those of its answer, which may be another time of day: each try has its own.
    let tries = [-1, 0, 1].map { isDST in
        var fields = start
        fields.tm_mday += Int32(days)
        fields.tm_hour = Int32(minuteOfDay / 60)
        fields.tm_min = Int32(minuteOfDay % 60)
        fields.tm_sec = 0
        fields.tm_isdst = Int32(isDST)
        return (moment: mktime(&fields), minute: Int(fields.tm_hour) * 60 + Int(fields.tm_min))
    }
    let found = tries.filter { $0.minute == minuteOfDay }.map(\.moment)
    if !found.isEmpty { return Set(found).sorted() }
    // The clocks jump over it. The tries are what their two readings would make of it, with the jump in between.
    let moments = tries.map(\.moment)
    guard var before = moments.min(), var after = moments.max() else { return [] }
    let offset = offsetFromUTC(at: before)
    while after - before > 1 {
        let middle = before + (after - before) / 2
        if offsetFromUTC(at: middle) == offset { before = middle } else { after = middle }
    }
    return [after]
}

private func offsetFromUTC(at moment: Int) -> Int {
    var seconds = moment
    var fields = tm()
    localtime_r(&seconds, &fields)
    return fields.tm_gmtoff
}

/// The machine's name, as it was given; "localhost" where it has none.
package func hostName() -> String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
    let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return text.isEmpty ? "localhost" : text
}
