import MuleLedger
import MuleSystem
import Synchronization
import TestSupport
import Testing

@testable import MuleUpload

/// Parts that are compared with the file while the rest of the list is fetched: six without rows, two per page.
@Suite struct ResumeAheadTests {
    private let harness: EngineHarness
    private let path: String
    private let uploadID: String
    private let firstRequest: Int

    init() throws {
        harness = try EngineHarness()
        harness.server.profile.listPartsPageSize = 2
        path = try harness.file()
        try harness.interrupt(path, afterParts: 5)
        let record = try harness.record()
        try harness.ledger.forgetParts(Array(1...5), of: record.number)
        uploadID = try #require(record.uploadID)
        firstRequest = harness.server.requests.count
    }

    /// Other bytes under the number, so that it is seen at the store when the part has been compared.
    private func damage(_ number: Int, upload: String, on server: FakeS3) {
        server.edit(upload: upload) { upload in
            guard var part = upload.parts[number], let other = upload.parts[number % 5 + 1] else { return }
            (part.eTag, part.checksum, part.content) = (other.eTag, other.checksum, other.content)
            upload.parts[number] = part
        }
    }

    @Test func `parts of one page are dealt with while the next is fetched`() throws {
        let server = harness.server
        damage(1, upload: uploadID, on: server)
        let wasSent = Atomic<Bool>(false)
        let firstRequest = firstRequest
        server.script([
            .on(
                .listParts,
                occurrence: 2,
                .run(.beforeProcessing) { [weak server] _ in
                    let sent = server?.waitUntil { server in
                        server.requests(.uploadPart).contains { $0.index >= firstRequest && $0.partNumber == 1 }
                    }
                    wasSent.store(sent == true, ordering: .sequentiallyConsistent)
                }
            )
        ])
        let outcome = try harness.resume()
        try harness.expectDone(outcome, path)
        let sentMeanwhile = wasSent.load(ordering: .sequentiallyConsistent)
        #expect(sentMeanwhile)
        #expect(harness.partsSent(from: firstRequest).sorted() == [1, 6])
        #expect(server.count(.listParts) == 3)
        #expect(outcome.completed.first?.bytesSkipped == 4 * EngineHarness.partSize)
    }

    @Test func `an upload that is gone on the second page is started again`() throws {
        let server = harness.server
        let id = uploadID
        server.script([
            .on(
                .listParts,
                occurrence: 2,
                .run(.beforeProcessing) { [weak server] _ in
                    server?.edit { $0.buckets["bucket"]?.uploads[id] = nil }
                }
            )
        ])
        let outcome = try harness.resume()
        try harness.expectDone(outcome, path)
        #expect(harness.partsSent(from: firstRequest).sorted() == Array(1...6))
        #expect(server.count(.create) == 2)
    }

    @Test func `a list that changes when it is asked for again is looked at once more`() throws {
        let server = harness.server
        let id = uploadID
        let change = { @Sendable (server: FakeS3) in
            server.edit(upload: id) { upload in
                guard var part = upload.parts[1], let other = upload.parts[2] else { return }
                (part.eTag, part.checksum, part.content) = (other.eTag, other.checksum, other.content)
                upload.parts[1] = part
            }
        }
        server.script([
            .on(
                .listParts,
                occurrence: 2,
                .run(.beforeProcessing) { [weak server] _ in server.map(change) },
                .status(500, code: "InternalError")
            )
        ])
        let outcome = try harness.resume()
        try harness.expectDone(outcome, path)
        #expect(harness.partsSent(from: firstRequest).sorted() == [1, 6])
        // The look comes before the store would find it out.
        #expect(harness.server.count(.complete) == 1)
    }

    @Test func `a list that is refused half way is gone on without by the ledger`() throws {
        harness.server.script([
            .on(.listParts, occurrence: 2, times: 100, .status(403, code: "AccessDenied"))
        ])
        let outcome = try harness.resume()
        try harness.expectDone(outcome, path)
        #expect(harness.server.count(.create) == 1)
    }
}
