import Glibc
import TestSupport
import Testing

/// `mule config check`.
@Suite struct ConfigCommandTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

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

    @Test func `what is in order is said to be so`() throws {
        let file = try config(#""buckets": {"x": {"region": "r"}, "y": {}},"#)
        let outcome = try mule.run("config", "check", file)
        #expect(outcome.exitCode == 0, "\(outcome.out)")
        #expect(outcome.out.contains("\(file) is valid: 1 job, 2 buckets."))
        #expect(outcome.lines.count == 1)
        #expect(outcome.err.isEmpty)
        #expect(try mule.run("config", "check", "--quiet", file).out.isEmpty)
        #expect(try mule.run("config", "check", "--config", file).exitCode == 0)
        var other = mule
        other.environment["MULE_CONFIG"] = file
        #expect(try other.run("config", "check").exitCode == 0)
        let here = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        // What it names must be there: profiles, a CA bundle, client certificates, the log's directory.
        let tls = try TLSServer()
        for (name, path) in [("certs/lab.pem", tls.certificate), ("certs/lab.key", tls.key)] {
            try mule.home.write(try Files.read(path), to: name)
        }
        try mule.home.write("[profile backup]\n[profile lab]\n", to: ".aws/config")
        try mule.home.write("", to: "certs/lab-ca.pem")
        let text = String(decoding: try Files.read(here + "/config.example.json"), as: UTF8.self)
            .replacing("/var/log/mule", with: mule.home.path)
            .replacing("/etc/mule/client", with: mule.home.path("certs/lab"))
        let copy = try mule.home.write(text, to: "example.json")
        let example = try mule.run("config", "check", copy)
        #expect(example.exitCode == 0, "\(example.out)")
        #expect(!Files.exists(mule.home.path(".local")))
    }

    @Test(
        arguments: [
            (#""endpointURL": "http://127.0.0.1:0","#, "1 to 65535"),
            (#""object": {"sseKMSKeyID": "x"},"#, "--sse aws:kms"),
            (#""buckets": {"b": {"endpointURL": "https://s3.test/b"}},"#, "already"),
            (#""endpointURL": "https://127.0.0.1", "addressing": "virtual","#, "--addressing path"),
        ]
    )
    func `what no store takes is a problem`(members: String, words: String) throws {
        let outcome = try mule.run("config", "check", try config(members))
        #expect(outcome.exitCode == 2 && outcome.out.contains(words), "\(outcome.out)")
    }

    /// cron's variables are others than those of the shell in which the check runs.
    @Test func `what comes from variables of the shell is said`() throws {
        var other = mule
        other.environment["AWS_ENDPOINT_URL_S3"] = "https://s3.example.org"
        let outcome = try other.run("config", "check", try config())
        #expect(outcome.exitCode == 0)
        #expect(
            outcome.out.contains("endpointURL (AWS_ENDPOINT_URL_S3), region (AWS_REGION). cron"),
            "\(outcome.out)"
        )
        let said = try config(#""endpointURL": "https://s3.example.org", "region": "eu-central-1","#)
        #expect(!(try other.run("config", "check", said).out.contains("variables")))
    }

    @Test func `every problem is printed with its line`() throws {
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

    @Test func `broken document is one problem`() throws {
        let file = try mule.home.write("{\n  \"region\": \"a\",\n}", to: "c.json")
        let outcome = try mule.run("config", "check", "--json", file)
        #expect(outcome.exitCode == 2)
        #expect(outcome.objects.count == 1)
        #expect(outcome.objects.first?["line"]?.integer == 2 && outcome.objects.first?["column"]?.integer == 16)
        #expect(outcome.objects.first?["message"]?.text?.contains("not valid JSON") == true)
    }

    @Test func `missing file is a problem`() throws {
        for arguments in [["gone.json"], []] {
            let outcome = try mule.run(["config", "check"] + arguments)
            #expect(outcome.exitCode == 2)
            #expect(outcome.out.contains("does not exist"), "\(outcome.out)")
        }
    }

    @Test(arguments: [
        (
            #""b": {"source": "/nowhere", "destination": "b/"},"#, 0,
            "jobs.b.source: /nowhere cannot be read: No such file"
        ),
        (#""b": {"source": "/etc/passwd", "destination": "b/"},"#, 0, "jobs.b.source: /etc/passwd is not a directory"),
        (#""b": {"source": "HOME/spool/.", "destination": "b/"},"#, 0, "is also the source of job a."),
        (
            #""b": {"source": "HOME", "destination": "b/", "exclude": [".local"]},"#, 0,
            "HOME/spool is inside the source of job b"
        ),
        (
            #""b": {"source": "/usr", "destination": "b/", "after": "move:/usr/x/../sent/new"},"#, 2,
            #"exclude "/sent/new/""#
        ),
        (#""b": {"source": "/usr", "destination": "b/", "after": "move:/usr/"},"#, 2, "Choose another directory."),
        (
            #""b": {"source": "/", "destination": "b/", "exclude": ["/tmp/"], "after": "move:/sent"},"#, 2,
            #"exclude "/sent/""#
        ),
        (
            #""b": {"source": "HOME/.local", "destination": "b/"},"#, 2,
            "it contains the ledger HOME/.local/state/mule/ledger.sqlite"
        ),
        (
            #""b": {"source": "/usr", "destination": "b/", "receipts": "/usr/r"},"#, 0,
            "jobs.b.receipts: /usr/r is inside the job's"
        ),
        (
            #""b": {"source": "/usr", "destination": "b/", "endpointURL": "http://s3.example.org:9000/x"},"#, 0,
            "The connection to s3.example.org is not encrypted"
        ),
        (
            #""b": {"source": "/usr", "destination": "b/", "onFailure": "http://[fd00::1]/?t=hunter2"},"#, 0,
            "The connection to fd00::1 is not encrypted"
        ),
    ]) func `what is hardly meant is told`(job: String, status: Int32, part: String) throws {
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
        #expect(outcome.out.contains("is valid") == (status == 0))
        #expect(!outcome.out.contains("hunter2"))
        // Of two jobs for one directory, one is reported, besides the last line.
        if job.contains("spool/.") { #expect(outcome.lines.count == 2, "\(outcome.out)") }
    }

    /// Each is refused by a run, or does something else than it seems to say.
    @Test(arguments: [
        (#""region": "eu central-1","#, 2, #"region: "eu central-1" is not a region name"#),
        (#""partSize": "1MiB","#, 2, "partSize: A part size of 1.0 MiB is not possible"),
        (#""profile": "gone","#, 2, #"profile: "#),
        (
            #""logFile": "/nowhere/at/all.log","#, 2,
            "logFile: Cannot open the log file /nowhere/at/all.log: No such file"
        ),
        (#""logFile": "HOME/spool/mule.log","#, 2, "jobs.a.source: it contains the log HOME/spool/mule.log"),
        (#""caBundle": "/nowhere.pem","#, 2, "caBundle: The CA bundle /nowhere.pem cannot be read"),
        (#""buckets": {"x": {"partSize": "6GiB"}},"#, 2, "buckets.x.partSize: "),
        (#""limitRate": "*=off, Mon=1K","#, 0, "limitRate: entry 2 of the timetable never applies"),
        (#""limitRate": "Mon=0","#, 2, "write off for no limit"),
    ]) func `what a run refuses is told here too`(members: String, status: Int32, part: String) throws {
        let home = mule.home.path
        let file = try config(members.replacing("HOME", with: home))
        // A variable for the shell that checks is none for the job that runs at night.
        let outcome = try mule.run("config", "check", file)
        #expect(outcome.exitCode == status, "\(outcome.out)")
        #expect(outcome.out.contains(part.replacing("HOME", with: home)), "\(outcome.out)")
        #expect(outcome.lines.count == (status == 0 ? 2 : 1), "\(outcome.out)")
        #expect(outcome.out.contains("line 2, column") || outcome.out.contains("line 6, column"), "\(outcome.out)")
    }

    @Test(arguments: [
        (#""include": ["!*.tmp"]"#, "jobs.b.include.0: \"!*.tmp\" matches names that start"),
        (#""exclude": ["!keep", "*"]"#, "jobs.b.exclude.0: \"!keep\" is an exception, but there is no rule before it"),
        (#""exclude": ["*.tmp "]"#, "jobs.b.exclude.0: \"*.tmp \" starts or ends with a space"),
        (#""include": [" x"]"#, "jobs.b.include.0: \" x\" starts or ends with a space"),
        (#""limitRate": "*=1K, Sat=off""#, "jobs.b.limitRate: entry 2"),
    ]) func `patterns that mean something else are told`(members: String, part: String) throws {
        let outcome = try mule.run(
            "config",
            "check",
            config(jobs: #""b": {"source": "/usr", "destination": "b/", "# + members + "},")
        )
        #expect(outcome.exitCode == 0, "\(outcome.out)")
        #expect(outcome.out.contains(part) && outcome.lines.count == 2, "\(outcome.out)")
    }

    @Test func `a time zone that is found nowhere is told`() throws {
        var mule = mule
        mule.environment["TZ"] = "Nowhere/City"
        #expect(try mule.run("config", "check", config()).exitCode == 0)
        for member in [#""until": "06:00""#, #""window": "22:00-06:00""#, #""limitRate": "Mon=1K""#] {
            let file = try config(jobs: #""b": {"source": "/usr", "destination": "b/", "# + member + "},")
            let outcome = try mule.run("config", "check", file)
            #expect(outcome.exitCode == 2 && outcome.out.contains("Nowhere/City"), "\(outcome.out)")
        }
        let dated = try config(
            jobs: #""b": {"source": "HOME/spool", "destination": "bucket/{host}/{date}/{relpath}"},"#.replacing(
                "HOME",
                with: mule.home.path
            )
        )
        #expect(try mule.run("config", "check", dated).exitCode == 2)
        mule.environment["MULE_HOST"] = "box"
        try mule.home.write("text", to: "spool/file")
        let run = try mule.run("archive", "--config", dated, "b")
        #expect(run.exitCode == 0)
        #expect(run.explains("Nowhere/City"), "\(run.err)")
        #expect(store.keys().first?.starts(with: Array("box/".utf8)) == true)
    }

    @Test func `a byte order mark is no part of the configuration`() throws {
        let file = try mule.home.write([0xEF, 0xBB, 0xBF] + Array("{\"region\": \"a\"}".utf8), to: "c.json")
        #expect(try mule.run("config", "check", file).exitCode == 0)
        #expect(try mule.run("status", "--config", file).exitCode == 0)
        let wide = try mule.home.write([0xFF, 0xFE, 0x7B, 0, 0x7D, 0], to: "wide.json")
        #expect(try mule.run("config", "check", wide).out.contains("UTF-16"))
    }

    /// Time that grows with the pairs of jobs would be minutes.
    @Test func `two thousand jobs are checked at once`() throws {
        try mule.home.makeDirectory("spool")
        let jobs = (0..<2000).map {
            #""j\#($0)": {"source": "\#(mule.home.path)/s/\#($0 % 10)/\#($0)", "destination": "b/\#($0)/"}"#
        }
        let file = try mule.home.write(#"{"jobs": {"# + jobs.joined(separator: ",\n") + "}}", to: "c.json")
        let outcome = try mule.run("config", "check", file)
        #expect(outcome.exitCode == 0)
        #expect(outcome.cpuSeconds < 60, "\(outcome.cpuSeconds)")
    }

    @Test(arguments: [
        #""after": "move:/usr/sent", "exclude": ["/sent/"]"#, #""after": "move:/usr/a/sent/b", "exclude": ["sent"]"#,
        #""after": "move:/usrx""#, #""endpointURL": "http://127.0.0.1:9000""#, #""endpointURL": "http://localhost""#,
        #""endpointURL": "http://[::1]:9000""#, #""endpointURL": "https://s3.example.org""#,
    ]) func `what is meant is left alone`(members: String) throws {
        let job = #""b": {"source": "/usr", "destination": "b/", "# + members + "},"
        let outcome = try mule.run("config", "check", config(jobs: job))
        #expect(outcome.exitCode == 0)
        #expect(outcome.lines.count == 1, "\(outcome.out)")
    }

    @Test(.enabled(if: geteuid() != 0, "root can read everything")) func `unreadable source is told`() throws {
        let file = try config()
        try Files.setMode(mule.home.path("spool"), 0o100)
        #expect(try mule.run("config", "check", file).out.contains("This user may not read"))
    }

    @Test(arguments: [
        ([], "config needs an action"), (["chek"], "unknown action \"chek\""),
        (["check", "a", "b"], "one FILE at a time"), (["check", "--ledger", "x"], "--ledger belongs to"),
    ]) func `other words are refused`(arguments: [String], part: String) throws {
        let outcome = try mule.run(["config"] + arguments)
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains(part), "\(outcome.err)")
    }
}
