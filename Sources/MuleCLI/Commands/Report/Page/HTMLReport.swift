import MuleLedger
import MulePlan

/// The page of `mule report --html`: one file that loads no scripts, fonts or anything else from a network.
struct HTMLReport {
    let history: RunHistory
    let host: String
    /// Milliseconds since 1970.
    let since: Int64
    let now: Int64

    var page: String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        <title>mule report, \(HTML.text(host))</title>
        <style>\(Self.style)</style>
        </head>
        <body>
        <h1>mule report</h1>
        <p>\(HTML.text(host)), \(LocalTime.day(milliseconds: since)) to \(HTML.text(LocalTime.text(milliseconds: now)))</p>
        \(tiles)
        \(attention)
        <h2>Days</h2>
        \(calendars)
        <h2>Archived bytes by day</h2>
        \(SVGChart.bars(volumeBars) { ByteSize.format(Int64($0)) })
        <h2>Throughput by day</h2>
        <p>Archived bytes by the duration of the runs, including the search for files.</p>
        \(SVGChart.bars(rateBars) { ByteSize.format(Int64($0)) + "/s" })
        <h2>File sizes</h2>
        \(SVGChart.bars(sizeBars) { $0 == $0.rounded() ? String(Int64($0)) : String($0) })
        \(largestFiles)
        <h2>Runs</h2>
        \(runs)
        <footer>mule \(Version.number)</footer>
        </body>
        </html>
        """
    }

    // MARK: Parts

    private var tiles: String {
        let failures = history.total.failed + history.total.actionsFailed
        let quarantined = history.troubles.count { $0.kind == .quarantined }
        let facts = [
            ("\(history.runCount)", "runs"), ("\(history.total.archived)", "files archived"),
            (ByteSize.format(history.total.bytes), "archived"), ("\(failures)", "failures"),
            ("\(quarantined)", "quarantined"),
        ]
        let items = facts.map { "<li><b>\(HTML.text($0.0))</b> \($0.1)</li>" }
        return "<ul class=\"tiles\">\(items.joined())</ul>"
    }

    private var attention: String {
        guard !history.troubles.isEmpty else { return "" }
        let rows = history.troubles.map { trouble in
            HTML.row([
                HTML.text(TextSafety.displayName(trouble.job.name)),
                HTML.text(TextSafety.displayName(trouble.item.source)),
                HTML.text(trouble.summary),
            ])
        }
        let more = history.hasMoreTroubles ? "<p>There are more: mule report --json lists all.</p>" : ""
        return "<h2>Needs action</h2>\(HTML.table(["Job", "File", "Problem"], rows))\(more)"
    }

    private var days: [CivilDay] {
        guard let first = CivilDay(LocalTime.day(milliseconds: since)),
            let last = CivilDay(LocalTime.day(milliseconds: now))
        else { return [] }
        // A day is 24 hours; noon is on the right day even if the clocks change.
        let noon = since - since % 86_400_000 + 43_200_000
        let candidates = (-1...(last.number - first.number + 1)).compactMap { offset in
            CivilDay(LocalTime.day(milliseconds: noon + Int64(offset) * 86_400_000))
        }
        return candidates.filter { $0.number >= first.number && $0.number <= last.number }
    }

    private var calendars: String {
        let jobs = Set(history.results.keys.map(\.job)).sorted()
        guard !jobs.isEmpty else { return "<p>No runs.</p>" }
        let days = days
        let legend = PageResult.allCases.map { result in
            "<span><i style=\"background:\(result.color)\">\(result.mark)</i> \(result.meaning)</span>"
        }
        return "<p class=\"legend\">\(legend.joined())</p>"
            + jobs.map { job in
                let cells = days.map { day in
                    let night = RunHistory.Night(job: job, day: day.text)
                    let result = history.results[night]
                    let runs = history.runsOfNight[night] ?? 0
                    let title =
                        result.map { "\(day.text): \(runs) \(runs == 1 ? "run" : "runs"), \($0.meaning)" } ?? day.text
                    return (day, result, title)
                }
                return "<h3>\(HTML.text(TextSafety.displayName(job)))</h3>\(SVGChart.calendar(cells))"
            }.joined()
    }

    private var volumeBars: [SVGChart.Bar] {
        days.map { day in
            let bytes = history.volume[day.text]?.bytes ?? 0
            let title = "\(day.text): \(ByteSize.format(bytes))"
            return SVGChart.Bar(label: String(day.text.dropFirst(5)), value: Double(bytes), title: title)
        }
    }

    private var rateBars: [SVGChart.Bar] {
        days.map { day in
            let (bytes, seconds) = history.volume[day.text] ?? (0, 0)
            let rate = seconds > 0 ? Double(bytes) / seconds : 0
            let title = "\(day.text): \(ByteSize.format(Int64(rate)))/s"
            return SVGChart.Bar(label: String(day.text.dropFirst(5)), value: rate, title: title)
        }
    }

    private var sizeBars: [SVGChart.Bar] {
        func bar(_ label: String, _ count: Int) -> SVGChart.Bar {
            SVGChart.Bar(label: label, value: Double(count), title: "\(Wording.count(count, "file")), \(label)")
        }
        let empty = history.sizes[-1].map { [bar("empty", $0)] } ?? []
        let powers = history.sizes.keys.filter { $0 >= 0 }
        guard let least = powers.min(), let most = powers.max() else { return empty }
        return empty + (least...most).map { bar("\(ByteSize.format(Int64(1) << Int64($0)))+", history.sizes[$0] ?? 0) }
    }

    private var largestFiles: String {
        guard !history.largest.isEmpty else { return "" }
        let rows = history.largest.map { file in
            HTML.row([
                HTML.text(ByteSize.format(file.size)), HTML.text(TextSafety.displayName(file.job)),
                HTML.text(TextSafety.displayName(file.source)),
            ])
        }
        return "<h3>Largest files</h3>\(HTML.table(["Size", "Job", "File"], rows))"
    }

    private var runs: String {
        let rows = history.runs.reversed().map { run in
            let result = PageResult(run)
            let rate =
                run.seconds.flatMap { $0 > 0 ? ByteSize.format(Int64(Double(run.counts.bytes) / $0)) + "/s" : nil }
                ?? ""
            let status = run.record.status.map { " (\($0))" } ?? ""
            return HTML.row([
                "\(run.record.number)", LocalTime.plain(milliseconds: run.record.startedAt),
                run.seconds.map(DurationText.format) ?? "",
                "<i style=\"background:\(result.color)\">\(result.mark)</i> \(HTML.text(run.word + status))",
                HTML.text(TextSafety.displayName(run.record.jobName)), "\(run.counts.archived)",
                HTML.text(ByteSize.format(run.counts.bytes)), rate, "\(run.counts.failed)",
                HTML.text(TextSafety.displayName(run.record.error ?? "")),
            ])
        }
        let more =
            history.runCount > history.runs.count
            ? "<p>The last \(history.runs.count) of \(history.runCount) runs.</p>" : ""
        let heads = ["Run", "Started", "Took", "Result", "Job", "Files", "Bytes", "Rate", "Failed", "Error"]
        return more + HTML.table(heads, rows)
    }

    private static let style = """
        :root{color-scheme:light dark;--ink:#1d2227;--ground:#fff;--line:#d8dde2;--empty:#e6eaee;--bar:#3b6fb6;--soft:#5c6670}
        @media(prefers-color-scheme:dark){:root{--ink:#e6eaee;--ground:#15191d;--line:#333b43;--empty:#262d34;--bar:#6d9ddb;--soft:#9aa5b0}}
        body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--ground);max-width:960px;margin:24px auto;padding:0 16px}
        h1{margin-bottom:0}h2{margin-top:2em;border-bottom:1px solid var(--line)}h3{margin-bottom:4px}
        .tiles{list-style:none;display:flex;flex-wrap:wrap;gap:12px;padding:0}.tiles li{border:1px solid var(--line);border-radius:6px;padding:8px 14px}
        .tiles b{font-size:20px;display:block}.legend span{margin-right:16px}
        i{display:inline-block;width:14px;height:14px;border-radius:2px;color:#fff;font:bold 11px/14px system-ui;text-align:center}
        svg{width:100%;height:auto}svg text{font:11px system-ui;fill:var(--soft)}.scale{text-anchor:end}.label{text-anchor:middle}
        .mark{text-anchor:middle;fill:#fff!important;font-weight:bold!important}.grid{stroke:var(--line)}.bar{fill:var(--bar)}
        .wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13px}th,td{text-align:left;padding:3px 8px;border-bottom:1px solid var(--line);vertical-align:top}
        td{white-space:nowrap}td:last-child{white-space:normal;overflow-wrap:anywhere}th{color:var(--soft);font-weight:600;white-space:nowrap}footer{color:var(--soft);margin-top:3em}
        """
}

/// Pieces of HTML.
enum HTML {
    /// Text escaped for an element or an attribute.
    static func text(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { result, scalar in
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(scalar)
            }
        }
    }

    /// - Parameter cells: HTML.
    static func row(_ cells: [String]) -> String { "<tr>" + cells.map { "<td>\($0)</td>" }.joined() + "</tr>" }

    static func table(_ heads: [String], _ rows: [String]) -> String {
        let head = heads.map { "<th>\($0)</th>" }.joined()
        return
            "<div class=\"wide\"><table><thead><tr>\(head)</tr></thead><tbody>\(rows.joined(separator: "\n"))</tbody></table></div>"
    }
}
