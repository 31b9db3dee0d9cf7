import MuleDigest
import Testing

@testable import TestSupport

@Suite struct FakeS3MultipartTests {
    static let full = ["x-amz-checksum-algorithm": "CRC64NVME", "x-amz-checksum-type": "FULL_OBJECT"]

    private func crc(_ bytes: [UInt8]) -> String { BodyDigests.checksum(.crc64nvme, of: bytes)?.base64 ?? "" }

    @Test func `parts become one object`() throws {
        let bench = Bench()
        var random = SeededRandom(seed: 1)
        let bodies = [random.bytes(100), random.bytes(20), random.bytes(3)]
        let id = bench.create("k", Self.full.merging(["x-amz-meta-a": "b", "Content-Type": "x/y"]) { $1 })
        for (index, body) in bodies.enumerated() {
            let answer = bench.part(id, index + 1, body, ["x-amz-checksum-crc64nvme": crc(body)])
            #expect(answer?["x-amz-checksum-crc64nvme"] == crc(body))
        }
        let whole = bodies.flatMap(\.self)
        let answer = bench.complete(
            id,
            [
                "x-amz-checksum-crc64nvme": crc(whole), "x-amz-checksum-type": "FULL_OBJECT",
                "x-amz-mp-object-size": "123", "If-None-Match": "*",
            ]
        )
        #expect(answer?.xml?.name == "CompleteMultipartUploadResult")
        #expect(answer?.xml?.child("ChecksumCRC64NVME")?.text == crc(whole))
        let md5s = bodies.flatMap { BodyDigests.checksum(.md5, of: $0)?.bytes ?? [] }
        let eTag = (BodyDigests.checksum(.md5, of: md5s)?.hex ?? "") + "-3"
        #expect(answer?.xml?.child("ETag")?.text == "\"\(eTag)\"")
        let object = try #require(bench.server.object(key: "k"))
        #expect(object.bytes == whole)
        #expect(object.eTag == eTag)
        #expect(object.metadata == ["a": "b"])
        #expect(object.attributes.contentType == "x/y")
        #expect(object.uploadID == id)
        #expect(bench.server.uploads.isEmpty)
        #expect(bench.server.payloadBytesReceived == 123)
        #expect(bench.server.requests.map(\.operation) == [.create, .uploadPart, .uploadPart, .uploadPart, .complete])
        #expect(Set(bench.server.requests.map(\.connection)) == [1])
        #expect(bench.server.requests[2].partNumber == 2)
        #expect(bench.server.requests[2].uploadID == id)
        #expect(bench.server.requests.last?.document.isEmpty == false)
    }

    @Test func `composite checksums need the parts values`() throws {
        let bench = Bench()
        let id = bench.create("k", ["x-amz-checksum-algorithm": "CRC32"])
        let value = try #require(BodyDigests.checksum(.crc32, of: Array("0123456789".utf8)))
        for number in 1...2 {
            _ = bench.part(id, number, Array("0123456789".utf8), ["x-amz-checksum-crc32": value.base64])
        }
        #expect(bench.complete(id)?.code == "InvalidRequest")
        let answer = bench.complete(id) { parts in
            for index in parts.indices { parts[index].extra = "<ChecksumCRC32>\(value.base64)</ChecksumCRC32>" }
        }
        let whole = try #require(BodyDigests.checksum(.crc32, of: value.bytes + value.bytes))
        #expect(answer?.xml?.child("ChecksumCRC32")?.text == "\(whole.base64)-2")
    }

    @Test func `part without the declared checksum is refused`() {
        let bench = Bench()
        let id = bench.create("k", Self.full)
        #expect(bench.part(id, 1, [1])?.code == "InvalidRequest")
    }

    @Test(arguments: [("CRC64NVME", "COMPOSITE"), ("SHA256", "FULL_OBJECT"), ("MD5", "FULL_OBJECT")])
    func `checksum kinds that do not exist are refused`(algorithm: String, kind: String) {
        let bench = Bench()
        let headers = ["x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind]
        #expect(bench.client.request("POST", "/bucket/k?uploads", headers)?.code == "InvalidRequest")
    }

    @Test func `complete refuses what AWS refuses`() {
        let bench = Bench()
        let id = bench.create("k", Self.full)
        for number in 1...3 {
            let body = [UInt8](repeating: UInt8(number), count: number == 2 ? 9 : 10)
            _ = bench.part(id, number, body, ["x-amz-checksum-crc64nvme": crc(body)])
        }
        #expect(bench.complete(id) { $0 = [] }?.code == "MalformedXML")
        #expect(bench.complete(id) { $0.reverse() }?.code == "InvalidPartOrder")
        #expect(bench.complete(id) { $0.removeFirst() }?.code == "InvalidPartOrder")
        #expect(bench.complete(id) { $0[0].eTag = "other" }?.code == "InvalidPart")
        #expect(bench.complete(id) { $0.append((4, "none", "")) }?.code == "InvalidPart")
        #expect(
            bench.complete(id) { $0[0].extra = "<ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME>" }?.code
                == "InvalidPart"
        )
        let small = bench.complete(id)
        #expect(small?.code == "EntityTooSmall")
        #expect(small?.xml?.child("PartNumber")?.text == "2")
        bench.server.profile.minimumPartSize = 1
        #expect(bench.complete(id, ["x-amz-mp-object-size": "28"])?.code == "InvalidRequest")
        #expect(bench.complete(id, ["x-amz-checksum-type": "COMPOSITE"])?.code == "InvalidRequest")
        #expect(bench.complete(id, ["x-amz-checksum-crc64nvme": "AAAAAAAAAAA="])?.code == "BadDigest")
        bench.server.profile.partsMustBeEqual = true
        #expect(bench.complete(id)?.code == "InvalidPart")
        bench.server.profile.partsMustBeEqual = false
        #expect(bench.complete(id)?.status == 200)
        #expect(bench.complete(id) { $0 = [(1, "x", "")] }?.code == "NoSuchUpload")
    }

    @Test func `truncated document is malformed`() {
        let bench = Bench()
        let id = Bench.query(bench.create())
        for text in ["", "<CompleteMultipartUpload><Part><PartNumber>1", "<Other><Part/></Other>", "junk"] {
            let answer = bench.client.request("POST", "/bucket/k?uploadId=\(id)", body: Array(text.utf8))
            #expect(answer?.code == "MalformedXML")
        }
    }

    @Test func `part numbers have bounds`() {
        let bench = Bench { $0.maxParts = 1_000 }
        let id = bench.create()
        #expect(bench.part(id, 0, [1])?.code == "InvalidArgument")
        #expect(bench.part(id, 1_001, [1])?.code == "InvalidArgument")
        #expect(bench.part(id, 1_000, [1])?.status == 200)
        #expect(bench.part("none", 1, [1])?.code == "NoSuchUpload")
        bench.server.profile.saysNoSuchKeyForUploads = true
        #expect(bench.part("none", 1, [1])?.code == "NoSuchKey")
    }

    @Test func `list parts comes in pages`() throws {
        let bench = Bench { $0.listPartsPageSize = 3 }
        let id = bench.create()
        for number in [7, 1, 3, 2, 9, 8, 4] { _ = bench.part(id, number, [UInt8](repeating: 0, count: number)) }
        _ = bench.part(id, 3, [3])
        var numbers: [Int] = []
        var marker = "0"
        var pages = 0
        while true {
            let target = "/bucket/k?max-parts=1000&part-number-marker=\(marker)&uploadId=\(Bench.query(id))"
            let page = try #require(bench.client.request("GET", target)?.xml)
            pages += 1
            numbers += page.children("Part").compactMap { $0.child("PartNumber").flatMap { Int($0.text) } }
            if page.child("IsTruncated")?.text == "false" { break }
            marker = page.child("NextPartNumberMarker")?.text ?? ""
        }
        #expect(numbers == [1, 2, 3, 4, 7, 8, 9])
        #expect(pages == 3)
    }

    @Test func `superseded versions show when asked for`() throws {
        let bench = Bench { $0.listPartsShowsSuperseded = true }
        let id = bench.create()
        for body: [UInt8] in [[1], [1, 2]] { _ = bench.part(id, 1, body) }
        let page = try #require(bench.client.request("GET", "/bucket/k?uploadId=\(Bench.query(id))")?.xml)
        #expect(page.children("Part").compactMap { $0.child("Size")?.text }.sorted() == ["1", "2"])
    }

    @Test func `list uploads pages through equal keys`() throws {
        let bench = Bench { $0.listUploadsPageSize = 2 }
        for (index, key) in ["b", "a", "a", "a", "c", "p/x"].enumerated() {
            bench.server.edit { store in
                let upload = FakeUpload(id: "id\(index)", key: Array(key.utf8), initiated: Int64(100 - index))
                store.buckets["bucket"]?.uploads[upload.id] = upload
            }
        }
        var seen: [String] = []
        var markers = ""
        while true {
            let page = try #require(bench.client.request("GET", "/bucket?uploads\(markers)")?.xml)
            seen += page.children("Upload").compactMap { $0.child("UploadId")?.text }
            if page.child("IsTruncated")?.text == "false" { break }
            let key = page.child("NextKeyMarker")?.text ?? ""
            markers = "&key-marker=\(key)&upload-id-marker=\(page.child("NextUploadIdMarker")?.text ?? "")"
        }
        #expect(seen == ["id3", "id2", "id1", "id0", "id4", "id5"])
        let prefixed = bench.client.request("GET", "/bucket?uploads&prefix=p%2F")?.xml
        #expect(prefixed?.children("Upload").count == 1)
    }

    @Test func `abort forgets the upload`() {
        let bench = Bench()
        let id = bench.create()
        #expect(bench.client.request("DELETE", "/bucket/k?uploadId=\(Bench.query(id))")?.status == 204)
        #expect(bench.client.request("DELETE", "/bucket/k?uploadId=\(Bench.query(id))")?.code == "NoSuchUpload")
        #expect(bench.server.uploads.isEmpty)
    }

    @Test(arguments: [
        (FakeProfile.ETagStyle.random, FakeProfile.ETagQuoting.none, 32), (.kms, .plain, 36), (.md5, .entity, 36),
    ])
    func `ETag styles differ`(style: FakeProfile.ETagStyle, quoting: FakeProfile.ETagQuoting, length: Int) throws {
        let bench = Bench {
            $0.eTagStyle = style
            $0.eTagQuoting = quoting
        }
        let id = bench.create()
        let part = try #require(bench.part(id, 1, [1])?["etag"])
        let answer = try #require(bench.complete(id))
        let quotes =
            switch quoting {
            case .none: 0;
            case .plain, .entity: 2
            }
        #expect(part.count == 32 + quotes)
        #expect(answer.xml?.child("ETag")?.text.count == (length == 32 ? 32 : 34) + quotes)
        let entity =
            switch quoting {
            case .entity: true;
            case .plain, .none: false
            }
        #expect(answer.text.contains("&quot;") == entity)
    }

    @Test func `create tells the Abort date and the checksum`() {
        let bench = Bench { $0.abortDate = "Fri, 01 Jan 2100 00:00:00 GMT" }
        let answer = bench.client.request("POST", "/bucket/k?uploads", Self.full)
        #expect(answer?["x-amz-abort-date"] == "Fri, 01 Jan 2100 00:00:00 GMT")
        #expect(answer?["x-amz-abort-rule-id"] == "expire-parts")
        #expect(answer?["x-amz-checksum-algorithm"] == "CRC64NVME")
        #expect(answer?["x-amz-checksum-type"] == "FULL_OBJECT")
    }

    @Test func `discarded bodies still give a digest`() throws {
        let bench = Bench { $0.bodies = .discard }
        let id = bench.create("k", Self.full)
        let body = SeededRandom(seed: 3).filled(3 << 20)
        _ = bench.part(id, 1, body, ["x-amz-checksum-crc64nvme": crc(body)])
        _ = bench.part(id, 2, [5], ["x-amz-checksum-crc64nvme": crc([5])])
        let answer = bench.complete(id, ["x-amz-checksum-crc64nvme": crc(body + [5])])
        #expect(answer?.status == 200)
        let object = try #require(bench.server.object(key: "k"))
        #expect(object.bytes == nil)
        #expect(object.size == (3 << 20) + 1)
    }
}

extension SeededRandom {
    fileprivate func filled(_ count: Int) -> [UInt8] {
        var copy = self
        return copy.bytes(count)
    }
}
