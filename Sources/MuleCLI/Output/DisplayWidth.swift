/// Counts the terminal columns of a text, and cuts texts to a number of columns.
///
/// Terminals differ for joined emoji; this never counts less than any of them shows, so that a line that fits here does
/// not wrap there.
package enum DisplayWidth {
    /// Columns of a text without control characters: wide East Asian characters and emoji take 2, combining marks 0.
    package static func of(_ text: String) -> Int { text.unicodeScalars.reduce(0) { $0 + columns(of: $1) } }

    /// The text cut in the middle to at most `limit` columns: `very-long…dump.zst`. The end, with a file's number and
    /// extension, keeps the larger half.
    package static func shorten(_ text: String, to limit: Int, ellipsis: String = "...") -> String {
        guard of(text) > limit else { return text }
        let room = limit - of(ellipsis)
        guard room >= 2 else { return prefix(of: text, columns: limit) }
        let head = prefix(of: text, columns: room / 2)
        return head + ellipsis + suffix(of: text, columns: room - of(head))
    }

    /// The text, cut at its end to at most `limit` columns.
    package static func cut(_ text: String, to limit: Int) -> String {
        of(text) > limit ? prefix(of: text, columns: limit) : text
    }

    /// The text, cut or padded with spaces to exactly `columns`.
    package static func fit(_ text: String, to columns: Int) -> String {
        let cut = cut(text, to: columns)
        return cut + String(repeating: " ", count: max(0, columns - of(cut)))
    }

    private static func prefix(of text: String, columns: Int) -> String {
        var used = 0
        return String(
            text.prefix { character in
                used += of(String(character))
                return used <= columns
            }
        )
    }

    private static func suffix(of text: String, columns: Int) -> String {
        var used = 0
        let kept = text.reversed().prefix { character in
            used += of(String(character))
            return used <= columns
        }
        return String(kept.reversed())
    }

    private static func columns(of scalar: Unicode.Scalar) -> Int {
        if scalar.value < 0x300 { return scalar.value < 0x20 ? 0 : 1 }
        // A text-style symbol with an emoji variation selector is drawn wide by most terminals.
        if scalar.value == 0xFE0F { return 1 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        if scalar.properties.isEmojiPresentation { return 2 }
        return wide.contains { $0.contains(scalar.value) } ? 2 : 1
    }

    /// Blocks that Unicode's EastAsianWidth.txt (UAX #11) lists as W or F, joined if only unassigned code points are
    /// between them.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x4DBF, 0x4E00...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3,
        0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F, 0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18DFF,
        0x1AFF0...0x1B2FF, 0x1F200...0x1F265, 0x1F300...0x1F64F, 0x1F680...0x1F6FF, 0x1F900...0x1F9FF,
        0x20000...0x3FFFD,
    ]
}
