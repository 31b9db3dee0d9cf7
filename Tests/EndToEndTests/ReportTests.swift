import Glibc
import TestSupport
import Testing

/// `mule report`: what the ledger says of the runs of jobs.
@Suite struct ReportTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    /// A configured job over `spool`, with more keys.
    private func configure(_ more: String = "") throws {
        let source = try mule.home.makeDirectory("spool")
        try mule.home.write(
            #"{"stallLimit": "2s", "jobs": {"nightly": {"source": "\#(source)", "destination": "bucket/n/"\#(more)}}}"#,
            to: ".config/mule/config.json"
        )
    }

    private func denyPuts() {
        store.add(.on(.putObject, times: 1_000, .status(403, code: "AccessDenied")))
    }

    @Test func `without a ledger nothing has run and nothing is made`() throws {
        let ledger = mule.home.path("no/ledger.sqlite")
        let outcome = try mule.run("report", "--ledger", ledger)
        #expect(outcome.exitCode == 0 && outcome.out.isEmpty)
        #expect(outcome.explains("no runs yet"))
        #expect(access(mule.home.path("no"), F_OK) != 0)
    }

    @Test func `runs are two lines each the newest last`() throws {
        try configure()
        try mule.home.write("one", to: "spool/a")
        try mule.home.write("three", to: "spool/b")
        #expect(try mule.run("archive", "nightly").exitCode == 0)
        #expect(try mule.run("archive", "nightly").exitCode == 0)
        let outcome = try mule.run("report")
        #expect(outcome.exitCode == 0 && outcome.err.isEmpty)
        #expect(outcome.lines.count == 4 && outcome.lines.allSatisfy { $0.utf8.count <= 80 }, "\(outcome.out)")
        #expect(outcome.lines[0].hasPrefix("    1  20") && outcome.lines[0].hasSuffix("   0 done         nightly"))
        #expect(outcome.lines[1] == "       2 files archived (8 B)", "\(outcome.out)")
        #expect(outcome.lines[2].hasPrefix("    2  20"))
        #expect(outcome.lines[3] == "       0 files archived (0 B), 2 unchanged")
        #expect(try mule.run("report", "--job", "other").explains("no runs of job \"other\" yet"))
        #expect(try mule.run("report", "--job", "nightly", "--since", "1h").lines.count == 4)
        #expect(try mule.run("report", "--run", "3").explains("run 3 does not exist"))
    }

    @Test func `runs and their files are objects`() throws {
        try configure(#", "after": "move:\#(mule.home.path("done"))""#)
        let file = try mule.home.write("content", to: "spool/a b")
        #expect(try mule.run("archive", "nightly").exitCode == 0)
        let objects = try mule.run("report", "--json", "--files").objects
        #expect(objects.map { $0["event"]?.text } == ["run", "file"])
        let run = try #require(objects.first)
        #expect(["files", "host", "failures"].allSatisfy { run[$0] == nil }, "those are for receipts and hooks")
        #expect(run["archived"]?.integer == 1 && run["bytes"]?.integer == 7 && run["acted"]?.integer == 1)
        #expect(run["state"]?.text == "ended" && run["status"]?.integer == 0 && run["job"]?.text == "nightly")
        let receipt = try #require(objects.last)
        #expect(receipt["source"]?.text == file && receipt["destination"]?.text == "bucket/n/a b")
        #expect(receipt["target"]?.text == mule.home.path("done/a b") && receipt["action"]?.text == "move")
        #expect(
            receipt["size"]?.integer == 7 && receipt["attempts"]?.integer == 1 && receipt["bytesSent"]?.integer == 7
        )
        #expect(receipt["checksum"]?["algorithm"]?.text == "CRC64NVME")
        #expect(receipt["endpoint"]?.text == store.endpoint && receipt["result"]?.text == "archived")
        let text = try mule.run("report", "--run", "1")
        #expect(text.out.contains("\(file) -> bucket/n/a b\n") && text.out.contains("moved to"), "\(text.out)")
    }

    @Test func `tables have a header and quote what must be`() throws {
        try configure()
        try mule.home.write("content", to: "spool/a,\"b\"\n\u{1B}c")
        #expect(try mule.run("archive", "nightly").exitCode == 0)
        let runs = try mule.run("report", "--format", "csv").out
        #expect(runs.hasPrefix("run,job,state,status,") && runs.utf8.count { $0 == 0x0D } == 2, "\(runs)")
        #expect(runs.contains("\r\n1,nightly,ended,0,"))
        let files = try mule.run("report", "--format", "csv", "--files").out
        #expect(files.hasPrefix("run,job,result,source,destination,size,checksum.algorithm,"))
        #expect(files.contains("\"\(mule.home.path("spool"))/a,\"\"b\"\"\n\u{1B}c\","), "\(files)")
        #expect(try mule.run("report", "--json", "--format", "csv").exitCode == 2)
    }

    @Test func `people get local time and programs universal time`() throws {
        try configure()
        try mule.home.write("one", to: "spool/a")
        #expect(try mule.run("archive", "nightly").exitCode == 0)
        let begun = try #require(try mule.run("report", "--json").objects.first?["begunAt"]?.text)
        var elsewhere = mule
        elsewhere.environment["TZ"] = "<+14>-14"
        let text = try #require(try elsewhere.run("report").lines.first)
        #expect(text.hasPrefix("    1  20"))
        let hour = try #require(Int(begun.dropFirst(11).prefix(2)))
        let there = try #require(Int(text.dropFirst(7 + 11).prefix(2)))
        #expect(there == (hour + 14) % 24, "\(begun) \(text)")
        #expect(text.dropFirst(7 + 13).prefix(7) == begun.dropFirst(13).prefix(6) + " ", "\(begun) \(text)")
        #expect(try elsewhere.run("report", "--json").objects.first?["begunAt"]?.text == begun)
        #expect(try elsewhere.run("report", "--format", "csv").out.contains(begun))
    }

    @Test func `a terminal gets a heading`() throws {
        try configure()
        try mule.home.write("one", to: "spool/a")
        #expect(try mule.run("archive", "nightly").exitCode == 0)
        var command = mule.command(["report"])
        command.terminal = .init()
        command.outputGoesToTerminal = true
        let shown = try command.run()
        let text = (shown.out + shown.err).replacing("\r", with: "").split(separator: "\n")
        try #require(text.count == 3, "\(text)")
        #expect(text[0] == "  RUN  STARTED                 TOOK  STATUS           JOB")
        // The columns are below their heads.
        #expect(text[1].hasPrefix("    1  20") && text[1].dropFirst(text[0].count - 3) == "nightly", "\(text)")
        #expect(text[1].dropFirst(35).hasPrefix("    0 done "), "\(text)")
    }

    @Test func `what needs someone is below and in status`() throws {
        try configure()
        let file = try mule.home.write("content", to: "spool/a")
        denyPuts()
        #expect(try mule.run("archive", "nightly").exitCode == 4)
        let failing = try mule.run("report", "--json").objects
        #expect(failing.last?["event"]?.text == "attention" && failing.last?["kind"]?.text == "failing", "\(failing)")
        let unmarked = try mule.status()
        #expect(unmarked.allSatisfy { $0["quarantined"] == nil })
        for _ in 0..<2 { #expect(try mule.run("archive", "nightly").exitCode == 4) }
        let left = try #require(try mule.run("report", "--json").objects.last)
        #expect(left["kind"]?.text == "quarantined" && left["failures"]?.integer == 3 && left["source"]?.text == file)
        #expect(left["error"]?["kind"]?.text == "store")
        let text = try mule.run("report")
        #expect(
            text.exitCode == 0
                && text.out.contains("Needs attention:\n  nightly: \(file)\n      quarantined after 3 failures")
        )
        let status = try mule.status().filter { $0["quarantined"] == .bool(true) }
        #expect(status.count == 1 && status.first?["source"]?.text == file && status.first?["job"]?.text == "nightly")
        #expect(
            try mule.run("status").out.contains("quarantined by job nightly after 3 failures, until the file changes")
        )
    }

    @Test func `a run without an end is running or was killed`() throws {
        // However long the test takes, the run does not end.
        try configure(#", "partSize": "5MiB", "concurrency": 2, "stallLimit": "1h""#)
        try mule.home.write("small", to: "spool/a")
        _ = try mule.file(parts: 3, "spool/b")
        store.add(.on(.uploadPart, part: 2, times: 1_000, .stallAfter(bytes: 1 << 20)))
        let running = try mule.start(["archive", "nightly"])
        #expect(store.waitUntil { $0.partNumbers.contains(2) })
        #expect(try mule.reportShows(archived: 1))
        let during = try #require(try mule.run("report", "--json").objects.first)
        #expect(during["state"]?.text == "running" && during["status"] == .null && during["found"] == .null)
        running.signal(SIGKILL)
        _ = running.wait()
        let after = try #require(try mule.run("report", "--json").objects.first)
        #expect(
            after["state"]?.text == "killed" && after["endedAt"] == .null && after["archived"]?.integer == 1,
            "\(after)"
        )
        #expect(try mule.run("report").lines.first?.hasSuffix("     killed       nightly") == true)
    }

    @Test func `the history is forgotten and nothing is sent again`() throws {
        try configure()
        try mule.home.write("one", to: "spool/a")
        let gone = try mule.home.write("two", to: "spool/b")
        for _ in 0..<2 { #expect(try mule.run("archive", "nightly").exitCode == 0) }
        #expect(unlink(gone) == 0)
        let before = store.requests.count
        let dry = try mule.run("clean", "--history", "0s", "--dry-run")
        #expect(
            dry.out
                == "would be removed from the ledger: 1 run, 2 receipts, 1 finished upload, 1 deleted file, 0 "
                + "notices\n",
            "\(dry.out)"
        )
        let outcome = try mule.run("clean", "--json", "--history", "0s").objects
        #expect(outcome.map { $0["event"]?.text } == ["history"])
        #expect(outcome.first?["uploads"]?.integer == 1 && outcome.first?["runs"]?.integer == 1)
        #expect(store.requests.count == before)
        #expect(try mule.run("clean", "--history", "0s").out == "no history that old\n")
        #expect(try mule.run("archive", "nightly").exitCode == 0)
        #expect(store.requests.count == before)
        #expect(try mule.run("report").lines.count == 4)
    }
}

extension MuleRun {
    /// Asks repeatedly until the first run has archived so many files; false if that does not happen.
    func reportShows(archived count: Int64) throws -> Bool {
        for _ in 0..<200 {
            if try run("report", "--json").objects.first?["archived"]?.integer == count { return true }
        }
        return false
    }
}
