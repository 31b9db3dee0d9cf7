import MulePlan

/// One line of the display: a name, a bar, and figures. It has exactly the given width and omits the least important
/// first.
struct BarLine {
    /// Safe to show.
    var name: String
    /// Confirmed bytes, and additional bytes of unfinished parts.
    var done: Int64
    var inFlight: Int64
    var total: Int64?
    /// Allows "100%": the store has confirmed everything.
    var isComplete: Bool
    /// Bytes per second; nil hides the figure.
    var rate: Double?
    /// Shown instead of the remaining time.
    var remark: String?
    /// Shown last, if there is room.
    var status: String?

    private enum Field: CaseIterable {
        case percent, bar, counts, rate, remark, status
    }

    /// From the richest to the simplest; the first that fits is drawn.
    private static let layouts: [[Field]] = [
        [.percent, .bar, .counts, .rate, .remark, .status],
        [.percent, .bar, .counts, .rate, .remark],
        [.percent, .bar, .rate, .remark],
        [.percent, .rate, .remark],
        [.percent, .remark],
        [.percent],
        [],
    ]
    private static let leastBar = 10
    private static let leastName = 12

    /// The line in exactly `width` columns.
    func text(width: Int, glyphs: BarGlyphs) -> String {
        guard width > 0 else { return "" }
        let nameWidth = DisplayWidth.of(name)
        for layout in BarLine.layouts {
            let fields = layout.compactMap { field in figure(field).map { (field, $0) } }
            let hasBar = fields.contains { $0.0 == .bar }
            let figures = fields.reduce(0) { $0 + ($1.0 == .bar ? 0 : DisplayWidth.of($1.1)) } + 2 * fields.count
            let room = width - figures
            let least = min(nameWidth, BarLine.leastName)
            guard room >= least + (hasBar ? BarLine.leastBar : 0) || fields.isEmpty else { continue }
            let nameRoom = hasBar ? min(nameWidth, max(least, min(room - BarLine.leastBar, width / 3))) : room
            let shown = DisplayWidth.shorten(name, to: nameRoom, ellipsis: glyphs.ellipsis)
            let barRoom = room - nameRoom
            let drawn = fields.map { field, figure in
                field == .bar ? bar(columns: barRoom, glyphs) : figure
            }
            let line = ([DisplayWidth.fit(shown, to: nameRoom)] + drawn).joined(separator: "  ")
            return DisplayWidth.fit(line, to: width)
        }
        return DisplayWidth.fit(name, to: width)
    }

    private func bar(columns: Int, _ glyphs: BarGlyphs) -> String {
        let whole = Double(max(1, total ?? 1))
        if isComplete { return glyphs.bar(columns: columns, done: 1, inFlight: 0) }
        return glyphs.bar(columns: columns, done: Double(done) / whole, inFlight: Double(inFlight) / whole)
    }

    /// Figures keep their width while numbers grow, so that the bar does not move.
    private func figure(_ field: Field) -> String? {
        switch field {
        case .percent: return percent.map { BarLine.right("\($0)%", 4) }
        case .bar: return total == nil ? nil : ""
        case .counts:
            let reached = done + inFlight
            guard let total else { return BarLine.right(ByteSize.format(reached), 10) }
            let whole = ByteSize.format(total, of: total, separator: "/")
            return BarLine.right(ByteSize.format(min(reached, total), of: total, separator: "/"), whole.utf8.count)
        case .rate: return rate.map { BarLine.right(ByteSize.format(Int64(min($0, 1e18))) + "/s", 12) }
        case .remark: return remark.map { BarLine.right($0, 10) }
        case .status: return status
        }
    }

    /// Of confirmed bytes and bytes in flight; 100 only when the store has confirmed everything.
    var percent: Int? {
        if isComplete { return 100 }
        guard let total else { return nil }
        guard total > 0 else { return 0 }
        return min(99, Int(100 * Double(max(0, done + inFlight)) / Double(total)))
    }

    private static func right(_ text: String, _ columns: Int) -> String {
        String(repeating: " ", count: max(0, columns - DisplayWidth.of(text))) + text
    }
}
