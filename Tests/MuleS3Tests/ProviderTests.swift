import MulePlan
import MuleS3
import Testing

@Suite struct ProviderTests {
    /// Hosts as the stores document them.
    private static let hosts: [(url: String, provider: Provider, region: String?)] = [
        ("https://s3.eu-central-1.amazonaws.com", .aws, nil),
        ("https://bucket.vpce-1a2b-5c.s3.us-east-1.vpce.amazonaws.com", .aws, nil),
        ("https://s3.cn-north-1.amazonaws.com.cn", .aws, nil),
        ("https://0123456789abcdef.r2.cloudflarestorage.com", .r2, "auto"),
        ("https://0123456789abcdef.eu.r2.cloudflarestorage.com", .r2, "auto"),
        ("https://0123456789abcdef.fedramp.r2.cloudflarestorage.com/", .r2, "auto"),
        ("https://s3.us-west-004.backblazeb2.com", .b2, "us-west-004"),
        ("https://storage.googleapis.com", .gcs, "auto"),
        ("https://STORAGE.googleapis.com:443/", .gcs, "auto"),
        ("https://s3.eu-central-2.wasabisys.com", .wasabi, "eu-central-2"),
        ("https://s3.wasabisys.com", .wasabi, nil),
        ("https://fra1.digitaloceanspaces.com", .digitalocean, "fra1"),
        ("https://s3.fr-par.scw.cloud", .scaleway, "fr-par"),
        ("https://gateway.storjshare.io", .storj, nil),
        ("https://s3.eu-de.cloud-object-storage.appdomain.cloud", .ibm, "eu-de"),
        ("https://s3.private.us-south.cloud-object-storage.appdomain.cloud", .ibm, "us-south"),
        ("https://ns1.compat.objectstorage.eu-frankfurt-1.oraclecloud.com", .oci, "eu-frankfurt-1"),
        ("https://ns1.compat.objectstorage.us-phoenix-1.oci.customer-oci.com", .oci, "us-phoenix-1"),
    ]

    @Test func `a host of a known store selects its rules and its region`() throws {
        for (url, provider, region) in Self.hosts {
            let endpoint = try Endpoint(url: url, region: "us-east-1")
            #expect(Provider(endpoint) == provider, "\(url)")
            if provider != .aws { #expect(provider.region(of: endpoint) == region, "\(url)") }
        }
        let named = Set(Self.hosts.map(\.provider))
        for provider in Provider.allCases where !named.contains(provider) {
            #expect(provider.profile.endpoints.isEmpty, "\(provider) has hosts without a test")
        }
    }

    @Test(arguments: [
        "https://s3.example.org", "http://127.0.0.1:9000", "https://r2.cloudflarestorage.com",
        "https://a.b.r2.cloudflarestorage.com", "https://storage.googleapis.com.example.org",
        "https://evil-storage.googleapis.com", "https://s3.eu.wasabisys.com.example.org",
        "https://x.s3.fr-par.scw.cloud", "http://localhost", "http://[::1]:9000", "https://amazonaws.com",
    ])
    func `another host selects nothing`(url: String) throws {
        #expect(Provider(try Endpoint(url: url, region: "us-east-1")) == nil)
    }

    @Test(arguments: Provider.allCases) func `a profile is consistent`(provider: Provider) throws {
        let profile = provider.profile
        let limits = profile.limits
        #expect(!profile.title.isEmpty)
        #expect(limits.minimumPartSize >= StoreLimits.amazon.minimumPartSize)
        #expect(limits.minimumPartSize <= limits.maximumPartSize)
        // Parts on record are never larger: the ledger's export has Amazon's limits.
        #expect(limits.maximumPartSize <= StoreLimits.amazon.maximumPartSize)
        #expect((1...StoreLimits.amazon.maximumPartCount).contains(limits.maximumPartCount))
        #expect(limits.maximumPutSize <= StoreLimits.amazon.maximumPutSize)
        #expect(limits.maximumObjectSize >= 1 << 40)
        #expect(limits.maximumObjectSize <= limits.maximumPartSize * Int64(limits.maximumPartCount))
        // The largest object has a plan, and one byte more has none.
        guard case .multipart(let size) = try PartSizing().method(size: limits.maximumObjectSize, limits: limits) else {
            Issue.record("the largest object in one request")
            return
        }
        #expect((limits.minimumPartSize...limits.maximumPartSize).contains(size))
        #expect(PartPlan(objectSize: limits.maximumObjectSize, partSize: size).count <= limits.maximumPartCount)
        #expect(throws: PlanError.self) {
            try PartSizing().method(size: limits.maximumObjectSize + 1, limits: limits)
        }
        // The mode that a wrong name begins with is checked by every store.
        if profile.firstRung == .md5WithCRC32C { #expect(provider == .gcs) }
        if profile.condition == .generation { #expect(provider == .gcs) }
        if let region = profile.region { #expect(Endpoint.isRegionName(region)) }
        // What a user's own server has no host for needs an example.
        #expect(profile.endpoints.isEmpty == (provider == .aws || !profile.example.isEmpty))
        for header in profile.lacks.keys { #expect(ObjectHeader.allCases.contains(header)) }
    }

    @Test(arguments: Provider.allCases) func `the endpoint is addressed as the profile says`(provider: Provider) throws
    {
        let profile = provider.profile
        var query = EndpointQuery(region: "eu-1")
        if provider != .aws {
            let template = profile.endpoints.first?.text ?? profile.example
            query.url = template.split(separator: "/").map { $0.lowercased() }.joined(separator: "//")
        }
        #expect(try Endpoint(query, bucket: "bucket").addressing == profile.addressing)
    }

    @Test func `hosts of different stores do not overlap`() throws {
        for provider in Provider.allCases {
            for template in provider.profile.endpoints {
                let url = template.placeholders.reduce(template.text) { text, word in
                    text.split(separator: word, omittingEmptySubsequences: false).joined(separator: "x-1")
                }
                let endpoint = try Endpoint(url: url, region: "us-east-1")
                let matching = Provider.allCases.filter { other in
                    other.profile.endpoints.contains { $0.words(in: endpoint) != nil }
                }
                #expect(matching == [provider], "\(url)")
            }
        }
    }

    @Test func `a name alone is an endpoint where the store has one`() {
        #expect(Provider.gcs.endpoint(region: nil) == .success("https://storage.googleapis.com"))
        #expect(Provider.storj.endpoint(region: nil) == .success("https://gateway.storjshare.io"))
        #expect(Provider.wasabi.endpoint(region: "eu-west-1") == .success("https://s3.eu-west-1.wasabisys.com"))
        #expect(Provider.digitalocean.endpoint(region: "ams3") == .success("https://ams3.digitaloceanspaces.com"))
        #expect(
            Provider.wasabi.endpoint(region: nil)
                == .failure(.init(example: "https://s3.REGION.wasabisys.com", needsRegion: true))
        )
        #expect(
            Provider.r2.endpoint(region: "auto")
                == .failure(.init(example: "https://ACCOUNT.r2.cloudflarestorage.com"))
        )
        #expect(Provider.minio.endpoint(region: nil) == .failure(.init(example: "https://minio.example.org:9000")))
    }
}
