import MuleDigest
import Testing

@testable import TestSupport

@Suite struct FakeS3ObjectTests {
    @Test func `PutObject is kept with all that was said about it`() throws {
        let bench = Bench()
        let headers = [
            "Content-Type": "text/plain", "x-amz-meta-Mule-Upload": "token", "x-amz-tagging": "a=1&b=2",
            "x-amz-storage-class": "STANDARD_IA", "Cache-Control": "no-store", "x-amz-acl": "private",
        ]
        let answer = try #require(bench.client.request("PUT", "/bucket/a/b%20c", headers, body: Array("hello".utf8)))
        #expect(answer.status == 200)
        #expect(answer["etag"] == "\"5d41402abc4b2a76b9719d911017c592\"")
        #expect(answer["x-amz-request-id"]?.isEmpty == false)
        let object = try #require(bench.server.object(key: "a/b c"))
        #expect(object.bytes == Array("hello".utf8))
        #expect(object.metadata == ["mule-upload": "token"])
        #expect(object.attributes.tagging == "a=1&b=2")
        #expect(object.attributes.otherHeaders == [FakeHeader("x-amz-acl", "private")])

        let head = try #require(bench.client.request("HEAD", "/bucket/a/b%20c", ["x-amz-checksum-mode": "ENABLED"]))
        #expect(head["content-length"] == "5")
        #expect(head["content-type"] == "text/plain")
        #expect(head["x-amz-meta-mule-upload"] == "token")
        #expect(head["x-amz-storage-class"] == "STANDARD_IA")
        #expect(head["x-amz-tagging-count"] == "2")
        #expect(head["cache-control"] == "no-store")
        // Without a checksum in the request, the store computes CRC-64/NVME.
        #expect(head["x-amz-checksum-crc64nvme"] == object.checksum?.value)
        #expect(head["x-amz-checksum-type"] == "FULL_OBJECT")
        #expect(bench.client.request("GET", "/bucket/a/b%20c", ["Range": "bytes=1-2"])?.text == "el")
    }

    @Test func `keys are bytes`() {
        let bench = Bench()
        _ = bench.client.request("PUT", "/bucket/%C3%BC", body: [1])
        _ = bench.client.request("PUT", "/bucket/u%CC%88", body: [2])
        _ = bench.client.request("PUT", "/bucket//a//../b%FF+%2F", body: [3])
        #expect(bench.server.keys().count == 3)
        #expect(bench.server.object(key: [0xC3, 0xBC])?.bytes == [1])
        #expect(bench.server.object(key: [0x75, 0xCC, 0x88])?.bytes == [2])
        #expect(bench.server.object(key: Array("/a//../b".utf8) + [0xFF] + Array("+/".utf8))?.bytes == [3])
    }

    @Test func `virtual host names the bucket`() {
        let bench = Bench()
        _ = bench.client.request("PUT", "/k", body: [7], host: "bucket.localhost:\(bench.server.port)")
        #expect(bench.server.object(key: "k")?.bytes == [7])
    }

    @Test func `if none match keeps the first object`() {
        let bench = Bench()
        #expect(bench.client.request("PUT", "/bucket/k", ["If-None-Match": "*"], body: [1])?.status == 200)
        let second = bench.client.request("PUT", "/bucket/k", ["If-None-Match": "*"], body: [2])
        #expect(second?.status == 412)
        #expect(second?.code == "PreconditionFailed")
        #expect(bench.server.object(key: "k")?.bytes == [1])
    }

    @Test(arguments: [
        (["Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="], "BadDigest"), (["Content-MD5": "nonsense"], "InvalidDigest"),
        (["x-amz-checksum-crc64nvme": "AAAAAAAAAAA="], "BadDigest"),
        (["x-amz-checksum-crc32": "AAAA"], "InvalidRequest"), (["x-amz-checksum-crc99": "AAAA"], "InvalidRequest"),
        (["x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-crc32c": "AAAAAA=="], "InvalidRequest"),
        (["x-amz-content-sha256": "UNSIGNED-PAYLOAD"], nil),
        (["x-amz-checksum-crc64nvme": "jSnVw/bqjr4="], nil), (["Content-MD5": "XrY7u+Ae7tCTyyK7j1rNww=="], nil),
    ])
    func `stated digests are compared`(headers: [String: String], code: String?) {
        let bench = Bench()
        let answer = bench.client.request("PUT", "/bucket/k", headers, body: Array("hello world".utf8))
        #expect(answer?.code == code)
        #expect(answer?.status == (code == nil ? 200 : 400))
        #expect((bench.server.object(key: "k") == nil) == (code != nil))
    }

    @Test func `ignored checksums are neither compared nor echoed`() throws {
        let bench = Bench { $0.checksums = .ignored }
        let wrong = ["x-amz-checksum-crc64nvme": "AAAAAAAAAAA="]
        let answer = try #require(bench.client.request("PUT", "/bucket/k", wrong, body: [1]))
        #expect(answer.status == 200)
        #expect(answer["x-amz-checksum-crc64nvme"] == nil)
        let head = try #require(bench.client.request("HEAD", "/bucket/k", ["x-amz-checksum-mode": "ENABLED"]))
        #expect(head["x-amz-checksum-crc64nvme"] == nil)
    }

    @Test func `one algorithm can be refused and another taken`() {
        let bench = Bench {
            $0.checksums = .refused(status: 501, code: "NotImplemented", algorithms: [.crc64nvme])
        }
        let refused = bench.client.request("PUT", "/bucket/k", ["x-amz-checksum-crc64nvme": "AAAAAAAAAAA="], body: [1])
        #expect(refused?.status == 501)
        #expect(refused?.code == "NotImplemented")
        #expect(bench.client.request("PUT", "/bucket/k", ["x-amz-checksum-crc32": "AAAAAA=="])?.status == 200)
    }

    @Test func `object lock demands a digest`() {
        let bench = Bench { $0.demandsBodyDigest = true }
        #expect(bench.client.request("PUT", "/bucket/k", body: [1])?.code == "InvalidRequest")
        let headers = ["Content-MD5": BodyDigests.checksum(.md5, of: [1])?.base64 ?? ""]
        #expect(bench.client.request("PUT", "/bucket/k", headers, body: [1])?.status == 200)
    }

    @Test func `missing things have their own errors`() {
        let bench = Bench()
        #expect(bench.client.request("GET", "/bucket/none")?.code == "NoSuchKey")
        #expect(bench.client.request("PUT", "/nowhere/k")?.code == "NoSuchBucket")
        let head = bench.client.request("HEAD", "/bucket/none")
        #expect(head?.status == 404)
        #expect(bench.client.request("HEAD", "/bucket")?["x-amz-bucket-region"] == "us-east-1")
        bench.server.profile.denied = [.headObject]
        #expect(bench.client.request("HEAD", "/bucket/none")?.status == 403)
    }

    @Test func `chunked bodies are refused`() {
        let bench = Bench()
        bench.client.send(Array("PUT /bucket/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".utf8))
        #expect(bench.client.answer()?.code == "MissingContentLength")
    }
}
