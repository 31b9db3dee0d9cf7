import TestSupport
import Testing

/// `mule report --html`: a page of its own for a browser.
@Suite struct ReportPageTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    @Test func `the page has runs days files and what needs attention`() throws {
        let source = try mule.home.makeDirectory("spool")
        try mule.home.write(
            #"{"jobs": {"nightly": {"source": "\#(source)", "destination": "bucket/n/"}}}"#,
            to: ".config/mule/config.json"
        )
        try mule.home.writeRandom("spool/big", count: 70_000)
        try mule.home.write("", to: "spool/empty")
        try mule.home.write("x", to: "spool/<b>&\"'")
        store.add(.on(.putObject, key: "n/empty", times: 100, .status(403, code: "AccessDenied")))
        #expect(try mule.run("archive").exitCode == 4)

        let outcome = try mule.run("report", "--html", mule.home.path("report.html"))
        #expect(outcome.exitCode == 0 && outcome.out.isEmpty && outcome.err.isEmpty, "\(outcome.err)")
        let page = String(decoding: try Files.read(mule.home.path("report.html")), as: UTF8.self)
        #expect(page.hasPrefix("<!DOCTYPE html>") && page.hasSuffix("</html>"))
        #expect(
            page.contains("<b>1</b> runs") && page.contains("<b>2</b> files archived")
                && page.contains("<b>1</b> failures")
        )
        #expect(page.contains("<h2>Needs action</h2>") && page.contains("spool/empty") && page.contains("AccessDenied"))
        #expect(page.contains("<td>68.4 KiB</td><td>nightly</td>"))
        #expect(page.contains(": 1 run, failed</title>"))
        // Names are text, and nothing is loaded from anywhere.
        #expect(page.contains("/&lt;b&gt;&amp;&quot;&#39;") && !page.contains("/<b>&"))
        #expect(
            !page.contains("<script") && !page.contains("http://") && !page.contains("https://")
                && !page.contains("url(")
        )

        let again = try mule.run("report", "--html", "-").out
        #expect(again.hasPrefix("<!DOCTYPE html>") && again.hasSuffix("</html>\n") && again.contains("spool/empty"))
    }

    @Test func `a page that cannot be written is 1 and without runs there is one`() throws {
        try mule.home.write("x", to: "file")
        #expect(try mule.run("upload", "file", "bucket/key").exitCode == 0)
        let outcome = try mule.run("report", "--html", mule.home.path("no/such/report.html"))
        #expect(outcome.exitCode == 1)
        #expect(outcome.explains("no/such/report.html", "No such file"), "\(outcome.err)")
        #expect(try mule.run("report", "--html", "-").out.contains("No runs."))
        #expect(try mule.run("report", "--html", "-", "--json").exitCode == 2)
    }
}
