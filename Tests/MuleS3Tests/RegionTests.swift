import MulePlan
import MuleSystem
import TestSupport
import Testing

@testable import MuleS3

@Suite("Buckets in other regions")
struct RegionTests {
    @Test(arguments: [
        ("https://s3.us-east-1.amazonaws.com", "s3.eu-west-3.amazonaws.com"),
        ("https://s3.amazonaws.com", "s3.eu-west-3.amazonaws.com"),
        ("https://s3.dualstack.us-east-1.amazonaws.com", "s3.dualstack.eu-west-3.amazonaws.com"),
    ]
    )
    func `Amazon's hosts follow the region in all their forms`(url: String, host: String) throws {
        let endpoint = try #require(try Endpoint(url: url, region: "us-east-1").serving(region: "eu-west-3"))
        #expect(endpoint.host == host && endpoint.region == "eu-west-3")
    }

    @Test
    func `the endpoint made for a region follows to another, with its addressing`() throws {
        let there = try #require(Endpoint.amazon(region: "us-east-1").serving(region: "ap-south-1"))
        #expect(there == .amazon(region: "ap-south-1"))
        #expect(
            Endpoint.amazon(region: "us-east-1", addressing: .path).serving(region: "ap-south-1")?.addressing == .path
        )
    }

    @Test(arguments: [
        ("https://s3.us-east-1.amazonaws.com", "cn-north-1"),
        ("https://s3.us-east-1.amazonaws.com", "us-east-1"),
        ("https://s3.us-east-1.amazonaws.com", "evil.example.com/"),
        ("https://s3.us-east-1.amazonaws.com", "x.evil"),
        ("https://s3.us-east-1.amazonaws.com", ""),
        ("https://s3.us-east-1.amazonaws.com", "a b"),
        ("https://s3.us-east-1.amazonaws.com", String(repeating: "a", count: 65)),
        ("https://bucket.vpce-1a.s3.us-east-1.vpce.amazonaws.com", "eu-west-1"),
        ("https://strange.amazonaws.com", "eu-west-1"),
    ]
    )
    func `no answer leads out of the partition, out of a VPC, to a made-up host, or back to where it came from`(
        url: String,
        region: String
    ) throws {
        #expect(try Endpoint(url: url, region: "us-east-1").serving(region: region) == nil)
    }

    @Test
    func `another store keeps its host and is signed for the region that it names`() throws {
        let endpoint = try #require(
            try Endpoint(url: "http://s3.example.org:9000/base", region: "us-east-1").serving(region: "RegionOne")
        )
        #expect(endpoint.url == "http://s3.example.org:9000/base" && endpoint.region == "RegionOne")
        // A host that only looks like Amazon's is another store.
        let alike = try #require(
            try Endpoint(url: "https://s3.us-east-1.amazonaws.com.evil.org", region: "us-east-1").serving(
                region: "eu-west-1"
            )
        )
        #expect(alike.host == "s3.us-east-1.amazonaws.com.evil.org")
    }

    @Test
    func `400 AuthorizationHeaderMalformed: signed again for the named region, once for all requests to the bucket`()
        async throws
    {
        let store = try Store(region: "eu-west-9")
        try await store.use { connection throws in
            _ = try connection.listMultipartUploads(of: address("k"))
            _ = try connection.listMultipartUploads(of: address("k"))
        }
        #expect(store.server.requests.map(\.status) == [400, 200, 200])
    }

    @Test
    func `HEAD's 400 has no body: the header names the region`() async throws {
        let store = try Store(region: "eu-west-9")
        #expect(try await store.use { try $0.headObject(address("k")) == nil })
        #expect(store.server.requests.map(\.status) == [400, 404])
    }

    @Test
    func `301 with the region in its header is followed, once`() async throws {
        let store = try Store(faults: [.on(.listUploads, .redirect(status: 301, region: "eu-west-9"))])
        // In that region the fake store redirects back to its own, which would never end.
        let error = try await store.failure { _ = try $0.listMultipartUploads(of: address("k")) }
        #expect(store.server.requests.map(\.signedRegion) == [store.server.region, "eu-west-9"])
        #expect(error?.code == "AuthorizationHeaderMalformed" && error?.region == store.server.region)
    }

    @Test
    func `301 without a region: a look at the bucket tells it`() async throws {
        let store = try Store(
            faults: [
                .on(.listUploads, .redirect(status: 301)),
                .on(
                    .headBucket,
                    .custom { _ in FakeReply(403, headers: [FakeHeader("x-amz-bucket-region", "eu-west-9")]) }
                ),
            ]
        )
        _ = try await store.failure { _ = try $0.listMultipartUploads(of: address("k")) }
        #expect(store.server.requests.map(\.operation) == [.listUploads, .headBucket, .listUploads])
        #expect(store.server.requests.last?.signedRegion == "eu-west-9")
    }

    @Test(arguments: [301, 302, 303, 307, 308])
    func `a redirect to another host is never followed, whatever its status`(status: Int) async throws {
        let evil = FakeS3()
        let location = FakeHeader("location", evil.endpoint + "/bucket/k")
        let store = try Store(faults: [.on(.listUploads, times: 9, .redirect(status: status, headers: [location]))])
        let error = try await store.failure { _ = try $0.listMultipartUploads(of: address("k")) }
        #expect(error?.retryClass == .redirected)
        #expect(error.flatMap(\.otherHost) == evil.endpoint)
        #expect(evil.requests.isEmpty)
    }

    @Test
    func `what was learned is kept, and what is remembered is used`() async throws {
        let saved = Monitor([String: String]())
        let memory = RegionMemory(
            load: { bucket in saved.withLock { $0[bucket] } },
            save: { bucket, region in saved.withLock { $0[bucket] = region } }
        )
        let first = try Store(region: "eu-west-9")
        first.service.remember(regions: memory)
        try await first.use { _ = try $0.listMultipartUploads(of: address("k")) }
        #expect(saved.withLock { $0 } == ["bucket": first.server.region])

        let second = try Store(region: "eu-west-9")
        second.service.remember(regions: memory)
        try await second.use { _ = try $0.listMultipartUploads(of: address("k")) }
        #expect(second.server.requests.map(\.status) == [200])
    }

    @Test
    func `a memory that is out of date is corrected`() async throws {
        let saved = Monitor(["bucket": "ap-south-7"])
        let store = try Store()
        store.service.remember(
            regions: RegionMemory(
                load: { bucket in saved.withLock { $0[bucket] } },
                save: { bucket, region in saved.withLock { $0[bucket] = region } }
            )
        )
        try await store.use { _ = try $0.listMultipartUploads(of: address("k")) }
        #expect(store.server.requests.map(\.status) == [400, 200])
        #expect(saved.withLock { $0 } == ["bucket": store.server.region])
    }
}
