/// A period of each day in local time: from one minute of the day to another, which may be after midnight.
package struct DayWindow: Hashable, Sendable, CustomStringConvertible {
    /// Minutes since midnight, 0 to 1439; the end is exclusive.
    package let start: Int
    package let end: Int

    /// Nil if both are the same.
    package init?(start: Int, end: Int) {
        guard start != end else { return nil }
        self.start = start
        self.end = end
    }

    package func contains(minute: Int) -> Bool {
        start < end ? (start..<end).contains(minute) : minute >= start || minute < end
    }

    /// `22:00-06:00`
    package var description: String { "\(Self.text(start))-\(Self.text(end))" }

    private static func text(_ minute: Int) -> String {
        [minute / 60, minute % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
    }
}
