import MulePlan

/// Lays out a snapshot for a terminal: a bar for one file; for several, bars of those in progress and one for the
/// total.
package struct BarPrinter: Sendable {
    private let glyphs: BarGlyphs
    /// From this width on, the status of a single file is on its line instead of below it.
    private static let wide = 110
    private static let mostFileLines = 5

    package init(glyphs: BarGlyphs) { self.glyphs = glyphs }

    /// Bar lines of exactly `width` columns, with a shorter status line below if there is one; fewer lines than
    /// `height`, but at least one.
    package func lines(_ snapshot: TransferSnapshot, pace: TransferPace, width: Int, height: Int) -> [String] {
        let room = max(1, height - 1)
        var lines: [String]
        if snapshot.isSingle, let file = snapshot.files.first {
            var line = bar(of: file)
            line.rate = file.state == .sending ? pace.rate : nil
            if file.state == .sending { line.remark = remark(snapshot, pace) }
            let status = status(snapshot, hidden: 0)
            let fitsBeside = width >= BarPrinter.wide && snapshot.waitingReason == nil
            if fitsBeside { line.status = status }
            lines = [line.text(width: width, glyphs: glyphs)]
            if !fitsBeside, let status { lines.append(DisplayWidth.cut("  " + status, to: width)) }
        } else {
            let active = snapshot.files.filter(\.isActive)
            let shown = active.prefix(max(0, min(BarPrinter.mostFileLines, room - 2)))
            lines = shown.map { bar(of: $0).text(width: width, glyphs: glyphs) }
            lines.append(total(snapshot, pace).text(width: width, glyphs: glyphs))
            if let status = status(snapshot, hidden: active.count - shown.count) {
                lines.append(DisplayWidth.cut("  " + status, to: width))
            }
        }
        return Array(lines.prefix(room))
    }

    private func bar(of file: FileProgress) -> BarLine {
        BarLine(
            name: file.name,
            done: file.bytesDone,
            inFlight: file.bytesInFlight,
            total: file.size,
            isComplete: file.state == .done,
            rate: nil,
            remark: file.state == .sending ? nil : file.state.rawValue,
            status: nil
        )
    }

    private func total(_ snapshot: TransferSnapshot, _ pace: TransferPace) -> BarLine {
        BarLine(
            name: snapshot.filesText,
            done: snapshot.bytesDone,
            inFlight: snapshot.bytesInFlight,
            total: snapshot.totalBytes,
            isComplete: snapshot.isComplete,
            rate: pace.rate,
            remark: remark(snapshot, pace),
            status: nil
        )
    }

    private func remark(_ snapshot: TransferSnapshot, _ pace: TransferPace) -> String? {
        snapshot.totalBytes == nil ? nil : "ETA " + (pace.secondsLeft.map(DurationText.format) ?? "--")
    }

    private func status(_ snapshot: TransferSnapshot, hidden: Int) -> String? {
        var facts: [String] = []
        if let reason = snapshot.waitingReason {
            facts.append("waiting: " + TextSafety.displayName(Array(reason.utf8)))
        }
        if snapshot.partsInFlight > 0 {
            facts.append("\(Wording.count(snapshot.partsInFlight, "part")) in flight")
        }
        if let retries = Wording.retries(snapshot.retries) { facts.append(retries) }
        if snapshot.failures > 0 { facts.append("\(snapshot.failures) failed") }
        if hidden > 0 { facts.append("\(hidden) more \(hidden == 1 ? "file" : "files") in progress") }
        return facts.isEmpty ? nil : facts.joined(separator: ", ")
    }
}

/// Phrases that several printers share.
enum Wording {
    static func retries(_ count: Int) -> String? {
        count > 0 ? "\(count) \(count == 1 ? "retry" : "retries")" : nil
    }

    /// `1 file`, `3 files`.
    static func count(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

    /// A configured time, without zeros at its end: `1m`, `7d`, `1m30s`.
    static func duration(_ seconds: Double) -> String {
        let text = DurationText.format(seconds)
        return ["00s", "00m", "00h"].contains { text.hasSuffix($0) } ? String(text.dropLast(3)) : text
    }

    /// The text for files that changed within a job's settle time.
    static func unsettled(_ settle: Double?) -> String {
        settle.map { "changed less than \(duration($0)) ago (settle)" } ?? "changed too recently (settle)"
    }
}
