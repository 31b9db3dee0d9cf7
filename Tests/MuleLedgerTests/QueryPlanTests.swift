import MulePlan
import MuleSQLite
import TestSupport
import Testing

@testable import MuleLedger

/// SQLite's plans for a ledger's statements (https://sqlite.org/eqp.html). Without statistics, plans do not depend on
/// the number of rows.
@Suite struct QueryPlanTests {
    private let directory = ScratchDirectory()
    private let clock = TestClock()

    /// Statements that may read all rows of a table: those of `clean` and `verify --receipt`, once in a command.
    private static let mayScan = [
        "SELECT endpoint, region, addressing, profile, ca_bundle, client_certificate, client_key, bucket, signer, "
            + "signer_protocol, attributes FROM (": "uploads",
        "SELECT endpoint, region, addressing, profile, ca_bundle, client_certificate, client_key, bucket, signer, "
            + "signer_protocol, attributes FROM uploads GROUP":
            "uploads",
        "SELECT 1 FROM uploads WHERE endpoint = ? LIMIT 1": "uploads",
        "SELECT count(*) FROM runs WHERE coalesce(ended_at": "runs",
        "SELECT count(*) FROM receipts WHERE run IN (": "runs",
        "SELECT number FROM runs WHERE coalesce(ended_at": "runs",
        "SELECT count(*) FROM notices WHERE created_at < ?": "notices",
        "DELETE FROM notices WHERE created_at < ?": "notices",
    ]

    /// Indexes that hold few rows: of what is unfinished, failed or unwanted.
    private static let smallIndexes = ["uploads_unfinished", "uploads_unwanted", "items_open", "items_failed"]

    /// What is wrong with a line of a plan: it reads rows that are not needed, or sorts all results.
    private static func objection(to line: String, of statement: String) -> String? {
        let table = mayScan.first { statement.hasPrefix($0.key) }?.value
        if line.hasPrefix("SCAN ") {
            let name = line.dropFirst(5).prefix { $0 != " " }
            if ["jobs", "CONSTANT", "(subquery-"].contains(where: { name.hasPrefix($0) }) { return nil }
            if smallIndexes.contains(where: { line.contains("INDEX \($0)") }) { return nil }
            return table.map { name == $0 } == true ? nil : "reads a whole table"
        }
        // All items of a job are nearly all items.
        if line.hasSuffix("items USING PRIMARY KEY (job=?)") { return "reads all items of a job" }
        if line.hasSuffix("INDEX items_by_key (job=?)") { return "reads all keys of a job" }
        if line.contains("TEMP B-TREE"), table == nil { return "sorts what it finds" }
        return nil
    }

    @Test func `no statement of a run reads a whole table or sorts one`() throws {
        let ledger = try Ledger(directory, clock: clock)
        try useUploads(of: ledger)
        try useJobs(of: ledger)
        try useHistory(of: ledger)
        let texts = try ledger.perform { database throws(SQLiteError) in database.texts }
        // One that is not run here is not looked at.
        #expect(texts.count > 60, "\(texts.count)")
        let raw = try RawDatabase(directory.path("ledger.sqlite"))
        for text in texts.sorted() where !text.hasPrefix("PRAGMA") {
            for line in try raw.column("EXPLAIN QUERY PLAN " + text, at: 3) {
                if let objection = Self.objection(to: line, of: text) { Issue.record("\(objection): \(line)\n\(text)") }
            }
        }
    }

    /// Of a million files of one content, or of one name, each would be compared with all others.
    @Test func `who else wants a key is found in an index, however many had it before`() throws {
        let ledger = try Ledger(directory)
        _ = try ledger.rival(of: Array("/a".utf8), for: ObjectKey("a"), in: 1)
        let text = try #require(
            try ledger.perform { database throws(SQLiteError) in database.texts }.first { $0.contains("shared_key") }
        )
        let plan = try RawDatabase(directory.path("ledger.sqlite")).column("EXPLAIN QUERY PLAN " + text, at: 3)
        #expect(
            plan.filter { $0.hasPrefix("SEARCH") } == [
                "SEARCH items USING COVERING INDEX items_by_key (job=? AND shared_key=? AND state=?)",
                "SEARCH items USING COVERING INDEX items_by_key (job=? AND shared_key=? AND state=? AND run=?)",
            ]
        )
    }

    // MARK: What is done with a ledger

    private func useUploads(of ledger: Ledger) throws {
        let upload = NewUpload.sample()
        let (record, lease) = try #require(try ledger.take(upload))
        _ = try ledger.claim(record.number)
        _ = try ledger.takeUp(1..<2)
        _ = try ledger.recordCreateAttempt(record)
        _ = try ledger.forgetCreateAttempt(record)
        _ = try ledger.recordCreated(record, uploadID: "1", negotiated: "MD5", abortDate: nil)
        try ledger.recordNegotiated(record.number, "MD5")
        try ledger.recordAbortDate(record.number, "2026")
        _ = try ledger.recordAdopted(record, uploadID: "1", negotiated: "", abortDate: nil, parts: [.sample(1)])
        try ledger.commit(.sample(2), of: record)
        _ = try ledger.parts(of: record.number)
        try ledger.forgetParts([2], of: record.number)
        _ = try ledger.bear(.refuse, in: record)
        _ = try ledger.restart(record)
        _ = try ledger.replan(record, as: upload)
        _ = try ledger.leaveBehind(record, "why", andReplanAs: upload)
        try ledger.end(record, .stopped(.failed, error: "why"), bytesSent: 1)
        _ = try ledger.requestAbort(record)
        _ = try ledger.unfinished(like: upload)
        try ledger.end(record, .sampleDone)
        withExtendedLifetime(lease) {}
        let (other, _) = try #require(try ledger.take(.sample(key: "other")))
        _ = try ledger.upload(id: other.id)
        _ = try ledger.upload(number: other.number)
        _ = try ledger.hasMade(token: "1", before: other)
        _ = try ledger.lastDone(source: [1], destination: upload.destination, endpoint: "https://a")
        var stream = NewUpload.sampleStream
        stream.stream = .standardInput
        _ = try ledger.claimStream(stream) { $0.first }
        try ledger.remember("a", "b", of: "https://a", lifetime: 1)
        _ = try ledger.fact("a", of: "https://a")
        for selection in [UploadSelection.all, .unfinished, .open] {
            var cursor = try UploadCursor(ledger, selection)
            _ = try cursor.next()
            _ = try ledger.count(selection == .all ? .open : selection, at: "https://a")
        }
        _ = try ledger.stale(before: 0, after: 0, limit: 9)
        _ = try ledger.uploads(withUploadIDs: ["1"], in: "bucket")
        _ = try ledger.created(in: "bucket", at: upload.store, limit: 9)
        _ = try ledger.places(endedSince: nil)
        _ = try ledger.places(endedSince: 0)
        _ = try ledger.places()
        _ = try ledger.knows(endpoint: "https://a")
        try ledger.end(other, .aborted)
    }

    private func useJobs(of ledger: Ledger) throws {
        let run = JobRun(job: try ledger.job(named: "job"), run: try ledger.beginRun(of: 1))
        try ledger.setQuarantine(after: 2, of: run.job)
        let job = try #require(try ledger.jobs().first)
        let source = Array("/data/file".utf8)
        let item = Ledger.NewItem(source: source, sharesKey: true)
        _ = try ledger.claim([.sample(key: "item")], as: Ledger.NewItems(run: run, items: [item]))
        try ledger.takeUp([source], for: run)
        _ = try ledger.items(of: run.job, at: [source])
        _ = try ledger.openItems(of: run.job, after: nil, limit: 9)
        func receipt(_ number: Int64, _ result: Receipt.Result) -> Receipt {
            Receipt(number: number, upload: 1, source: source, destination: nil, result: result, endedAt: 1)
        }
        let action = ItemAction("move", target: source)
        try ledger.record(
            [
                .failed(isFinal: true, receipt(1, .failed)), .archived(.proved, action, receipt(2, .archived)),
                .planned(.acting, action, source: source),
                .acted(action, failure: "why", receipt: 2, receipt(3, .settled)),
                .acted(action, failure: nil, receipt: nil, receipt(3, .settled)),
            ],
            of: run
        )
        _ = try ledger.troubledItems(of: run.job, startedBefore: 0, after: nil, limit: 9)
        try ledger.record([.failed(isFinal: true, receipt(4, .failed))], of: run)
        try ledger.record([.failed(isFinal: true, receipt(5, .failed))], of: run)
        _ = try ledger.quarantinedFiles(of: job, after: nil, limit: 9)
        _ = try ledger.quarantinedFiles(of: [1], in: [KnownJob(number: 1, name: "job", quarantineAfter: 1)])
        _ = try ledger.totals(of: job)
        let record = try #require(try ledger.run(number: run.run))
        _ = try ledger.runs(since: 0)
        _ = try ledger.isLastRun(record)
        _ = try ledger.receiptCount(of: run.run)
        _ = try ledger.receipts(of: run.run, after: 0, limit: 9)
        _ = try ledger.countsByReceipts(of: run.run)
        _ = try ledger.failures(of: run.run, limit: 9)
        _ = try ledger.runs(of: run.job, since: 0, receiptBefore: .sent)
        try ledger.setReceipt(.written, of: run.run)
        try ledger.note(RunCounts(), of: run.run, status: 0, error: nil)
        try ledger.add(notice: "body", for: "hook", of: run)
        let notice = try #require(try ledger.dueNotices(of: run.job, limit: 9).first)
        try ledger.putOff(notice, by: 1, "why")
        try ledger.remove(notice)
        try ledger.setTold("what", of: run.job)
        _ = try ledger.told(of: run.job)
    }

    private func useHistory(of ledger: Ledger) throws {
        _ = try ledger.beginRun(of: 1)
        clock.advance(milliseconds: 1)
        _ = try ledger.oldHistory(before: clock.now)
        _ = try ledger.removeHistory(before: clock.now)
        let items = try ledger.oldItems(before: clock.now, after: nil, limit: 9)
        _ = try ledger.remove(items, before: clock.now)
        let over = try ledger.overUploads(before: clock.now, after: 0, limit: 9)
        #expect(!items.isEmpty && !over.isEmpty)
        _ = try ledger.removeOver(over.map(\.number))
    }
}
