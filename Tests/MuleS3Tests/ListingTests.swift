import MuleDigest
import MulePlan
import MuleS3
import TestSupport
import Testing

@Suite("Lists of parts")
struct ListPartsTests {
    /// A store that holds an upload "u" of "k" with these parts.
    private func store(_ parts: [FakePart], _ profile: FakeProfile = .aws()) throws -> Store {
        let store = try Store(profile)
        store.server.edit { content in
            var upload = FakeUpload(id: "u", key: Array("k".utf8), initiated: 0)
            for part in parts { upload.parts[part.number] = part }
            content.buckets["bucket"]?.uploads["u"] = upload
        }
        return store
    }

    private func part(_ number: Int) -> FakePart {
        FakePart(number: number, size: Int64(number) * 10, eTag: "e\(number)", lastModified: 1_700_000_000)
    }

    @Test
    func `all pages are read, at every page size and count around its border`() async throws {
        for pageSize in 1...3 {
            for count in 0...7 {
                var profile = FakeProfile.aws()
                profile.listPartsPageSize = pageSize
                let store = try store((0..<count).map { part($0 * 2 + 1) }, profile)
                let parts = try await store.use { try $0.listParts(address("k"), uploadID: "u").parts }
                #expect(parts.map(\.number) == (0..<count).map { $0 * 2 + 1 })
                #expect(parts.map(\.size) == parts.map { Int64($0.number) * 10 })
                #expect(store.server.count(.listParts) == max(1, (count + pageSize - 1) / pageSize))
            }
        }
    }

    @Test
    func `every page is asked for in thousands, as the real page border is`() async throws {
        let store = try store((1...2500).map(part))
        let parts = try await store.use { try $0.listParts(address("k"), uploadID: "u").parts }
        #expect(parts.map(\.number) == Array(1...2500))
        #expect(store.server.requests.map { $0.parameter("max-parts") } == ["1000", "1000", "1000"])
        #expect(store.server.requests.map { $0.parameter("part-number-marker") } == [nil, "1000", "2000"])
    }

    @Test(arguments: [FakeProfile.ETagQuoting.entity, .plain, .none]
    )
    func `tags come without quotes, however the store writes them`(style: FakeProfile.ETagQuoting) async throws {
        var profile = FakeProfile.aws()
        profile.eTagQuoting = style
        let store = try store([part(1)], profile)
        let parts = try await store.use { try $0.listParts(address("k"), uploadID: "u").parts }
        #expect(parts.map(\.eTag) == ["e1"])
        #expect(parts[0].lastModified == UTCTime(secondsSince1970: 1_700_000_000))
    }

    @Test
    func `checksums are told where the store keeps them`() async throws {
        var withChecksum = part(1)
        withChecksum.checksum = Payload("x").checksum
        for isOmitted in [false, true] {
            var profile = FakeProfile.aws()
            profile.listPartsOmitsChecksums = isOmitted
            let store = try store([withChecksum], profile)
            let parts = try await store.use { try $0.listParts(address("k"), uploadID: "u").parts }
            #expect(parts[0].checksums == (isOmitted ? [:] : [.crc64nvme: Payload("x").checksum.base64]))
        }
    }

    @Test
    func `both versions of a part are told when the store shows both`() async throws {
        var profile = FakeProfile.aws()
        profile.listPartsShowsSuperseded = true
        let store = try store([part(1)], profile)
        store.server.edit(upload: "u") { upload in
            upload.superseded = [FakePart(number: 1, size: 5, eTag: "old", lastModified: 1)]
        }
        let parts = try await store.use { try $0.listParts(address("k"), uploadID: "u").parts }
        #expect(Set(parts.map(\.eTag)) == ["old", "e1"])
    }

    @Test
    func `the day of removal and its rule are told, where a lifecycle rule applies`() async throws {
        var profile = FakeProfile.aws()
        profile.abortDate = "Fri, 27 Nov 2026 00:00:00 GMT"
        for profile in [profile, .aws()] {
            let store = try store([part(1)], profile)
            let listing = try await store.use { try $0.listParts(address("k"), uploadID: "u") }
            #expect(listing.abortDate == profile.abortDate)
            #expect(listing.abortRuleID == (profile.abortDate == nil ? nil : "expire-parts"))
            #expect(listing.initiator == "arn:aws:iam::123456789012:user/mule")
        }
    }

    @Test
    func `a refusal names the permission that is missing`() async throws {
        var profile = FakeProfile.aws()
        profile.denied = [.listParts]
        let store = try store([part(1)], profile)
        let error = try await store.failure { _ = try $0.listParts(address("k"), uploadID: "u") }
        #expect(error?.code == "AccessDenied" && error?.retryClass == .fatal)
        #expect(error?.operation.permission == "s3:ListMultipartUploadParts")
    }

    @Test(arguments: [
        "<IsTruncated>true</IsTruncated>",
        "<IsTruncated>true</IsTruncated><NextPartNumberMarker>0</NextPartNumberMarker>",
        "<Part><Size>1</Size><ETag>e</ETag></Part>", "<Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>",
        "<Part><PartNumber>1</PartNumber><Size>1</Size></Part>",
        "<Part><PartNumber>x</PartNumber><Size>1</Size><ETag>e</ETag></Part>",
    ]
    )
    func `a list that stands still, or lacks what a part must have, is no list`(content: String) async throws {
        let reply = FakeReply(200, body: Array("<ListPartsResult>\(content)</ListPartsResult>".utf8))
        let store = try store([])
        store.server.add(.on(.listParts, times: 9, .custom { _ in reply }))
        let error = try await store.failure { _ = try $0.listParts(address("k"), uploadID: "u") }
        guard case .unreadable(status: 200, _) = error?.cause else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(store.server.count(.listParts) <= 2)
    }
}

@Suite("Lists of uploads")
struct ListUploadsTests {
    /// A store with so many uploads of each key, started a second apart.
    private func store(_ uploads: [(key: String, count: Int)], pageSize: Int = 1000) throws -> Store {
        var profile = FakeProfile.aws()
        profile.listUploadsPageSize = pageSize
        let store = try Store(profile)
        store.server.edit { content in
            for (key, count) in uploads {
                for number in 0..<count {
                    let id = Self.uploadID(key, number)
                    let upload = FakeUpload(id: id, key: Array(key.utf8), initiated: Int64(number))
                    content.buckets["bucket"]?.uploads[id] = upload
                }
            }
        }
        return store
    }

    /// Tells one key's uploads from another's, and has no character that XML can't hold.
    private static func uploadID(_ key: String, _ number: Int) -> String { Hex.encode(Array(key.utf8)) + "#\(number)" }

    @Test(arguments: oddKeys)
    func `only uploads of exactly this key are told, not of keys that begin like it`(key: String) async throws {
        let store = try store([(key, 2), (key + "x", 1), (key + "/", 1), (key + "\u{301}", 1), ("z" + key, 1)])
        let uploads = try await store.use { try $0.listMultipartUploads(of: address(key)) }
        #expect(uploads.map(\.uploadID) == [Self.uploadID(key, 0), Self.uploadID(key, 1)])
        #expect(uploads.map(\.initiated) == [UTCTime(secondsSince1970: 0), UTCTime(secondsSince1970: 1)])
        #expect(uploads.allSatisfy { $0.initiator == "arn:aws:iam::123456789012:user/mule" })
        #expect(store.server.violations == [])
    }

    @Test
    func `all pages are read, also when one key fills several`() async throws {
        for pageSize in 1...4 {
            let store = try store([("a b", 5), ("a b c", 3), ("a", 2)], pageSize: pageSize)
            let uploads = try await store.use { try $0.listMultipartUploads(of: address("a b")) }
            #expect(uploads.map(\.uploadID) == (0..<5).map { Self.uploadID("a b", $0) })
        }
    }

    @Test
    func `a bucket, or what is below a prefix, is told page by page`() async throws {
        let store = try store([("a b", 2), ("a/1", 3), ("a/2", 1), ("b", 1)], pageSize: 2)
        let all = try await store.use { connection in
            var pages: [[String]] = []
            var marker: UploadMarker?
            repeat {
                let page = try connection.listMultipartUploads(of: "bucket", prefix: ObjectKey("a"), after: marker)
                pages.append(page.uploads.map(\.key.string))
                marker = page.next
            } while marker != nil
            return pages
        }
        #expect(all == [["a b", "a b"], ["a/1", "a/1"], ["a/1", "a/2"]])
        let markers = store.server.requests.map { [$0.parameter("key-marker"), $0.parameter("upload-id-marker")] }
        #expect(markers == [[nil, nil], ["a b", Self.uploadID("a b", 1)], ["a/1", Self.uploadID("a/1", 1)]])
    }

    @Test
    func `more than a thousand uploads of one key go over the border of a page, each told once`() async throws {
        let store = try store([("a", 1), ("k", 2_100), ("z", 1)])
        let uploads = try await store.use { try $0.listMultipartUploads(of: address("k")) }
        #expect(uploads.map(\.uploadID) == (0..<2_100).map { Self.uploadID("k", $0) })
        #expect(store.server.count(.listUploads) == 3)
    }

    @Test
    func `a list without markers of IDs continues by its key, which need not be any object's`() async throws {
        @Sendable func page(_ content: String) -> FakeReply {
            let text = "<ListMultipartUploadsResult>\(content)</ListMultipartUploadsResult>"
            return FakeReply(200, body: Array(text.utf8))
        }
        let store = try store([])
        store.server.add(
            .on(
                .listUploads,
                .custom { _ in
                    page(
                        "<Upload><Key>z</Key><UploadId>1</UploadId></Upload><IsTruncated>true</IsTruncated>"
                            + "<NextKeyMarker>opaque</NextKeyMarker>"
                    )
                }
            ),
            .on(
                .listUploads,
                .custom { _ in
                    page("<Upload><Key>a</Key><UploadId>2</UploadId></Upload><IsTruncated>false</IsTruncated>")
                }
            )
        )
        let (first, second) = try await store.use { connection in
            let first = try connection.listMultipartUploads(of: "bucket", prefix: ObjectKey(""), after: nil)
            return (
                first, try connection.listMultipartUploads(of: "bucket", prefix: ObjectKey(""), after: first.next)
            )
        }
        #expect((first.uploads + second.uploads).map(\.uploadID) == ["1", "2"])
        #expect(second.next == nil)
        let request = store.server.requests[1]
        #expect(request.parameter("key-marker") == "opaque" && request.parameter("upload-id-marker") == nil)
    }

    @Test
    func `what does not begin with the prefix is not told, even by a store that does not heed it`() async throws {
        let text = """
            <ListMultipartUploadsResult><Upload><Key>other</Key><UploadId>1</UploadId></Upload>\
            <Upload><Key>pre/1</Key><UploadId>2</UploadId></Upload></ListMultipartUploadsResult>
            """
        let store = try store([])
        store.server.add(.on(.listUploads, .custom { _ in FakeReply(200, body: Array(text.utf8)) }))
        let page = try await store.use {
            try $0.listMultipartUploads(of: "bucket", prefix: ObjectKey("pre/"), after: nil)
        }
        #expect(page.uploads.map(\.uploadID) == ["2"] && page.next == nil)
    }

    @Test
    func `a key is read in both spellings of URL encoding, and as it is where the store does not encode`() async throws
    {
        for (encoding, name) in [
            ("<EncodingType>url</EncodingType>", "a+b%2B%C3%BC%2f100%25"),
            ("<EncodingType>url</EncodingType>", "a%20b%2B%c3%bc/100%"), ("", "a b+ü/100%"),
            ("<EncodingType>url</EncodingType>", "a b+ü/100%"),
        ] {
            let text = """
                <ListMultipartUploadsResult>\(encoding)<Upload><Key>\(name)</Key><UploadId>u</UploadId></Upload>\
                <IsTruncated>false</IsTruncated></ListMultipartUploadsResult>
                """
            let store = try store([])
            store.server.add(.on(.listUploads, .custom { _ in FakeReply(200, body: Array(text.utf8)) }))
            let uploads = try await store.use { try $0.listMultipartUploads(of: address("a b+ü/100%")) }
            #expect(uploads.map(\.uploadID) == ["u"], "\(name)")
        }
    }

    @Test
    func `a list that does not go on is no list`() async throws {
        let text = """
            <ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>\
            <NextUploadIdMarker>u</NextUploadIdMarker></ListMultipartUploadsResult>
            """
        let store = try store([])
        store.server.add(.on(.listUploads, times: 9, .custom { _ in FakeReply(200, body: Array(text.utf8)) }))
        let error = try await store.failure { _ = try $0.listMultipartUploads(of: address("k")) }
        guard case .unreadable = error?.cause else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(store.server.count(.listUploads) == 2)
    }
}
