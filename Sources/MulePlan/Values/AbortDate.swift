/// When a store's lifecycle rule will abort an unfinished upload and remove its parts (`x-amz-abort-date`), and what that
/// means for an upload that is under way.
package struct AbortDate: Hashable, Sendable {
    package var time: UTCTime

    package init(time: UTCTime) {
        self.time = time
    }

    /// Reads the date in the form of HTTP's headers, or in ISO 8601, as some stores write it. Nil for anything else: a date
    /// that can't be read is none.
    package init?(_ text: String) {
        guard let time = UTCTime(httpDate: text) ?? UTCTime(iso8601: text) else { return nil }
        self.time = time
    }

    /// What is worth a warning; the times are in seconds.
    package enum Risk: Hashable, Sendable {
        /// The date is past: parts may be gone already.
        case past
        /// At the rate it would take longer than there is time.
        case tooSlow(left: Double, needed: Double)
        /// Less than a day is left.
        case near(left: Double)
    }

    /// Seconds before the date from which on it is worth a word even if nothing is known of the rate.
    package static let nearness = 86_400.0

    /// - Parameters:
    ///   - bytesLeft: nil where the end is not known.
    ///   - rate: bytes per second, as measured or as it is limited; nil where it is not known.
    package func risk(at now: UTCTime, bytesLeft: Int64?, rate: Double?) -> Risk? {
        let left = Double(time.millisecondsSince1970 - now.millisecondsSince1970) / 1000
        if left <= 0 { return .past }
        if let bytesLeft, bytesLeft > 0, let rate {
            let needed = rate > 0 ? Double(bytesLeft) / rate : .infinity
            if needed > left { return .tooSlow(left: left, needed: needed) }
        }
        return left < Self.nearness ? .near(left: left) : nil
    }
}
