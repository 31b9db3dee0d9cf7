/// Draws lines at the cursor of a terminal, and draws them again in the same place. The cursor rests below them at the
/// left edge, so that whatever ends the program leaves a clean line to the shell.
package struct TerminalPainter: Sendable {
    /// Columns that each line on the screen takes.
    private var drawn: [Int] = []
    private var drawnWidth = 0

    package init() {}

    /// The characters that replace what was drawn by `lines`, none of which may be wider than `width`.
    package mutating func paint(_ lines: [String], width: Int) -> String {
        let wasNarrowed = width < drawnWidth
        // Automatic wrapping is off while drawing: a width that the terminal counts differently then costs one
        // character.
        var output = "\u{1B}[?7l" + home(width) + (wasNarrowed ? "\u{1B}[J" : "")
        for line in lines {
            // Behind a full line the cursor still stands on its last character, which erasing would take away.
            output += line + (DisplayWidth.of(line) < width ? "\u{1B}[K" : "") + "\r\n"
        }
        output += "\u{1B}[J\u{1B}[?7h"
        drawn = lines.map { DisplayWidth.of($0) }
        drawnWidth = width
        return output
    }

    /// The characters that remove what was drawn.
    package mutating func clear(width: Int) -> String {
        guard !drawn.isEmpty else { return "" }
        let output = home(width) + "\u{1B}[J"
        forget()
        return output
    }

    /// Lets what was drawn stand; the next lines are drawn below it.
    package mutating func forget() {
        drawn = []
        drawnWidth = 0
    }

    /// To the left edge of the first drawn row. A terminal that was made narrower has broken each line that is too wide
    /// for it into several rows (as VTE, kitty, foot, iTerm2 and tmux do).
    private func home(_ width: Int) -> String {
        let rows = drawn.reduce(0) { $0 + max(1, ($1 + max(1, width) - 1) / max(1, width)) }
        return rows > 0 ? "\r\u{1B}[\(rows)A" : "\r"
    }
}
