import MulePlan
import MuleS3
import TestSupport
import Testing

@Suite("Settings of a bucket, and rights to delete")
struct BucketSettingsTests {
    @Test
    func `a version of an object that does not exist is asked for by its name, without a condition`() async throws {
        let store = try Store()
        let address = ObjectAddress(bucket: "bucket", key: ObjectKey("none"))
        let isPermitted = try await store.use { connection in
            if case .permitted = connection.deleteAbsent(address, ifExists: false, version: "null") {
                true
            } else {
                false
            }
        }
        #expect(isPermitted)
        let request = try #require(store.server.requests(.deleteObject).first)
        #expect(request.target.hasSuffix("/bucket/none?versionId=null"))
        #expect(request.header("if-match") == nil)
    }

    @Test(arguments: [(403, "AccessDenied", false), (404, "NoSuchKey", true), (412, "PreconditionFailed", true)])
    func `only what the store says of the right counts`(status: Int, code: String, isPermitted: Bool) async throws {
        let address = ObjectAddress(bucket: "bucket", key: ObjectKey("none"))
        for hasDocument in [true, false] {
            let store = try Store()
            store.server.add(
                .on(
                    .deleteObject,
                    times: 9,
                    hasDocument
                        ? .status(status, code: code) : .custom { _ in FakeReply(status, body: Array("a portal".utf8)) }
                )
            )
            let answer = try await store.use { connection in
                switch connection.deleteAbsent(address, ifExists: true) {
                case .permitted: "permitted"
                case .refused: "refused"
                case .unclear: "unclear"
                }
            }
            #expect(answer == (hasDocument ? (isPermitted ? "permitted" : "refused") : "unclear"))
        }
    }

    @Test
    func `rules and locks are read in all their forms`() async throws {
        func rule(_ fields: [FakeXML]) -> FakeXML {
            let abort = FakeXML("AbortIncompleteMultipartUpload", children: [FakeXML("DaysAfterInitiation", "5")])
            return FakeXML("Rule", children: [FakeXML("Status", "Enabled"), abort] + fields)
        }
        var profile = FakeProfile.aws(minimumPartSize: 1)
        profile.lifecycle = [
            rule([]), rule([FakeXML("Prefix", "old/")]),
            rule([FakeXML("Filter", children: [FakeXML("And", children: [FakeXML("Prefix", "both/")])])]),
            FakeXML("Rule", children: [FakeXML("Status", "Enabled"), FakeXML("Expiration")]),
        ]
        profile.objectLock = [FakeXML("ObjectLockEnabled", "Enabled")]
        let store = try Store(profile)
        let rules = try await store.use { try $0.abortRules(of: "bucket") }
        #expect(rules.map(\.prefix) == ["", "old/", "both/"] && rules.allSatisfy { $0.days == 5 })
        #expect(try await store.use { try $0.defaultRetention(of: "bucket") } == nil, "enabled, without a default")
        let retention = FakeXML("DefaultRetention", children: [FakeXML("Mode", "GOVERNANCE"), FakeXML("Years", "1")])
        store.server.profile.objectLock = [FakeXML("Rule", children: [retention])]
        let lock = try await store.use { try $0.defaultRetention(of: "bucket") }
        #expect(lock == DefaultRetention(mode: "GOVERNANCE", period: "1 year"))
        #expect(try await store.use { try $0.versioning(of: "bucket") } == .never)
        store.server.profile.hasVersions = true
        #expect(try await store.use { try $0.versioning(of: "bucket") } == .enabled)
    }

    @Test
    func `a bucket without uploads has an empty list where the store answers that there is no upload`() async throws {
        let store = try Store(faults: [.on(.listUploads, times: 9, .status(404, code: "NoSuchUpload"))])
        let address = ObjectAddress(bucket: "bucket", key: ObjectKey("key"))
        #expect(try await store.use { try $0.listMultipartUploads(of: address).isEmpty })
    }
}
