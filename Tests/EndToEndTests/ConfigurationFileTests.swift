import TestSupport
import Testing

/// Where settings come from, and which of them wins.
@Suite struct ConfigurationFileTests {
    private let store = FakeS3(buckets: ["bucket", "photos"])
    private let other = FakeS3(buckets: ["bucket", "photos"])
    private var mule: MuleRun

    init() {
        mule = MuleRun(store)
        mule.environment["AWS_ENDPOINT_URL"] = nil
    }

    @Test func `endpoint of a bucket holds for that bucket only`() throws {
        var mule = mule
        let config =
            #"{"endpointURL": "\#(store.endpoint)", "buckets": {"photos": {"endpointURL": "\#(other.endpoint)"}}}"#
        mule.environment["MULE_CONFIG"] = try mule.home.write(config, to: "own.json")
        let file = try mule.home.write("text", to: "file")
        #expect(try mule.run("upload", file, "bucket/key").exitCode == 0)
        #expect(try mule.run("upload", file, "photos/key").exitCode == 0)
        #expect(store.requests.allSatisfy { $0.bucket == "bucket" } && store.keys().count == 1)
        #expect(other.requests.allSatisfy { $0.bucket == "photos" } && other.keys(bucket: "photos").count == 1)
    }

    @Test func `configuration in the home directory is found`() throws {
        try mule.home.write(#"{"endpointURL": "\#(store.endpoint)"}"#, to: ".config/mule/config.json")
        let file = try mule.home.write("text", to: "file")
        #expect(try mule.run("upload", file, "bucket/key").exitCode == 0)
        #expect(store.keys().count == 1)
    }

    @Test func `flag is stronger than variable and variable than file`() throws {
        var mule = mule
        try mule.home.write(#"{"endpointURL": "http://127.0.0.1:1"}"#, to: ".config/mule/config.json")
        let file = try mule.home.write("text", to: "file")
        mule.environment["AWS_ENDPOINT_URL"] = store.endpoint
        #expect(try mule.run("upload", file, "bucket/one").exitCode == 0)
        #expect(try mule.run("upload", "--endpoint-url", other.endpoint, file, "bucket/two").exitCode == 0)
        #expect(store.keys() == HostileKeys.sorted(["one"]))
        #expect(other.keys() == HostileKeys.sorted(["two"]))
    }

    @Test func `profile of the shared files gives keys region and endpoint`() throws {
        var mule = mule
        mule.environment = [:]
        let keys = store.credentials
        try mule.home.write(
            "[lab]\naws_access_key_id = \(keys.accessKey)\naws_secret_access_key = \(keys.secretKey)\n",
            to: ".aws/credentials"
        )
        try mule.home.write(
            "[profile lab]\nregion = \(store.region)\nendpoint_url = \(store.endpoint)\n",
            to: ".aws/config"
        )
        let file = try mule.home.write("text", to: "file")
        let outcome = try mule.run("upload", "--profile", "lab", file, "bucket/key")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(store.keys().count == 1)
        let mistyped = try mule.run("upload", "--profile", "lba", file, "bucket/other")
        #expect(mistyped.exitCode == 5 || mistyped.exitCode == 2)
        #expect(mistyped.explains("lba", "lab"), "\(mistyped.err)")
    }

    @Test func `attributes of the configuration and the flags reach the object`() throws {
        var mule = mule
        mule.environment["AWS_ENDPOINT_URL"] = store.endpoint
        let config = #"{"object": {"contentType": "text/plain", "metadata": {"origin": "lab-3", "kind": "raw"}}}"#
        let file = try mule.home.write(config, to: "c.json")
        let outcome = try mule.run(
            ["upload", "--config", file, "--metadata", "kind=done", "--tag", "keep=10 y&more", file, "bucket/key"]
        )
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        let attributes = try #require(store.object(key: "key")?.attributes)
        #expect(attributes.contentType == "text/plain")
        #expect(attributes.metadata["origin"] == "lab-3")
        #expect(attributes.metadata["kind"] == "done")
        #expect(attributes.tagging == "keep=10%20y%26more" || attributes.tagging == "keep=10+y%26more")
    }
}
