import TestSupport
import Testing

/// Which messages go to which stream.
@Suite struct OutputTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    @Test func `quiet says nothing of a success`() throws {
        let file = try mule.file(parts: 2)
        let outcome = try mule.uploadInParts(file, "bucket/key", "-q").run()
        #expect(outcome.exitCode == 0)
        #expect(outcome.standardOutput.isEmpty && outcome.standardError.isEmpty)
        let again = try mule.uploadInParts(file, "bucket/key", "-q").run()
        #expect(again.standardOutput.isEmpty && again.standardError.isEmpty)
    }

    @Test func `quiet still tells errors`() throws {
        let outcome = try mule.run("upload", "-q", "missing", "bucket/key")
        #expect(outcome.exitCode == 3)
        #expect(outcome.explains("missing"))
    }

    @Test func `results go to standard output and messages to standard error`() throws {
        let file = try mule.file(parts: 2)
        let outcome = try mule.uploadInParts(file).run()
        #expect(outcome.lines.count == 1)
        #expect(outcome.out.contains("\(file) -> bucket/key"))
        #expect(outcome.err.isEmpty)
        let nothing = try mule.run("status")
        #expect(nothing.out.isEmpty)
        #expect(nothing.explains("no unfinished uploads"))
    }

    @Test func `no escape codes without a terminal`() throws {
        var mule = mule
        mule.environment["TERM"] = "xterm-256color"
        let file = try mule.file(parts: 3)
        store.profile.connectionBytesPerSecond = 16 << 20
        for options in [["--progress", "bar"], ["--restart", "--progress", "plain"], ["--force"]] {
            let outcome = try mule.run(["upload"] + MuleRun.inParts + options + [file, "bucket/key"])
            #expect(outcome.exitCode == 0)
            #expect(!outcome.hasEscapeCodes)
        }
    }

    @Test func `verbose names requests but no secret`() throws {
        store.accept([
            FakeCredentials(accessKey: "AKIDEXAMPLE", secretKey: "Very+Secret/Key", sessionToken: "SessionWord")
        ])
        var mule = mule
        mule.environment["AWS_ACCESS_KEY_ID"] = "AKIDEXAMPLE"
        mule.environment["AWS_SECRET_ACCESS_KEY"] = "Very+Secret/Key"
        mule.environment["AWS_SESSION_TOKEN"] = "SessionWord"
        store.add(.on(.uploadPart, part: 1, .status(500, code: "InternalError")))
        store.add(.on(.uploadPart, part: 2, .status(403, code: "SignatureDoesNotMatch", message: "look")))
        let file = try mule.file(parts: 3)
        let outcome = try mule.run(["upload", "-v", "-j", "1"] + MuleRun.inParts + [file, "bucket/key"])
        #expect(outcome.explains("UploadPart", "part 1", "500"), "\(outcome.err)")
        let said = outcome.out + outcome.err + (try mule.run("status", "--json").out)
        for secret in ["Very+Secret/Key", "SessionWord", "Authorization", "Signature=", "X-Amz-Signature"] {
            #expect(!said.contains(secret))
        }
    }

    @Test func `names with control characters are shown escaped`() throws {
        let name = "new\nline\u{1B}[31m"
        let file = try mule.home.write("text", to: name)
        let sent = try mule.run("upload", file, "bucket/\(name)")
        #expect(sent.exitCode == 0)
        #expect(sent.lines.count == 1 && !sent.hasEscapeCodes)
        #expect(sent.out.contains(#"new\nline\x1B[31m"#))
        #expect(store.keys() == [Array(name.utf8)])
        let missing = try mule.run("upload", file + "\n", "bucket/key")
        #expect(missing.messages.count == 1 && !missing.hasEscapeCodes)
        let json = try mule.run("upload", "--json", "--force", file, "bucket/\(name)")
        #expect(json.event("completed")?["source"]?.text == file)
    }

    @Test func `failures of files with control characters are one line each`() throws {
        store.profile.denied = [.putObject]
        let name = "new\nline\u{1B}[31m"
        let outcome = try mule.run("upload", try mule.home.write("text", to: name), "bucket/\(name)")
        #expect(outcome.exitCode == 4)
        #expect(outcome.messages.count == 1 && !outcome.hasEscapeCodes, "\(outcome.err)")
        #expect(outcome.explains(#"bucket/new\nline\x1B[31m"#, "403"))
    }

    // MARK: On a terminal

    @Test(arguments: [80, 40] as [UInt16]) func `bar is drawn and fits the terminal`(columns: UInt16) throws {
        store.profile.connectionBytesPerSecond = 12 << 20
        let file = try mule.home.writeRandom("a-rather-long-name-of-a-database-dump.tar.zst", count: 11 << 20)
        var command = mule.command(["upload", "-j", "1"] + MuleRun.inParts + [file, "bucket/key"])
        command.environment["TERM"] = "xterm-256color"
        command.terminal = .init(columns: columns, rows: 24)
        let outcome = try command.run()
        #expect(outcome.exitCode == 0)
        let drawn = outcome.err
        #expect(drawn.contains("\u{1B}["))
        #expect(drawn.contains("%"))
        let lines = drawn.replacing(/\x1B\[[0-9;?]*[A-Za-z]/, with: "").split { $0.isNewline || $0 == "\r" }
        #expect(lines.contains { $0.contains("%") })
        #expect(lines.allSatisfy { $0.unicodeScalars.count <= Int(columns) }, "\(lines)")
        #expect(outcome.lines.count == 1 && !outcome.standardOutput.contains(0x1B))
    }

    @Test func `dumb terminal gets no escape codes`() throws {
        var command = mule.uploadInParts(try mule.file(parts: 2))
        command.environment["TERM"] = "dumb"
        command.terminal = .init()
        let outcome = try command.run()
        #expect(outcome.exitCode == 0)
        #expect(!outcome.hasEscapeCodes)
    }
}
