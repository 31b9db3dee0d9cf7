/// A moment in UTC, to the millisecond, and the formats of it that S3 and HTTP use.
///
/// It reads no clock: code that decides or signs gets the time as an argument. Days have 86,400 seconds, as in POSIX;
/// the text forms cover the years 0000 to 9999 of the Gregorian calendar, and a leap second (`:60`) is refused.
package struct UTCTime: Hashable, Comparable, Sendable {
    package var millisecondsSince1970: Int64

    package init(millisecondsSince1970: Int64) {
        self.millisecondsSince1970 = millisecondsSince1970
    }

    package init(secondsSince1970: Int64) {
        millisecondsSince1970 = secondsSince1970 * 1000
    }

    package static func < (left: UTCTime, right: UTCTime) -> Bool {
        left.millisecondsSince1970 < right.millisecondsSince1970
    }

    /// The moment so many milliseconds later, or earlier if negative.
    package func adding(milliseconds: Int64) -> UTCTime {
        UTCTime(millisecondsSince1970: millisecondsSince1970 + milliseconds)
    }
}

// MARK: - Writing

extension UTCTime {
    /// `2026-11-20T23:56:00Z`: whole seconds, rounded down.
    package var iso8601: String {
        let time = CalendarTime(self)
        let day = "\(padded(time.year, 4))-\(padded(time.month, 2))-\(padded(time.day, 2))"
        return "\(day)T\(padded(time.hour, 2)):\(padded(time.minute, 2)):\(padded(time.second, 2))Z"
    }

    /// `Fri, 20 Nov 2026 23:56:00 GMT`, the IMF-fixdate of RFC 9110 section 5.6.7: whole seconds, rounded down.
    package var httpDate: String {
        let time = CalendarTime(self)
        let weekday = Self.weekdays[Int(flooredDivision(time.daysSince1970, 7).remainder)]
        let day = "\(padded(time.day, 2)) \(Self.months[Int(time.month) - 1]) \(padded(time.year, 4))"
        return "\(weekday), \(day) \(padded(time.hour, 2)):\(padded(time.minute, 2)):\(padded(time.second, 2)) GMT"
    }

    /// Day 0, the first of January 1970, was a Thursday.
    private static let weekdays: [StaticString] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months: [StaticString] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// `20261120T235600Z`, the form of `x-amz-date`.
    package var basic: String {
        let time = CalendarTime(self)
        var text = Self.date(time)
        text.append(UInt8(ascii: "T"))
        for part in [time.hour, time.minute, time.second] { Self.append(part, width: 2, to: &text) }
        text.append(UInt8(ascii: "Z"))
        return String(decoding: text, as: UTF8.self)
    }

    /// `20261120`, the form in a credential scope.
    package var basicDate: String {
        String(decoding: Self.date(CalendarTime(self)), as: UTF8.self)
    }

    // Without temporary strings: every request needs its time twice.
    private static func date(_ time: CalendarTime) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(16)
        append(time.year, width: 4, to: &text)
        append(time.month, width: 2, to: &text)
        append(time.day, width: 2, to: &text)
        return text
    }

    private static func append(_ number: Int64, width: Int, to text: inout [UInt8]) {
        guard (0..<(width == 2 ? 100 : 10_000)).contains(number) else { return text += String(number).utf8 }
        if width == 4 { append(number / 100, width: 2, to: &text) }
        text.append(UInt8(ascii: "0") + UInt8(number / 10 % 10))
        text.append(UInt8(ascii: "0") + UInt8(number % 10))
    }

    private func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}

// MARK: - Reading

extension UTCTime {
    /// Reads `2026-11-20T23:56:00Z`, with an optional fraction of a second (cut to milliseconds) and `+00:00` for `Z`.
    /// Nil for anything else, including other zones.
    package init?(iso8601 text: String) {
        var scanner = ByteScanner(text)
        guard let year = scanner.digits(4), scanner.skip("-"), let month = scanner.digits(2), scanner.skip("-"),
            let day = scanner.digits(2), scanner.skip("T"), let clock = scanner.clock(),
            let milliseconds = scanner.fraction(), scanner.skip("Z") || scanner.skip("+00:00"), scanner.isAtEnd,
            let time = CalendarTime(year: year, month: month, day: day, clock: clock)
        else { return nil }
        self.init(millisecondsSince1970: time.secondsSince1970 * 1000 + milliseconds)
    }

    /// The same in any zone, `2026-11-20T23:56:00.5+01:00`; nil for anything else.
    package init?(rfc3339 text: String) {
        if let time = UTCTime(iso8601: text) {
            self = time
            return
        }
        var zone = ByteScanner(String(text.suffix(6)))
        guard let isEast = zone.skip("+") ? true : zone.skip("-") ? false : nil, let hours = zone.digits(2), hours < 24,
            zone.skip(":"), let minutes = zone.digits(2), minutes < 60, zone.isAtEnd,
            let local = UTCTime(iso8601: String(text.dropLast(6)) + "Z")
        else { return nil }
        let distance = (hours * 60 + minutes) * 60_000
        self = local.adding(milliseconds: isEast ? -distance : distance)
    }

    /// Reads `20261120T235600Z`, the form of `x-amz-date`.
    package init?(basic text: String) {
        var scanner = ByteScanner(text)
        guard let year = scanner.digits(4), let month = scanner.digits(2), let day = scanner.digits(2),
            scanner.skip("T"), let hour = scanner.digits(2), let minute = scanner.digits(2),
            let second = scanner.digits(2), scanner.skip("Z"), scanner.isAtEnd, hour < 24, minute < 60, second < 60,
            let time = CalendarTime(year: year, month: month, day: day, clock: (hour, minute, second))
        else { return nil }
        self.init(secondsSince1970: time.secondsSince1970)
    }

    /// Reads `20261120`, the day of a credential scope: its first moment.
    package init?(basicDate text: String) { self.init(basic: text + "T000000Z") }

    /// Reads `Fri, 20 Nov 2026 23:56:00 GMT`, the IMF-fixdate of RFC 9110 section 5.6.7 that every `Date` header has.
    /// Nil for the obsolete forms, and if the day of the week does not match the date.
    package init?(httpDate text: String) {
        var scanner = ByteScanner(text)
        guard let weekday = scanner.word(of: Self.weekdays), scanner.skip(", "),
            let day = scanner.digits(2), scanner.skip(" "),
            let month = scanner.word(of: Self.months), scanner.skip(" "), let year = scanner.digits(4),
            scanner.skip(" "), let clock = scanner.clock(),
            scanner.skip(" GMT"), scanner.isAtEnd,
            let time = CalendarTime(year: year, month: Int64(month) + 1, day: day, clock: clock),
            flooredDivision(time.daysSince1970, 7).remainder == Int64(weekday)
        else { return nil }
        self.init(secondsSince1970: time.secondsSince1970)
    }
}

/// A Gregorian date and a time of day, in whole seconds.
private struct CalendarTime {
    typealias Clock = (hour: Int64, minute: Int64, second: Int64)

    let year: Int64
    let month: Int64
    let day: Int64
    let hour: Int64
    let minute: Int64
    let second: Int64

    init(_ time: UTCTime) {
        let seconds = flooredDivision(time.millisecondsSince1970, 1000).quotient
        let (days, secondOfDay) = flooredDivision(seconds, 86_400)
        (hour, minute, second) = (secondOfDay / 3600, secondOfDay / 60 % 60, secondOfDay % 60)

        // Years start in March, so that the leap day is the last of a year; 400 years have 146,097 days.
        let (era, dayOfEra) = flooredDivision(days + Self.daysFromMarch0To1970, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - Self.days(beforeYear: yearOfEra)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - Self.days(beforeMonthFromMarch: monthFromMarch) + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
    }

    /// Nil if the date or the time of day does not exist.
    init?(year: Int64, month: Int64, day: Int64, clock: Clock) {
        guard (1...12).contains(month), (1...Self.length(ofMonth: month, in: year)).contains(day),
            clock.hour < 24, clock.minute < 60, clock.second < 60
        else { return nil }
        (self.year, self.month, self.day) = (year, month, day)
        (hour, minute, second) = clock
    }

    var daysSince1970: Int64 {
        let (era, yearOfEra) = flooredDivision(month <= 2 ? year - 1 : year, 400)
        let monthFromMarch = month <= 2 ? month + 9 : month - 3
        let dayOfYear = Self.days(beforeMonthFromMarch: monthFromMarch) + day - 1
        return era * 146_097 + Self.days(beforeYear: yearOfEra) + dayOfYear - Self.daysFromMarch0To1970
    }

    var secondsSince1970: Int64 {
        daysSince1970 * 86_400 + hour * 3600 + minute * 60 + second
    }

    /// From 1 March of the year 0.
    private static let daysFromMarch0To1970: Int64 = 719_468

    private static func days(beforeYear year: Int64) -> Int64 {
        year * 365 + year / 4 - year / 100
    }

    /// March is 0. From March on, months alternate between 31 and 30 days except for two pairs of 31; this formula
    /// rounds to that.
    private static func days(beforeMonthFromMarch month: Int64) -> Int64 {
        (153 * month + 2) / 5
    }

    private static func length(ofMonth month: Int64, in year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}

/// Takes fixed pieces off the front of a text. On a mismatch nothing is consumed.
private struct ByteScanner {
    private var rest: Substring.UTF8View

    init(_ text: String) {
        rest = text[...].utf8
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func skip(_ piece: StaticString) -> Bool {
        let matches = piece.withUTF8Buffer { rest.starts(with: $0) }
        if matches { rest.removeFirst(piece.utf8CodeUnitCount) }
        return matches
    }

    mutating func word(of words: [StaticString]) -> Int? {
        for (index, word) in words.enumerated() where skip(word) { return index }
        return nil
    }

    mutating func digits(_ count: Int) -> Int64? {
        let piece = rest.prefix(count)
        guard piece.count == count, piece.allSatisfy(isDigit) else { return nil }
        rest.removeFirst(count)
        return piece.reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
    }

    mutating func clock() -> CalendarTime.Clock? {
        guard let hour = digits(2), skip(":"), let minute = digits(2), skip(":"), let second = digits(2) else {
            return nil
        }
        return (hour, minute, second)
    }

    /// The milliseconds of `.5` or `.500123`; 0 without a fraction, nil if its digits are missing.
    mutating func fraction() -> Int64? {
        guard skip(".") else { return 0 }
        let piece = rest.prefix(while: isDigit)
        guard !piece.isEmpty else { return nil }
        rest.removeFirst(piece.count)
        return (Array(piece) + [UInt8](repeating: UInt8(ascii: "0"), count: 3)).prefix(3)
            .reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
    }

    private func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

/// Division that rounds down, so that the remainder is never negative.
private func flooredDivision(_ number: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = number.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
}
