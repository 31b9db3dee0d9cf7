import Glibc
import MuleSystem
import TestSupport
import Testing

/// `mule doctor`: every line it prints, what it ends with, and ledgers that travel.
@Suite struct DoctorTests {
    private static func states(_ outcome: CommandOutcome) -> [String: String] {
        Dictionary(outcome.objects.map { ($0["check"]?.text ?? "", $0["state"]?.text ?? "") }) { first, _ in first }
    }

    private func pending(_ run: MuleRun, _ server: FakeS3, parts: Int = 4) throws -> String {
        let file = try run.file(parts: parts)
        server.add(.on(.uploadPart, occurrence: 3, .status(403, code: "AccessDenied")))
        let outcome = try run.uploadInParts(file).run()
        #expect(outcome.exitCode == 4)
        server.script([])
        return file
    }

    @Test func `all is well`() throws {
        var profile = FakeProfile.aws()
        profile.denied = [.deleteObject]
        let abort = FakeXML("AbortIncompleteMultipartUpload", children: [FakeXML("DaysAfterInitiation", "7")])
        profile.lifecycle = [FakeXML("Rule", children: [FakeXML("Status", "Enabled"), abort])]
        let server = FakeS3(profile)
        let run = MuleRun(server)
        #expect(try run.run("upload", try run.file(parts: 1), "bucket/key").exitCode == 0)
        let before = server.requests.count
        let outcome = try run.run("doctor", "--json", "bucket")
        #expect(outcome.exitCode == 0, "\(outcome.out) \(outcome.err)")
        let states = Self.states(outcome)
        for check in [
            "ledger.modes", "ledger.disk", "ledger.integrity", "ledger.rows", "ledger.uploads", "configuration",
            "profile",
            "region", "endpoint", "credentials", "bucket", "tls", "clock", "identity", "permissions.list",
            "permissions.read", "bucket.lifecycle", "bucket.object-lock", "permissions.delete", "checksum",
            "permissions.write",
        ] {
            #expect(states[check] == "ok", "\(check): \(states)")
        }
        let asked = server.requests.dropFirst(before).filter { $0.operation != .deleteObject }
        let methods = Set(asked.map(\.method))
        #expect(methods.isSubset(of: ["GET", "HEAD"]), "nothing is changed at the store: \(methods)")
        for line in try run.run("doctor", "bucket").lines { #expect(line.hasPrefix("ok ") || line.hasPrefix(" ")) }
        #expect(try run.run("doctor", "--quiet", "bucket").lines.isEmpty)
    }

    @Test func `a home without a ledger is fine, and stays without one`() throws {
        let server = FakeS3()
        let run = MuleRun(server)
        let outcome = try run.run("doctor", "--json")
        #expect(outcome.exitCode == 0, "\(outcome.out) \(outcome.err)")
        #expect(Self.states(outcome)["ledger.file"] == "ok")
        #expect(!Files.exists(run.home.path(".local")))
        #expect(server.requests.map(\.method) == ["HEAD"], "only whether the endpoint answers")
    }

    @Test func `--ledger without a file checks the ledger alone`() throws {
        var run = MuleRun(FakeS3())
        // No credentials, which only the other checks would miss.
        run.environment = [:]
        for words in [["doctor", "--ledger"], ["doctor", "--ledger", "--json"], ["doctor", "--ledger", "-q"]] {
            let outcome = try run.run(words)
            #expect(outcome.exitCode == 0, "\(words): \(outcome.out) \(outcome.err)")
        }
        #expect(try run.run("doctor", "--json").exitCode == 5)
        let named = run.home.path("elsewhere/ledger.sqlite")
        #expect(try run.run("doctor", "--ledger", named, "--ledger").out.contains("elsewhere"))
        for words in [["doctor", "--ledger", "--", "bucket"], ["doctor", "a", "b"], ["doctor", "--write"]] {
            #expect(try run.run(words).exitCode == 2, "\(words)")
        }
        #expect(try run.run("status", "--ledger").exitCode == 2, "other commands want the file")
    }

    // MARK: What is wrong

    @Test func `a damaged ledger is a problem with a way out`() throws {
        let run = MuleRun(FakeS3())
        try run.home.write(String(repeating: "x", count: 9_000), to: "ledger.sqlite")
        let outcome = try run.run("doctor", "--json", "--ledger", run.home.path("ledger.sqlite"))
        #expect(outcome.exitCode == 12)
        #expect(Self.states(outcome)["ledger.open"] == "problem")
        #expect(outcome.out.contains("--export"))
    }

    @Test func `others' rights to the ledger are told`() throws {
        let server = FakeS3()
        let run = MuleRun(server)
        #expect(try run.run("upload", try run.file(parts: 1), "bucket/key").exitCode == 0)
        try Files.setMode(run.home.path(".local/state/mule/ledger.sqlite"), 0o644)
        let outcome = try run.run("doctor", "--json", "--ledger")
        #expect(outcome.exitCode == 0, "a warning is no problem")
        #expect(Self.states(outcome)["ledger.modes"] == "warning")
    }

    @Test func `each problem has its status`() throws {
        let server = FakeS3()
        let run = MuleRun(server)
        let missing = try run.run("doctor", "--json", "missing")
        #expect(missing.exitCode == 4)
        #expect(Self.states(missing)["bucket"] == "problem")

        var wrong = MuleRun(server)
        wrong.environment["AWS_SECRET_ACCESS_KEY"] = "wrong"
        let refused = try wrong.run("doctor", "bucket")
        #expect(refused.exitCode == 5)
        #expect(refused.lines.count { !$0.hasPrefix("ok ") && !$0.hasPrefix(" ") } == 1, "one cause: \(refused.out)")
        #expect(refused.lines.last?.hasPrefix("problem  bucket ") == true, "\(refused.out)")

        var nobody = MuleRun(server)
        nobody.environment["AWS_ENDPOINT_URL_S3"] = "http://127.0.0.1:9"
        nobody.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
        #expect(try nobody.run("doctor", "bucket").exitCode == 75)
    }

    @Test func `what is not allowed is named and is no problem until it is needed`() throws {
        let server = FakeS3()
        server.add(.on(.listUploads, times: 99, .status(403, code: "AccessDenied")))
        let run = MuleRun(server)
        let outcome = try run.run("doctor", "--json", "bucket")
        #expect(outcome.exitCode == 0, "\(outcome.out)")
        #expect(Self.states(outcome)["permissions.list"] == "warning")
        #expect(outcome.out.contains("s3:ListBucketMultipartUploads"))
    }

    // MARK: --write

    @Test func `an upload that is tried leaves nothing`() throws {
        let server = FakeS3()
        let run = MuleRun(server)
        let outcome = try run.run("doctor", "--json", "--write", "bucket")
        #expect(outcome.exitCode == 0, "\(outcome.out)")
        let states = Self.states(outcome)
        for check in ["permissions.write", "permissions.parts", "permissions.abort"] { #expect(states[check] == "ok") }
        #expect(server.uploads.isEmpty)
        #expect(!server.requests.contains { $0.operation == .complete || $0.operation == .putObject })
    }

    @Test func `a part that is refused is a problem, and the upload is aborted`() throws {
        let server = FakeS3()
        server.add(.on(.uploadPart, times: 99, .status(403, code: "AccessDenied")))
        let run = MuleRun(server)
        let outcome = try run.run("doctor", "--json", "--write", "bucket")
        #expect(outcome.exitCode == 4)
        #expect(outcome.out.contains("s3:PutObject"))
        #expect(server.uploads.isEmpty)
    }

    @Test func `an upload that cannot be aborted is named`() throws {
        let server = FakeS3()
        server.add(.on(.abort, times: 99, .status(403, code: "AccessDenied")))
        let run = MuleRun(server)
        let outcome = try run.run("doctor", "--json", "--write", "bucket")
        #expect(outcome.exitCode == 4)
        #expect(outcome.out.contains("abort-multipart-upload"))
    }

    // MARK: Ledgers that travel

    @Test func `an exported upload continues with another ledger`() throws {
        let server = FakeS3()
        let run = MuleRun(server)
        let file = try pending(run, server)
        #expect(try run.run("doctor", "--export", run.home.path("out.jsonl")).exitCode == 0)
        let export = try run.home.read("out.jsonl")
        #expect(try run.run("doctor", "--export", "-").standardOutput.split(separator: 10).count == 2)
        #expect(try run.run("doctor", "--export", run.home.path("out.jsonl")).exitCode == 2, "no file is replaced")

        let sent = Set(
            server.requests.filter { $0.operation == .uploadPart && $0.status == 200 }.compactMap(\.partNumber)
        )
        var other = MuleRun(server)
        other.environment["MULE_LEDGER"] = other.home.path("second.sqlite")
        var command = other.command(["doctor", "--import", "-"])
        command.input = .bytes(export)
        let taken = try command.run()
        #expect(taken.exitCode == 0, "\(taken.err)")
        #expect(taken.out.contains(server.endpoint))
        #expect(
            try other.run("doctor", "--import", run.home.path("out.jsonl"), "--json").objects.first?["identical"]?
                .integer == 1
        )

        let before = server.requests.count
        #expect(try other.run("resume").exitCode == 0)
        #expect(try server.object(key: "key")?.equals(file: file) == true)
        let again = Set(
            server.requests.dropFirst(before).filter { $0.operation == .uploadPart }.compactMap(\.partNumber)
        )
        #expect(again.isDisjoint(with: sent), "parts on record are not sent again")
    }

    @Test func `an import is all or nothing, and says which line is wrong`() throws {
        let server = FakeS3()
        let run = MuleRun(server)
        _ = try pending(run, server)
        let text = String(decoding: try run.run("doctor", "--export", "-").standardOutput, as: UTF8.self)
        let other = MuleRun(server)
        for (content, line) in [
            (text + "{\"id\":\"zzzzz\"}\n", "line 3"), (text + text, "line 3"), ("", "line 1"), ("\u{0}", "line 1"),
            (text.replacing("\"state\":\"failed\"", with: "\"state\":\"great\""), "line 2"),
        ] {
            try other.home.write(content, to: "in.jsonl")
            let outcome = try other.run("doctor", "--import", other.home.path("in.jsonl"))
            #expect(outcome.exitCode == 2, "\(line): \(outcome.err)")
            #expect(outcome.err.contains(line), "\(outcome.err)")
            #expect(try other.status("--all").isEmpty)
        }
        #expect(try other.run("doctor", "--import", other.home.path("missing")).exitCode == 2)
        #expect(try other.run("doctor", "--import", other.home.path).exitCode == 2)
    }

    // MARK: Disks without room

    /// A file size limit that is too small for the reserve simulates a full disk.
    @Test func `a full disk is told before anything is sent`() throws {
        let server = FakeS3()
        let run = MuleRun(server)
        let file = try run.file(parts: 3)
        var command = run.uploadInParts(file)
        command.limit("-f 6144")
        let outcome = try command.run()
        #expect(outcome.exitCode == 12, "\(outcome.err)")
        #expect(outcome.err.contains("Free some space"))
        #expect(server.requests.isEmpty)
        #expect(try run.uploadInParts(file).run().exitCode == 0)
        #expect(try server.object(key: "key")?.equals(file: file) == true)
    }
}
