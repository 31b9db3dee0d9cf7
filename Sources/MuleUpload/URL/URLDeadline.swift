package import MulePlan

/// Whether a file can arrive before the URL that it is sent to ends.
package enum URLDeadline {
    /// The most bytes that a rate limit lets through in so many seconds; nil for no limit.
    ///
    /// - Parameter start: the local time of the week.
    package static func bytes(
        _ timetable: RateTimetable,
        within seconds: Double,
        from start: RateTimetable.Time
    ) -> Double? {
        var total = 0.0
        var minute = 0
        while Double(minute) * 60 < seconds {
            let minuteOfWeek = start.weekday * 1440 + start.minute + minute
            let time = RateTimetable.Time(weekday: minuteOfWeek / 1440 % 7, minute: minuteOfWeek % 1440)
            guard let rate = timetable.rate(at: time) else { return nil }
            total += Double(rate) * min(60, seconds - Double(minute) * 60)
            minute += 1
        }
        return total
    }

    /// Sees from the rate of the last seconds whether a transfer is too slow for its URL.
    struct Watch {
        /// Of the monotonic clock, when the URL ends.
        let end: Double
        let size: Int64
        /// Monotonic times with the bytes delivered until then, one a second.
        private var samples: [(time: Double, bytes: Int64)] = []

        /// Seconds before the first judgement, and over which the rate is measured.
        private static let span = 5.0
        /// The share of the whole time by which a transfer may seem too late: a rate varies.
        private static let tolerance = 0.1

        init(end: Double, size: Int64) {
            self.end = end
            self.size = size
        }

        /// Call about every second.
        ///
        /// - Returns: bytes per second, if the file cannot arrive in time at this rate.
        mutating func tooSlow(_ delivered: Int64, at now: Double) -> Double? {
            samples.append((now, delivered))
            guard let first = samples.first else { return nil }
            let span = min(Self.span, (end - first.time) / 4)
            guard now - first.time >= max(2, span) else { return nil }
            while samples.count > 2, now - samples[1].time >= Self.span { samples.removeFirst() }
            let start = samples[0]
            let rate = Double(delivered - start.bytes) / max(0.1, now - start.time)
            let needed = rate > 0 ? Double(size - delivered) / rate : .infinity
            let grace = Self.tolerance * max(0, end - began)
            return delivered < size && now + needed > end + grace ? rate : nil
        }

        private(set) var began = 0.0

        mutating func begin(at now: Double) {
            (began, samples) = (now, [])
        }
    }
}
