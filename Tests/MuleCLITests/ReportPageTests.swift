import Glibc
import Testing

@testable import MuleCLI

/// The days and charts of the page of `mule report --html`.
@Suite struct CalendarTests {
    @Test(arguments: ["2024-02-29", "1970-01-01", "2026-11-30", "2000-03-01", "1999-12-31"])
    func `days and weekdays are those of the c library`(text: String) throws {
        let day = try #require(CivilDay(text))
        var fields = tm()
        fields.tm_year = Int32(day.year - 1900)
        fields.tm_mon = Int32(day.month - 1)
        fields.tm_mday = Int32(day.day)
        let seconds = timegm(&fields)
        #expect(day.number == seconds / 86_400)
        #expect(day.weekday == (Int(fields.tm_wday) + 6) % 7)
        #expect(day.text == text)
    }

    @Test func `a bar is as high as its share and text is escaped`() {
        let chart = SVGChart.bars(
            [.init(label: "<1>", value: 5, title: "a & b"), .init(label: "2", value: 10, title: "")],
            height: 132
        ) { String($0) }
        #expect(chart.contains("&lt;1&gt;") && chart.contains("a &amp; b") && !chart.contains("<1>"))
        #expect(chart.contains("height=\"50.0\"") && chart.contains("height=\"100.0\""))
        #expect(SVGChart.bars([]) { String($0) } == "<p>No data.</p>")
    }
}
