import TestSupport
import Testing

@Suite struct UsageTests {
    private let mule = MuleRun(FakeS3())
    private static let elevenTags = (1...11).flatMap { ["--tag", "t\($0)=x"] }

    @Test(arguments: [
        ["--help"], ["help"], ["upload", "--help"], ["help", "resume"], ["status", "-h"], ["abort", "--help"],
    ])
    func `help goes to standard output`(arguments: [String]) throws {
        let outcome = try mule.run(arguments)
        #expect(outcome.exitCode == 0)
        #expect(outcome.out.contains("mule") && outcome.out.contains("--help"))
        #expect(outcome.err.isEmpty)
        #expect(!outcome.hasEscapeCodes)
    }

    @Test(arguments: ["upload", "resume", "status", "abort", "clean"])
    func `every commands help has examples and exit statuses`(command: String) throws {
        let help = try mule.run(command, "--help").out
        #expect(help.contains("mule \(command)"))
        #expect(help.lowercased().contains("examples"))
        for status in ["0", "1", "2", "3", "4", "5", "6", "7", "10", "11", "12", "75", "130"] {
            #expect(
                help.split(separator: "\n").contains { $0.split(separator: " ").first == Substring(status) },
                "\(status)"
            )
        }
    }

    @Test func `version is one line`() throws {
        let outcome = try mule.run("--version")
        #expect(outcome.exitCode == 0)
        #expect(outcome.lines.count == 1 && outcome.out.hasPrefix("mule "))
        #expect(outcome.err.isEmpty)
    }

    @Test func `unknown option is refused with the nearest one`() throws {
        let outcome = try mule.run("upload", "--partsize", "8MiB", "file", "bucket/key")
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("--partsize", "--part-size", "mule upload --help"))
        #expect(outcome.out.isEmpty)
    }

    @Test(
        arguments: [
            (["--addressing", "virtual"], "bucket/key", "--addressing path"),
            (["--sse", "AES256", "--sse-kms-key-id", "x"], "bucket/key", "--sse aws:kms"),
            (["--sse-kms-key-id", "x"], "bucket/key", "--sse aws:kms"),
            (UsageTests.elevenTags, "bucket/key", "10 tags"),
            ([], "bucket--use1-az4--x-s3/key", "directory bucket"), ([], "../key", "path on this machine"),
            (
                ["--endpoint-url", "https://s3.eu-west-1.amazonaws.com", "--region", "eu-west-1"], "Bucket/key",
                "upper-case"
            ),
            (["--endpoint-url", "https://s3.eu-west-1.amazonaws.com", "--region", "eu-west-1"], "ab/key", "3 to 63"),
            (["--endpoint-url", "https://s3.test/bucket"], "bucket/key", "already"),
            (["--endpoint-url", "https://s3.test/bucket", "--addressing", "path"], "bucket/key", "already"),
            (["--endpoint-url", "https://bucket.s3.test"], "bucket/key", "already"),
            (["--endpoint-url", "http://127.0.0.1:0"], "bucket/key", "1 to 65535"),
            (["--endpoint-url", "http://127.0.0.1:"], "bucket/key", "1 to 65535"),
            (["--cache-control", "à"], "bucket/key", "ASCII"),
        ] as [([String], String, String)]
    )
    func `what no store takes is refused before anything is sent`(flags: [String], destination: String, words: String)
        throws
    {
        let store = FakeS3()
        let mule = MuleRun(store)
        let file = try mule.home.write("x", to: "file")
        let outcome = try mule.run(["upload"] + flags + [file, destination])
        #expect(outcome.exitCode == 2, "\(outcome.err)")
        #expect(outcome.explains(words), "\(outcome.err)")
        #expect(store.requests.isEmpty)
        #expect(try mule.status().isEmpty)
    }

    @Test func `unknown command is refused with the nearest one`() throws {
        let outcome = try mule.run("uplaod", "file", "bucket/key")
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("uplaod", "\"upload\""))
    }

    @Test(
        arguments: [
            (["-v"], "no command"), (["upload"], "DESTINATION"), (["upload", "file"], "DESTINATION"),
            (["abort"], "--all"),
            (["upload", "--part-size"], "--part-size"), (["upload", "--part-size", "5XB", "f", "b/k"], "5XB"),
            (["upload", "--part-size", "1MiB", "/etc/passwd", "bucket/key"], "5.0 MiB"),
            (["upload", "--endpoint-url", "nonsense", "/etc/passwd", "bucket/key"], "nonsense"),
            (["upload", "/etc/passwd", "/etc/hosts", "bucket/key"], "end the destination with /"),
            (["upload", "/etc/passwd", "/etc"], "bucket"), (["resume", "nosuch"], "nosuch"),
            (["upload", "-", "bucket/"], "Standard input"),
            (["upload", "-", "/etc/passwd", "bucket/"], "the only source"),
            (["upload", "--secret-key", "x", "f", "b/k"], "takes no secrets"),
        ] as [([String], String)]
    )
    func `what cannot be meant is refused before anything is sent`(arguments: [String], word: String) throws {
        let store = FakeS3()
        let outcome = try MuleRun(store).run(arguments)
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains(word), "\(outcome.err)")
        #expect(outcome.out.isEmpty)
        #expect(store.requests.isEmpty)
    }

    @Test func `without arguments the commands are listed`() throws {
        let outcome = try mule.run([])
        #expect(outcome.exitCode == 2)
        #expect(outcome.err.contains("Usage: mule COMMAND") && outcome.err.contains("  upload "))
        #expect(outcome.out.isEmpty)
    }

    @Test(arguments: ["help", "version"]) func `they may be written as commands`(word: String) throws {
        #expect(try mule.run(word).out == mule.run("--" + word).out)
        #expect(try mule.run(word).exitCode == 0)
    }

    @Test func `unknown key of the configuration is named with the nearest`() throws {
        let file = try mule.home.write(#"{"buckets": {"photos": {"regoin": "eu-west-1"}}}"#, to: "config.json")
        let outcome = try mule.run("status", "--config", file)
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains(file, "buckets.photos.regoin", "region"), "\(outcome.err)")
    }

    @Test func `missing configuration that was named is an error`() throws {
        var mule = mule
        mule.environment["MULE_CONFIG"] = mule.home.path("nowhere.json")
        let outcome = try mule.run("status")
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("nowhere.json"))
    }
}
