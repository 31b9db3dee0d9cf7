import TestSupport
import Testing

/// Common mistakes on the command line: what is said, and that nothing is sent where it cannot be meant.
@Suite struct MistakeTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() throws {
        mule = MuleRun(store)
        try mule.home.write("x", to: "f")
        try mule.home.write("y", to: "g")
    }

    private static let refused: [(arguments: [String], status: Int32, words: [String])] = [
        (["upload", "s3://bucket/x", "f"], 2, ["swapped", "mule upload FILE BUCKET/KEY", "does not download"]),
        (["upload", "bucket/", "f"], 2, ["swapped"]),
        (["verify", "bucket/k", "f"], 2, ["swapped", "mule verify FILE BUCKET/KEY"]),
        (["adopt", "bucket/k", "f"], 2, ["swapped", "mule adopt FILE BUCKET/KEY"]),
        (["upload", "f", "g"], 2, ["g is a file here", "destination missing", "g/"]),
        (["upload", "f", "s3//bucket/x"], 2, ["Did you mean s3://bucket/x?"]),
        (["upload", "f", "s3:bucket/x"], 2, ["Did you mean s3://bucket/x?"]),
        (["clean", "s3//bucket/x"], 2, ["Did you mean s3://bucket/x?"]),
        (["upload", "f", "remote:bucket/x"], 2, ["Did you mean bucket/x?"]),
        (["upload", "f", "arn:aws:s3:::bucket/x"], 2, ["Did you mean bucket/x?"]),
        (["upload", "f", "bucket\\x"], 2, ["Did you mean bucket/x?"]),
        (["upload", "f", "bucket.s3.eu-west-1.amazonaws.com/x"], 2, ["host name", "Did you mean bucket/x?"]),
        (["upload", "f", "https://s3.test/bucket/x"], 2, ["--endpoint-url"]),
        (["upload", "f", "./d/"], 2, ["path on this machine", "only uploads"]),
        (["upload", "f", "/key"], 2, ["is a variable unset"]),
        (["upload", "f", "s3:///key"], 2, ["is a variable unset"]),
        (["upload", "", "bucket/"], 2, ["the first SOURCE is empty", "is a variable unset"]),
        (["upload", "f", ""], 2, ["the DESTINATION is empty", "is a variable unset"]),
        (["verify", "f", ""], 2, ["the BUCKET/KEY is empty"]),
        (["clean", ""], 2, ["the first argument is empty"]),
        (["upload", "~/f", "bucket/"], 3, ["did not expand ~"]),
        (["verify", "~/f", "bucket/"], 3, ["did not expand ~"]),
        (["upload", "*.gz", "bucket/"], 3, ["Nothing here matches *.gz"]),
        (["upload", "$HOME/f", "bucket/"], 3, ["did not expand $HOME", "double quotes"]),
        (["upload", "–r", "bucket/"], 3, ["dash"]),
        (["upload", "f ", "bucket/"], 3, ["starts or ends with a space"]),
        (["upload", "--sse", "kms", "f", "bucket/"], 2, ["did you mean aws:kms?"]),
        (["upload", "--part-size", "64", "f", "bucket/"], 2, ["64MiB"]),
        (["upload", "--limit-rate", "100Mbps", "f", "bucket/"], 2, ["divide by 8"]),
        (["upload", "--recursive=true", "f", "bucket/"], 2, ["--recursive or --no-recursive"]),
        (["upload", "--checksum-algorithm", "SHA256", "f", "bucket/"], 2, ["use --checksum"]),
        (["archive", "."], 2, ["--source DIRECTORY --to BUCKET/"]),
    ]

    @Test(arguments: MistakeTests.refused.indices)
    func `what was meant is said and nothing is sent`(number: Int) throws {
        let (arguments, status, words) = Self.refused[number]
        let outcome = try mule.run(arguments)
        #expect(outcome.exitCode == status, "\(arguments): \(outcome.err)")
        for word in words { #expect(outcome.err.contains(word), "\(arguments): \(outcome.err)") }
        #expect(store.requests.isEmpty)
    }

    @Test func `a list with Windows line ends is recognized`() throws {
        let list = try mule.home.write("f\r\n", to: "list")
        let outcome = try mule.run("upload", "--files-from", list, "bucket/")
        #expect(outcome.exitCode == 3)
        #expect(outcome.explains("carriage return", "Windows"), "\(outcome.err)")
    }

    /// Names with such characters exist, so they are used after all.
    @Test func `unusual names are used`() throws {
        for name in ["*.gz", "$HOME", "~f"] { try mule.home.write("z", to: name) }
        let outcome = try mule.run("upload", "*.gz", "$HOME", "~f", "bucket/")
        #expect(outcome.exitCode == 0 && outcome.messages.isEmpty, "\(outcome.err)")
    }

    @Test(
        arguments: [
            (["--storage-class", "glacier"], "did you mean GLACIER?"),
            (["--storage-class", "COLDEST_OF_ALL"], "the store may refuse it"),
            (["--acl", "public"], "did you mean public-read?"),
            (["--content-type", "json"], "media type"),
            (["--metadata", "a=b,c=d"], "--metadata once for each pair"),
            (["--tag", "a=b&c=d"], "--tag once for each pair"),
        ] as [([String], String)]
    )
    func `values that stores may know are sent with a warning`(flags: [String], words: String) throws {
        let outcome = try mule.run(["upload", "--json"] + flags + ["f", "bucket/key"])
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(outcome.event("warning")?["message"]?.text?.contains(words) == true, "\(outcome.out)")
        #expect(store.object(key: "key") != nil)
        // A job at a store with names of its own is silent.
        #expect(try mule.run(["upload", "-q", "--force"] + flags + ["f", "bucket/key"]).messages.isEmpty)
    }

    @Test(
        arguments: [
            ["--storage-class", "GLACIER_IR"], ["--acl", "bucket-owner-full-control"],
            ["--content-type", "text/plain"],
            ["--metadata", "a=b, c"], ["--tag", "a=b=c"],
        ]
    )
    func `values that are known are sent without a word`(flags: [String]) throws {
        let outcome = try mule.run(["upload"] + flags + ["f", "bucket/key"])
        #expect(outcome.exitCode == 0 && outcome.messages.isEmpty, "\(outcome.err)")
    }

    @Test(arguments: ["Mule-Test", "b_b"])
    func `unusual name of a bucket is questioned`(bucket: String) throws {
        let outcome = try mule.run("upload", "f", "\(bucket)/x")
        #expect(outcome.exitCode == 4)
        #expect(outcome.explains("Is \(bucket) the bucket's name?", "lower-case"), "\(outcome.err)")
    }

    @Test func `warnings of the configuration are findings`() throws {
        let text = #"{"object": {"storageClass": "glacier"}}"#
        let outcome = try mule.run("config", "check", try mule.home.write(text, to: "config.json"))
        #expect(outcome.exitCode == 0)
        #expect(outcome.out.contains("warning") && outcome.out.contains("object.storageClass: \"glacier\""))
        #expect(outcome.err.isEmpty)
    }

    @Test func `who types the data is told how to end`() throws {
        var command = mule.command(["upload", "--progress", "none", "-", "bucket/key"])
        command.terminal = .init()
        command.input = .terminal
        let running = try command.start()
        #expect(running.waitForText("end with Ctrl-D"))
        // The terminal is raw, so that Ctrl-D would be data.
        running.signal(2)
        #expect(running.wait().end == .signal(2))
    }

    // MARK: doctor

    private func message(_ check: String, _ outcome: CommandOutcome) -> String? {
        outcome.objects.first { $0["check"]?.text == check }?["message"]?.text
    }

    @Test func `doctor says where each setting comes from`() throws {
        var mule = mule
        mule.environment["AWS_REGION"] = nil
        mule.environment["AWS_DEFAULT_REGION"] = nil
        let text = #"{"region": "eu-west-7", "buckets": {"bucket": {"region": "eu-west-8"}}}"#
        let file = try mule.home.write(text, to: "config.json")
        let general = try mule.run("doctor", "--json", "--config", file)
        #expect(general.exitCode == 0, "\(general.out)")
        #expect(message("configuration", general)?.contains("\(file) (--config)") == true, "\(general.out)")
        #expect(message("region", general) == "eu-west-7 (\"region\" of the configuration).")
        #expect(message("endpoint", general)?.contains("\(store.endpoint) (AWS_ENDPOINT_URL") == true, "\(general.out)")
        let one = try mule.run("doctor", "--json", "--config", file, "bucket")
        #expect(message("region", one) == "eu-west-8 (\"region\" of the bucket in the configuration).", "\(one.out)")
        mule.environment["MULE_REGION"] = "eu-west-9"
        mule.environment["MULE_CONFIG"] = file
        let variable = try mule.run("doctor", "--json")
        #expect(message("region", variable) == "eu-west-9 (MULE_REGION).", "\(variable.out)")
        #expect(message("configuration", variable)?.contains("(MULE_CONFIG)") == true, "\(variable.out)")
        let flag = try mule.run("doctor", "--json", "--region", "eu-west-10")
        #expect(message("region", flag) == "eu-west-10 (--region).", "\(flag.out)")
        mule.environment["AWS_REGION"] = "eu-west-11"
        mule.environment["MULE_REGION"] = nil
        #expect(message("region", try mule.run("doctor", "--json")) == "eu-west-11 (AWS_REGION).")
    }

    @Test func `doctor connects to the endpoint`() throws {
        let outcome = try mule.run("doctor")
        #expect(outcome.exitCode == 0 && outcome.out.contains("\(store.endpoint) (AWS_ENDPOINT_URL"), "\(outcome.out)")
        #expect(store.requests.map(\.method) == ["HEAD"])
        var dead = mule
        dead.environment["MULE_ENDPOINT_URL"] = "http://127.0.0.1:9"
        let silent = try dead.run("doctor", "--json")
        #expect(silent.exitCode == 75)
        let told = message("endpoint", silent) ?? ""
        #expect(told.hasPrefix("http://127.0.0.1:9 (MULE_ENDPOINT_URL) does not answer: 127.0.0.1:9: "), "\(told)")
    }
}
