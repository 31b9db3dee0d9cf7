/// The characters of a bar.
package enum BarGlyphs: Sendable {
    case ascii
    /// For terminals that show UTF-8.
    case unicode

    /// Unicode if the locale's character set is UTF-8 (POSIX: LC_ALL, then LC_CTYPE, then LANG).
    package init(environment: [String: String]) {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
        let name = locale.lowercased()
        self = name.contains("utf-8") || name.contains("utf8") ? .unicode : .ascii
    }

    var ellipsis: String { self == .unicode ? "\u{2026}" : "..." }

    /// A bar of exactly `columns` (at least 3) columns: confirmed bytes full, bytes in flight lighter, the rest empty.
    func bar(columns: Int, done: Double, inFlight: Double) -> String {
        let inner = max(0, columns - 2)
        let filled = min(inner, Int(Double(inner) * min(1, max(0, done))))
        let reached = min(inner, max(filled, Int(Double(inner) * min(1, max(0, done + inFlight)))))
        let (full, light, empty) = self == .unicode ? ("\u{2588}", "\u{2592}", " ") : ("#", "+", ".")
        return "[" + String(repeating: full, count: filled) + String(repeating: light, count: reached - filled)
            + String(repeating: empty, count: inner - reached) + "]"
    }
}
