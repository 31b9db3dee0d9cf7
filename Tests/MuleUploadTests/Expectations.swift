import MuleLedger
import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleUpload

extension EngineHarness {
    /// Checks all that "done" promises: the object, the row, the events, and nothing left over at the store.
    func expectDone(
        _ outcome: Outcome,
        _ path: String,
        key: String = "key",
        openUploads: Int = 0,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(outcome.failures.isEmpty, sourceLocation: sourceLocation)
        let summary = try #require(
            outcome.completed.first { $0.destination.key == ObjectKey(key) },
            sourceLocation: sourceLocation
        )
        #expect(outcome.ends == outcome.completed.count, sourceLocation: sourceLocation)
        let object = try #require(server.object(key: key), sourceLocation: sourceLocation)
        #expect(try object.equals(file: path), sourceLocation: sourceLocation)
        #expect(summary.size == object.size, sourceLocation: sourceLocation)
        #expect((0...summary.size).contains(summary.bytesSkipped), sourceLocation: sourceLocation)
        let id = try #require(summary.id, sourceLocation: sourceLocation)
        let row = try #require(try ledger.upload(id: id), sourceLocation: sourceLocation)
        #expect(row.state == .done, sourceLocation: sourceLocation)
        #expect(row.bytesDone == summary.size, sourceLocation: sourceLocation)
        #expect(row.proof == summary.proof, sourceLocation: sourceLocation)
        #expect(object.metadata["mule-upload"] == row.token, sourceLocation: sourceLocation)
        #expect(try ledger.parts(of: row.number).isEmpty, sourceLocation: sourceLocation)
        expectClean(openUploads: openUploads, sourceLocation: sourceLocation)
    }

    /// Checks a failure of a single upload: its kind, one event, and the row's state.
    func expectFailed(
        _ outcome: Outcome,
        _ kind: UploadFailure.Kind,
        state: UploadState,
        isResumable: Bool? = nil,
        openUploads: Int,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(outcome.completed.isEmpty, sourceLocation: sourceLocation)
        #expect(outcome.failures.count == 1, sourceLocation: sourceLocation)
        #expect(outcome.ends == 1, sourceLocation: sourceLocation)
        let failure = try #require(outcome.failure, sourceLocation: sourceLocation)
        #expect(failure.kind == kind, "\(failure.message)", sourceLocation: sourceLocation)
        if let isResumable { #expect(failure.isResumable == isResumable, sourceLocation: sourceLocation) }
        #expect(try record().state == state, sourceLocation: sourceLocation)
        expectClean(openUploads: openUploads, sourceLocation: sourceLocation)
    }

    func expectClean(openUploads: Int = 0, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(server.uploads.count == openUploads, "open uploads", sourceLocation: sourceLocation)
        #expect(server.violations == [], sourceLocation: sourceLocation)
    }

    /// Numbers of the parts that the store was sent from the given request on.
    func partsSent(from index: Int = 0) -> [Int] {
        server.requests.dropFirst(index).filter { $0.operation == .uploadPart }.compactMap(\.partNumber)
    }
}
