/// Turns snapshots and messages into characters for standard error, in the selected style. Does no I/O.
package struct ProgressScreen: Sendable {
    package enum Style: Sendable {
        case bar, plain, none
    }

    package let style: Style
    private let bars: BarPrinter
    private var plain = PlainPrinter()
    private var painter = TerminalPainter()
    private var pace = TransferPace()

    package init(style: Style, glyphs: BarGlyphs = .ascii) {
        self.style = style
        bars = BarPrinter(glyphs: glyphs)
    }

    /// Characters for a snapshot at a monotonic time in seconds; often none.
    package mutating func tick(_ snapshot: TransferSnapshot, at time: Double, size: WindowSize) -> String {
        pace.add(snapshot, at: time)
        switch style {
        case .none: return ""
        case .plain: return plain.isDue(at: time) ? PlainPrinter.line(snapshot, pace: pace) + "\n" : ""
        case .bar:
            let lines = bars.lines(snapshot, pace: pace, width: size.columns, height: size.rows)
            return painter.paint(lines, width: size.columns)
        }
    }

    /// Characters for a message of one or more lines. Bars below it are cleared and redrawn with the next tick.
    package mutating func message(_ text: String, size: WindowSize) -> String {
        painter.clear(width: size.columns) + TextSafety.displayText(text) + "\n"
    }

    /// The last characters: with a snapshot, a last display that stays; without one, bars disappear.
    package mutating func finish(_ snapshot: TransferSnapshot?, at time: Double, size: WindowSize) -> String {
        guard let snapshot else { return painter.clear(width: size.columns) }
        let output: String
        switch style {
        case .plain:
            pace.add(snapshot, at: time)
            output = PlainPrinter.line(snapshot, pace: pace) + "\n"
        case .bar, .none: output = tick(snapshot, at: time, size: size)
        }
        painter.forget()
        return output
    }

    /// Forgets what was drawn: another program uses the screen now.
    package mutating func forget() { painter.forget() }
}

/// A terminal's size in characters.
package struct WindowSize: Sendable, Equatable {
    package let columns: Int
    package let rows: Int

    package init(columns: Int, rows: Int) {
        self.columns = columns
        self.rows = rows
    }
}
