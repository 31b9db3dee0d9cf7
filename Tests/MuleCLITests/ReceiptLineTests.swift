import MuleJSON
import MuleLedger
import MulePlan
import MuleUpload
import TestSupport
import Testing

@testable import MuleCLI

/// Lines of receipts as they are read back. Whole receipts are read in the end-to-end tests.
@Suite struct ReceiptLineTests {
    private func members(_ changes: [String: JSONValue] = [:]) throws -> [String: JSONValue] {
        let directory = ScratchDirectory()
        let ledger = try Ledger(path: Array(directory.path("ledger").utf8))
        let number = try ledger.beginRun(of: ledger.job(named: "nightly"))
        let run = try #require(try ledger.run(number: number))
        let receipt = Receipt(
            number: 1,
            upload: nil,
            source: Array("/spool/a\n\"ü\u{202E}".utf8) + [0xFF],
            destination: ObjectAddress(bucket: "bucket", key: ObjectKey(Array("n/a\n\"ü\u{202E}".utf8) + [0xFF])),
            result: .archived,
            endedAt: 1
        )
        return FileView(run: run, receipt: receipt, upload: nil).members.merging(changes) { _, new in new }
    }

    private func read(_ members: [String: JSONValue]) throws -> ReceiptLine {
        try ReceiptLine(Array(JSONValue.object(members).line.utf8))
    }

    @Test func `what is written is read`() throws {
        let changes: [String: JSONValue] = [
            "checksum": ["algorithm": "SHA256", "type": "COMPOSITE", "value": "eA==-2"], "eTag": "tag", "id": "k3v9p",
            "endpoint": "http://127.0.0.1:9000", "region": "eu-central-1", "size": 9_007_199_254_740_993,
            "versionID": "v1",
        ]
        guard case .archived(let file) = try read(members(changes)) else {
            Issue.record("not taken for an archived file")
            return
        }
        #expect(file.object.address.bucket == "bucket")
        #expect(file.object.address.key.utf8 == Array("n/a\n\"ü\u{202E}%FF".utf8))
        #expect(file.object.source == Array("/spool/a\n\"ü\u{202E}%FF".utf8))
        #expect(file.object.id == "k3v9p" && file.object.size == 9_007_199_254_740_993)
        #expect(
            file.object.proof
                == ObjectProof(
                    eTag: "tag",
                    versionID: "v1",
                    checksumAlgorithm: "SHA256",
                    checksumType: "COMPOSITE",
                    checksumValue: "eA==-2"
                )
        )
        #expect(file.endpoint == "http://127.0.0.1:9000" && file.region == "eu-central-1")
    }

    @Test func `what the ledger had forgotten is read too`() throws {
        guard case .archived(let file) = try read(members()) else {
            Issue.record("not taken for an archived file")
            return
        }
        #expect(file.object.proof == ObjectProof() && file.object.size == nil && file.endpoint == nil)
    }

    @Test func `lines that prove nothing are passed over`() throws {
        for result in ["failed", "settled"] {
            guard case .other = try read(members(["result": .string(result), "destination": nil])) else {
                Issue.record("\(result) was taken for an archived file")
                return
            }
        }
    }

    @Test(arguments: [("", nil), (#","files":7"#, 7)] as [(String, Int64?)])
    func `the line of a run is known by its event`(more: String, files: Int64?) throws {
        let line = Array(#"{"event":"run"\#(more),"run":1}"#.utf8)
        #expect(ReceiptLine.isRun(line))
        guard case .run(files) = try ReceiptLine(line) else {
            Issue.record("not taken for a run")
            return
        }
        let file = try JSONValue.object(members(["source": .string(#""event":"run""#)])).line
        #expect(!ReceiptLine.isRun(Array(file.utf8)))
        #expect(throws: ReceiptLine.Problem.self) { try ReceiptLine(Array(#"{"event":"run","files":-1}"#.utf8)) }
    }

    @Test(arguments: [
        ("event", JSONValue.null), ("event", "completed"), ("result", "done"), ("result", nil), ("result", 1),
        ("destination", nil), ("destination", "bucket/"), ("destination", "/key"), ("destination", 1),
        ("size", -1), ("size", 1.5), ("size", "1"), ("eTag", 1), ("checksum", "x"),
        ("checksum", JSONValue.object(["algorithm": "CRC64NVME", "value": 1])), ("endpoint", "127.0.0.1"),
        ("endpoint", "ftp://x"),
        ("region", "a b"), ("source", nil),
    ])
    func `other lines are refused`(name: String, value: JSONValue) {
        #expect(throws: ReceiptLine.Problem.self) { _ = try read(members([name: value])) }
    }

    @Test(arguments: ["", "{", "[]", "1", "{\"event\":\"run\"} x"])
    func `other text is refused`(text: String) {
        #expect(throws: ReceiptLine.Problem.self) { _ = try ReceiptLine(Array(text.utf8)) }
    }
}
