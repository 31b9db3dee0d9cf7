import MuleLedger
import MuleS3
import MuleSystem
import MuleTransport
import TestSupport
import Testing

@testable import MuleUpload

/// What answers HTTP and is no S3 store: a portal, a web server, a proxy's page.
@Suite struct NoStoreTests {
    private static func failure(_ status: Int, _ operation: S3Operation) -> UploadFailure {
        var error = S3Error(
            operation: operation,
            bucket: "bucket",
            key: nil,
            cause: .answer(status: status, code: status == 404 ? "NoSuchBucket" : "HTTP\(status)", message: "")
        )
        error.address = "portal.example:443"
        return .refused(error, sending: "bucket/key")
    }

    @Test(arguments: [400, 401, 403, 404, 405, 406, 409, 410, 451, 501, 505])
    func whatIsNoStoreIsSaidToBeNone(status: Int) {
        for operation in [S3Operation.putObject, .uploadPart, .createMultipartUpload, .listParts] {
            let failure = Self.failure(status, operation)
            #expect(failure.message.contains("portal.example:443 is no S3 store"), "\(failure.message)")
            #expect(!failure.message.contains("no bucket"))
            #expect(failure.kind == .store)
            #expect(!failure.countsTowardsQuarantine)
        }
    }

    /// A captive portal's 404 says nothing of the upload.
    @Test func aNotFoundOfWhatIsNoStoreForgetsNoUpload() throws {
        let harness = try EngineHarness()
        let path = try harness.file()
        try harness.interrupt(path, afterParts: 3)
        let portal = ScriptedServer { peer in
            while peer.head() != nil { peer.answer("<html>Log in first</html>", status: "404 Not Found") }
        }
        let before = try harness.record()
        guard let (record, lease) = try harness.ledger.claim(before.number) else { throw HarnessFailure("held") }
        let cancellation = Cancellation()
        let service = S3Service(
            endpoint: try Endpoint(url: portal.url, region: "r"),
            transport: TransportSettings(userAgent: "mule-test"),
            credentials: harness.provider,
            cancellation: cancellation
        )
        let job = UploadJob(
            source: .file(Array(path.utf8)),
            destination: record.upload.destination,
            row: .claimed(record, lease),
            service: service
        )
        let outcome = harness.run([job], cancellation: cancellation)
        #expect(outcome.failure?.message.contains("no S3 store") == true, "\(outcome.failure?.message ?? "")")
        #expect(try harness.record().uploadID == before.uploadID)
        #expect(try harness.record().partsDone == 3)
    }
}
