import MuleSystem
import Synchronization
import TestSupport
import Testing

@testable import MuleUpload

/// Uploads of one run that overlap, so that the line is never idle between two of them.
@Suite struct OverlapTests {
    private static func files(_ harness: EngineHarness) throws -> [(path: String, options: EngineHarness.Options)] {
        try (1...2).map { number in
            let path = try harness.file("file\(number)", seed: UInt64(number))
            return (path, EngineHarness.Options(key: "key\(number)"))
        }
    }

    @Test func `the next upload is created while the last parts are sent`() throws {
        let harness = try EngineHarness(concurrency: 2)
        let server = harness.server
        let wasCreated = Atomic<Bool>(true)
        // The second worker has a small file to send until there are parts: no upload starts because parts are missing.
        var rules: [Fault] = [
            .on(
                .putObject,
                .run(.headersRead) { [weak server] _ in server?.waitUntil { $0.count(.uploadPart) > 0 } }
            )
        ]
        for part in [5, 6] {
            rules.append(
                .on(
                    .uploadPart,
                    part: part,
                    key: "key1",
                    .run(.beforeProcessing) { [weak server] _ in
                        let created = server?.waitUntil { $0.requests(.create).contains { $0.keyText == "key2" } }
                        if created != true { wasCreated.store(false, ordering: .sequentiallyConsistent) }
                    }
                )
            )
        }
        server.script(rules)
        var files = try Self.files(harness)
        let small = (
            path: try harness.file("small", size: 100), options: EngineHarness.Options(key: "small", partSize: nil)
        )
        files.insert(small, at: 1)
        let outcome = try harness.upload(files)
        for file in files { try harness.expectDone(outcome, file.path, key: file.options.key) }
        let createdMeanwhile = wasCreated.load(ordering: .sequentiallyConsistent)
        #expect(createdMeanwhile)
    }

    @Test func `a store that takes its time for Complete keeps no one from sending`() throws {
        let harness = try EngineHarness(concurrency: 1)
        var settings = EngineHarness.settings(concurrency: 1)
        settings.adaptsConcurrency = true
        let server = harness.server
        let hasSent = Atomic<Bool>(false)
        server.script([
            .on(
                .complete,
                key: "key1",
                .run(.beforeProcessing) { [weak server] _ in
                    let sent = server?.waitUntil { $0.requests(.uploadPart).contains { $0.keyText == "key2" } }
                    hasSent.store(sent == true, ordering: .sequentiallyConsistent)
                }
            )
        ])
        let files = try Self.files(harness)
        let outcome = try harness.upload(files, settings: settings)
        for file in files { try harness.expectDone(outcome, file.path, key: file.options.key) }
        let sentMeanwhile = hasSent.load(ordering: .sequentiallyConsistent)
        #expect(sentMeanwhile)
    }
}
