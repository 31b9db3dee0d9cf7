import Glibc

/// A moment of the monotonic clock, which stops while the machine is suspended and never jumps.
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

    /// Seconds since the other moment.
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

/// The time of the week in the zone of `TZ` or of the machine.
package func localTimeOfWeek() -> (weekday: Int, minute: Int) {
    var seconds = time(nil)
    var fields = tm()
    localtime_r(&seconds, &fields)
    // `tm_wday` counts from Sunday; here 0 is Monday.
    return ((Int(fields.tm_wday) + 6) % 7, Int(fields.tm_hour) * 60 + Int(fields.tm_min))
}

/// Today's date in the zone of `TZ` or of the machine.
package func localDate() -> (year: Int, month: Int, day: Int) {
    var seconds = time(nil)
    var fields = tm()
    localtime_r(&seconds, &fields)
    return (Int(fields.tm_year) + 1900, Int(fields.tm_mon) + 1, Int(fields.tm_mday))
}

/// The minute of the day in local time, 0 to 1439, of a time in milliseconds since 1970.
package func localMinuteOfDay(at milliseconds: Int64) -> Int {
    var seconds = time_t(milliseconds / 1000)
    var fields = tm()
    localtime_r(&seconds, &fields)
    return Int(fields.tm_hour) * 60 + Int(fields.tm_min)
}

/// The next time at which the local clock shows this minute of the day, or skips it when the clocks go forward; in
/// milliseconds since 1970.
///
/// - Parameter now: seconds since 1970.
package func nextLocalTime(minuteOfDay: Int, after now: Int = time(nil)) -> Int64 {
    for day in 0...2 {
        if let then = moments(minuteOfDay: minuteOfDay, days: day, from: now).first(where: { $0 > now }) {
            return Int64(then) * 1000
        }
    }
    // No whole day is skipped, except in a zone that crosses the date line.
    return Int64(now + 86_400) * 1000
}

/// The times on a day when the local clock shows this minute, in seconds since 1970: two if the clocks go back over it,
/// and the time of the jump if they go forward over it.
private func moments(minuteOfDay: Int, days: Int, from now: Int) -> [Int] {
    var start = tm()
    var seconds = now
    localtime_r(&seconds, &start)
    // mktime(3) normalizes the fields, possibly to another time of day, so each try has its own copy.
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
    // The clocks skip this minute. The tries interpret it with the two offsets from UTC; the jump lies between them.
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

/// The machine's host name; "localhost" if it has none.
package func hostName() -> String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
    let text = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return text.isEmpty ? "localhost" : text
}
