import MuleDigest
import Synchronization
import Testing

@testable import TestSupport

@Suite struct FaultTests {
    @Test func `rules are used up in order`() {
        let bench = Bench(
            .on(.putObject, key: "k", times: 2, .status(503, code: "SlowDown", retryAfter: 7)),
            .on(.putObject, .status(500, code: "InternalError"))
        )
        let first = bench.client.request("PUT", "/bucket/k", body: [1])
        #expect(first?.code == "SlowDown")
        #expect(first?["retry-after"] == "7")
        #expect(bench.client.request("PUT", "/bucket/other", body: [1])?.code == "InternalError")
        #expect(bench.client.request("PUT", "/bucket/k", body: [1])?.code == "SlowDown")
        #expect(bench.client.request("PUT", "/bucket/k", body: [1])?.status == 200)
        #expect(bench.server.requests.map(\.status) == [503, 500, 503, 200])
        #expect(bench.server.requests.map(\.disturbed) == [true, true, true, false])
        #expect(bench.server.requests[0].errorCode == "SlowDown")
    }

    @Test func `selectors choose part occurrence and predicate`() {
        let bench = Bench(
            .on(.uploadPart, part: 2, occurrence: 2, .status(500, code: "A")),
            .on(.uploadPart, where: { $0.partNumber == 3 }, .status(500, code: "B"))
        )
        let id = bench.create()
        let codes = [1, 2, 2, 2, 3].map { bench.part(id, $0, [1])?.code }
        #expect(codes == [nil, nil, "A", nil, "B"])
    }

    @Test func `chance comes from the seed`() {
        func run(_ seed: UInt64) -> [Int?] {
            let bench = Bench(.on(.headBucket, times: 99, probability: 0.5, seed: seed, .status(500, code: "X")))
            return (0..<20).map { _ in bench.client.request("HEAD", "/bucket")?.status }
        }
        let statuses = run(1)
        #expect(Set(statuses) == [200, 500])
        #expect(run(1) == statuses)
        #expect(run(2) != statuses)
    }

    @Test func `reset comes at the byte`() {
        let bench = Bench(.on(.putObject, .resetAfter(bytes: 100_000)))
        #expect(bench.client.request("PUT", "/bucket/k", body: [UInt8](repeating: 1, count: 150_000)) == nil)
        #expect(bench.server.requests[0].bodyBytes == 100_000)
        #expect(bench.server.requests[0].status == nil)
        #expect(bench.server.object(key: "k") == nil)
    }

    @Test func `closing before or after the work differs in the store`() {
        let bench = Bench(
            .on(.putObject, key: "before", .closeBeforeProcessing),
            .on(.putObject, key: "after", .closeAfterProcessing)
        )
        #expect(bench.client.request("PUT", "/bucket/before", body: [1]) == nil)
        #expect(bench.reconnected().request("PUT", "/bucket/after", body: [1]) == nil)
        #expect(bench.server.object(key: "before") == nil)
        #expect(bench.server.object(key: "after") != nil)
    }

    @Test func `stalled request is never answered and stop ends it`() {
        let bench = Bench(.on(.putObject, .stall))
        bench.client.send(bench.client.head("PUT", "/bucket/k", length: 1) + [1])
        #expect(bench.server.waitUntil { $0.payloadBytesReceived == 1 })
        #expect(bench.server.requests[0].status == nil)
        bench.server.stop()
        #expect(bench.client.isClosed)
    }

    @Test func `a client that leaves ends a stall`() {
        let bench = Bench(.on(.putObject, .stallAfter(bytes: 3)))
        var client: RawClient? = bench.reconnected()
        client?.send(client?.head("PUT", "/bucket/k", length: 9) ?? [])
        client?.send([1, 2, 3])
        #expect(bench.server.waitUntil { $0.payloadBytesReceived == 3 })
        client = nil
        #expect(bench.client.request("HEAD", "/bucket")?.status == 200)
        bench.server.stop()
    }

    @Test func `Complete may say error inside a 200`() {
        let bench = Bench(
            .on(.complete, .respond200ThenError(code: "InternalError", whitespaceSeconds: 0.01)),
            .on(.complete, .respond200ThenError(code: "InternalError", processed: true))
        )
        let id = bench.create()
        _ = bench.part(id, 1, [1])
        let first = bench.complete(id)
        #expect(first?.status == 200)
        #expect(first?.body.first == UInt8(ascii: " "))
        #expect(first?.xml?.name == "Error")
        #expect(first?.code == "InternalError")
        #expect(bench.server.object(key: "k") == nil)
        #expect(bench.complete(id)?.code == "InternalError")
        #expect(bench.server.object(key: "k")?.bytes == [1])
        #expect(bench.complete(id) { $0 = [(1, "x", "")] }?.code == "NoSuchUpload")
    }

    @Test func `whitespace may precede the true result`() {
        let bench = Bench(.on(.complete, .whitespaceThenResult(seconds: 0.01)))
        let id = bench.create()
        _ = bench.part(id, 1, [1])
        let answer = bench.complete(id)
        #expect(answer?.body.first == UInt8(ascii: " "))
        #expect(answer?.xml?.name == "CompleteMultipartUploadResult")
    }

    @Test func `lost upload leaves our object or another`() {
        let bench = Bench(
            .on(.complete, .noSuchUploadButObjectPresent()),
            .on(.complete, .noSuchUploadButObjectPresent(other: true))
        )
        for expected in [[1], Array("somebody else's object".utf8)] {
            let id = bench.create()
            _ = bench.part(id, 1, [1])
            #expect(bench.complete(id)?.code == "NoSuchUpload")
            #expect(bench.server.object(key: "k")?.bytes == expected)
            #expect(bench.server.uploads.isEmpty)
        }
    }

    @Test func `answers can be marred`() throws {
        let bench = Bench(
            .on(.complete, .truncatedXML),
            .on(.complete, .emptyBody200()),
            .on(.complete, .emptyETag),
            .on(.complete, .wrongETag),
            .on(.complete, .dropChecksumEcho),
            .on(.complete, .wrongChecksumEcho)
        )
        func finish() throws -> RawClient.Answer {
            let id = bench.create()
            _ = bench.part(id, 1, [1])
            return try #require(bench.complete(id))
        }
        let cut = try finish()
        #expect(cut.status == 200 && cut.xml == nil && !cut.body.isEmpty)
        #expect(try finish().body.isEmpty)
        #expect(try finish().xml?.child("ETag")?.text == "")
        #expect(try finish().xml?.child("ETag")?.text == "\"0123456789abcdef0123456789abcdef\"")
        #expect(try finish().xml?.child("ChecksumCRC64NVME") == nil)
        let wrong = try #require(try finish().xml?.child("ChecksumCRC64NVME")?.text)
        #expect(wrong != bench.server.object(key: "k")?.checksum?.value)
        #expect(wrong.count == 12)
    }

    @Test func `ETag of a part can be empty or wrong`() {
        let bench = Bench(.on(.uploadPart, .emptyETag), .on(.uploadPart, .wrongETag))
        let id = bench.create()
        #expect(bench.part(id, 1, [1])?["etag"] == "\"\"")
        #expect(bench.part(id, 1, [1])?["etag"] == "\"0123456789abcdef0123456789abcdef\"")
    }

    @Test func `answer cut by a close is shorter than its length`() {
        let bench = Bench(.on(.create, .closeInAnswer))
        #expect(bench.client.request("POST", "/bucket/k?uploads") == nil)
        #expect(bench.server.uploads.count == 1)
    }

    @Test func `flipped bit is found by the checksum`() {
        let bench = Bench(.on(.putObject, .flipBit))
        let value = BodyDigests.checksum(.crc32c, of: [1, 2])?.base64 ?? ""
        let headers = ["x-amz-checksum-crc32c": value]
        #expect(bench.client.request("PUT", "/bucket/k", headers, body: [1, 2])?.code == "BadDigest")
        #expect(bench.client.request("PUT", "/bucket/k", headers, body: [1, 2])?.status == 200)
    }

    @Test func `flipped bit stays where no one checks`() {
        let bench = Bench(.on(.putObject, .flipBit)) { $0.checksums = .ignored }
        #expect(bench.client.request("PUT", "/bucket/k", body: [1, 2])?.status == 200)
        #expect(bench.server.object(key: "k")?.bytes == [0x81, 2])
    }

    @Test func `redirect tells the region`() {
        let bench = Bench(
            .on(.putObject, .redirect(status: 301, region: "eu-west-1")),
            .on(.putObject, .redirect(status: 307, headers: [FakeHeader("Location", "http://evil.test/")]))
        )
        let first = bench.client.request("PUT", "/bucket/k", body: [1])
        #expect(first?.status == 301)
        #expect(first?.code == "PermanentRedirect")
        #expect(first?["x-amz-bucket-region"] == "eu-west-1")
        #expect(bench.client.request("PUT", "/bucket/k", body: [1])?["location"] == "http://evil.test/")
    }

    @Test func `custom answers and hooks run on the way`() {
        let seen = Record<String>()
        let bench = Bench(
            .on(.putObject, .custom { FakeReply(418, body: Array($0.keyText.utf8)) }),
            .on(
                .putObject,
                .run(.headersRead) { _ in seen.append("headers") },
                .run(.beforeProcessing) { _ in seen.append("before") },
                .run(.afterProcessing) { _ in seen.append("after") }
            )
        )
        let answer = bench.client.request("PUT", "/bucket/k", body: [1])
        #expect(answer?.status == 418)
        #expect(answer?.text == "k")
        _ = bench.client.request("PUT", "/bucket/k", body: [1])
        #expect(seen.values == ["headers", "before", "after"])
    }

    @Test func `body hook runs at the exact byte`() {
        let bench = Bench()
        let seen = Record<Int64>()
        for bytes: Int64 in [0, 70_001, 1_000_000] {
            bench.server.onBodyBytes(.putObject, after: bytes) { request in seen.append(request.bodyBytes)
            }
        }
        _ = bench.client.request("PUT", "/bucket/k", body: [UInt8](repeating: 0, count: 1_000_000))
        _ = bench.client.request("PUT", "/bucket/k", body: [UInt8](repeating: 0, count: 1_000_000))
        #expect(seen.values == [0, 70_001, 1_000_000])
    }
}

/// What hooks saw, in order.
private final class Record<Value: Sendable>: Sendable {
    private let list = Mutex<[Value]>([])

    func append(_ value: Value) { list.withLock { $0.append(value) } }
    var values: [Value] { list.withLock { $0 } }
}

/// `Expect: 100-continue`, connections, speed.
@Suite struct ConnectionTests {
    private let expecting = ["Expect": "100-continue"]

    @Test func `continue is sent before the body`() {
        let bench = Bench()
        bench.client.send(bench.client.head("PUT", "/bucket/k", expecting, length: 3))
        #expect(bench.client.answer()?.status == 100)
        bench.client.send([1, 2, 3])
        #expect(bench.client.answer()?.status == 200)
    }

    @Test func `refusal comes instead of continue`() {
        let bench = Bench()
        bench.client.send(bench.client.head("PUT", "/nowhere/k", expecting, length: 3))
        #expect(bench.client.answer()?.code == "NoSuchBucket")
        #expect(bench.client.isClosed)
        #expect(bench.server.requests[0].bodyBytes == 0)
    }

    @Test func `early answer comes before the body with or without continue`() {
        let bench = Bench(
            .on(.putObject, .earlyStatus(403, code: "AccessDenied")),
            .on(.putObject, .earlyStatus(403, code: "AccessDenied", honoursExpect: false))
        )
        bench.client.send(bench.client.head("PUT", "/bucket/k", expecting, length: 3))
        #expect(bench.client.answer()?.code == "AccessDenied")
        let second = bench.reconnected()
        second.send(second.head("PUT", "/bucket/k", expecting, length: 3))
        #expect(second.answer()?.status == 100)
        #expect(second.answer()?.code == "AccessDenied")
        #expect(second.isClosed)
    }

    @Test func `continue may never come or be refused`() {
        let bench = Bench(.on(.putObject, .no100Continue), .on(.putObject, .expectationFailed))
        bench.client.send(bench.client.head("PUT", "/bucket/k", expecting, length: 3) + [1, 2, 3])
        #expect(bench.client.answer()?.status == 200)
        bench.client.send(bench.client.head("PUT", "/bucket/k", expecting, length: 3))
        #expect(bench.client.answer()?.status == 417)
    }

    @Test func `connection closes silently after its answers`() {
        let bench = Bench { $0.answersPerConnection = 2 }
        for _ in 1...2 { #expect(bench.client.request("HEAD", "/bucket")?["connection"] == nil) }
        #expect(bench.client.isClosed)
        #expect(bench.reconnected().request("HEAD", "/bucket")?.status == 200)
        #expect(bench.server.requests.map(\.connection) == [1, 1, 2])
    }

    @Test func `requests may arrive in one piece`() {
        let bench = Bench()
        let put = bench.client.head("PUT", "/bucket/k", length: 2) + [1, 2]
        bench.client.send(put + put)
        #expect(bench.client.answer()?.status == 200)
        #expect(bench.client.answer()?.status == 200)
    }

    @Test func `rate limit holds back the body`() {
        let bench = Bench { $0.connectionBytesPerSecond = 1_000_000 }
        let start = ContinuousClock.now
        _ = bench.client.request("PUT", "/bucket/k", body: [UInt8](repeating: 0, count: 200_000))
        #expect(ContinuousClock.now - start > .milliseconds(190))
    }

    @Test func `clock offset shows in the date`() throws {
        let bench = Bench { $0.clockOffsetSeconds = 86_400 * 366 }
        let date = try #require(bench.client.request("HEAD", "/bucket")?["date"])
        #expect(!date.contains(StoreClock.iso8601(StoreClock.now).prefix(4)))
        #expect(StoreClock.httpDate(784_887_151) == "Tue, 15 Nov 1994 08:12:31 GMT")
    }

    @Test func `waiting ends with the time`() {
        let bench = Bench()
        #expect(!bench.server.waitUntil(timeoutSeconds: 0.01) { $0.count(.putObject) > 0 })
    }
}
