import MuleDigest
import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// Uploads that exist only at the store.
@Suite struct AdoptTests {
    private let harness: EngineHarness
    /// Has no uploads of the harness's own ledger.
    private let ledger: Ledger

    init() throws {
        harness = try EngineHarness()
        ledger = try EngineHarness.emptyLedger(harness.scratch)
    }

    private var server: FakeS3 { harness.server }

    private struct Adoption {
        var record: UploadRecord?
        var failure: UploadFailure?
        var notices: [String] = []
    }

    /// Adopts and releases the lease, like a process that dies between the two steps of the command.
    private func adopt(_ path: String, onlyIfAbsent: Bool = false, into ledger: Ledger? = nil) throws -> Adoption {
        let cancellation = Cancellation()
        let run = AdoptRun(ledger: ledger ?? self.ledger, settings: harness.settings, cancellation: cancellation)
        let intent = UploadIntent(
            path: Array(path.utf8),
            destination: ObjectAddress(bucket: "bucket", key: ObjectKey("key")),
            store: harness.store,
            sizing: PartSizing(),
            attributes: ObjectAttributes(),
            onlyIfAbsent: onlyIfAbsent,
            integrity: IntegrityOptions(checksum: "auto", payloadSigning: "auto")
        )
        let service = try harness.service(cancellation)
        var adoption = Adoption()
        do throws(UploadFailure) {
            adoption.record = try run.adopt(intent, service: service) { adoption.notices.append($0) }.0
        } catch {
            adoption.failure = error
        }
        return adoption
    }

    /// Resumes an adopted upload and checks the end: only the missing parts were sent, and all proofs agree.
    private func expectFinished(
        _ path: String,
        sending missing: [Int],
        from requestsBefore: Int,
        openUploads: Int = 0,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let outcome = try harness.resume(ledger)
        #expect(outcome.failures.isEmpty, "\(outcome.failures)", sourceLocation: sourceLocation)
        let summary = try #require(outcome.completed.first, sourceLocation: sourceLocation)
        let object = try #require(server.object(key: "key"), sourceLocation: sourceLocation)
        #expect(try object.equals(file: path), sourceLocation: sourceLocation)
        #expect(harness.partsSent(from: requestsBefore).sorted() == missing, sourceLocation: sourceLocation)
        #expect(summary.bytesSkipped == object.size - summary.bytesSent, sourceLocation: sourceLocation)
        #expect(summary.proof.eTag == object.eTag, sourceLocation: sourceLocation)
        let isSameKind = object.checksum?.algorithm.rawValue == summary.proof.checksumAlgorithm
        if isSameKind {
            #expect(summary.proof.checksumValue == object.checksum?.value, sourceLocation: sourceLocation)
        }
        #expect(try ledger.unfinished().isEmpty, sourceLocation: sourceLocation)
        harness.expectClean(openUploads: openUploads, sourceLocation: sourceLocation)
    }

    // MARK: Started by another mule

    @Test(
        arguments: ["auto", "crc32c", "crc32", "sha256", "md5", "none"].map { ($0, false) }
            + ["auto", "md5", "none"].map { ($0, true) }
    )
    func `only missing parts are sent after the ledger is lost`(checksum: String, storeIgnoresChecksums: Bool) throws {
        if storeIgnoresChecksums { server.profile.checksums = .ignored }
        let path = try harness.file()
        try harness.interrupt(path, .init(checksum: checksum), afterParts: 4)
        let requestsBefore = server.requests.count
        let adoption = try adopt(path)
        #expect(adoption.failure == nil, "\(String(describing: adoption.failure))")
        #expect(adoption.record?.partsDone == 4)
        #expect(adoption.record?.bytesDone == 4 * EngineHarness.partSize)
        #expect(adoption.record?.upload.partSize == EngineHarness.partSize)
        #expect(adoption.notices == [])
        try expectFinished(path, sending: [5, 6], from: requestsBefore)
        #expect(server.count(.create) == 1)
    }

    @Test(arguments: [1, 6]) func `one or all parts are enough`(parts: Int) throws {
        let path = try harness.file()
        let cancellation = Cancellation()
        if parts == 6 {
            server.script([.on(.complete, .run(.headersRead) { _ in cancellation.cancel() }, .closeBeforeProcessing)])
            _ = try harness.upload(path, cancellation: cancellation)
            server.script([])
        } else {
            try harness.interrupt(path, afterParts: parts)
        }
        let requestsBefore = server.requests.count
        #expect(try adopt(path).record?.partsDone == parts)
        try expectFinished(path, sending: Array((parts + 1)..<7), from: requestsBefore)
    }

    @Test func `the last part alone tells the plan`() throws {
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 4)
        let upload = try #require(server.uploads.first)
        let bytes = try Files.read(path)[(5 * Int(EngineHarness.partSize))...]
        server.edit(upload: upload.id) { $0.parts = [6: Self.part(6, Array(bytes), checksum: .crc64nvme)] }
        let requestsBefore = server.requests.count
        #expect(try adopt(path).record?.upload.partSize == EngineHarness.partSize)
        try expectFinished(path, sending: [1, 2, 3, 4, 5], from: requestsBefore)
    }

    @Test func `an adopted upload may be interrupted again`() throws {
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 2)
        #expect(try adopt(path).failure == nil)
        let cancellation = Cancellation()
        server.script([
            .on(.uploadPart, part: 5, .run(.headersRead) { _ in cancellation.cancel() }, .closeBeforeProcessing)
        ])
        _ = try harness.resume(ledger, settings: EngineHarness.settings(concurrency: 1), cancellation: cancellation)
        server.script([])
        let requestsBefore = server.requests.count
        try expectFinished(path, sending: [5, 6], from: requestsBefore)
    }

    // MARK: Started by other programs

    private static func part(_ number: Int, _ bytes: [UInt8], checksum: ChecksumAlgorithm?) -> FakePart {
        let digest = Self.checksum(.md5, of: bytes).bytes
        var part = FakePart(
            number: number,
            size: Int64(bytes.count),
            eTag: Hex.encode(digest),
            checksum: checksum.map { Self.checksum($0, of: bytes) },
            content: FakeBytes(copying: bytes)
        )
        part.md5 = digest
        return part
    }

    private static func checksum(_ algorithm: ChecksumAlgorithm, of bytes: [UInt8]) -> Checksum {
        guard let crc = CRCAlgorithm(algorithm) else {
            if algorithm == .md5 {
                var md5 = MessageDigest(.md5)
                bytes.withUnsafeBytes { md5.update($0) }
                return Checksum(algorithm: .md5, bytes: md5.finish())
            }
            return Checksum(algorithm: algorithm, bytes: sha256(bytes))
        }
        var digest = CRCDigest(crc)
        bytes.withUnsafeBytes { digest.update($0) }
        return digest.checksum
    }

    /// An upload of another program that holds these parts of the file.
    private func plant(
        _ path: String,
        _ numbers: [Int],
        id: String = "theirs",
        partSize: Int64 = EngineHarness.partSize,
        declared: (ChecksumAlgorithm, FakeChecksum.Kind)? = nil,
        own: ChecksumAlgorithm? = nil,
        initiated: Int64 = 1_700_000_000
    ) throws {
        let bytes = try Files.read(path)
        let plan = PartPlan(objectSize: Int64(bytes.count), partSize: partSize)
        var upload = FakeUpload(id: id, key: Array("key".utf8), initiated: initiated)
        upload.checksumAlgorithm = declared?.0
        upload.checksumKind = declared?.1
        for number in numbers {
            let range = plan.range(of: number)
            let content = Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
            upload.parts[number] = Self.part(number, content, checksum: declared?.0 ?? own)
        }
        server.edit { [upload] in $0.buckets["bucket"]?.uploads[id] = upload }
    }

    @Test(arguments: [nil, ChecksumAlgorithm.crc64nvme, .crc32], [false, true])
    func `parts without a declared checksum are taken over`(own: ChecksumAlgorithm?, ignored: Bool) throws {
        if ignored { server.profile.checksums = .ignored }
        let path = try harness.file()
        try plant(path, [1, 3, 6], own: own)
        #expect(try adopt(path).record?.partsDone == 3)
        try expectFinished(path, sending: [2, 4, 5], from: 0)
        // AWS refuses a checksum that was not declared.
        #expect(server.requests(.uploadPart).allSatisfy { $0.header("x-amz-checksum-crc64nvme") == nil })
        #expect(server.requests(.uploadPart).allSatisfy { $0.header("content-md5") != nil })
        #expect(server.object(key: "key")?.metadata["mule-upload"] == nil)
    }

    @Test(
        arguments: [
            (ChecksumAlgorithm.crc32, FakeChecksum.Kind.composite), (.crc32c, .composite), (.crc32, .fullObject),
            (.sha256, .composite), (.crc64nvme, .fullObject),
        ]
    )
    func `the declared checksum is kept`(algorithm: ChecksumAlgorithm, kind: FakeChecksum.Kind) throws {
        let path = try harness.file()
        try plant(path, [1, 2], declared: (algorithm, kind))
        #expect(try adopt(path).failure == nil)
        try expectFinished(path, sending: [3, 4, 5, 6], from: 0)
        let object = try #require(server.object(key: "key")?.checksum)
        #expect(object.algorithm == algorithm && object.kind == kind)
        #expect(try ledger.all().first?.proof.checksumValue == object.value)
    }

    @Test func `a checksum that mule does not compute is refused`() throws {
        let path = try harness.file()
        try plant(path, [1, 2], declared: (.md5, .composite))
        let adoption = try adopt(path)
        #expect(adoption.failure?.kind == .verification)
        #expect(adoption.failure?.message.contains("MD5 checksums") == true)
        #expect(try ledger.all().isEmpty && server.uploads.count == 1)
    }

    // MARK: Which of several

    @Test func `the one with the most bytes is taken`() throws {
        let path = try harness.file()
        try plant(path, [1, 2, 3], id: "most")
        try plant(path, [1, 2], id: "newer", initiated: 1_700_000_100)
        let adoption = try adopt(path)
        #expect(adoption.record?.uploadID == "most")
        #expect(adoption.notices.count == 1)
        #expect(
            adoption.notices.first?.contains("newer") == true && adoption.notices.first?.contains("mule clean") == true
        )
        try expectFinished(path, sending: [4, 5, 6], from: 0, openUploads: 1)
    }

    @Test func `of equal ones the newest is taken`() throws {
        let path = try harness.file()
        try plant(path, [1, 2], id: "older")
        try plant(path, [2, 3], id: "newer", initiated: 1_700_000_100)
        #expect(try adopt(path).record?.uploadID == "newer")
    }

    @Test func `one of another file is passed by`() throws {
        let path = try harness.file()
        let other = try harness.file("other", seed: 2)
        try plant(other, [1, 2, 3, 4], id: "other", own: .crc64nvme)
        try plant(path, [1], id: "right")
        let adoption = try adopt(path)
        #expect(adoption.record?.uploadID == "right")
        #expect(
            adoption.notices.count == 1 && adoption.notices.first?.contains("part 1 that differs from the file") == true
        )
    }

    // MARK: Refusals

    @Test(arguments: [1, 4], [false, true])
    func `a part with other bytes is named`(number: Int, hasChecksum: Bool) throws {
        let path = try harness.file()
        try plant(path, [1, 2, 3, 4], own: hasChecksum ? .crc64nvme : nil)
        if !hasChecksum { server.profile.checksums = .ignored }
        server.edit(upload: "theirs") { upload in
            let size = Int(upload.parts[number]?.size ?? 0)
            upload.parts[number] = Self.part(
                number,
                Array(repeating: 7, count: size),
                checksum: hasChecksum ? .crc64nvme : nil
            )
        }
        let adoption = try adopt(path)
        #expect(adoption.failure?.kind == .verification)
        #expect(adoption.failure?.message.contains("part \(number) ") == true, "\(adoption.failure?.message ?? "")")
        #expect(try ledger.all().isEmpty)
        harness.expectClean(openUploads: 1)
    }

    @Test(arguments: [FakeProfile.ETagStyle.random, .opaque]) func `parts that nothing proves are refused`(
        style: FakeProfile.ETagStyle
    ) throws {
        server.profile.checksums = .ignored
        server.profile.eTagStyle = style
        let path = try harness.file()
        try harness.interrupt(path, .init(checksum: "none", payloadSigning: "always"), afterParts: 2)
        let adoption = try adopt(path)
        #expect(adoption.failure?.kind == .verification)
        #expect(adoption.failure?.message.contains("ETag") == true)
        #expect(try ledger.all().isEmpty)
    }

    @Test func `parts of unequal sizes are refused`() throws {
        let path = try harness.file()
        try plant(path, [1, 2])
        server.edit(upload: "theirs") { $0.parts[1] = Self.part(1, [1, 2, 3], checksum: nil) }
        let adoption = try adopt(path)
        #expect(adoption.failure?.message.contains("a part 1 of 3 bytes") == true)
    }

    @Test func `an upload of the ledger is named`() throws {
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 2)
        let record = try harness.record()
        let adoption = try adopt(path, into: harness.ledger)
        #expect(adoption.failure?.kind == .usage)
        #expect(adoption.failure?.message.contains("mule resume \(record.id)") == true)
        let lease = try harness.ledger.claim(record.number)
        let other = try Ledger(path: harness.ledger.path)
        #expect(try adopt(path, into: other).failure?.kind == .held)
        withExtendedLifetime(lease) {}
    }

    @Test func `an upload of another file of the ledger is not taken`() throws {
        let other = try harness.file("other")
        try harness.interrupt(other, afterParts: 2)
        // The same bytes under another name.
        let adoption = try adopt(try harness.file(), into: harness.ledger)
        #expect(adoption.failure?.kind == .store)
        #expect(adoption.notices.first?.contains(try harness.record().id) == true)
    }

    @Test func `an empty row of the ledger is used`() throws {
        let path = try harness.file()
        try plant(path, [1, 2])
        _ = try ledger.claim([try harness.newUpload(path, .init(partSize: 8 << 20))])
        #expect(try adopt(path).record?.partsDone == 2)
        #expect(try ledger.all().count == 1)
        try expectFinished(path, sending: [3, 4, 5, 6], from: 0)
    }

    @Test func `what may not be listed is said`() throws {
        let path = try harness.file()
        try plant(path, [1, 2])
        server.profile.denied = [.listUploads]
        let uploads = try adopt(path)
        #expect(uploads.failure?.kind == .store)
        #expect(uploads.failure?.message.contains("s3:ListBucketMultipartUploads") == true)
        server.profile.denied = [.listParts]
        let parts = try adopt(path)
        #expect(parts.failure?.kind == .store)
        #expect(parts.notices.first?.contains("s3:ListMultipartUploadParts") == true)
    }

    @Test func `nothing to take over is said`() throws {
        let adoption = try adopt(try harness.file())
        #expect(adoption.failure?.kind == .store)
        #expect(adoption.failure?.message.contains("no unfinished upload of bucket/key") == true)
        #expect(try adopt(try harness.file("empty", size: 0)).failure?.kind == .usage)
        #expect(try ledger.all().isEmpty)
    }

    @Test func `a file that changes meanwhile is not recorded`() throws {
        let path = try harness.file()
        try plant(path, [1, 2])
        server.add(
            .on(
                .listParts,
                .run(.beforeProcessing) { _ in try? Files.setModificationTime(path, seconds: 1_700_000_001) }
            )
        )
        #expect(try adopt(path).failure?.kind == .source)
        #expect(try ledger.all().isEmpty)
    }

    // MARK: The proof at the end

    @Test(arguments: [true, false]) func `a lost answer to Complete is settled by the checksum`(checksums: Bool) throws
    {
        if !checksums { server.profile.checksums = .ignored }
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 4)
        let requestsBefore = server.requests.count
        #expect(try adopt(path).failure == nil)
        server.script([.on(.complete, .closeAfterProcessing)])
        try expectFinished(path, sending: [5, 6], from: requestsBefore)
    }

    /// rclone: Complete answers the MD5 of the parts' MD5s, HEAD the MD5 of all bytes.
    @Test(arguments: [true, false]) func `the MD5 of the whole object as its ETag is a proof`(isRight: Bool) throws {
        server.profile.checksums = .ignored
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 4)
        #expect(try adopt(path).failure == nil)
        let bytes = try Files.read(path) + (isRight ? [] : [0])
        let md5 = Self.checksum(.md5, of: bytes).hex
        server.script([
            .on(
                .complete,
                .run(.afterProcessing) { [server] _ in
                    server.edit { $0.buckets["bucket"]?.objects[Array("key".utf8)]?.eTag = md5 }
                }
            )
        ])
        let outcome = try harness.resume(ledger)
        #expect(outcome.completed.count == (isRight ? 1 : 0), "\(outcome.failure?.message ?? "")")
        if !isRight { #expect(outcome.failure?.kind == .verification) }
    }

    @Test func `a lost answer that nothing settles is unknown`() throws {
        let path = try harness.file()
        try plant(path, [1, 2])
        #expect(try adopt(path).failure == nil)
        server.profile.headOmitsChecksum = true
        server.profile.eTagStyle = .random
        server.script([.on(.complete, .closeAfterProcessing)])
        let outcome = try harness.resume(ledger)
        #expect(outcome.failure?.kind == .verification, "\(String(describing: outcome.failure))")
        #expect(try ledger.all().first?.state == .unknown)
    }

    @Test func `another object is not taken for the adopted one`() throws {
        let path = try harness.file()
        let other = try harness.file("other", seed: 2)
        try plant(path, [1, 2], declared: (.crc64nvme, .fullObject))
        #expect(try adopt(path).failure == nil)
        let bytes = try Files.read(other)
        server.script([
            .on(
                .complete,
                .run(.beforeProcessing) { [server] request in
                    server.edit { store in
                        store.buckets["bucket"]?.uploads = [:]
                        var object = FakeObject(content: bytes)
                        object.lastModified = wallClockMilliseconds() / 1000 + 60
                        object.checksum = FakeChecksum(
                            algorithm: .crc64nvme,
                            kind: .fullObject,
                            value: Self.checksum(.crc64nvme, of: bytes).base64
                        )
                        store.buckets["bucket"]?.objects[Array("key".utf8)] = object
                    }
                }
            )
        ])
        let outcome = try harness.resume(ledger)
        #expect(outcome.failure?.kind == .verification)
        #expect(try server.object(key: "key")?.equals(file: other) == true)
    }

    @Test func `an object that exists is not replaced against the wish`() throws {
        let path = try harness.file()
        try plant(path, [1, 2])
        server.edit { $0.buckets["bucket"]?.objects[Array("key".utf8)] = FakeObject(content: [1]) }
        #expect(try adopt(path, onlyIfAbsent: true).failure == nil)
        #expect(try harness.resume(ledger).failure?.kind == .exists)
        #expect(server.object(key: "key")?.bytes == [1])
    }

    /// Neither an object without a token nor one whose token is not in this ledger.
    @Test(arguments: [true, false]) func `what was adopted is not sent again`(byMule: Bool) throws {
        let path = try harness.file()
        if byMule { try harness.interrupt(path, afterParts: 2) } else { try plant(path, [1, 2]) }
        #expect(try adopt(path).failure == nil)
        try expectFinished(path, sending: [3, 4, 5, 6], from: byMule ? server.requests.count : 0)
        #expect((server.object(key: "key")?.metadata["mule-upload"] != nil) == byMule)
        let requestsBefore = server.requests.count
        let entry = try harness.register(path, ledger: ledger)
        let outcome = try harness.run(entry, path: path, ledger: ledger)
        #expect(outcome.completed.first?.wasThere == true)
        #expect(harness.partsSent(from: requestsBefore) == [])
    }
}
