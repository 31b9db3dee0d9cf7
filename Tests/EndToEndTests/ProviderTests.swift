import MuleSystem
import TestSupport
import Testing

/// `--provider`, and the rules that a store's endpoint selects.
@Suite struct ProviderTests {
    /// A proxy that refuses every tunnel, and has heard which ones were wanted.
    private let proxy = ScriptedServer { peer in
        while peer.head() != nil { peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") }
    }
    private let store = FakeS3(.google(), region: "auto")
    private let mule: MuleRun
    /// Of stores on the internet, which only the proxy is asked for.
    private var distant: MuleRun

    init() throws {
        mule = MuleRun(store)
        distant = mule
        distant.environment = [
            "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_EC2_METADATA_DISABLED": "true",
            "https_proxy": "http://127.0.0.1:\(proxy.port)",
        ]
        try mule.home.write("x", to: "f")
    }

    private var hosts: Set<String> {
        Set(
            proxy.heads.compactMap { head in
                let words = head.split(separator: " ")
                return words.count > 1 && words[0] == "CONNECT" ? String(words[1].prefix { $0 != ":" }) : nil
            }
        )
    }

    // MARK: Endpoints

    @Test(
        arguments: [
            (["--provider", "gcs"], "storage.googleapis.com"), (["--provider", "storj"], "gateway.storjshare.io"),
            (["--provider", "wasabi", "--region", "eu-west-1"], "s3.eu-west-1.wasabisys.com"),
            (["--provider", "aws", "--region", "eu-west-1"], "bucket.s3.eu-west-1.amazonaws.com"),
            (["--provider", "gcs", "--endpoint-url", "https://gcs.example.org"], "gcs.example.org"),
        ] as [([String], String)]
    )
    func `a name leads to the store's endpoint`(options: [String], host: String) throws {
        let outcome = try distant.run(["upload", "f", "bucket/key", "--stall-limit", "1s"] + options)
        #expect(outcome.exitCode != 0 && outcome.exitCode != 2, "\(outcome.err)")
        #expect(hosts == [host], "\(outcome.err)")
    }

    @Test(
        arguments: [
            (["--provider", "r2"], "--endpoint-url https://ACCOUNT.r2.cloudflarestorage.com"),
            (["--provider", "oci", "--region", "us-phoenix-1"], "https://NAMESPACE.compat.objectstorage."),
            (["--provider", "wasabi"], "--region REGION"), (["--provider", "minio"], "https://minio.example.org:9000"),
            (["--provider", "google"], "is not one of"),
            (["--provider", "gcs", "--fips"], "FIPS endpoints are required (--fips)"),
            (["--provider", "gcs", "--tag", "a=b"], "Google Cloud Storage does not accept --tag"),
            (["--endpoint-url", "https://storage.googleapis.com", "--tag", "a=b"], "does not accept --tag"),
            (
                ["--endpoint-url", "https://0a.r2.cloudflarestorage.com", "--acl", "public-read"],
                "Cloudflare R2 does not accept --acl"
            ),
            (
                ["--provider", "gcs", "--object-lock-mode", "COMPLIANCE", "--object-lock-retain-until", "30d"],
                "ignores --object-lock-mode"
            ),
            (["--provider", "gcs", "--expected-bucket-owner", "123456789012"], "ignores --expected-bucket-owner"),
            (["--provider", "garage", "--endpoint-url", "http://127.0.0.1:1", "--sse", "AES256"], "ignores --sse"),
        ] as [([String], String)]
    )
    func `what cannot work is refused before anything is sent`(options: [String], words: String) throws {
        let outcome = try distant.run(["upload", "f", "bucket/key"] + options)
        #expect(outcome.exitCode == 2, "\(outcome.err)")
        #expect(outcome.explains(words), "\(outcome.err)")
        #expect(proxy.connections == 0)
        #expect(try mule.status().isEmpty)
    }

    @Test func `a customer key is refused where the store has none of S3's`() throws {
        try mule.home.write(String(repeating: "k", count: 32), to: "key")
        let outcome = try distant.run(
            "upload",
            "f",
            "bucket/key",
            "--provider",
            "gcs",
            "--sse-c-key-file",
            mule.home.path("key")
        )
        #expect(outcome.exitCode == 2 && outcome.explains("does not support customer keys"), "\(outcome.err)")
        #expect(proxy.connections == 0)
    }

    // MARK: Rules

    /// The region of the store, unless a setting names one.
    @Test func `a setting of the region goes before the profile's`() throws {
        var plain = MuleRun(store)
        plain.environment["AWS_REGION"] = nil
        try plain.home.write("x", to: "f")
        let own = try plain.run("upload", "--provider", "gcs", "f", "bucket/own")
        #expect(own.exitCode == 0, "\(own.err)")
        #expect(store.requests.allSatisfy { $0.signedRegion == "auto" })
        let requestsBefore = store.requests.count
        _ = try plain.run("upload", "--provider", "gcs", "--region", "eu", "--stall-limit", "1s", "f", "bucket/named")
        #expect(store.requests.dropFirst(requestsBefore).first?.signedRegion == "eu")
    }

    @Test func `an option that is ignored is named once, and the rest is sent`() throws {
        let minIO = FakeS3()
        let mule = MuleRun(minIO)
        for name in ["a", "b"] { try mule.home.write("x", to: name) }
        let outcome = try mule.run("upload", "--provider", "minio", "--acl", "public-read", "a", "b", "bucket/")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(outcome.messages.count { $0.contains("--acl: MinIO ignores it") } == 1, "\(outcome.err)")
        let again = try mule.run("upload", "--provider", "minio", "--acl", "private", "--force", "a", "bucket/")
        #expect(!again.err.contains("ignores"), "\(again.err)")
    }

    @Test func `the endpoint of another store is pointed out`() throws {
        let outcome = try distant.run(
            ["upload", "f", "bucket/key", "--provider", "minio", "--stall-limit", "1s"]
                + ["--endpoint-url", "https://s3.fr-par.scw.cloud"]
        )
        #expect(outcome.explains("belongs to Scaleway", "--provider minio"), "\(outcome.err)")
    }

    @Test func `the configuration names a provider, for one bucket too`() throws {
        try mule.home.write(
            """
            {"buckets": {"bucket": {"provider": "gcs", "endpointURL": "\(store.endpoint)"},
                         "far": {"provider": "r2"}}}
            """,
            to: ".config/mule/config.json"
        )
        var configured = mule
        configured.environment["AWS_ENDPOINT_URL"] = nil
        configured.environment["AWS_REGION"] = nil
        let refused = try configured.run("upload", "--tag", "a=b", "f", "bucket/key")
        #expect(refused.exitCode == 2 && refused.explains("does not accept --tag"), "\(refused.err)")
        let sent = try configured.run("upload", "--no-overwrite", "f", "bucket/key")
        #expect(sent.exitCode == 0, "\(sent.err)")
        #expect(store.requests(.putObject).allSatisfy { $0.header("x-goog-if-generation-match") == "0" })
        let far = try configured.run("upload", "f", "far/key")
        #expect(far.exitCode == 2 && far.explains("ACCOUNT"), "\(far.err)")
        let checked = try configured.run("config", "check")
        #expect(
            checked.exitCode == 2 && (checked.err + checked.out).contains("ACCOUNT"),
            "\(checked.err)\(checked.out)"
        )
    }

    /// 1,000 parts at Scaleway and 64 MiB at Storj, unless the user or the store says something else.
    @Test func `part sizes follow flags, then the store's own word, then the profile`() throws {
        let fake = FakeS3()
        let mule = MuleRun(fake)
        let file = try mule.home.makeSparse("big", size: 130 << 20)
        func parts(_ options: String...) throws -> Int64? {
            try mule.run(["upload", "--dry-run", "--json"] + options + [file, "bucket/key"]).objects.last?["parts"]?
                .integer
        }
        #expect(try parts() == 26)
        #expect(try parts("--provider", "storj") == 3)
        #expect(try parts("--provider", "storj", "--part-size", "16MiB") == 9)
        #expect(try parts("--provider", "scaleway") == 26)
        // The store refuses what the profile allows.
        fake.profile.minimumPartSize = 100 << 20
        let refused = try mule.run("upload", "--provider", "storj", file, "bucket/key")
        #expect(refused.exitCode != 0)
        #expect(try parts("--provider", "storj", "--restart") == 2)
    }

    // MARK: Google

    @Test func `a killed upload to Google resumes, is proven and verified`() throws {
        let file = try mule.file(parts: 4)
        store.script([.on(.uploadPart, part: 3, .stall)])
        let running = try mule.uploadInParts(file, "bucket/key", "--provider", "gcs").start()
        #expect(store.waitUntil { $0.partNumbers.contains(3) && $0.storedParts.count >= 2 })
        running.signal(9)
        _ = running.wait()
        store.script([])
        let requestsBefore = store.requests.count
        let resumed = try mule.run("resume", "--provider", "gcs")
        #expect(resumed.exitCode == 0, "\(resumed.err)")
        #expect(try store.holdsOnly(file))
        #expect(store.requests.dropFirst(requestsBefore).count { $0.operation == .uploadPart } <= 2)
        let verified = try mule.run("verify", "--provider", "gcs", file, "bucket/key")
        #expect(verified.exitCode == 0, "\(verified.err)")
        store.script([.on(.headObject, times: .max, .wrongChecksumEcho)])
        let wrong = try mule.run("verify", "--provider", "gcs", file, "bucket/key")
        #expect(wrong.exitCode != 0, "\(wrong.err)")
        let damaged = try mule.run(
            "upload",
            "--provider",
            "gcs",
            "--part-size",
            "5MiB",
            "--force",
            file,
            "bucket/other"
        )
        #expect(damaged.exitCode == 6, "\(damaged.err)")
    }

    @Test func `no object of Google's is replaced with --no-overwrite`() throws {
        let file = try mule.file(parts: 3)
        let refused = try mule.run(
            "upload",
            "--provider",
            "gcs",
            "--no-overwrite",
            file,
            "bucket/key",
            "--part-size",
            "5MiB"
        )
        #expect(refused.exitCode != 0 && refused.explains("--multipart-threshold 5GiB"), "\(refused.err)")
        #expect(store.count(.create) == 0)
        let whole = ["upload", "--provider", "gcs", "--no-overwrite", "--multipart-threshold", "5GiB"]
        #expect(try mule.run(whole + [file, "bucket/key"]).exitCode == 0)
        #expect(try store.holdsOnly(file))
        let other = try mule.file(parts: 2, "other", seed: 2)
        let exists = try mule.run(whole + [other, "bucket/key"])
        #expect(exists.exitCode == 7, "\(exists.err)")
        #expect(try store.holdsOnly(file))
    }
}
