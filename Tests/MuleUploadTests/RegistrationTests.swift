import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// `mule upload` finds what is pending or done by itself.
@Suite struct RegistrationTests {
    @Test func `what was confirmed is not sent again`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.expectDone(try harness.run(try harness.register(path), path: path), path)
        let requestsBefore = harness.server.requests.count
        let entry = try harness.register(path)
        guard case .job(.doneBefore, nil) = entry else {
            Issue.record("\(entry)")
            return
        }
        let outcome = try harness.run(entry, path: path)
        #expect(outcome.completed.first?.wasThere == true)
        #expect(outcome.completed.first?.bytesSent == 0)
        #expect(outcome.ends == 1)
        #expect(harness.server.requests.dropFirst(requestsBefore).map(\.operation) == [.headObject])
        #expect(try harness.ledger.all().count == 1)
    }

    @Test(arguments: ["gone", "another", "hidden"])
    func `what is no longer there is sent again`(state: String) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.expectDone(try harness.run(try harness.register(path), path: path), path)
        switch state {
        case "gone": harness.server.edit { $0.buckets["bucket"]?.objects = [:] }
        case "another":
            let size = try Files.size(path)
            let other = FakeObject(content: [UInt8](repeating: 1, count: Int(size)))
            harness.server.edit { $0.buckets["bucket"]?.objects[Array("key".utf8)] = other }
        default: harness.server.add(.on(.headObject, .status(403, code: "AccessDenied")))
        }
        let outcome = try harness.run(try harness.register(path), path: path)
        try harness.expectDone(outcome, path)
        #expect(outcome.completed.first?.wasThere == false)
        #expect(try harness.ledger.all().map(\.state) == [.done, .done])
    }

    @Test func `force sends what is there`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.expectDone(try harness.run(try harness.register(path), path: path), path)
        let entry = try harness.register(path) { $0.force = true }
        let outcome = try harness.run(entry, path: path)
        try harness.expectDone(outcome, path)
        #expect(outcome.completed.first?.wasThere == false)
    }

    @Test func `a changed file is sent again when its old upload was done`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.expectDone(try harness.run(try harness.register(path), path: path), path)
        try Files.overwrite(path, at: 0, with: [1, 2, 3])
        try harness.expectDone(try harness.run(try harness.register(path), path: path), path)
    }

    @Test func `a pending upload is resumed`() throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: 17 << 20)
        try harness.interrupt(path, .init(partSize: 8 << 20), afterParts: 1)
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.run(try harness.register(path), path: path)
        try harness.expectDone(outcome, path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [2, 3])
    }

    enum Demand: CaseIterable, Sendable {
        case partSize, checksum, attributes, condition

        func make(_ intent: inout UploadIntent) {
            switch self {
            case .partSize:
                intent.sizing = PartSizing(partSize: 6 << 20)
                intent.demandedPartSize = 6 << 20
            case .checksum:
                intent.integrity.checksum = "sha256"
                intent.demandedChecksum = "sha256"
            case .attributes: try? intent.attributes.set("x-amz-meta-colour", "red")
            case .condition: intent.onlyIfAbsent = true
            }
        }
    }

    @Test(arguments: Demand.allCases)
    func `another demand is an error while parts are pending`(demand: Demand) throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: 17 << 20)
        try harness.interrupt(path, .init(partSize: 8 << 20), afterParts: 1)
        let entry = try harness.register(path) { demand.make(&$0) }
        guard case .refused(let failure) = entry else {
            Issue.record("\(entry)")
            return
        }
        #expect(failure.kind == .usage)
        #expect(failure.message.contains("--restart"))
        harness.expectClean(openUploads: 1)
    }

    @Test(arguments: Demand.allCases)
    func `another demand holds when nothing was sent yet`(demand: Demand) throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: 17 << 20)
        _ = try harness.ledger.claim([try harness.newUpload(path, .init(partSize: 8 << 20))])
        let entry = try harness.register(path) { demand.make(&$0) }
        try harness.expectDone(try harness.run(entry, path: path), path)
        let expected: Set<Int64> = demand == .partSize ? [6 << 20, 5 << 20] : [5 << 20, 2 << 20]
        #expect(Set(harness.server.requests(.uploadPart).map(\.bodyBytes)) == expected)
    }

    @Test func `the rows of many files are in order`() throws {
        let harness = try EngineHarness()
        let paths = try (0..<20).map { try harness.file("f\($0)", size: 10) }
        let intents = paths.enumerated().map { number, path in
            UploadIntent(
                path: Array((number == 7 ? path + ".missing" : path).utf8),
                destination: ObjectAddress(bucket: "bucket", key: ObjectKey("k\(number)")),
                store: harness.store,
                sizing: PartSizing(),
                attributes: ObjectAttributes(),
                onlyIfAbsent: false,
                integrity: IntegrityOptions(checksum: "auto", payloadSigning: "auto")
            )
        }
        let entries = try Registration(harness.ledger).register(intents)
        #expect(entries.count == 20)
        for (number, entry) in entries.enumerated() {
            switch entry {
            case .job(.claimed(let record, _), nil): #expect(record.upload.destination.key == ObjectKey("k\(number)"))
            case .refused(let failure):
                #expect(number == 7)
                #expect(failure.kind == .source)
            default: Issue.record("\(entry)")
            }
        }
        #expect(try harness.ledger.unfinished().count == 19)
    }
}
