import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleTransport
import TestSupport
import Testing

@testable import MuleUpload

/// What answers HTTP and is not an S3 store: a portal, a web server, a proxy's page.
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
    func `what is no store is said to be none`(status: Int) {
        for operation in [S3Operation.putObject, .uploadPart, .createMultipartUpload, .listParts] {
            let failure = Self.failure(status, operation)
            #expect(failure.message.contains("portal.example:443 is not an S3 store"), "\(failure.message)")
            #expect(!failure.message.contains("no bucket"))
            #expect(failure.kind == .store)
            #expect(!failure.countsTowardsQuarantine)
        }
    }

    /// A captive portal's 404 says nothing of the upload.
    @Test func `a not found of what is no store forgets no upload`() throws {
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
        #expect(outcome.failure?.message.contains("not an S3 store") == true, "\(outcome.failure?.message ?? "")")
        #expect(try harness.record().uploadID == before.uploadID)
        #expect(try harness.record().partsDone == 3)
    }

    // MARK: Answers to HEAD

    private static let html = "<html>Log in first</html>"
    private static let denied = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>"
    private static let list = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></ListBucketResult>"

    /// What verify says where these are the answers.
    private func verified(
        head: String,
        get: (status: String, body: String),
        headers: String = ""
    ) throws -> VerifyFailure? {
        let harness = try EngineHarness()
        let server = ScriptedServer { peer in
            while let request = peer.head() {
                if request.hasPrefix("HEAD") {
                    peer.send("HTTP/1.1 \(head)\r\n\(headers)Content-Length: 25\r\n\r\n")
                } else {
                    peer.answer(get.body, status: get.status)
                }
            }
        }
        let cancellation = Cancellation()
        let service = S3Service(
            endpoint: try Endpoint(url: server.url, region: "r"),
            transport: TransportSettings(userAgent: "mule-test"),
            credentials: harness.provider,
            cancellation: cancellation
        )
        let run = VerifyRun(ledger: harness.ledger, settings: harness.settings, cancellation: cancellation)
        let path = Array(try harness.file().utf8)
        do throws(VerifyFailure) {
            let object = ObjectAddress(bucket: "bucket", key: ObjectKey("key"))
            _ = try run.verify(path: path, object, service: service, downloads: false)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: ["404 Not Found", "200 OK", "403 Forbidden"], ["404 Not Found", "200 OK", "403 Forbidden"])
    func `what answers head and is no store is said to be none`(head: String, get: String) throws {
        let failure = try verified(head: head, get: (get, Self.html))
        #expect(failure?.verdict == nil)
        #expect(failure?.failure.kind == .store)
        #expect(failure?.failure.message.contains("is not an S3 store") == true, "\(failure?.failure.message ?? "")")
    }

    /// Gateways leave out the headers that would tell; they answer in XML, or their answers say nothing.
    @Test(arguments: [("403 Forbidden", denied), ("200 OK", list), ("500 Oops", html), ("302 Found", html)])
    func `a store without its headers is a store`(status: String, body: String) throws {
        #expect(try verified(head: "404 Not Found", get: (status, body))?.verdict == .missing)
    }

    @Test func `a header of S3 is enough`() throws {
        let failure = try verified(
            head: "404 Not Found",
            get: ("404 Not Found", Self.html),
            headers: "x-amz-request-id: 1\r\n"
        )
        #expect(failure?.verdict == .missing)
    }

    @Test func `a header that may be signed in another way is named before the key`() throws {
        let harness = try EngineHarness(faults: [
            .on(.putObject, times: .max, .status(403, code: "SignatureDoesNotMatch"))
        ])
        let path = try harness.file()
        let entry = try harness.register(path) { try? $0.attributes.set("x-amz-meta-note", "Voilà") }
        let message = try harness.run(entry, path: path).failure?.message ?? ""
        let header = try #require(message.firstRange(of: "x-amz-meta-note"), "\(message)")
        let key = try #require(message.firstRange(of: "secret key"), "\(message)")
        #expect(header.lowerBound < key.lowerBound)
    }

    /// A front that answers success before it has read the body, and then reads it.
    @Test(arguments: [nil, 8 << 20] as [Int64?])
    func `success before the body blames neither the source nor the object`(partSize: Int64?) throws {
        let harness = try EngineHarness(stallLimit: 0.5)
        let front = ScriptedServer(receiveBuffer: 64 << 10) { peer in
            while let head = peer.head() {
                let length = Peer.contentLength(head) ?? 0
                if head.hasPrefix("POST") {
                    peer.body(length)
                    peer.answer("<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
                } else {
                    peer.answer(headers: "ETag: \"0123456789abcdef0123456789abcdef\"\r\n")
                    peer.body(length)
                }
            }
        }
        let cancellation = Cancellation()
        let service = S3Service(
            endpoint: try Endpoint(url: front.url, region: "r"),
            transport: TransportSettings(userAgent: "mule-test"),
            credentials: harness.provider,
            cancellation: cancellation,
            patience: 30
        )
        let path = try harness.file(size: 8 << 20)
        var upload = try harness.newUpload(path, EngineHarness.Options(partSize: partSize))
        upload.store.endpoint = service.endpoint.url
        guard case .began(let record, let lease)? = try harness.ledger.claim([upload]).first else {
            throw HarnessFailure("no row")
        }
        let job = UploadJob(
            source: .file(Array(path.utf8)),
            destination: upload.destination,
            row: .claimed(record, lease),
            service: service
        )
        let failure = try #require(harness.run([job], cancellation: cancellation).failure)
        #expect(failure.kind == .network)
        #expect(failure.message.contains("the server reported success after"), "\(failure.message)")
        #expect(failure.message.contains(service.endpoint.address), "\(failure.message)")
        #expect(!failure.countsTowardsQuarantine)
    }
}
