import MuleJSON
import MulePlan
import TestSupport
import Testing

@testable import MuleLedger

/// Uploads of streams, which are found again by what they are called and where they go.
@Suite struct StreamTests {
    private let directory = ScratchDirectory()

    private static func stream(_ stream: StreamSource, key: String = "key", partSize: Int64? = nil) -> NewUpload {
        var upload = NewUpload.sample(key: key, partSize: partSize)
        (upload.source, upload.stream) = (nil, stream)
        return upload
    }

    private func claim(
        _ ledger: Ledger,
        _ upload: NewUpload,
        choosing choice: ([UploadRecord]) -> UploadRecord? = { $0.first }
    ) throws -> (claim: Ledger.Claim, others: [String]) {
        let claim = try ledger.claimStream(upload, choosing: choice)
        return (claim.claim, claim.others.map(\.id))
    }

    private func startedUpload(_ ledger: Ledger, _ upload: NewUpload) throws -> UploadRecord {
        guard case .began(let record, _) = try claim(ledger, upload, choosing: { _ in nil }).claim else {
            throw CommandFailure.never
        }
        return record
    }

    private enum CommandFailure: Error { case never }

    @Test(arguments: StreamSource.allCases)
    func `a row says what kind of stream it is`(source: StreamSource) throws {
        let ledger = try Ledger(directory)
        let upload = Self.stream(source, partSize: 5 * mebibyte)
        let record = try startedUpload(ledger, upload)
        #expect(record.upload == upload)
        #expect(try ledger.upload(id: record.id) == record)
        #expect(record.upload.source == nil && record.upload.stream == source)
        #expect(record.size == nil && record.partCount == nil)
        #expect(try ledger.replan(record, as: upload).upload == upload)
    }

    @Test func `the latest unfinished one of the same name and place is found`() throws {
        let ledger = try Ledger(directory)
        let first = try startedUpload(ledger, Self.stream(.command))
        let second = try startedUpload(ledger, Self.stream(.command))
        for other in [Self.stream(.standardInput), Self.stream(.command, key: "other"), .sample(), .sampleStream] {
            _ = try ledger.claim([other])
        }
        let (claim, others) = try claim(ledger, Self.stream(.command, partSize: 7 * mebibyte))
        guard case .found(let record, let lease) = claim else {
            Issue.record("\(claim)")
            return
        }
        #expect(record.id == second.id && others == [first.id])
        let held = try self.claim(ledger, Self.stream(.command)).claim
        guard case .heldElsewhere(let same) = held else {
            Issue.record("\(held)")
            return
        }
        #expect(same.id == second.id)
        withExtendedLifetime(lease) {}
    }

    @Test(arguments: [Ledger.Outcome.aborted, .done(ObjectProof(), size: 1, partCount: 1)])
    func `what is over is not found`(outcome: Ledger.Outcome) throws {
        let ledger = try Ledger(directory)
        let record = try startedUpload(ledger, Self.stream(.command))
        try ledger.commit([.upload(.init(upload: record.number, outcome: outcome, bytesSent: 0))])
        guard case (.began, let others) = try claim(ledger, Self.stream(.command)) else {
            Issue.record("found")
            return
        }
        #expect(others.isEmpty)
    }

    @Test func `what is to be aborted is not found`() throws {
        let ledger = try Ledger(directory)
        _ = try ledger.requestAbort(try startedUpload(ledger, Self.stream(.command)))
        guard case (.began, let others) = try claim(ledger, Self.stream(.command)) else {
            Issue.record("found")
            return
        }
        #expect(others.isEmpty)
    }

    @Test func `what failed, and what no one knows, is found`() throws {
        for state in [UploadState.failed, .unknown] {
            let directory = ScratchDirectory()
            let ledger = try Ledger(directory)
            let record = try startedUpload(ledger, Self.stream(.command))
            try ledger.end(record, .stopped(state, error: "why"))
            guard case .found(let found, _) = try claim(ledger, Self.stream(.command)).claim else {
                Issue.record("\(state) is not found")
                continue
            }
            #expect(found.id == record.id)
            withExtendedLifetime(directory) {}
        }
    }

    @Test func `streams keep their kind on the way to another ledger`() throws {
        let from = try Ledger(directory)
        for source in StreamSource.allCases {
            let record = try startedUpload(from, Self.stream(source))
            _ = try from.recordCreated(record, uploadID: "id-\(source)", negotiated: "MD5", abortDate: nil)
            var part = PartRecord.sample(1)
            part.crc = Array(1...8)
            try from.commit(part, of: record)
        }
        var lines: [ExportedUpload] = []
        _ = try from.forEachUpload {
            lines.append($0); return true
        }
        let text = ([ExportFormat.header(at: 0).line] + lines.map { ExportFormat.line($0).line }).joined(
            separator: "\n"
        )
        #expect(text.contains(#""source":"-""#) && text.contains(#""source":"stdin-command""#))
        let read = try ExportFormat.read(Array(text.utf8))
        #expect(read.map(\.record.upload) == lines.map(\.record.upload))
        var rest = read[...]
        let to = try Ledger(path: Array(directory.path("to.sqlite").utf8))
        let result = try to.importUploads { rest.popFirst().map { .upload($0, line: 1) } ?? .end }
        #expect(result == .done(added: 2, identical: 0))
        for source in StreamSource.allCases {
            guard case .found(let record, _) = try claim(to, Self.stream(source)).claim else {
                Issue.record("\(source) is not found")
                continue
            }
            #expect(record.partsDone == 1)
        }
    }

    @Test func `another word for a stream is refused`() throws {
        let from = try Ledger(directory)
        _ = try startedUpload(from, Self.stream(.command))
        var text = ExportFormat.header(at: 0).line
        _ = try from.forEachUpload {
            text += "\n" + ExportFormat.line($0).line; return true
        }
        let other = text.split(separator: "stdin-command").joined(separator: "socket")
        #expect(throws: ExportProblem.self) { try ExportFormat.read(Array(other.utf8)) }
    }
}
