import Glibc
import MulePlan

/// Times for display, in the zone of `TZ` or the machine. JSON, CSV, receipts and log lines have UTC.
enum LocalTime {
    /// `2026-11-29 20:15:14 CET`
    static func text(_ time: UTCTime) -> String { text(milliseconds: time.millisecondsSince1970) }

    static func text(milliseconds: Int64) -> String { formatted(milliseconds, "%Y-%m-%d %H:%M:%S %Z") }

    /// `2026-11-29 20:15:14`, for tables.
    static func plain(milliseconds: Int64) -> String { formatted(milliseconds, "%Y-%m-%d %H:%M:%S") }

    /// `2026-11-29`
    static func day(milliseconds: Int64) -> String { formatted(milliseconds, "%Y-%m-%d") }

    /// `20:15`
    static func clock(milliseconds: Int64) -> String { formatted(milliseconds, "%H:%M") }

    private static func formatted(_ milliseconds: Int64, _ format: String) -> String {
        var seconds = time_t(milliseconds / 1000)
        var fields = tm()
        localtime_r(&seconds, &fields)
        var text = [CChar](repeating: 0, count: 64)
        let length = strftime(&text, text.count, format, &fields)
        return String(decoding: text.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
