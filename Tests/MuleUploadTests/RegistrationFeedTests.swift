import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import Synchronization
import TestSupport
import Testing

@testable import MuleUpload

/// Uploads that are registered ahead of the workers, and held as numbers when there are many.
@Suite struct RegistrationFeedTests {
    private let harness: EngineHarness
    private let paths: [String]

    init() throws {
        let harness = try EngineHarness()
        self.harness = harness
        // Every third goes in parts.
        paths = try (0..<24).map { try harness.file("f\($0)", size: $0 % 3 == 0 ? 11 << 20 : $0 + 1) }
    }

    private func intent(_ number: Int) -> UploadIntent {
        UploadIntent(
            path: Array(paths[number].utf8),
            destination: ObjectAddress(bucket: "bucket", key: ObjectKey("k\(number)")),
            store: harness.store,
            sizing: PartSizing(partSize: 5 << 20, multipartThreshold: 8 << 20),
            attributes: ObjectAttributes(),
            onlyIfAbsent: false,
            integrity: IntegrityOptions(checksum: "auto", payloadSigning: "auto")
        )
    }

    private func feed(
        whole: Int,
        most: Int = 100,
        batch: Int = 5,
        cancellation: Cancellation = Cancellation(),
        change: @escaping (inout UploadIntent) -> Void = { _ in }
    ) throws -> RegistrationFeed {
        var rest = Array(paths.indices)[...]
        return RegistrationFeed(
            harness.ledger,
            service: try harness.service(cancellation),
            whole: whole,
            most: most,
            onRefused: { Issue.record("\($0.destination) was refused: \($1.message)") },
            more: { () throws(UploadFailure) in
                if rest.isEmpty { return nil }
                defer { rest = rest.dropFirst(batch) }
                return rest.prefix(batch).map { number in
                    var intent = intent(number)
                    change(&intent)
                    return intent
                }
            }
        )
    }

    private func isHeld(_ record: UploadRecord) throws -> Bool {
        try Ledger(path: harness.ledger.path).isActive(record)
    }

    @Test(arguments: [0, 3, 100])
    func `what is taken is what was found, in its order and with its lease`(_ whole: Int) throws {
        var feed = try feed(whole: whole)
        var found = FeedCounts()
        while feed.mayFind {
            let findings = try feed.find()
            found.uploads += findings.uploads
            found.bytes += findings.bytes
            found.waiting.small += findings.waiting.small
            found.waiting.parts += findings.waiting.parts
        }
        #expect(feed.hasFoundAll)
        #expect(found.uploads == 24)
        #expect(found.bytes == paths.indices.reduce(0) { $0 + ($1 % 3 == 0 ? 11 << 20 : Int64($1) + 1) })
        #expect((found.waiting.small, found.waiting.parts) == (16, 8 * 3))
        #expect(try harness.ledger.unfinished().allSatisfy { try isHeld($0) })

        for (share, expected) in [
            (Share.small, (0..<24).filter { $0 % 3 != 0 }), (.part, (0..<24).filter { $0 % 3 == 0 }),
        ] {
            #expect(feed.count(of: share) == expected.count)
            var taken: [UploadJob] = []
            while feed.count(of: share) > 0 {
                let jobs = try feed.take(share, atMost: 3)
                #expect((1...3).contains(jobs.count))
                taken += jobs
            }
            #expect(try feed.take(share, atMost: 3).isEmpty)
            #expect(taken.map { $0.path.map { String(decoding: $0, as: UTF8.self) } } == expected.map { paths[$0] })
            #expect(taken.map(\.destination.key) == expected.map { ObjectKey("k\($0)") })
            #expect(taken.allSatisfy { $0.share == share })
        }
        // Leases that are no longer needed are released.
        #expect(try harness.ledger.unfinished().allSatisfy { try !isHeld($0) })
    }

    @Test func `totals count as totals only when all is found`() {
        let progress = RunProgress()
        var findings = FeedCounts()
        (findings.uploads, findings.bytes) = (3, 30)
        progress.found(findings)
        #expect(progress.snapshot().filesTotal == 3)
        #expect(progress.snapshot().findsMore && progress.snapshot().bytesTotal == nil)
        (findings.uploads, findings.bytes) = (1, 12)
        progress.found(findings)
        progress.foundAll()
        #expect(progress.snapshot().filesTotal == 4)
        #expect(!progress.snapshot().findsMore && progress.snapshot().bytesTotal == 42)
    }

    @Test func `all is uploaded, and each is reported once`() throws {
        let cancellation = Cancellation()
        let outcome = harness.run(try feed(whole: 2, cancellation: cancellation), cancellation: cancellation)
        #expect(outcome.result.completed == 24)
        #expect(outcome.result.hasFoundAll && outcome.result.untouched == 0 && outcome.result.obstacle == nil)
        for number in paths.indices { try harness.expectDone(outcome, paths[number], key: "k\(number)") }
    }

    @Test func `a run that is stopped leaves all that was found to the next`() throws {
        let cancellation = Cancellation()
        harness.server.script([.on(.putObject, occurrence: 3, .run(.headersRead) { _ in cancellation.cancel() })])
        let outcome = harness.run(
            try feed(whole: 2, batch: 24, cancellation: cancellation),
            settings: EngineHarness.settings(concurrency: 1),
            cancellation: cancellation
        )
        let result = outcome.result
        #expect(result.completed + result.failures.count + result.untouched == 24)
        #expect(outcome.completed.count < 24)
        harness.server.script([])
        #expect(try harness.ledger.unfinished().count == 24 - result.completed)
        let again = try harness.resume()
        #expect(again.completed.count == 24 - result.completed)
        #expect(harness.server.keys().count == 24)
    }

    @Test func `what cannot be held as a number is not piled up`() throws {
        var first = try feed(whole: 0)
        while first.mayFind { _ = try first.find() }
        for share in Share.allCases { _ = try first.take(share, atMost: 100) }
        // Each is pending, and the ledger expects an upload at the store: a restart must know it.
        for record in try harness.ledger.unfinished() { _ = try harness.ledger.recordCreateAttempt(record) }
        var again = try feed(whole: 0, most: 8) { $0.restart = true }
        while again.mayFind { _ = try again.find() }
        #expect(!again.hasFoundAll)
        #expect(again.count(of: .small) + again.count(of: .part) == 10)
        #expect(try again.take(.small, atMost: 100).allSatisfy { $0.restartsAs != nil })
        #expect(again.mayFind)
    }

    @Test(arguments: [
        ("a.txt", "/home/x/a.txt", "/home/x/b", "b"),
        ("tree/a/b", "/home/x/tree/a/b", "/home/x/tree/c/d", "tree/c/d"),
        ("../tree/a", "/home/tree/a", "/home/tree/c/d", "../tree/c/d"),
        ("link/a", "/data/real/a", "/data/real/c/d", "link/c/d"),
        ("/abs/a", "/abs/a", "/abs/c", "/abs/c"),
        ("link", "/data/real", "/data/other", "/data/other"),
    ])
    func `a file is called as its directory was called`(
        _ named: String,
        _ canonical: String,
        _ other: String,
        _ expected: String
    ) {
        var names = NamedPaths()
        let number = names.remember(Array(named.utf8), of: Array(canonical.utf8))
        #expect(names.name(number, of: Array(canonical.utf8)) == Array(named.utf8))
        #expect(String(decoding: names.name(number, of: Array(other.utf8)), as: UTF8.self) == expected)
    }

    @Test func `files of one directory share what their names begin with`() {
        var names = NamedPaths()
        for file in ["a", "b/c", "b/d"] {
            #expect(names.remember(Array("tree/\(file)".utf8), of: Array("/home/x/tree/\(file)".utf8)) == 0)
        }
        #expect(names.remember(Array("tree/link".utf8), of: Array("/elsewhere/file".utf8)) == 1)
        #expect(names.name(0, of: Array("/home/x/tree/b/d".utf8)) == Array("tree/b/d".utf8))
        #expect(names.name(1, of: Array("/elsewhere/file".utf8)) == Array("tree/link".utf8))
    }
}
