import MulePlan
import MuleS3
import MuleSystem
import TestSupport
import Testing

@testable import MuleCLI

@Suite struct ProviderTests {
    /// The table of docs/stores.md, which must say what mule does.
    @Test func `docs stores md has each provider with its endpoint and region`() throws {
        let text = try Repository.text(of: "docs/stores.md")
        let lines = text.split(separator: "\n")
        for provider in Provider.allCases {
            let profile = provider.profile
            let start = "| `\(provider.rawValue)` |"
            let row = try #require(lines.first { $0.hasPrefix(start) }, "\(provider.rawValue) is not in the table")
            let cells = row.split(separator: "|").map { cell in
                cell.drop { $0 == " " }.split(separator: " ").joined(separator: " ")
            }
            #expect(cells[1] == profile.title)
            let endpoint =
                profile.endpoints.first.map { "`\($0.text)`" } ?? (provider == .aws ? "by the region" : "yours")
            #expect(cells[2] == endpoint)
            let isInHost = profile.endpoints.first?.placeholders.contains(EndpointTemplate.region) ?? false
            let region =
                provider == .aws ? "the bucket's" : isInHost ? "by the host" : "`\(profile.region ?? "us-east-1")`"
            #expect(cells[3] == region)
            if profile.limits.maximumPartCount < 10_000 { #expect(row.contains("1,000 parts")) }
            if profile.limits.partsMustBeEqual { #expect(row.contains("equal parts")) }
            if profile.limits.largestObject != nil, provider != .scaleway { #expect(row.contains("objects of")) }
            #expect(
                lines.contains { $0 == "## \(profile.title)" || $0.hasPrefix("| \(profile.title) | `") },
                "\(profile.title) has no section"
            )
        }
    }

    private func origins(_ change: (inout Arguments) -> Void, _ variables: [String: String] = [:]) throws
        -> SettingOrigins
    {
        let home = ScratchDirectory()
        var arguments = Arguments()
        change(&arguments)
        let session = try Session(
            arguments,
            environment: variables.merging(["HOME": home.path]) { own, _ in own },
            cancellation: Cancellation(),
            diagnostics: Diagnostics(environment: [:]),
            output: StandardOutput(isNeeded: false)
        )
        let plan = try session.plan(forBucket: "bucket")
        return SettingOrigins(session: session, bucket: "bucket", aws: plan.aws)
    }

    @Test func `the origins of endpoint, region and rules are named`() throws {
        let named = try origins { $0.store.provider = .gcs }
        #expect(named.provider == "--provider")
        #expect(named.endpoint == "Google Cloud Storage: --provider")
        #expect(named.region == "by the rules of Google Cloud Storage")
        let found = try origins { $0.store.endpointURL = "https://s3.fr-par.scw.cloud" }
        #expect(found.provider == "by the endpoint's host")
        #expect(found.endpoint == "--endpoint-url")
        #expect(found.region == "by the rules of Scaleway")
        let variables = ["AWS_REGION": "nl-ams"]
        #expect(try origins({ $0.store.provider = .scaleway }, variables).region == "AWS_REGION")
        #expect(try origins { _ in }.endpoint.hasPrefix("Amazon S3: no endpoint is set"))
        #expect(try origins { _ in }.region == "the default")
    }

    @Test func `what is said of one endpoint does not count for another`() {
        func options(_ provider: Provider?, _ url: String?) -> StoreOptions {
            var options = StoreOptions()
            (options.provider, options.endpointURL) = (provider, url)
            return options
        }
        let gcs = options(.gcs, "https://gcs.example.org")
        #expect(options(nil, nil).over(gcs).provider == .gcs)
        #expect(options(nil, "https://gcs.example.org").over(gcs).provider == .gcs)
        #expect(options(nil, "https://minio.example.org").over(gcs).provider == nil)
        #expect(options(.minio, "https://minio.example.org").over(gcs).provider == .minio)
        #expect(options(.minio, nil).over(gcs).provider == .minio)
        #expect(options(nil, "https://minio.example.org").over(options(.minio, nil)).provider == .minio)
    }
}
