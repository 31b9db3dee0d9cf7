import Glibc
import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// A changed source is never mixed into an upload.
@Suite struct SourceChangeTests {
    enum Change: String, CaseIterable, Sendable {
        case truncated, grown, rewritten, rewrittenUnseen, replaced, movedBack, removed

        func make(_ path: String) throws {
            switch self {
            case .truncated: try Files.truncate(path, to: 200_000)
            case .grown: try Files.truncate(path, to: 500_000)
            case .rewritten: try Files.overwrite(path, at: 150_000, with: [1, 2, 3, 4, 5, 6, 7, 8])
            case .rewrittenUnseen:
                // In place, with size and modification time put back (`dd conv=notrunc; touch -d`, VeraCrypt).
                try Files.overwrite(path, at: 10, with: [1, 2, 3, 4, 5, 6, 7, 8])
                try Files.setModificationTime(path, seconds: EngineHarness.past)
            case .replaced:
                // Other bytes of the same size and time in another file.
                try Self.replace(path)
                try Self.rewrittenUnseen.make(path)
            case .movedBack: try Files.setModificationTime(path, seconds: EngineHarness.past - 1000)
            case .removed: try Files.remove(path)
            }
        }

        /// Puts the same bytes and time into another file, like `mv` of a copy: this simulates a file system whose
        /// inode numbers change at each mount.
        static func replace(_ path: String) throws {
            let copy = path + ".copy"
            let descriptor = open(copy, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
            close(descriptor)
            try Files.overwrite(copy, at: 0, with: Files.read(path))
            try Files.setModificationTime(copy, seconds: EngineHarness.past)
            rename(copy, path)
        }
    }

    /// Changes after which the content is the same.
    enum Harmless: String, CaseIterable, Sendable {
        case replaced, permissions, otherZone, otherName

        func make(_ path: String) throws {
            switch self {
            case .replaced: try Change.replace(path)
            case .permissions: try Files.setMode(path, 0o640)
            // FAT stores local time: the file's time changes when summer time starts.
            case .otherZone: try Files.setModificationTime(path, seconds: EngineHarness.past + 3600)
            case .otherName: link(path, path + ".other")
            }
        }
    }

    @Test(arguments: Harmless.allCases, [EngineHarness.partSize, nil])
    func `a file that only seems changed is resumed`(change: Harmless, partSize: Int64?) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        if partSize == nil {
            _ = try harness.ledger.claim([try harness.newUpload(path, .init(partSize: nil))])
        } else {
            try harness.interrupt(path, afterParts: 3)
        }
        try change.make(path)
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.resume(), path)
        if partSize != nil { #expect(harness.partsSent(from: requestsBefore).sorted() == [4, 5, 6]) }
        // It is not compared again: the ledger has the file as it is now.
        #expect(try harness.record().upload.source == SourceFile.open(path: Array(path.utf8)).identity)
    }

    @Test(arguments: Harmless.allCases)
    func `a confirmed file that only seems changed is not sent again`(change: Harmless) throws {
        for partSize in [EngineHarness.partSize, nil] {
            let harness = try EngineHarness()
            let path = try harness.file()
            try harness.expectDone(try harness.upload(path, .init(partSize: partSize)), path)
            try change.make(path)
            let outcome = try harness.run(try harness.register(path), path: path)
            #expect(outcome.completed.first?.wasThere == true)
            #expect(try harness.record().upload.source == SourceFile.open(path: Array(path.utf8)).identity)
        }
    }

    @Test(arguments: [EngineHarness.partSize, nil], ["auto", "sha256"])
    func `a confirmed file that was changed unseen is sent again`(partSize: Int64?, checksum: String) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.expectDone(try harness.upload(path, .init(partSize: partSize, checksum: checksum)), path)
        try Change.rewrittenUnseen.make(path)
        let outcome = try harness.run(try harness.register(path), path: path)
        #expect(outcome.completed.first?.wasThere == false)
        try harness.expectDone(outcome, path)
    }

    @Test(arguments: Harmless.allCases, [EngineHarness.partSize, nil])
    func `a file that only seems changed while it is sent is done`(change: Harmless, partSize: Int64?) throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: 300_000)
        harness.server.onBodyBytes(partSize == nil ? .putObject : .uploadPart, after: 1000) { _ in
            do { try change.make(path) } catch { Issue.record(error) }
        }
        try harness.expectDone(try harness.upload(path, .init(partSize: partSize)), path)
        #expect(try harness.record().upload.source == SourceFile.open(path: Array(path.utf8)).identity)
    }

    @Test func `an upload of an older ledger is compared before it is resumed`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        var source = try #require(try harness.record().upload.source)
        source.changeTime = nil
        _ = try harness.ledger.note(source, of: try harness.record())
        try Change.rewrittenUnseen.make(path)
        try harness.expectFailed(try harness.resume(), .source, state: .failed, openUploads: 1)
    }

    /// A job cannot ask the user to run a command with --restart.
    @Test func `a job sends a changed file again from its start`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        try Change.rewrittenUnseen.make(path)
        guard let (record, lease) = try harness.ledger.claim(try harness.record().number) else {
            throw HarnessFailure("held elsewhere")
        }
        let cancellation = Cancellation()
        let job = UploadJob(
            source: .file(Array(path.utf8)),
            destination: record.upload.destination,
            row: .claimed(record, lease),
            service: try harness.service(cancellation),
            onChange: .restart
        )
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(harness.run([job], cancellation: cancellation), path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [1, 2, 3, 4, 5, 6])
    }

    @Test(arguments: Change.allCases)
    func `a change between two runs is refused`(change: Change) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        try change.make(path)
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.resume()
        try harness.expectFailed(outcome, .source, state: .failed, openUploads: 1)
        #expect(harness.partsSent(from: requestsBefore) == [])
        #expect(harness.server.object(key: "key") == nil)
        #expect(try harness.record().partsDone == 3)
    }

    @Test(arguments: [Change.truncated, .grown, .rewritten, .movedBack, .removed])
    func `a change before anything is sent is refused`(change: Change) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        for (key, partSize) in [("parts", EngineHarness.partSize), ("put", nil)] {
            _ = try harness.ledger.claim([try harness.newUpload(path, .init(key: key, partSize: partSize))])
        }
        try change.make(path)
        let outcome = try harness.resume()
        #expect(outcome.completed.isEmpty)
        #expect(outcome.failures.map(\.kind) == [.source, .source])
        #expect(harness.server.requests.isEmpty)
    }

    @Test(arguments: Change.allCases, [EngineHarness.partSize, 2 << 20])
    func `a change while a part is sent ends the upload`(change: Change, partSize: Int64) throws {
        // One after the other: a change of bytes that nothing has read yet makes no difference.
        let harness = try EngineHarness(concurrency: 1)
        let path = try harness.file(size: partSize == EngineHarness.partSize ? 400_000 : 5 << 20)
        harness.server.onBodyBytes(.uploadPart, part: 2, after: 1000) { _ in
            do { try change.make(path) } catch { Issue.record(error) }
        }
        let outcome = try harness.upload(path, .init(partSize: partSize))
        try harness.expectFailed(outcome, .source, state: .failed, openUploads: 1)
        #expect(harness.server.object(key: "key") == nil)
    }

    @Test(arguments: [Change.truncated, .grown, .rewritten, .rewrittenUnseen, .movedBack])
    func `a change while a small file is sent is not reported done`(change: Change) throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: 300_000)
        harness.server.onBodyBytes(.putObject, after: 1000) { _ in
            do { try change.make(path) } catch { Issue.record(error) }
        }
        let outcome = try harness.upload(path, .init(partSize: nil))
        try harness.expectFailed(outcome, .source, state: .failed, openUploads: 0)
    }

    @Test(arguments: [Change.rewritten, .rewrittenUnseen, .replaced])
    func `a change during Complete is not reported done`(change: Change) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        harness.server.script([
            .on(.complete, .run(.afterProcessing) { _ in try? change.make(path) })
        ])
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .source, state: .failed, openUploads: 0)
    }

    enum Guard: String, CaseIterable, Sendable { case checksum, signature, nothing }

    /// Parts of 2 MiB wait for leave to send the body, so that it has been digested but not read again when it comes.
    @Test(arguments: Guard.allCases, [true, false])
    func `a change between the two reads of a part is noticed`(by store: Guard, hidesItsTime: Bool) throws {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        if store != .checksum {
            profile.checksums = .ignored
            profile.verifiesContentMD5 = false
        }
        profile.verifiesPayloadHash = store == .signature
        let harness = try EngineHarness(profile)
        let path = try harness.file(size: 5 << 20)
        // Every try of the part finds other bytes than were digested.
        harness.server.script([
            .on(
                .uploadPart,
                part: 1,
                times: 100,
                .run(.headersRead) { request in
                    try? Files.overwrite(path, at: 5000, with: [UInt8(truncatingIfNeeded: request.index), 9, 9])
                    if hidesItsTime { try? Files.setModificationTime(path, seconds: EngineHarness.past) }
                }
            )
        ])
        let outcome = try harness.upload(
            path,
            .init(partSize: 2 << 20, payloadSigning: store == .signature ? "always" : "never"),
            settings: EngineHarness.settings(concurrency: 1)
        )
        #expect(outcome.completed.isEmpty)
        #expect(harness.server.object(key: "key") == nil)
        // When the store finds out and the file's time says nothing, memory and network are suspects as well.
        let kind = try #require(outcome.failure?.kind)
        #expect(kind == .source || (kind == .verification && hidesItsTime && store != .nothing))
        harness.expectClean(openUploads: 1)
    }

    @Test(arguments: [Change.replaced, .rewrittenUnseen])
    func `a file that is replaced before Complete is not completed`(change: Change) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        harness.server.script([
            .on(.uploadPart, part: 6, .run(.afterProcessing) { _ in try? change.make(path) })
        ])
        let outcome = try harness.upload(path)
        try harness.expectFailed(outcome, .source, state: .failed, openUploads: 1)
        #expect(harness.server.count(.complete) == 0)
    }

    @Test func `restart aborts the old upload and sends the file as it is`() throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: 17 << 20)
        let sizing: Int64 = 5 << 20
        try harness.interrupt(path, .init(partSize: sizing), afterParts: 2)
        try Files.overwrite(path, at: 100, with: [1, 2, 3, 4])
        guard case .refused(let failure) = try harness.register(path) else {
            Issue.record("a changed file was taken")
            return
        }
        #expect(failure.kind == .source)
        #expect(failure.message.contains("--restart"))
        let entry = try harness.register(path) { $0.restart = true }
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.run(entry, path: path)
        try harness.expectDone(outcome, path)
        #expect(harness.server.requests.dropFirst(requestsBefore).first?.operation == .abort)
    }
}
