/// Reads and writes durations as people type them: `5s`, `15m`, `1h30m`, `7d`.
package enum DurationText {
    /// Why a text is not a duration; `description` continues a sentence that starts with the text.
    package enum ParseError: Error, Equatable, Sendable, CustomStringConvertible {
        case notADuration
        case tooLong

        package var description: String {
            switch self {
            case .notADuration: "is not a duration; write 90s, 15m, 2h, 1h30m, 7d or a plain number of seconds"
            case .tooLong: "is longer than ten years"
            }
        }
    }

    /// Seconds in each unit, the largest first, which is also the order in which they may follow each other.
    private static let units: [(name: String, seconds: Double)] = [
        ("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1), ("ms", 0.001),
    ]

    /// Seconds, at least 0: numbers with a unit (w, d, h, m, s, ms; each at most once, the largest first), or one
    /// number without a unit, which means seconds.
    package static func parse(_ text: String) throws(ParseError) -> Double {
        var rest = Array(text.utf8)[...]
        var total = 0.0
        var nextUnit = 0
        repeat {
            let digits = rest.prefix { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }
            rest.removeFirst(digits.count)
            let letters = rest.prefix { (0x61...0x7A).contains($0) }
            rest.removeFirst(letters.count)
            let name = String(decoding: letters, as: UTF8.self)
            guard let first = digits.first, first != UInt8(ascii: "."), digits.last != UInt8(ascii: "."),
                let value = Double(String(decoding: digits, as: UTF8.self))
            else { throw .notADuration }
            if name.isEmpty {
                guard nextUnit == 0, rest.isEmpty else { throw .notADuration }
                total = value
            } else {
                guard let index = units.firstIndex(where: { $0.name == name }), index >= nextUnit else {
                    throw .notADuration
                }
                total += value * units[index].seconds
                nextUnit = index + 1
            }
        } while !rest.isEmpty
        guard total <= 3650 * 86_400 else { throw .tooLong }
        return total
    }

    /// A duration for display, in its two largest units: `12s`, `4m10s`, `1h02m`, `3d04h`; `?` if it is not finite.
    package static func format(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds < 1e12 else { return "?" }
        let whole = Int64(max(0, seconds.rounded()))
        if whole < 60 { return "\(whole)s" }
        if whole < 3_600 { return "\(whole / 60)m\(twoDigits(whole % 60))s" }
        if whole < 86_400 { return "\(whole / 3_600)h\(twoDigits(whole % 3_600 / 60))m" }
        return "\(whole / 86_400)d\(twoDigits(whole % 86_400 / 3_600))h"
    }

    private static func twoDigits(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
