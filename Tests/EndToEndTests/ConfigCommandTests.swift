import Glibc
import TestSupport
import Testing

/// `mule config check`.
@Suite struct ConfigCommandTests {
    private let mule = MuleRun(FakeS3())

    /// A configuration with one job, whose source is there.
    private func config(_ members: String = "", jobs: String = "", to name: String = "c.json") throws -> String {
        try mule.home.makeDirectory("spool")
        let text = """
            {
              \(members)
              "jobs": {
                \(jobs)
                "a": {
                  "source": "\(mule.home.path("spool"))",
                  "destination": "bucket/a/"
                }
              }
            }
            """
        return try mule.home.write(text, to: name)
    }

    @Test func whatIsInOrderIsSaidToBeSo() throws {
        let file = try config(#""buckets": {"x": {"region": "r"}, "y": {}},"#)
        let outcome = try mule.run("config", "check", file)
        #expect(outcome.exitCode == 0, "\(outcome.out)")
        #expect(outcome.out.contains("\(file) is in order: 1 job, 2 buckets."))
        #expect(outcome.lines.count == 1)
        #expect(outcome.err.isEmpty)
        #expect(try mule.run("config", "check", "--quiet", file).out.isEmpty)
        #expect(try mule.run("config", "check", "--config", file).exitCode == 0)
        var other = mule
        other.environment["MULE_CONFIG"] = file
        #expect(try other.run("config", "check").exitCode == 0)
        let here = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let example = try mule.run("config", "check", here + "/config.example.json")
        #expect(example.exitCode == 0, "\(example.out)")
        #expect(!Files.exists(mule.home.path(".local")))
    }

    @Test func everyProblemIsPrintedWithItsLine() throws {
        let file = try config(
            #""regon": "x", "partSize": "8Q","#,
            jobs: #""b": {"source": "rel", "destination": "{host}/x"},"#
        )
        let outcome = try mule.run("config", "check", file)
        #expect(outcome.exitCode == 2)
        #expect(outcome.lines.count == 4, "\(outcome.out)")
        for part in [
            #"line 2, column 3: unknown key regon; did you mean "region"?"#, #"line 2, column 17: partSize: "8Q""#,
            #"line 4, column 11: jobs.b.source: "rel" is a relative path"#,
            "jobs.b.destination: \"{host}/x\" has a placeholder",
        ] { #expect(outcome.out.contains(part), "\(outcome.out)") }
        #expect(outcome.lines.allSatisfy { $0.hasPrefix("problem  configuration ") })
        let json = try mule.run("config", "check", "--json", file).objects
        #expect(json.count == 4)
        #expect(json[0]["line"]?.integer == 2 && json[0]["column"]?.integer == 3)
        #expect(json[0]["state"]?.text == "problem" && json[0]["check"]?.text == "configuration")
    }

    @Test func brokenDocumentIsOneProblem() throws {
        let file = try mule.home.write("{\n  \"region\": \"a\",\n}", to: "c.json")
        let outcome = try mule.run("config", "check", "--json", file)
        #expect(outcome.exitCode == 2)
        #expect(outcome.objects.count == 1)
        #expect(outcome.objects.first?["line"]?.integer == 3)
        #expect(outcome.objects.first?["message"]?.text?.contains("not valid JSON") == true)
    }

    @Test func missingFileIsAProblem() throws {
        for arguments in [["gone.json"], []] {
            let outcome = try mule.run(["config", "check"] + arguments)
            #expect(outcome.exitCode == 2)
            #expect(outcome.out.contains("does not exist"), "\(outcome.out)")
        }
    }

    @Test(arguments: [
        (
            #""b": {"source": "/nowhere", "destination": "b/"},"#, 0,
            "jobs.b.source: /nowhere can't be read: No such file"
        ),
        (#""b": {"source": "/etc/passwd", "destination": "b/"},"#, 0, "jobs.b.source: /etc/passwd is no directory"),
        (#""b": {"source": "HOME/spool/.", "destination": "b/"},"#, 0, "is the source of the job a too"),
        (
            #""b": {"source": "HOME", "destination": "b/", "exclude": [".local"]},"#, 0,
            "HOME/spool lies in the source of the job b too"
        ),
        (
            #""b": {"source": "/usr", "destination": "b/", "after": "move:/usr/x/../sent/new"},"#, 2,
            #"exclude "/sent/new/""#
        ),
        (#""b": {"source": "/usr", "destination": "b/", "after": "move:/usr/"},"#, 2, "Name another directory."),
        (
            #""b": {"source": "/", "destination": "b/", "exclude": ["/tmp/"], "after": "move:/sent"},"#, 2,
            #"exclude "/sent/""#
        ),
        (
            #""b": {"source": "HOME/.local", "destination": "b/"},"#, 2,
            "the ledger HOME/.local/state/mule/ledger.sqlite lies in it"
        ),
        (
            #""b": {"source": "/usr", "destination": "b/", "receipts": "/usr/r"},"#, 0,
            "jobs.b.receipts: /usr/r lies in the job's"
        ),
        (
            #""b": {"source": "/usr", "destination": "b/", "endpointURL": "http://s3.example.org:9000/x"},"#, 0,
            "way to s3.example.org"
        ),
        (
            #""b": {"source": "/usr", "destination": "b/", "onFailure": "http://[fd00::1]/?t=hunter2"},"#, 0,
            "way to fd00::1"
        ),
    ]) func whatIsHardlyMeantIsTold(job: String, status: Int32, part: String) throws {
        let home = mule.home.path
        try mule.home.makeDirectory(".local/state")
        func filled(_ text: String) -> String {
            text.split(separator: "HOME", omittingEmptySubsequences: false).joined(separator: home)
        }
        let file = try config(jobs: filled(job))
        let outcome = try mule.run("config", "check", file)
        #expect(outcome.exitCode == status, "\(outcome.out)")
        #expect(outcome.out.contains(filled(part)), "\(outcome.out)")
        #expect(outcome.out.contains(status == 0 ? "warning" : "problem"))
        #expect(outcome.out.contains("line 4, column") || outcome.out.contains("line 6, column"), "\(outcome.out)")
        #expect(outcome.out.contains("is in order") == (status == 0))
        #expect(!outcome.out.contains("hunter2"))
        // Of two jobs of one directory one is told, beside the last line.
        if job.contains("spool/.") { #expect(outcome.lines.count == 2, "\(outcome.out)") }
    }

    @Test(arguments: [
        #""after": "move:/usr/sent", "exclude": ["/sent/"]"#, #""after": "move:/usr/a/sent/b", "exclude": ["sent"]"#,
        #""after": "move:/usrx""#, #""endpointURL": "http://127.0.0.1:9000""#, #""endpointURL": "http://localhost""#,
        #""endpointURL": "http://[::1]:9000""#, #""endpointURL": "https://s3.example.org""#,
    ]) func whatIsMeantIsLeftAlone(members: String) throws {
        let job = #""b": {"source": "/usr", "destination": "b/", "# + members + "},"
        let outcome = try mule.run("config", "check", config(jobs: job))
        #expect(outcome.exitCode == 0)
        #expect(outcome.lines.count == 1, "\(outcome.out)")
    }

    @Test(.enabled(if: geteuid() != 0, "root can read everything")) func unreadableSourceIsTold() throws {
        let file = try config()
        try Files.setMode(mule.home.path("spool"), 0o100)
        #expect(try mule.run("config", "check", file).out.contains("may not be read"))
    }

    @Test(arguments: [
        ([], "config needs to be told what to do"), (["chek"], "\"chek\" is nothing that config can do"),
        (["check", "a", "b"], "one FILE at a time"), (["check", "--ledger", "x"], "--ledger belongs to"),
    ]) func otherWordsAreRefused(arguments: [String], part: String) throws {
        let outcome = try mule.run(["config"] + arguments)
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains(part), "\(outcome.err)")
    }
}
