/// Draws lines at the cursor of a terminal, and redraws them in place. The cursor stays below them at the left edge, so
/// that the shell gets a clean line however the program ends.
package struct TerminalPainter: Sendable {
    /// Columns of each line on the screen.
    private var drawn: [Int] = []
    private var drawnWidth = 0

    package init() {}

    /// The characters that replace the drawn lines by `lines`, none of which may be wider than `width`.
    package mutating func paint(_ lines: [String], width: Int) -> String {
        let wasNarrowed = width < drawnWidth
        // Automatic wrapping is off while drawing: if the terminal counts a width differently, it costs one character.
        var output = "\u{1B}[?7l" + home(width) + (wasNarrowed ? "\u{1B}[J" : "")
        for line in lines {
            // After a full line the cursor is still on its last character, which erasing would remove.
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

    /// Keeps what was drawn; the next lines are drawn below it.
    package mutating func forget() {
        drawn = []
        drawnWidth = 0
    }

    /// Moves to the left edge of the first drawn row. A terminal that became narrower has wrapped lines that are too
    /// wide into several rows (as VTE, kitty, foot, iTerm2 and tmux do).
    private func home(_ width: Int) -> String {
        let rows = drawn.reduce(0) { $0 + max(1, ($1 + max(1, width) - 1) / max(1, width)) }
        return rows > 0 ? "\r\u{1B}[\(rows)A" : "\r"
    }
}
