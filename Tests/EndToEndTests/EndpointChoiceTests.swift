import MuleSystem
import TestSupport
import Testing

/// Which host is asked for, and what is refused because no host could honour it.
@Suite struct EndpointChoiceTests {
    /// A proxy that refuses every tunnel, and has heard which ones were wanted.
    private let proxy = ScriptedServer { peer in
        while peer.head() != nil { peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") }
    }
    private let store = FakeS3()
    private var mule: MuleRun

    init() throws {
        mule = MuleRun(store)
        mule.environment = [
            "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_EC2_METADATA_DISABLED": "true",
            "https_proxy": "http://127.0.0.1:\(proxy.port)",
        ]
        try mule.home.write("x", to: "f")
    }

    /// Hosts in the order in which they were asked for, each once.
    private var hosts: [String] {
        proxy.heads.reduce(into: []) { hosts, head in
            let words = head.split(separator: " ")
            guard words.count > 1, words[0] == "CONNECT" else { return }
            let host = String(words[1].prefix { $0 != ":" })
            if !hosts.contains(host) { hosts.append(host) }
        }
    }

    struct Choice: Sendable, CustomTestStringConvertible {
        var variables: [String: String] = [:]
        var profile = ""
        var options: [String] = []
        var bucket = "bucket"
        var host: String

        var testDescription: String { host }
    }

    private static let arn = "arn:aws:s3:us-west-2:123456789012:accesspoint/cam"
    private static let fips = ["AWS_USE_FIPS_ENDPOINT": "true"]

    private static let choices = [
        Choice(
            variables: ["AWS_REGION": "us-gov-west-1", "AWS_USE_FIPS_ENDPOINT": "true"],
            host: "bucket.s3-fips.us-gov-west-1.amazonaws.com"
        ),
        Choice(
            profile: "region = us-east-2\nuse_fips_endpoint = true\nuse_dualstack_endpoint = true",
            host: "bucket.s3-fips.dualstack.us-east-2.amazonaws.com"
        ),
        Choice(options: ["--fips", "--region", "us-west-1"], host: "bucket.s3-fips.us-west-1.amazonaws.com"),
        Choice(variables: fips, options: ["--no-fips"], host: "bucket.s3.us-east-1.amazonaws.com"),
        Choice(options: ["--dualstack"], host: "bucket.s3.dualstack.us-east-1.amazonaws.com"),
        Choice(profile: "s3 =\n  use_accelerate_endpoint = true", host: "bucket.s3-accelerate.amazonaws.com"),
        Choice(
            options: ["--accelerate", "--dualstack"],
            host: "bucket.s3-accelerate.dualstack.amazonaws.com"
        ),
        Choice(variables: ["AWS_REGION": "aws-global"], host: "bucket.s3.amazonaws.com"),
        Choice(variables: ["AWS_REGION": "eusc-de-east-1"], host: "bucket.s3.eusc-de-east-1.amazonaws.eu"),
        Choice(variables: ["AWS_REGION": "us-iso-east-1"], host: "bucket.s3.us-iso-east-1.c2s.ic.gov"),
        Choice(
            variables: ["AWS_REGION": "fips-us-gov-east-1"],
            host: "bucket.s3-fips.us-gov-east-1.amazonaws.com"
        ),
        Choice(bucket: arn, host: "cam-123456789012.s3-accesspoint.us-west-2.amazonaws.com"),
        Choice(
            variables: fips,
            bucket: arn,
            host: "cam-123456789012.s3-accesspoint-fips.us-west-2.amazonaws.com"
        ),
    ]

    @Test(arguments: choices)
    func `settings of AWS and of mule lead to the host that AWS's tools would ask`(choice: Choice) throws {
        var mule = mule
        mule.environment.merge(choice.variables) { $1 }
        try mule.home.write("[default]\n\(choice.profile)\n", to: ".aws/config")
        let outcome = try mule.run(["upload", "f", choice.bucket + "/key"] + choice.options)
        #expect(outcome.exitCode != 0 && outcome.exitCode != 2, "\(outcome.err)")
        #expect(hosts == [choice.host], "\(outcome.err)")
    }

    @Test func `the configuration of mule names kinds of endpoints, for one bucket too`() throws {
        try mule.home.write(
            #"{"region": "us-west-2", "dualstack": true, "buckets": {"law": {"fips": true, "dualstack": false}}}"#,
            to: ".config/mule/config.json"
        )
        _ = try mule.run("upload", "f", "bucket/key")
        _ = try mule.run("upload", "f", "law/key")
        #expect(hosts == ["bucket.s3.dualstack.us-west-2.amazonaws.com", "law.s3-fips.us-west-2.amazonaws.com"])
    }

    @Test(
        arguments: [
            (
                fips, ["--endpoint-url", "https://s3.example.org"], "bucket",
                "FIPS endpoints are required (AWS_USE_FIPS_ENDPOINT)"
            ),
            (fips, ["--accelerate"], "bucket", "add --no-accelerate"),
            (fips, ["--region", "cn-north-1"], "bucket", "AWS has none in the region cn-north-1 (--region)"),
            (["AWS_USE_FIPS_ENDPOINT": "1"], [], "bucket", "it must be true or false"),
            ([:], ["--fips", "--endpoint-url", "https://s3.example.org"], "bucket", "--no-fips"),
            ([:], ["--dualstack", "--endpoint-url", "https://s3.example.org"], "bucket", "--no-dualstack"),
            ([:], ["--accelerate", "--endpoint-url", "https://s3.example.org"], "bucket", "--no-accelerate"),
            ([:], ["--accelerate"], "with.dots", "whose name has a dot"),
            ([:], ["--accelerate", "--addressing", "path"], "bucket", "remove --addressing path"),
            ([:], ["--accelerate", "--region", "cn-north-1"], "bucket", "no S3 Transfer Acceleration"),
            ([:], ["--accelerate"], arn, "cannot serve access points"),
            ([:], ["--addressing", "path"], arn, "remove --addressing path"),
            ([:], ["--region", "cn-north-1"], arn, "in another AWS partition"),
            (["AWS_S3_USE_ARN_REGION": "false"], ["--region", "us-east-1"], arn, "AWS_S3_USE_ARN_REGION"),
            ([:], [], "arn:aws:s3::123456789012:accesspoint/m.mrap", "SigV4A"),
            ([:], [], "arn:aws:s3-outposts:us-west-2:1:outpost/op-1/accesspoint/a", "Outposts"),
            ([:], [], "b--use1-az4--x-s3", "directory bucket"), ([:], [], "p--use1-az4--xa-s3", "directory bucket"),
            ([:], [], "x--op-s3", "Outposts"),
            ([:], ["--client-certificate", "/none.pem"], "bucket", "/none.pem cannot be read"),
            ([:], ["--client-key", "/none.pem"], "bucket", "only used with --client-certificate"),
        ] as [([String: String], [String], String, String)]
    )
    func `what cannot be honoured is refused before anything is sent`(
        variables: [String: String],
        options: [String],
        bucket: String,
        words: String
    ) throws {
        var mule = mule
        mule.environment.merge(variables) { $1 }
        let outcome = try mule.run(["upload", "f", bucket + "/key"] + options)
        #expect(outcome.exitCode == 2, "\(outcome.err)")
        #expect(outcome.explains(words), "\(outcome.err)")
        #expect(proxy.connections == 0 && store.requests.isEmpty)
        #expect(try mule.status().isEmpty)
    }

    @Test func `an upload that was started without FIPS continues at the FIPS endpoint of its region`() throws {
        var mule = mule
        mule.environment["AWS_REGION"] = "us-west-2"
        _ = try mule.run("upload", "f", "bucket/key")
        #expect(hosts == ["bucket.s3.us-west-2.amazonaws.com"])
        mule.environment["AWS_USE_FIPS_ENDPOINT"] = "true"
        let outcome = try mule.run("resume")
        #expect(hosts.last == "bucket.s3-fips.us-west-2.amazonaws.com", "\(outcome.err)")
        #expect(hosts.count == 2)
        // The endpoint is on record, independent of the current settings.
        _ = try mule.run("upload", "f", "bucket/other")
        mule.environment["AWS_USE_FIPS_ENDPOINT"] = nil
        mule.environment["AWS_REGION"] = "eu-west-1"
        let before = proxy.heads.count
        _ = try mule.run("resume")
        let asked = proxy.heads.dropFirst(before)
        #expect(asked.contains { $0.hasPrefix("CONNECT bucket.s3-fips.us-west-2.amazonaws.com") })
        #expect(!asked.contains { $0.contains("eu-west-1") })
    }

    @Test func `a bucket that demands FIPS has no say over uploads to another store`() throws {
        var mule = MuleRun(store)
        store.add(.on(.uploadPart, occurrence: 2, .status(403, code: "AccessDenied")))
        #expect(try mule.uploadInParts(try mule.file(parts: 3)).run().exitCode == 4)
        store.script([])
        try mule.home.write(#"{"buckets": {"law": {"fips": true}}}"#, to: ".config/mule/config.json")
        mule.environment["AWS_ENDPOINT_URL"] = nil
        mule.environment["AWS_ENDPOINT_URL_S3"] = nil
        let outcome = try mule.run("resume")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(try mule.run("clean", "--dry-run").exitCode == 0)
    }

    @Test func `an upload at a store without FIPS is not resumed where FIPS is required`() throws {
        var mule = MuleRun(store)
        store.add(.on(.uploadPart, occurrence: 2, .status(403, code: "AccessDenied")))
        #expect(try mule.uploadInParts(try mule.file(parts: 3)).run().exitCode == 4)
        let before = store.requests.count
        mule.environment["AWS_USE_FIPS_ENDPOINT"] = "true"
        mule.environment["AWS_ENDPOINT_URL"] = nil
        mule.environment["AWS_ENDPOINT_URL_S3"] = nil
        let outcome = try mule.run("resume")
        #expect(outcome.exitCode == 2, "\(outcome.err)")
        #expect(outcome.explains("FIPS endpoints are required", "Abort it and upload again"), "\(outcome.err)")
        #expect(store.requests.count == before)
    }

    @Test func `roles are assumed at the FIPS endpoint of the token service`() throws {
        var mule = mule
        mule.environment["AWS_ACCESS_KEY_ID"] = nil
        mule.environment["AWS_SECRET_ACCESS_KEY"] = nil
        let config = """
            [default]
            region = us-east-2
            role_arn = arn:aws:iam::1:role/r
            source_profile = keys
            [profile keys]
            aws_access_key_id = a
            aws_secret_access_key = b
            """
        try mule.home.write(config, to: ".aws/config")
        _ = try mule.run("upload", "--fips", "f", "bucket/key")
        #expect(hosts == ["sts-fips.us-east-2.amazonaws.com"])
    }

    @Test func `doctor names each kind of endpoint and where it comes from`() throws {
        var mule = mule
        mule.environment.merge(Self.fips.merging(["AWS_REGION": "us-gov-west-1"]) { $1 }) { $1 }
        let findings = try mule.run("doctor", "--json", "--no-dualstack", "bucket").objects
        func message(_ check: String) -> String? { findings.first { $0["check"]?.text == check }?["message"]?.text }
        #expect(message("endpoint.fips") == "On (AWS_USE_FIPS_ENDPOINT).")
        #expect(message("endpoint.dualstack") == "Off (--no-dualstack).")
        #expect(message("endpoint")?.hasPrefix("https://s3-fips.us-gov-west-1.amazonaws.com") == true)
        #expect(message("endpoint.accelerate") == nil)
    }

    @Test func `a region without FIPS endpoints is warned of, and no other endpoint is used`() throws {
        let outcome = try mule.run("upload", "--fips", "--region", "eu-central-1", "f", "bucket/key")
        #expect(outcome.explains("AWS lists no FIPS endpoint of S3 in eu-central-1"), "\(outcome.err)")
        #expect(hosts == ["bucket.s3-fips.eu-central-1.amazonaws.com"])
    }

    // MARK: Other settings of AWS's

    @Test func `with required checksums only, Content-MD5 is the first that is tried, unless one is named`() throws {
        var mule = MuleRun(store)
        mule.environment["AWS_REQUEST_CHECKSUM_CALCULATION"] = "when_required"
        let file = try mule.file(parts: 3)
        #expect(try mule.uploadInParts(file).run().exitCode == 0)
        let parts = store.requests(.uploadPart)
        #expect(parts.count == 3 && parts.allSatisfy { $0.header("content-md5") != nil })
        func hasChecksum(_ request: RecordedRequest) -> Bool {
            request.headers.contains { $0.name.lowercased().hasPrefix("x-amz-checksum-crc") }
        }
        #expect(!store.requests.contains(where: hasChecksum))
        #expect(try store.holdsOnly(file))

        let before = store.requests.count
        #expect(try mule.run("upload", "--checksum", "crc32", file, "bucket/named").exitCode == 0)
        #expect(store.requests.dropFirst(before).contains(where: hasChecksum))
        // What this upload did not try says nothing of the store to the next one.
        mule.environment["AWS_REQUEST_CHECKSUM_CALCULATION"] = nil
        let middle = store.requests.count
        #expect(try mule.run("upload", file, "bucket/plain").exitCode == 0)
        #expect(store.requests.dropFirst(middle).contains(where: hasChecksum))
    }

    @Test func `settings of retries that have no effect are named with -v`() throws {
        var mule = MuleRun(store)
        mule.environment["AWS_MAX_ATTEMPTS"] = "1"
        try mule.home.write("[default]\nretry_mode = standard\n", to: ".aws/config")
        let file = try mule.home.write("x", to: "f")
        let loud = try mule.run("upload", "-v", file, "bucket/key")
        #expect(loud.exitCode == 0 && loud.explains("AWS_MAX_ATTEMPTS, retry_mode: not used"), "\(loud.err)")
        #expect(try !mule.run("upload", file, "bucket/other").err.contains("not used"))
    }
}

/// A store that demands a client certificate, as a gateway with mutual TLS does.
@Suite struct ClientCertificateTests {
    private let server: TLSServer
    private var mule = MuleRun(FakeS3())

    init() throws {
        server = try TLSServer(.wantsCertificate)
        mule.environment = [
            "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": server.url,
            "AWS_CA_BUNDLE": server.certificate,
        ]
    }

    private var options: [String] { ["--client-certificate", server.certificate, "--client-key", server.key] }

    @Test func `it is shown to the store, directly and through a proxy`() throws {
        let without = try mule.run("doctor", "--json")
        #expect(without.exitCode == 75, "\(without.out)")
        #expect(without.out.contains("demands a client certificate") && without.out.contains("--client-certificate"))
        #expect(try mule.run(["doctor"] + options).exitCode == 0)

        let proxy = try TunnelProxy()
        var mule = mule
        mule.environment["https_proxy"] = proxy.url
        let tunnelled = try mule.run(["doctor"] + options)
        #expect(tunnelled.exitCode == 0, "\(tunnelled.out)")
        #expect(!proxy.places.isEmpty && Set(proxy.places) == ["127.0.0.1:\(server.port)"])
    }

    @Test func `it is on record, so that a resumed upload shows it too`() throws {
        let file = try mule.home.write("x", to: "f")
        // The server answers, and not as a store does: the upload stays open.
        let started = try mule.run(["upload", "--stall-limit", "1s", file, "bucket/key"] + options)
        #expect(!started.err.contains("client certificate"), "\(started.err)")
        #expect(try mule.status().count == 1)
        let resumed = try mule.run("resume", "--stall-limit", "1s")
        #expect(!resumed.err.contains("client certificate"), "\(resumed.err)")
        let exported = try mule.run("doctor", "--export", "-").out
        #expect(exported.contains("\"clientKey\":\"\(server.key)\""), "\(exported)")
        #expect(!exported.contains("PRIVATE KEY"))
    }
}
