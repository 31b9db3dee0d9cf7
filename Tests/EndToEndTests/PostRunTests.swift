import Glibc
import MuleSQLite
import MuleSystem
import TestSupport
import Testing

@testable import MuleLedger

/// What follows a run of a job: receipts, metrics, hooks.
@Suite struct PostRunTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    private var receipts: String { mule.home.path("receipts") }

    /// A configured job over `spool`, with more keys.
    private func configure(_ more: String) throws {
        let source = try mule.home.makeDirectory("spool")
        try mule.home.write(
            #"{"stallLimit": "2s", "jobs": {"nightly": {"source": "\#(source)", "destination": "bucket/n/", \#(more)}}}"#,
            to: ".config/mule/config.json"
        )
    }

    private func archive(_ more: String...) throws -> CommandOutcome { try mule.run(["archive", "nightly"] + more) }

    private func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private func text(_ path: String) throws -> String {
        String(decoding: try File.contents(path: Array(path.utf8), limit: 1 << 20), as: UTF8.self)
    }

    private func lines(_ path: String) throws -> [JSONText] {
        JSONReference.shared.read(try text(path).split(separator: "\n").map(String.init), printedBy: "report")
    }

    private func denyPuts() {
        store.add(.on(.putObject, times: 1_000, .status(403, code: "AccessDenied")))
    }

    // MARK: Receipts

    @Test func `a run has a receipt and one without news has none`() throws {
        try configure(#""receipts": "~/receipts""#)
        let file = try mule.home.write("content", to: "spool/a")
        #expect(try archive().exitCode == 0)
        #expect(try archive().exitCode == 0)
        let found = names(in: receipts)
        #expect(found.count == 1, "\(found)")
        let name = try #require(found.first)
        #expect(name.hasPrefix("nightly-20") && name.hasSuffix("Z-1.jsonl"))
        let objects = try lines(receipts + "/" + name)
        #expect(objects.count == 2)
        #expect(objects.first?["event"]?.text == "run" && objects.first?["host"]?.text != nil)
        #expect(objects.first?["failures"] == nil)
        #expect(objects.first?["files"]?.integer == 1)
        #expect(objects.last?["event"]?.text == "file")
        #expect(objects.first?["status"]?.integer == 0)
        #expect(objects.last?["source"]?.text == file)
        let report = try mule.run("report", "--run", "1", "--json").objects
        #expect(report.last == objects.last)
    }

    @Test func `the receipt of a killed run is made up for`() throws {
        try configure(#""receipts": "~/receipts", "partSize": "5MiB", "concurrency": 2"#)
        try mule.home.write("small", to: "spool/a")
        _ = try mule.file(parts: 3, "spool/b")
        store.add(.on(.uploadPart, part: 2, .stallAfter(bytes: 1 << 20)))
        let running = try mule.start(["archive", "nightly"])
        #expect(store.waitUntil { $0.partNumbers.contains(2) })
        #expect(try mule.reportShows(archived: 1))
        running.signal(SIGKILL)
        _ = running.wait()
        #expect(names(in: receipts).isEmpty)
        #expect(try archive().exitCode == 0)
        let found = names(in: receipts)
        #expect(found.count == 2, "\(found)")
        let killed = try lines(receipts + "/" + (found.first { $0.hasSuffix("-1.jsonl") } ?? ""))
        #expect(killed.first?["state"]?.text == "killed")
        #expect(killed.count == 2 && killed.last?["source"]?.text?.hasSuffix("/spool/a") == true, "\(killed)")
    }

    @Test func `a receipt that cannot be written is said and made up for`() throws {
        try configure(#""receipts": "~/receipts""#)
        try mule.home.write("content", to: "spool/a")
        try mule.home.write("in the way", to: "receipts")
        let outcome = try archive("--json")
        #expect(outcome.exitCode == 3)
        #expect(outcome.explains("receipt of run 1", "next run retries"), "\(outcome.err)")
        #expect(outcome.event("warning") != nil)
        #expect(outcome.objects.last?["event"]?.text == "jobEnded" && outcome.objects.last?["status"]?.integer == 3)
        #expect(store.object(key: "n/a") != nil)
        unlink(receipts)
        #expect(try archive().exitCode == 0)
        #expect(names(in: receipts).count == 1)
    }

    @Test func `the receipt is an object too`() throws {
        try configure(#""receiptObject": "bucket/r/""#)
        try mule.home.write("content", to: "spool/a")
        store.add(.on(.putObject, key: "n/b", .status(403, code: "AccessDenied")))
        #expect(try archive().exitCode == 0)
        let directory = mule.home.path(".local/state/mule/receipts")
        let name = try #require(names(in: directory).first)
        let object = try #require(store.object(key: "r/" + name))
        #expect(try object.equals(file: directory + "/" + name))
        let before = store.requests.count
        #expect(try archive().exitCode == 0)
        #expect(store.requests[before...].allSatisfy { $0.operation == .headObject })
    }

    // MARK: Metrics

    @Test func `metrics are replaced after each run`() throws {
        try configure(#""metrics": "~/mule.prom""#)
        let path = mule.home.path("mule.prom")
        try mule.home.write("content", to: "spool/a")
        #expect(try archive().exitCode == 0)
        let first = try text(path)
        #expect(first.contains("mule_job_files_archived_total{job=\"nightly\"} 1\n"), "\(first)")
        #expect(first.contains("mule_job_bytes_archived_total{job=\"nightly\"} 7\n"))
        #expect(first.contains("mule_job_last_status{job=\"nightly\"} 0\n"))
        #expect(first.contains("mule_job_last_success_timestamp_seconds{job=\"nightly\"} 1"))
        try mule.home.write("more", to: "spool/b")
        denyPuts()
        for _ in 0..<3 { #expect(try archive().exitCode == 4) }
        let second = try text(path)
        #expect(second.contains("mule_job_quarantined_files{job=\"nightly\"} 1\n"), "\(second)")
        #expect(second.contains("mule_job_failures_total{job=\"nightly\"} 3\n"))
        #expect(second.contains("mule_job_last_status{job=\"nightly\"} 4\n"))
        let success = { (text: String) in text.split(separator: "\n").first { $0.hasPrefix("mule_job_last_success") } }
        #expect(success(first) == success(second))
        #expect(try FileStatus.of(path: Array(path.utf8)).mode == 0o644)
        #expect(names(in: mule.home.path).filter { $0.hasPrefix("mule.prom") } == ["mule.prom"])
    }

    @Test func `a job that cannot begin has metrics too`() throws {
        try configure(#""metrics": "~/mule.prom""#)
        rmdir(mule.home.path("spool"))
        #expect(try archive().exitCode == 3)
        #expect(try text(mule.home.path("mule.prom")).contains("mule_job_last_status{job=\"nightly\"} 3\n"))
    }

    // MARK: Hooks

    /// A program that appends what it reads to a file, and says so.
    private func hook(_ name: String, _ more: String = "") throws -> String {
        let path = try mule.home.write(
            "#!/bin/sh\ncat >> \"$HOME/\(name).log\"\necho \"${AWS_SECRET_ACCESS_KEY-no secret} $1\"\n\(more)\n",
            to: name
        )
        chmod(path, 0o755)
        return path
    }

    @Test func `programs get the report and no secrets`() throws {
        let good = try hook("good")
        let bad = try hook("bad", "exit 7")
        try configure(#""onSuccess": ["\#(good)", "word"], "onFailure": ["\#(bad)"]"#)
        try mule.home.write("content", to: "spool/a")
        let outcome = try archive()
        #expect(outcome.exitCode == 0)
        #expect(outcome.explains("nightly: no secret word"), "\(outcome.err)")
        let told = try lines(mule.home.path("good.log"))
        #expect(told.count == 1)
        #expect(told.first?["event"]?.text == "run" && told.first?["host"]?.text != nil)
        #expect(told.first?["failures"] == .array([]) && told.first?["files"] == nil)
        // Nothing new.
        #expect(try archive().exitCode == 0)
        #expect(try lines(mule.home.path("good.log")).count == 1)
        let file = try mule.home.write("more", to: "spool/b")
        denyPuts()
        let failed = try archive()
        #expect(failed.exitCode == 4)
        #expect(failed.explains("hook", "exited with 7"), "\(failed.err)")
        #expect(try archive().exitCode == 4)
        let failures = try lines(mule.home.path("bad.log"))
        #expect(failures.count == 1, "the same failure is told once")
        guard case .array(let list)? = failures.first?["failures"] else { throw JSONMissing() }
        #expect(list.first?["source"]?.text == file && list.first?["kind"]?.text == "store")
        // Quarantined from the fourth run on, which is another result.
        for _ in 0..<3 { #expect(try archive().exitCode == 4) }
        #expect(try lines(mule.home.path("bad.log")).count == 2)
        // In order again, and then not: that is news.
        store.script([])
        #expect(try archive("--retry-quarantined").exitCode == 0)
        try mule.home.write("yet more", to: "spool/c")
        denyPuts()
        #expect(try archive().exitCode == 4)
        #expect(try lines(mule.home.path("bad.log")).count == 3)
    }

    private struct JSONMissing: Error {}

    /// A web address that gives these answers, the last one for good.
    private func listener(_ answers: [String]) -> ScriptedServer {
        let answers = Monitor(answers)
        return ScriptedServer { peer in
            while peer.request() != nil {
                peer.answer(status: answers.withLock { $0.count > 1 ? $0.removeFirst() : $0[0] })
            }
        }
    }

    /// As if what waits to be posted had waited for so many seconds more.
    private func wait(_ seconds: Int64) throws {
        let ledger = try Database(path: Array(mule.home.path(".local/state/mule/ledger.sqlite").utf8))
        try ledger.run(
            "UPDATE notices SET due_at = due_at - ?1, created_at = created_at - ?1",
            [.integer(seconds * 1000)]
        )
    }

    @Test func `a post is tried again and its address is nowhere`() throws {
        let server = listener(["500 Internal Server Error", "200 OK"])
        try configure(#""onSuccess": "\#(server.url)/hook?key=s3cr3t""#)
        try mule.home.write("content", to: "spool/a")
        let outcome = try archive("-v")
        #expect(outcome.exitCode == 0)
        #expect(outcome.explains("onSuccess of run 1 could not be posted: HTTP status 500"), "\(outcome.err)")
        #expect(!(outcome.out + outcome.err).contains("s3cr3t"))
        let ledger = mule.home.path(".local/state/mule/ledger.sqlite")
        let bytes = try File.contents(path: Array(ledger.utf8), limit: 64 << 20)
        let log = (try? File.contents(path: Array((ledger + "-wal").utf8), limit: 64 << 20)) ?? []
        #expect(!String(decoding: bytes + log, as: UTF8.self).contains("s3cr3t"))
        let body = String(decoding: server.bodies[0], as: UTF8.self)
        let sent = try #require(JSONReference.shared.read([body], printedBy: "report").first)
        #expect(sent["run"]?.integer == 1 && sent["job"]?.text == "nightly")
        #expect(server.heads.first?.contains("Content-Type: application/json") == true)
        // Not before its time.
        try wait(290)
        #expect(try archive().exitCode == 0)
        #expect(server.bodies.count == 1)
        try wait(20)
        #expect(try archive().exitCode == 0)
        #expect(server.bodies.count == 2 && server.bodies.first == server.bodies.last)
        try wait(86_400)
        #expect(try archive().exitCode == 0)
        #expect(server.bodies.count == 2, "it was taken")
    }

    @Test func `a post that does not get through is aborted after a week`() throws {
        let server = listener(["503 Service Unavailable"])
        try configure(#""onSuccess": "\#(server.url)/hook""#)
        try mule.home.write("content", to: "spool/a")
        #expect(try archive().explains("The next run after 5m retries"))
        try wait(6 * 86_400)
        #expect(try archive().explains("The next run after 10m retries"))
        try wait(86_400)
        let last = try archive()
        #expect(last.exitCode == 0)
        #expect(last.explains("onSuccess of run 1", "for a week and is dropped: HTTP status 503"), "\(last.err)")
        try wait(86_400)
        #expect(try archive().err.isEmpty)
        #expect(server.bodies.count == 3)
    }
}
