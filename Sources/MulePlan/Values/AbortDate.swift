/// When a store's lifecycle rule will abort an unfinished upload and remove its parts (`x-amz-abort-date`), and what
/// that means for an upload in progress.
package struct AbortDate: Hashable, Sendable {
    package var time: UTCTime

    package init(time: UTCTime) {
        self.time = time
    }

    /// Reads the date in the form of HTTP headers, or in ISO 8601, as some stores write it. Nil for anything else.
    package init?(_ text: String) {
        guard let time = UTCTime(httpDate: text) ?? UTCTime(iso8601: text) else { return nil }
        self.time = time
    }

    /// Cases that deserve a warning; times are in seconds.
    package enum Risk: Hashable, Sendable {
        /// The date has passed: parts may be gone.
        case past
        /// At the current rate the upload would finish after the date.
        case tooSlow(left: Double, needed: Double)
        /// Less than a day is left.
        case near(left: Double)
    }

    /// Seconds before the date within which to warn even if the rate is unknown.
    package static let nearness = 86_400.0

    /// - Parameters:
    ///   - bytesLeft: nil if the length is unknown.
    ///   - rate: bytes per second, as measured or limited; nil if unknown.
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
