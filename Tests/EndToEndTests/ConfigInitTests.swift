import Glibc
import TestSupport
import Testing

/// `mule config init`.
@Suite struct ConfigInitTests {
    private let store = FakeS3()
    private var mule: MuleRun

    init() { mule = MuleRun(store) }

    /// The configuration that all commands read.
    private var file: String { mule.home.path(".config/mule/config.json") }

    private var written: String? {
        Files.exists(file) ? (try? Files.read(file)).map { String(decoding: $0, as: UTF8.self) } : nil
    }

    private func answering(_ lines: [String], _ more: String...) throws -> CommandOutcome {
        var command = mule.command(["config", "init"] + more)
        command.input = .bytes(Array(lines.map { $0 + "\n" }.joined().utf8))
        return try command.run()
    }

    private static func states(_ outcome: CommandOutcome) -> [String: String] {
        Dictionary(outcome.objects.map { ($0["check"]?.text ?? "", $0["state"]?.text ?? "") }) { first, _ in first }
    }

    // MARK: What is written

    @Test func `the answers are tested and written`() throws {
        let outcome = try answering([store.endpoint, store.region, "", "bucket"])
        #expect(outcome.exitCode == 0, "\(outcome.out) \(outcome.err)")
        #expect(
            written == "{\n  \"endpointURL\": \"\(store.endpoint)\",\n  \"region\": \"\(store.region)\"\n}\n",
            "\(written ?? "nothing")"
        )
        #expect(Files.mode(file) == 0o600)
        for directory in [".config", ".config/mule"] {
            #expect(Files.mode(mule.home.path(directory)) == 0o700)
        }
        let checks = outcome.lines.filter { $0.hasPrefix("ok ") }
        for check in ["credentials", "bucket", "permissions.list", "configuration"] {
            #expect(checks.contains { $0.hasPrefix("ok       \(check) ") }, "\(outcome.out)")
        }
        #expect(outcome.lines.suffix(3) == ["Next:", "  mule doctor --write bucket", "  mule upload FILE bucket/"])
        #expect(Set(store.requests.map(\.method)).isSubset(of: ["GET", "HEAD"]), "nothing is changed at the store")
        #expect(try mule.run("config", "check").exitCode == 0)
    }

    @Test func `the end of input takes the defaults`() throws {
        let outcome = try answering([])
        #expect(outcome.exitCode == 0, "\(outcome.out) \(outcome.err)")
        #expect(outcome.err.contains("Endpoint URL [\(store.endpoint)]: \nRegion [\(store.region)]: \n"))
        #expect(outcome.err.contains("Profile with the credentials [environment]: "))
        #expect(written?.contains(store.endpoint) == true)
        let isOnlyGreeted = store.requests.allSatisfy { $0.method == "HEAD" && $0.target == "/" }
        #expect(isOnlyGreeted, "there is no bucket to test")
    }

    @Test mutating func `without any AWS configuration the defaults are amazons`() throws {
        mule.environment = ["AWS_EC2_METADATA_DISABLED": "true"]
        let outcome = try answering([])
        #expect(outcome.exitCode == 5, "no credentials: \(outcome.out)")
        #expect(written == "{\n  \"region\": \"us-east-1\"\n}\n")
        #expect(outcome.err.contains("aws configure --profile NAME"))
        #expect(outcome.err.contains("[default]\n  aws_access_key_id = ..."))
        #expect(outcome.explains("written", "status 5", "mule doctor") || outcome.err.contains("(status 5)"))
        #expect(outcome.out.contains("problem  credentials "))
    }

    @Test mutating func `a profile is chosen and tested`() throws {
        let keys = store.credentials
        try mule.home.write("[profile lab]\nregion = eu-west-1\n", to: ".aws/config")
        try mule.home.write(
            "[backup]\naws_access_key_id = \(keys.accessKey)\naws_secret_access_key = \(keys.secretKey)\n",
            to: ".aws/credentials"
        )
        // Those of the shell are wrong, and not what cron would see.
        mule.environment["AWS_SECRET_ACCESS_KEY"] = "wrong"
        mule.environment["MULE_REGION"] = "eu-west-1"
        let outcome = try answering(["", "", "backup", "bucket"])
        #expect(outcome.exitCode == 0, "\(outcome.out) \(outcome.err)")
        #expect(outcome.err.contains("mule: Profiles: backup, lab\n"))
        #expect(written?.contains(#""profile": "backup""#) == true)
        #expect(outcome.out.contains("profile: in this shell AWS_ACCESS_KEY_ID is set, and takes precedence"))
        #expect(outcome.out.contains("region: in this shell MULE_REGION is set, and takes precedence"))
        let unknown = try answering(["", "", "backop"], "other.json")
        #expect(unknown.exitCode == 2)
        #expect(unknown.err.contains("did you mean \"backup\"?"), "\(unknown.err)")
        #expect(!Files.exists(mule.home.path("other.json")))
    }

    @Test func `a job is written`() throws {
        try mule.home.makeDirectory("spool")
        let (source, sent) = (mule.home.path("spool"), mule.home.path("sent"))
        let outcome = try answering(["", "", "", "bucket", source, "", "move:\(sent)", ""])
        #expect(outcome.exitCode == 0, "\(outcome.out) \(outcome.err)")
        #expect(
            written == """
                {
                  "endpointURL": "\(store.endpoint)",
                  "region": "\(store.region)",
                  "jobs": {
                    "nightly": {
                      "source": "\(source)",
                      "destination": "bucket/{host}/{relpath}",
                      "after": "move:\(sent)"
                    }
                  }
                }

                """
        )
        #expect(outcome.out.contains("warning  credentials         cron and systemd do not have this shell's"))
        for part in [
            "mule archive --dry-run nightly", "17 1 * * * mule archive -q nightly; s=$?;",
            "systemctl enable --now mule-archive@nightly.timer",
        ] { #expect(outcome.out.contains(part), "\(outcome.out)") }
        // The file works: the job finds its source and its store.
        try mule.home.writeRandom("spool/a", count: 1_000, seed: 1)
        #expect(try mule.run("archive", "nightly").exitCode == 0)
        #expect(Files.exists(sent + "/a"))
    }

    @Test func `a named file is named in the commands that follow`() throws {
        try mule.home.makeDirectory("spool")
        let outcome = try answering(
            ["", "", "", "", mule.home.path("spool"), "bucket/x/", "", "a"],
            "dir 1/50%.json"
        )
        #expect(outcome.exitCode == 0, "\(outcome.out) \(outcome.err)")
        let path = mule.home.path("dir 1/50%.json")
        #expect(Files.mode(path) == 0o600)
        #expect(outcome.out.contains("mule doctor --config '\(path)' --write BUCKET"))
        #expect(outcome.out.contains("-q --config '\(mule.home.path("dir 1/50\\%.json"))' a;"), "\(outcome.out)")
        #expect(written == nil)
        let json = try Files.read(path)
        #expect(!String(decoding: json, as: UTF8.self).contains("after"), "a default is no key")
    }

    // MARK: What is refused

    @Test func `an existing file is not replaced`() throws {
        try mule.home.write("{}", to: ".config/mule/config.json")
        let outcome = try answering(["", ""])
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("exists and was not changed", "mule config check", "mule config init FILE"))
        #expect(written == "{}")
        #expect(!outcome.err.contains("Endpoint"), "nothing is asked")
        // So is a link to a missing file.
        _ = try TestCommand("/bin/ln", ["-s", "nowhere", mule.home.path("link")], home: mule.home.path).run()
        #expect(try answering([], "link").exitCode == 2)
        #expect(try answering([], "/etc/passwd/c.json").explains("Cannot write /etc/passwd/c.json"))
    }

    @Test(arguments: [
        (["s3.example.org"], "Endpoint URL: \"s3.example.org\" is not a web address"),
        (["http://host:0"], "The port in the endpoint"), (["https://me:hunter2@host"], "must not hold a user name"),
        (["", "no region!"], "Region: \"no region!\" is not a region name"),
        (["", "", "", "/"], "Bucket to test: \"/\" is not a bucket name"),
        (["", "", "", "", "spool"], "\"spool\" is a relative path"),
        (["", "", "", "", "/etc"], "Standard input ended before the answer to \"Destination\""),
        (["", "", "", "", "/etc", ""], "Destination: this question needs an answer"),
        (["", "", "", "bucket", "/etc", "bucket/x"], "the same key for every file"),
        (["", "", "", "bucket", "/etc", "", "burn"], "After the upload: \"burn\" is not one of"),
        (["", "", "", "bucket", "/etc", "", "", "a/b"], "Name of the job: a job name has 1 to 100 characters"),
        (["", "\u{1B}[A"], "the answer contains control characters"),
    ]) func `a wrong answer ends input that is no terminal`(answers: [String], words: String) throws {
        let outcome = try answering(answers)
        #expect(outcome.exitCode == 2)
        #expect(outcome.messages.last?.contains(words) == true, "\(outcome.err)")
        #expect(outcome.messages.last?.hasSuffix("Nothing was written.") == true)
        #expect(!outcome.err.contains("hunter2"))
        #expect(outcome.out.isEmpty && !Files.exists(mule.home.path(".config")) && store.requests.isEmpty)
    }

    // MARK: What the tests find

    @Test func `a problem is said and the file written`() throws {
        let unreachable = try answering(["http://127.0.0.1:9", "", "", "bucket"], "--json")
        #expect(unreachable.exitCode == 75, "\(unreachable.out)")
        let states = Self.states(unreachable)
        #expect(states["credentials"] == "ok" && states["bucket"] == "problem" && states["configuration"] == "warning")
        #expect(unreachable.out.contains("AWS_ENDPOINT_URL is set, and takes precedence"))
        #expect(unreachable.err.contains("(status 75). Once it is fixed, check again: mule doctor bucket"))
        #expect(written?.contains("127.0.0.1:9\"") == true)

        let missing = try answering(["", "", "", "missing"], "b.json")
        #expect(missing.exitCode == 4)
        // The first problem decides: the configuration is looked at before the store.
        try mule.home.makeDirectory("spool")
        let spool = mule.home.path("spool")
        let inside = try answering(["", "", "", "missing", spool, "", "move:\(spool)/sent", ""], "c.json")
        #expect(inside.exitCode == 2, "\(inside.out)")
        #expect(inside.out.contains("moved files would be archived again"))
        #expect(Files.exists(mule.home.path("b.json")) && Files.exists(mule.home.path("c.json")))
    }

    // MARK: Stops and terminals

    @Test func `a stop writes nothing`() throws {
        var command = mule.command(["config", "init"])
        command.input = .pipe
        let asked = try command.start()
        #expect(asked.waitForText("Endpoint URL"))
        asked.signal(SIGINT)
        let outcome = asked.wait()
        #expect(outcome.end == .signal(SIGINT))
        #expect(outcome.err.contains("mule: Stopped. \(file) was not written."), "\(outcome.err)")

        // During the test, which waits for the store.
        store.add(.on(.headBucket, times: 9, .stall))
        command.input = .bytes(Array("\n\n\nbucket\n".utf8))
        let testing = try command.start()
        #expect(store.waitUntil { !$0.requests.isEmpty })
        testing.signal(SIGINT)
        let stopped = testing.wait()
        #expect(stopped.end == .signal(SIGINT))
        #expect(stopped.err.contains("was not written") && !stopped.out.contains("problem"), "\(stopped.out)")
        #expect(!Files.exists(mule.home.path(".config")))
    }

    @Test(arguments: [2, 3]) func `on a terminal a question is asked three times`(mistakes: Int) throws {
        var command = mule.command(["config", "init"])
        command.terminal = .init()
        command.input = .terminal
        let running = try command.start()
        for attempt in 1...mistakes {
            #expect(running.waitForText("Endpoint URL"))
            running.writeInput(Array("wrong\(attempt)\n".utf8))
            #expect(running.waitForText("\"wrong\(attempt)\" is not a web address"))
        }
        if mistakes < 3 { running.writeInput(Array("\n\n\n\n\n".utf8)) }
        let outcome = running.wait()
        #expect(outcome.exitCode == (mistakes < 3 ? 0 : 2), "\(outcome.err)")
        #expect((written != nil) == (mistakes < 3))
    }
}
