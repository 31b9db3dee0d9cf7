import TestSupport
import Testing

/// `mule status --remote`: the ledger compared with the store.
@Suite struct RemoteStatusTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    private static let longAgo: Int64 = 1_700_000_000

    private func pending(_ key: String = "key") throws -> String {
        let file = try mule.file(parts: 3, key)
        store.add(.on(.uploadPart, part: 3, key: key, times: 1_000, .status(403, code: "AccessDenied")))
        #expect(try mule.uploadInParts(file, "bucket/\(key)").run().exitCode == 4)
        store.script([])
        return try #require(try mule.status().last?["id"]?.text)
    }

    private func plant(_ id: String, key: String = "other", by initiator: String? = nil) {
        var upload = FakeUpload(id: id, key: Array(key.utf8), initiated: Self.longAgo)
        if let initiator { upload.initiatorID = initiator }
        upload.parts[1] = FakePart(number: 1, size: 1_000, eTag: "e", lastModified: Self.longAgo)
        let planted = upload
        store.edit { $0.buckets["bucket"]?.uploads[id] = planted }
    }

    @Test func `what the store holds is shown next to what is on record`() throws {
        let id = try pending()
        let uploadID = try #require(store.uploads.first?.id)
        store.profile.abortDate = "Fri, 01 Jan 2100 00:00:00 GMT"
        store.edit(upload: uploadID) { upload in
            upload.parts[3] = FakePart(number: 3, size: 4_321, eTag: "late", lastModified: 1)
        }
        let outcome = try mule.run("status", "--remote", "--json")
        #expect(outcome.exitCode == 0)
        #expect(outcome.objects.count == 1)
        let upload = try #require(outcome.objects.first)
        #expect(upload["id"]?.text == id && upload["partsDone"]?.integer == 2)
        let remote = try #require(upload["remote"])
        #expect(remote["parts"]?.integer == 3 && remote["bytes"]?.integer == 2 * MuleRun.partSize + 4_321)
        #expect(remote["exists"] == .bool(true) && remote["orphan"] == .bool(false) && remote["error"] == .null)
        #expect(remote["abortDate"]?.text == "2100-01-01T00:00:00Z" && remote["abortRule"]?.text == "expire-parts")
        let text = try mule.run("status", "--remote", id).out
        #expect(text.contains("at the store: 3 parts, 10.0 MiB (in the ledger: 2, 10.0 MiB)"), "\(text)")
        #expect(text.contains("will be aborted at 2100-01-01 00:00:00 UTC by lifecycle rule expire-parts"))
    }

    @Test func `an operand that is no upload of the ledger is a bucket`() throws {
        let id = try pending()
        plant("u1")
        let bucket = try mule.run("status", "--remote", "bucket")
        #expect(bucket.exitCode == 0, "\(bucket.err)")
        #expect(bucket.out.contains(id) && bucket.out.contains("upload ID u1"), "\(bucket.out)")
        #expect(try mule.run("status", "--remote", "bucket").out == mule.run("status", "--remote", "bucket/").out)
        let both = try mule.run("status", "--remote", "--json", id, "missing")
        #expect(both.exitCode == 4 && both.objects.map { $0["id"]?.text } == [id], "\(both.out) \(both.err)")
    }

    @Test func `without remote nothing is asked and the key is left out`() throws {
        _ = try pending()
        let before = store.requests.count
        let upload = try #require(try mule.status().first)
        #expect(upload["remote"] == nil)
        #expect(store.requests.count == before)
    }

    @Test func `an upload that the store no longer knows is told so`() throws {
        let id = try pending()
        store.edit { $0.buckets["bucket"]?.uploads = [:] }
        let remote = try #require(try mule.status("--remote").first?["remote"])
        #expect(remote["exists"] == .bool(false) && remote["bytes"]?.integer == 0)
        #expect(try mule.run("status", "--remote", id).out.contains("no longer exists"))
    }

    @Test func `orphans of the same user are shown over all pages`() throws {
        _ = try pending()
        store.profile.listUploadsPageSize = 2
        for number in 1...5 { plant("u\(number)", key: "lost/\(number)") }
        plant("foreign", by: "somebody")
        let outcome = try mule.run("status", "--remote", "--json")
        #expect(outcome.exitCode == 0)
        #expect(outcome.explains("not shown: 1 upload in bucket started by other users"), "\(outcome.err)")
        #expect(outcome.explains("mule adopt"))
        let orphans = outcome.objects.dropFirst()
        #expect(orphans.map { $0["uploadID"]?.text } == ["u1", "u2", "u3", "u4", "u5"])
        for orphan in orphans {
            #expect(orphan["id"] == .null && orphan["source"] == .null && orphan["state"]?.text == "unknown")
            #expect(orphan["remote"]?["orphan"] == .bool(true))
            #expect(orphan["remote"]?["bytes"]?.integer == 1_000)
            #expect(orphan["createdAt"]?.text == "2023-11-14T22:13:20Z")
        }
    }

    @Test func `a lost ledgers uploads are found in the bucket that is named`() throws {
        plant("u1", key: "a/1")
        plant("u2", key: "b/1")
        #expect(try mule.run("status", "--remote").out.isEmpty)
        let text = try mule.run("status", "--remote", "bucket/a/")
        #expect(text.exitCode == 0)
        #expect(text.out.contains("not in this ledger: bucket/a/1") && !text.out.contains("b/1"), "\(text.out)")
        #expect(
            text.out.contains("upload ID u1, started 2023-11-14 22:13:20 UTC by arn:aws:iam::123456789012:user/mule")
        )
        #expect(text.out.contains("at the store: 1 part, 1000 B"))
        let refused = try mule.run("status", "bucket/a/")
        #expect(refused.exitCode == 2)
        #expect(refused.explains("--remote"))
    }

    @Test func `what may not be asked is named and the rest is shown`() throws {
        _ = try pending()
        plant("u1")
        store.profile.denied = [.listParts]
        let parts = try mule.run("status", "--remote", "--json")
        #expect(parts.exitCode == 4)
        #expect(parts.objects.count == 2)
        #expect(parts.objects.allSatisfy { $0["remote"]?["bytes"] == .null })
        let error = parts.objects.first?["remote"]?["error"]
        #expect(error?["message"]?.text?.contains("s3:ListMultipartUploadParts") == true)
        store.profile.denied = [.listUploads]
        let uploads = try mule.run("status", "--remote", "--json")
        #expect(uploads.exitCode == 4)
        #expect(uploads.explains("s3:ListBucketMultipartUploads"))
        #expect(uploads.objects.first?["remote"]?["parts"]?.integer == 2)
    }

    @Test func `a date that is near is told without asking the store`() throws {
        store.profile.abortDate = "Fri, 27 Nov 2020 00:00:00 GMT"
        _ = try pending()
        let before = store.requests.count
        #expect(try mule.run("status").out.contains("lifecycle rule"))
        let json = try mule.run("status", "--json")
        #expect(json.explains("lifecycle rule") && json.objects.count == 1)
        #expect(store.requests.count == before)
    }
}
