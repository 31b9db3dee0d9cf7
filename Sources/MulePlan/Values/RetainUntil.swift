/// When an Object Lock ends.
package enum RetainUntil: Hashable, Sendable {
    case date(UTCTime)
    /// Seconds after the store is asked to create the object or its upload. The store keeps the date that it was sent
    /// then. Here the duration stays one, so that the same command is the same upload at any time.
    case after(seconds: Int64)

    /// Seconds in a hundred years, the longest retention of S3.
    private static let longest: Int64 = 36_500 * 86_400

    /// Reads what `text` wrote; nil for anything else, and for more than a hundred years.
    package init?(text: String) {
        if text.hasPrefix("+"), let seconds = Int64(text.dropFirst()), (1...Self.longest).contains(seconds),
            text == "+\(seconds)"
        {
            self = .after(seconds: seconds)
        } else if let time = UTCTime(iso8601: text) {
            self = .date(time)
        } else {
            return nil
        }
    }

    /// A date as S3 reads it, or `+` and seconds.
    package var text: String {
        switch self {
        case .date(let time): time.iso8601
        case .after(let seconds): "+\(seconds)"
        }
    }

    /// The date to send.
    package func date(from now: UTCTime) -> UTCTime {
        switch self {
        case .date(let time): time
        case .after(let seconds): now.adding(milliseconds: seconds * 1000)
        }
    }
}
