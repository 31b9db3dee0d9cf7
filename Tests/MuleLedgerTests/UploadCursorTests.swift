import MuleLedger
import MulePlan
import TestSupport
import Testing

@Suite struct UploadCursorTests {
    private let directory = ScratchDirectory()

    @Test(arguments: [1, 2, 7, 100])
    func `a list of uploads is read in slices, each upload once, and without those that come later`(limit: Int) throws {
        let ledger = try Ledger(directory)
        let records = try (0..<14).map { try #require(try ledger.take(.sample(key: "\($0)"))).record }
        var cursor = try UploadCursor(ledger, .unfinished, limit: limit)
        _ = try ledger.take(.sample(key: "later"))
        var found: [Int64] = []
        while case let slice = try cursor.next(), !slice.isEmpty {
            #expect(slice.count <= limit)
            found += slice.map(\.number)
            // Uploads that end during the iteration do not move others.
            for record in slice { try ledger.end(record, .aborted) }
        }
        #expect(found == records.map(\.number))
        #expect(try cursor.next().isEmpty)
    }

    @Test func `a list has the uploads of its selection and its endpoint`() throws {
        let ledger = try Ledger(directory)
        func upload(_ key: String, at host: String, _ outcome: Ledger.Outcome?, uploadID: String? = nil) throws {
            var (record, _) = try #require(try ledger.take(.sample(key: key, endpoint: "https://\(host)")))
            if let uploadID {
                record = try ledger.recordCreated(record, uploadID: uploadID, negotiated: "", abortDate: nil)
            }
            if let outcome { try ledger.end(record, outcome) }
        }
        try upload("pending", at: "a", nil)
        try upload("done", at: "a", .sampleDone)
        try upload("failed", at: "a", .stopped(.failed, error: "why"))
        try upload("failed with parts", at: "b", .stopped(.failed, error: "why"), uploadID: "1")
        try upload("unknown", at: "b", .stopped(.unknown, error: nil))
        try upload("aborted", at: "b", .aborted)
        func keys(_ selection: UploadSelection, at endpoint: String? = nil) throws -> [String] {
            var cursor = try UploadCursor(ledger, selection, at: endpoint)
            return try cursor.next().map(\.upload.destination.key.string)
        }
        #expect(try keys(.all) == ["pending", "done", "failed", "failed with parts", "unknown", "aborted"])
        #expect(try keys(.unfinished) == ["pending", "failed", "failed with parts", "unknown"])
        #expect(try keys(.open) == ["pending", "failed with parts", "unknown"])
        #expect(try keys(.open, at: "https://b") == ["failed with parts", "unknown"])
        #expect(try ledger.count(.open, at: "https://b") == (3, 2))
        #expect(try ledger.count(.all, at: "https://a") == (6, 3))
        #expect(try keys(.open) == ledger.all().filter(\.isOpen).map(\.upload.destination.key.string))
    }
}
