/// The rate limit by day of the week and time of day.
///
/// Written as one rate (`20MB/s`), or as entries of which the first match applies:
/// `08:00-18:00 Mon-Fri=20MB/s, Sat+Sun=off, *=100MB/s`. Without a match there is no limit.
package struct RateTimetable: Equatable, Sendable {
    /// A time of the week, in local time.
    package struct Time: Equatable, Sendable {
        /// 0 is Monday, 6 Sunday.
        package var weekday: Int
        /// Minute of the day, from 0 to 1439.
        package var minute: Int

        package init(weekday: Int, minute: Int) {
            self.weekday = weekday
            self.minute = minute
        }
    }

    struct Entry: Equatable, Sendable {
        /// A bit for each weekday on which the period starts.
        var days: UInt8 = 0b111_1111
        /// Minutes of the day. An `end` that is not after `begin` is on the next day.
        var begin = 0
        var end = RateTimetable.minutesPerDay
        /// Bytes per second; nil for no limit.
        var rate: Int64?
    }

    /// Why a text is not a timetable; `description` continues a sentence that starts with the text.
    package struct ParseError: Error, Equatable, Sendable, CustomStringConvertible {
        package let description: String
    }

    let entries: [Entry]

    private static let minutesPerDay = 1440
    private static let dayNames = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

    /// The same rate at all times.
    ///
    /// - Parameter bytesPerSecond: more than 0; nil for no limit.
    package init(always bytesPerSecond: Int64?) {
        entries = [Entry(rate: bytesPerSecond)]
    }

    package init(_ text: String) throws(ParseError) {
        guard text.utf8.contains(UInt8(ascii: "=")) else {
            entries = [Entry(rate: try Self.rate(text))]
            return
        }
        var entries: [Entry] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let sides = part.split(separator: "=", omittingEmptySubsequences: false)
            guard sides.count == 2 else {
                throw ParseError(
                    description: "is not a timetable: \"\(Self.trimmed(part))\" is not of the form "
                        + "WHEN=RATE"
                )
            }
            var entry = try Self.when(sides[0])
            entry.rate = try Self.rate(Self.trimmed(sides[1]))
            entries.append(entry)
        }
        self.entries = entries
    }

    /// Bytes per second at that time, at least 1; nil for no limit.
    package func rate(at time: Time) -> Int64? {
        entries.first { $0.holds(at: time) }?.rate
    }

    /// The rate, if it is limited and the same at all times.
    package var constant: Int64? {
        guard let first = entries.first, entries.count == 1, first == Entry(rate: first.rate) else { return nil }
        return first.rate
    }

    /// Whether the rate differs by time.
    package var dependsOnTime: Bool { entries.count > 1 || entries.first.map { $0 != Entry(rate: $0.rate) } ?? false }

    /// Numbers, from 1, of entries that never apply, because earlier entries cover all of their times.
    package var hiddenEntries: [Int] {
        var unseen = Set(entries.indices)
        for weekday in 0..<Self.dayNames.count where !unseen.isEmpty {
            for minute in 0..<Self.minutesPerDay {
                let time = Time(weekday: weekday, minute: minute)
                if let index = entries.firstIndex(where: { $0.holds(at: time) }) { unseen.remove(index) }
            }
        }
        return unseen.sorted().map { $0 + 1 }
    }

    /// Seconds to send so many bytes from a time on, at the rates of these times. Periods without a limit take none.
    package func seconds(for bytes: Int64, from start: Time) -> Double {
        var left = Double(bytes)
        if let constant { return left / Double(constant) }
        var (time, seconds) = (start, 0.0)
        while left > 0 {
            guard let rate = rate(at: time) else { break }
            let share = Double(rate) * 60
            if left <= share { return seconds + left / Double(rate) }
            left -= share
            seconds += 60
            time.minute += 1
            if time.minute == Self.minutesPerDay { time = Time(weekday: (time.weekday + 1) % 7, minute: 0) }
        }
        return seconds
    }

    // MARK: Reading

    private static func rate(_ text: String) throws(ParseError) -> Int64? {
        if text.lowercased() == "off" { return nil }
        let rate: Int64
        do {
            rate = try ByteSize.parseRate(text)
        } catch .notASize {
            throw ParseError(
                description: "is not a rate; write 500K, 20MB/s, off for no limit, or a timetable such as "
                    + "\"08:00-18:00 Mon-Fri=20MB/s, *=off\""
            )
        } catch {
            throw ParseError(description: error.description)
        }
        // One reader would take it for "no limit", another for "nothing at this time".
        guard rate > 0 else {
            throw ParseError(
                description: "has a rate of 0: write off for no limit, or a rate such as 500K"
            )
        }
        return rate
    }

    private static func when(_ text: Substring) throws(ParseError) -> Entry {
        var entry = Entry()
        var hasTime = false
        var hasDays = false
        let words = text.split(separator: " ")
        if words == ["*"] { return entry }
        for word in words {
            if word.utf8.contains(UInt8(ascii: ":")), !hasTime, let (begin, end) = times(word) {
                (entry.begin, entry.end, hasTime) = (begin, end, true)
            } else if !hasDays, let days = days(word) {
                (entry.days, hasDays) = (days, true)
            } else {
                throw ParseError(
                    description:
                        "is not a timetable: \"\(trimmed(text))\" is not a time; write 08:00-18:00, Mon-Fri, Sat+Sun, "
                        + "both, or * for all times"
                )
            }
        }
        guard hasTime || hasDays else {
            throw ParseError(description: "is not a timetable: an entry has no time; write * for all times")
        }
        return entry
    }

    private static func times(_ word: Substring) -> (begin: Int, end: Int)? {
        let ends = word.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let begin = minute(ends[0]), let end = minute(ends[1]), begin < minutesPerDay,
            begin != end
        else { return nil }
        return (begin, end)
    }

    /// 00:00 to 24:00.
    private static func minute(_ text: Substring) -> Int? {
        let fields = text.split(separator: ":", omittingEmptySubsequences: false)
        guard fields.count == 2, fields.allSatisfy({ (1...2).contains($0.utf8.count) }), fields[1].utf8.count == 2,
            fields.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let hour = Int(fields[0]), let minute = Int(fields[1]), minute < 60, hour * 60 + minute <= minutesPerDay
        else { return nil }
        return hour * 60 + minute
    }

    private static func days(_ word: Substring) -> UInt8? {
        var days: UInt8 = 0
        for span in word.split(separator: "+", omittingEmptySubsequences: false) {
            let ends = span.split(separator: "-", omittingEmptySubsequences: false)
            guard ends.count <= 2, let first = ends.first.flatMap(day), let last = ends.last.flatMap(day) else {
                return nil
            }
            // Fri-Mon wraps around the end of the week.
            var day = first
            days |= 1 << day
            while day != last {
                day = (day + 1) % dayNames.count
                days |= 1 << day
            }
        }
        return days
    }

    private static func day(_ name: Substring) -> Int? {
        dayNames.firstIndex(of: name.lowercased())
    }

    private static func trimmed(_ text: Substring) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}

extension RateTimetable.Entry {
    fileprivate func holds(at time: RateTimetable.Time) -> Bool {
        let isLate = end <= begin
        if isOn(time.weekday), time.minute >= begin, isLate || time.minute < end { return true }
        // A period of the day before may last past midnight.
        return isLate && isOn((time.weekday + 6) % 7) && time.minute < end
    }

    private func isOn(_ weekday: Int) -> Bool { days & (1 << weekday) != 0 }
}
