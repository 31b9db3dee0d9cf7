import Glibc
import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// Sources that can't be read, or not as a file on a good disk can.
@Suite struct SourceFaultTests {
    /// Simulates a bad sector: replaces the open file by one whose status can be read but not its content, as long as
    /// the process holds it. The file's identity stays.
    private static func spoil(_ path: String) throws {
        let blind = open(path, O_WRONLY | O_CLOEXEC)
        guard blind >= 0 else { throw HarnessFailure("open \(path)") }
        defer { close(blind) }
        var found = 0
        for descriptor in Int32(3)..<4096 where descriptor != blind {
            guard (try? Files.target(ofLink: "/proc/self/fd/\(descriptor)")) == path else { continue }
            guard dup2(blind, descriptor) == descriptor else { throw HarnessFailure("dup2") }
            found += 1
        }
        guard found == 1 else { throw HarnessFailure("\(found) descriptors of \(path)") }
    }

    /// What is longer than a worker holds in memory is read twice.
    @Test(arguments: [Digester.mostHeld + 1, nil])
    func `a read error names its offset and keeps what has gone`(partSize: Int64?) throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: 6 * (Digester.mostHeld + 1))
        harness.server.script([
            .on(
                partSize == nil ? .putObject : .uploadPart,
                part: partSize == nil ? nil : 3,
                .run(.beforeProcessing) { _ in
                    do { try Self.spoil(path) } catch { Issue.record(error) }
                },
                // What has been digested is read once more, and can't be.
                .status(500, code: "InternalError")
            )
        ])
        let outcome = try harness.upload(
            path,
            .init(partSize: partSize),
            settings: EngineHarness.settings(concurrency: 1)
        )
        try harness.expectFailed(
            outcome,
            .source,
            state: .failed,
            isResumable: true,
            openUploads: partSize == nil ? 0 : 1
        )
        let offset = 2 * (partSize ?? 0)
        #expect(outcome.failure?.message.contains("at byte \(offset)") == true, "\(outcome.failure?.message ?? "")")
        #expect(harness.server.object(key: "key") == nil)
        // The disk reads again.
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.resume(), path)
        if partSize != nil { #expect(harness.partsSent(from: requestsBefore).sorted() == [3, 4, 5, 6]) }
    }

    /// Files that are made while they are read, of which no size is known.
    @Test(arguments: ["/proc/version", "/proc/self/mounts"])
    func `a file that holds more than its size is refused`(path: String) throws {
        let harness = try EngineHarness()
        _ = try harness.ledger.claim([
            NewUpload(
                source: SourceIdentity(path: Array(path.utf8), try FileStatus.of(path: Array(path.utf8))),
                store: harness.store,
                destination: ObjectAddress(bucket: "bucket", key: ObjectKey("key")),
                attributes: ObjectAttributes(),
                onlyIfAbsent: false,
                integrity: IntegrityOptions(checksum: "auto", payloadSigning: "auto"),
                partSize: nil
            )
        ])
        let outcome = try harness.resume()
        #expect(outcome.failures.map(\.kind) == [.source])
        #expect(outcome.failure?.message.contains("mule upload - ") == true, "\(outcome.failure?.message ?? "")")
        #expect(harness.server.requests.isEmpty)
    }

    @Test(arguments: [EngineHarness.partSize, nil])
    func `a sparse file arrives with its holes`(partSize: Int64?) throws {
        let harness = try EngineHarness()
        let path = try harness.file(size: 100)
        try Files.truncate(path, to: 900_000)
        try Files.overwrite(path, at: 500_000, with: [1, 2, 3])
        try Files.truncate(path, to: 1_000_001)
        try Files.setModificationTime(path, seconds: EngineHarness.past)
        try harness.expectDone(try harness.upload(path, .init(partSize: partSize)), path)
    }

    // MARK: File systems without fine times

    /// Changes bytes within the second in which the file was looked at, as far as its time tells.
    private static func changeUnseen(_ path: String, at offset: Int64, second: Int64) throws {
        try Files.overwrite(path, at: offset, with: [1, 2, 3, 4, 5, 6, 7, 8])
        try Files.setModificationTime(path, seconds: second)
    }

    @Test func `a change within the second of the first look is found by reading and refused`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        let second = wallClockMilliseconds() / 1000
        try Files.setModificationTime(path, seconds: second)
        try harness.interrupt(path, afterParts: 3)
        try Self.changeUnseen(path, at: EngineHarness.partSize + 5, second: second)
        try harness.expectFailed(try harness.resume(), .source, state: .failed, openUploads: 1)
        #expect(try harness.record().partsDone == 3)
    }

    @Test func `what was confirmed is sent again when a change could not be seen`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        let second = wallClockMilliseconds() / 1000
        try Files.setModificationTime(path, seconds: second)
        try harness.expectDone(try harness.run(try harness.register(path), path: path), path)
        try Self.changeUnseen(path, at: 5, second: second)
        try harness.expectDone(try harness.run(try harness.register(path), path: path), path)
    }

    // MARK: What can't be opened

    private func refusal(_ harness: EngineHarness, _ path: String) throws -> UploadFailure? {
        guard case .refused(let failure) = try harness.register(path) else { return nil }
        #expect(try harness.ledger.all().isEmpty)
        #expect(harness.server.requests.isEmpty)
        return failure
    }

    @Test func `an unreadable file is named`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try Files.setMode(path, 0)
        let message = Monitor<String?>(nil)
        // Root may read everything, except on a thread that accesses files as another user (setfsuid(2)).
        let thread = startedThread("nobody") {
            typealias SetFSUID = @convention(c) (UInt32) -> Int32
            if geteuid() == 0, let symbol = dlsym(nil, "setfsuid") {
                _ = unsafeBitCast(symbol, to: SetFSUID.self)(65_534)
            }
            do throws(UploadFailure) {
                _ = try SourceFile.open(path: Array(path.utf8))
            } catch {
                message.withLock { $0 = error.message }
            }
        }
        thread.join()
        let text = try #require(message.withLock { $0 })
        #expect(text.contains(path) && text.contains("cannot be read: Permission denied"), "\(text)")
    }

    @Test func `a file that becomes unreachable between two runs keeps its parts`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        let content = try Files.read(path)
        try Files.remove(path)
        try #require(symlink(path, path) == 0)
        try harness.expectFailed(try harness.resume(), .source, state: .failed, openUploads: 1)
        #expect(try harness.record().partsDone == 3)
        // The restored file has another time, even with the same bytes.
        try Files.remove(path)
        try harness.scratch.write(content, to: "file")
        try harness.expectFailed(try harness.resume(), .source, state: .failed, openUploads: 1)
    }

    @Test func `a link that leads to itself is named`() throws {
        let harness = try EngineHarness()
        let loop = harness.scratch.path("loop")
        try #require(symlink("loop", loop) == 0)
        let failure = try #require(try refusal(harness, loop))
        #expect(failure.kind == .source)
        #expect(failure.message.contains(loop) && failure.message.contains("symbolic links"), "\(failure.message)")
    }

    @Test func `what is no file is refused without waiting for it`() throws {
        let harness = try EngineHarness()
        let fifo = harness.scratch.path("fifo")
        #expect(mkfifo(fifo, 0o600) == 0)
        for path in [fifo, try harness.scratch.makeDirectory("directory"), "/dev/null"] {
            #expect(try refusal(harness, path)?.kind == .source, "\(path) was taken")
        }
    }

    @Test(arguments: [Array("new\nline".utf8), [0x63, 0x61, 0x66, 0xE9], Array("-r".utf8), Array("\u{1B}[2J".utf8)])
    func `a strange name is a file like any other`(name: [UInt8]) throws {
        let harness = try EngineHarness()
        let plain = try harness.file()
        let path = Array(plain.utf8.dropLast(4)) + name
        try #require(rename(plain, path.map { CChar(bitPattern: $0) } + [0]) == 0)
        let intent = UploadIntent(
            path: path,
            destination: .init(bucket: "bucket", key: .init("key")),
            store: harness.store,
            sizing: .init(),
            attributes: .init(),
            onlyIfAbsent: false,
            integrity: .init(checksum: "auto", payloadSigning: "auto")
        )
        guard case .job(.claimed(let record, _), nil) = try Registration(harness.ledger).register([intent]).first
        else { throw HarnessFailure("refused") }
        #expect(record.upload.source?.path.suffix(name.count).elementsEqual(name) == true)
        let outcome = try harness.resume()
        #expect(outcome.completed.count == 1)
        try #require(rename(path.map { CChar(bitPattern: $0) } + [0], plain) == 0)
        try harness.expectDone(outcome, plain)
    }
}
