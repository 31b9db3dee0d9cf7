import MulePlan

/// Charts as SVG, without scripts. Numbers are in titles, which browsers show as tooltips.
enum SVGChart {
    struct Bar {
        var label: String
        var value: Double
        var title: String
    }

    /// Vertical bars with a scale.
    ///
    /// - Parameter format: formats a value of the scale.
    static func bars(_ bars: [Bar], height: Int = 160, format: (Double) -> String) -> String {
        let most = bars.map(\.value).max() ?? 0
        guard most > 0 else { return "<p>No data.</p>" }
        let (left, width, bottom) = (70.0, 860.0, 22.0)
        let plot = Double(height) - bottom
        let step = width / Double(bars.count)
        var body = ""
        for share in [0.0, 0.5, 1.0] {
            let y = plot - share * (plot - 10)
            body +=
                "<line class=\"grid\" x1=\"\(text(left))\" x2=\"\(text(left + width))\" y1=\"\(text(y))\" "
                + "y2=\"\(text(y))\"/>"
            body +=
                "<text class=\"scale\" x=\"\(text(left - 6))\" "
                + "y=\"\(text(y + 4))\">\(HTML.text(format(most * share)))</text>"
        }
        let every = max(1, (bars.count + 11) / 12)
        for (index, bar) in bars.enumerated() {
            let high = bar.value / most * (plot - 10)
            let x = left + Double(index) * step
            body +=
                "<rect class=\"bar\" x=\"\(text(x + step * 0.1))\" y=\"\(text(plot - high))\" "
                + "width=\"\(text(step * 0.8))\" "
            body += "height=\"\(text(high))\"><title>\(HTML.text(bar.title))</title></rect>"
            guard index % every == 0 else { continue }
            body +=
                "<text class=\"label\" x=\"\(text(x + step / 2))\" y=\"\(height - 6)\">\(HTML.text(bar.label))</text>"
        }
        return "<svg viewBox=\"0 0 940 \(height)\" role=\"img\">\(body)</svg>"
    }

    /// Days as squares, with a column for each week from Monday to Sunday.
    static func calendar(_ days: [(day: CivilDay, result: PageResult?, title: String)]) -> String {
        guard let first = days.first else { return "" }
        let cell = 15
        let weeks = (days.count + first.day.weekday + 6) / 7
        var body = ""
        for (index, name) in ["Mon", "Wed", "Fri", "Sun"].enumerated() {
            body += "<text class=\"scale\" x=\"34\" y=\"\(index * 2 * cell + 30)\">\(name)</text>"
        }
        for (index, entry) in days.enumerated() {
            let place = index + first.day.weekday
            let (x, y) = (40 + place / 7 * cell, 18 + place % 7 * cell)
            let color = entry.result?.color ?? "var(--empty)"
            body +=
                "<rect x=\"\(x)\" y=\"\(y)\" width=\"\(cell - 2)\" height=\"\(cell - 2)\" rx=\"2\" "
                + "style=\"fill:\(color)\">"
            body += "<title>\(HTML.text(entry.title))</title></rect>"
            if let mark = entry.result?.mark, !mark.isEmpty {
                body += "<text class=\"mark\" x=\"\(x + 6)\" y=\"\(y + 11)\">\(mark)</text>"
            }
            if entry.day.day == 1 {
                body += "<text class=\"label\" x=\"\(x + 6)\" y=\"12\">\(entry.day.text.prefix(7))</text>"
            }
        }
        let (width, height) = (60 + weeks * cell, 20 + 7 * cell)
        return
            "<svg viewBox=\"0 0 \(width) \(height)\" style=\"width:\(width)px;max-width:100%\" "
            + "role=\"img\">\(body)</svg>"
    }

    private static func text(_ number: Double) -> String { String((number * 10).rounded() / 10) }
}

/// A day of the calendar.
struct CivilDay: Equatable {
    var year: Int
    var month: Int
    var day: Int

    init?(_ text: String) {
        let numbers = text.split(separator: "-").compactMap { Int($0) }
        guard numbers.count == 3 else { return nil }
        (year, month, day) = (numbers[0], numbers[1], numbers[2])
    }

    var text: String { "\(year)-\(month < 10 ? "0" : "")\(month)-\(day < 10 ? "0" : "")\(day)" }

    /// Days since 1970-01-01 (the algorithm days_from_civil, https://howardhinnant.github.io/date_algorithms.html).
    var number: Int {
        let y = month <= 2 ? year - 1 : year
        let era = y / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// 0 is Monday. 1970-01-01 was a Thursday.
    var weekday: Int { (number + 3) % 7 }
}
