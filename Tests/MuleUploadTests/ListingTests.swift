import MuleDigest
import MuleLedger
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

/// The resume truth: ledger and ListParts together.
@Suite struct ListingTests {
    @Test(arguments: [0, 1, 3, 6])
    func `recorded parts are not sent again`(count: Int) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        if count == 6 {
            harness.server.add(.on(.complete, .status(403, code: "AccessDenied")))
            _ = try harness.upload(path)
        } else {
            let outcome = try harness.interrupt(path, afterParts: count)
            try harness.expectFailed(outcome, .interrupted, state: .pending, isResumable: true, openUploads: 1)
        }
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.resume()
        try harness.expectDone(outcome, path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == Array((count + 1)..<7))
        let size = try Files.size(path)
        #expect(outcome.completed.first?.bytesSkipped == min(Int64(count) * EngineHarness.partSize, size))
        #expect(harness.server.count(.create) == 1)
    }

    @Test func `delivered parts without a row are adopted`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 5)
        let record = try harness.record()
        try harness.ledger.forgetParts([1, 2, 4], of: record.number)
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.resume()
        try harness.expectDone(outcome, path)
        #expect(harness.partsSent(from: requestsBefore) == [6])
        #expect(outcome.completed.first?.bytesSkipped == 5 * EngineHarness.partSize)
    }

    @Test func `many parts are listed over all pages`() throws {
        let count = 2_500
        let harness = try EngineHarness()
        let path = try harness.file(size: Int64(count) * 1024)
        try harness.interrupt(path, .init(partSize: 1024), afterParts: 0)
        let content = try Files.read(path)
        let uploadID = try #require(harness.record().uploadID)
        harness.server.edit(upload: uploadID) { upload in
            for number in 1...count {
                let bytes = Array(content[(number - 1) * 1024..<number * 1024])
                upload.parts[number] = Self.part(number, bytes)
            }
        }
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.resume()
        try harness.expectDone(outcome, path)
        #expect(harness.partsSent(from: requestsBefore) == [])
        #expect(harness.server.count(.listParts) == 3)
        #expect(outcome.completed.first?.bytesSkipped == Int64(count) * 1024)
    }

    @Test func `a superseded part does not count for its newer one`() throws {
        let harness = try EngineHarness()
        harness.server.profile.listPartsShowsSuperseded = true
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 4)
        let uploadID = try #require(harness.record().uploadID)
        harness.server.edit(upload: uploadID) { upload in
            // Part 1: an older, wrong version next to the right one. Part 2: another program replaced our bytes.
            var older = Self.part(1, [UInt8](repeating: 1, count: Int(EngineHarness.partSize)))
            older.lastModified = 1
            upload.superseded.append(older)
            if var ours = upload.parts[2] {
                ours.lastModified = 1
                upload.superseded.append(ours)
            }
            var newer = Self.part(2, [UInt8](repeating: 2, count: Int(EngineHarness.partSize)))
            newer.lastModified = 4_000_000_000
            upload.parts[2] = newer
        }
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.resume(), path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [2, 5, 6])
    }

    @Test(arguments: [false, true])
    func `parts that are not the files are sent again`(withoutRows: Bool) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 5)
        let record = try harness.record()
        harness.server.edit(upload: record.uploadID ?? "") { upload in
            upload.parts[1] = Self.part(1, [UInt8](repeating: 0, count: 100))
            upload.parts[2] = Self.part(2, [UInt8](repeating: 0, count: Int(EngineHarness.partSize)))
            upload.parts[3] = nil
        }
        if withoutRows { try harness.ledger.forgetParts(Array(1...5), of: record.number) }
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.resume(), path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [1, 2, 3, 6])
    }

    /// The store has kept the part's name, but not its bytes.
    @Test func `a part whose listed checksum is another is not the one that was recorded`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        harness.server.edit(upload: try harness.record().uploadID ?? "") { upload in
            guard let ours = upload.parts[2] else { return }
            var rotten = Self.part(2, [UInt8](repeating: 0, count: Int(EngineHarness.partSize)))
            rotten.eTag = ours.eTag
            upload.parts[2] = rotten
        }
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.resume(), path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [2, 4, 5, 6])
        #expect(harness.server.count(.complete) == 1)
    }

    /// A list that goes in circles: the parts it has shown are not taken for all of them.
    @Test func `a list that does not go on is no list`() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 5)
        harness.server.script([
            .on(
                .listParts,
                times: 100,
                .custom { request in
                    let next = request.parameter("part-number-marker") == "2" ? 1 : 2
                    let text =
                        "<ListPartsResult><IsTruncated>true</IsTruncated>"
                        + "<NextPartNumberMarker>\(next)</NextPartNumberMarker></ListPartsResult>"
                    return FakeReply(200, body: Array(text.utf8))
                }
            )
        ])
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.resume()
        try harness.expectFailed(outcome, .store, state: .failed, openUploads: 1)
        #expect(harness.partsSent(from: requestsBefore) == [])
        // Two pages for each try.
        #expect(harness.server.count(.listParts) == 10)
        #expect(try harness.record().partsDone == 5)
        harness.server.script([])
        try harness.expectDone(try harness.resume(), path)
        #expect(harness.partsSent(from: requestsBefore) == [6])
    }

    @Test(arguments: [true, false])
    func `without listed checksums the MD5 tag decides`(isSame: Bool) throws {
        let harness = try EngineHarness()
        harness.server.profile.listPartsOmitsChecksums = true
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        let record = try harness.record()
        try harness.ledger.forgetParts([1, 2], of: record.number)
        if !isSame {
            harness.server.edit(upload: record.uploadID ?? "") { upload in
                upload.parts[2] = Self.part(2, [UInt8](repeating: 0, count: Int(EngineHarness.partSize)))
            }
        }
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.resume(), path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == (isSame ? [4, 5, 6] : [2, 4, 5, 6]))
    }

    @Test func `a part that nothing proves is sent again`() throws {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.eTagStyle = .opaque
        profile.listPartsOmitsChecksums = true
        let harness = try EngineHarness(profile)
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        try harness.ledger.forgetParts([1], of: try harness.record().number)
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.resume(), path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [1, 4, 5, 6])
    }

    @Test(arguments: [(403, "AccessDenied"), (501, "NotImplemented")])
    func `without leave to list the ledger is gone by`(status: Int, code: String) throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        harness.server.script([.on(.listParts, times: 100, .status(status, code: code))])
        let requestsBefore = harness.server.requests.count
        let outcome = try harness.resume()
        try harness.expectDone(outcome, path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [4, 5, 6])
        #expect(outcome.notices.count { $0.contains("s3:ListMultipartUploadParts") } == 1)
    }

    @Test(
        arguments: [
            .on(.listParts, times: 2, .status(500, code: "InternalError")), .on(.listParts, .truncatedXML),
            .on(.listParts, .emptyBody200()), .on(.listParts, occurrence: 2, .closeInAnswer),
        ] as [Fault]
    )
    func `a list that breaks off is asked for again`(fault: Fault) throws {
        let harness = try EngineHarness()
        harness.server.profile.listPartsPageSize = 2
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 5)
        harness.server.script([fault])
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.resume(), path)
        #expect(harness.partsSent(from: requestsBefore) == [6])
    }

    @Test(
        arguments: [FakeProfile.ETagStyle.md5, .random, .kms, .opaque],
        [FakeProfile.ETagQuoting.entity, .plain, .none]
    )
    func `every style of ETag is resumed`(style: FakeProfile.ETagStyle, quoting: FakeProfile.ETagQuoting) throws {
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.eTagStyle = style
        profile.eTagQuoting = quoting
        let harness = try EngineHarness(profile)
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        let requestsBefore = harness.server.requests.count
        try harness.expectDone(try harness.resume(), path)
        #expect(harness.partsSent(from: requestsBefore).sorted() == [4, 5, 6])
    }

    private static func part(_ number: Int, _ bytes: [UInt8]) -> FakePart {
        let digest = bytes.withUnsafeBytes { bytes in
            var crc = CRCDigest(.crc64nvme)
            crc.update(bytes)
            return crc.checksum
        }
        return FakePart(
            number: number,
            size: Int64(bytes.count),
            eTag: Hex.encode(md5(bytes)),
            checksum: digest,
            content: FakeBytes(copying: bytes),
            lastModified: 10
        )
    }

    private static func md5(_ bytes: [UInt8]) -> [UInt8] {
        var digest = MessageDigest(.md5)
        bytes.withUnsafeBytes { digest.update($0) }
        return digest.finish()
    }
}
