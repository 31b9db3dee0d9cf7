import MuleCLI
import MulePlan
import MuleUpload
import Testing

@Suite("The command line")
struct CommandLineParserTests {
    @Test
    func `a whole command line is read into plain values`() throws {
        let typed = try parse([
            "upload", "--part-size=8MiB", "--limit-rate", "20MB/s", "-j4", "--stall-limit", "1h30m",
            "--page-cache=drop", "--checksum",
            "crc32c",
            "--payload-signing=never", "--addressing", "path", "--no-overwrite", "--force", "--restart", "-r",
            "--endpoint-url", "http://127.0.0.1:9000", "--region=eu-west-1", "--profile", "lab", "--json", "-qv",
            "--content-type", "text/plain", "--metadata", "Who=me=you", "--tag", "a b=", "--sse", "aws:kms",
            "--multipart-threshold", "100M", "--progress", "plain", "--settle", "2m",
            "--changing=snapshot-size", "dir", "bucket/key",
        ])
        #expect(typed.command == .upload)
        #expect(typed.operands == [Array("dir".utf8), Array("bucket/key".utf8)])
        #expect(typed.store.partSize == 8 << 20)
        #expect(typed.transfer.limitRate == RateTimetable(always: 20_000_000))
        #expect(typed.transfer.concurrency == .fixed(4))
        #expect(typed.transfer.stallLimit == 5400)
        #expect(typed.transfer.pageCache == .drop)
        #expect(typed.transfer.multipartThreshold == 100 << 20)
        #expect(typed.source.settle == 120)
        #expect(typed.source.changing == .snapshotSize)
        #expect(typed.store.checksum == .crc32c)
        #expect(typed.store.payloadSigning == .never)
        #expect(typed.store.addressing == .path)
        #expect(typed.store.endpointURL == "http://127.0.0.1:9000")
        #expect(typed.store.region == "eu-west-1")
        #expect(typed.store.profile == "lab")
        #expect(typed.noOverwrite && typed.force && typed.restart && typed.recursive)
        #expect(typed.json && typed.quiet && typed.verbose)
        #expect(typed.progress == .plain)
        #expect(typed.object[.contentType] == "text/plain")
        #expect(typed.object[pairs: .metadata] == [NamedText(name: "who", text: "me=you")])
        #expect(typed.object[pairs: .tags] == [NamedText(name: "a b", text: "")])
        #expect(typed.object[.sse] == "aws:kms")
    }

    @Test(arguments: [
        ["-j4"], ["-j", "4"], ["--concurrency=4"], ["--concurrency", "4"], ["-qj4"], ["-qj", "4"],
        ["-j", "9", "-j4"],
    ]
    )
    func `every way of writing a value means the same`(flags: [String]) throws {
        #expect(try parse(["resume"] + flags).transfer.concurrency == .fixed(4))
        #expect(try parse(flags + ["resume"]).transfer.concurrency == .fixed(4))
    }

    @Test(arguments: [["status"], ["upload", "a", "b/c"], ["doctor"], ["archive"], ["clean"]]
    )
    func `of two flags of one name the command decides, also when it stands behind`(command: [String]) throws {
        let ledger = ["--ledger", "FILE"]
        #expect(try parse(ledger + command) == parse(command + ledger))
        #expect(try parse(["--ledger=FILE"] + command).ledger == Array("FILE".utf8))
    }

    @Test
    func `a value that only another command's flag may be without is asked for`() throws {
        #expect(try parse(["--ledger", "--json", "doctor"]).ledgerAlone)
        #expect { try parse(["--ledger", "--json", "status"]) } throws: { "\($0)".contains("needs a value") }
    }

    @Test
    func `flags of one name all take a value or none, and the same letter`() {
        for (name, rows) in Dictionary(grouping: FlagTable.rows, by: \.name) {
            #expect(Set(rows.map { $0.placeholder == nil }).count == 1, "\(name)")
            #expect(Set(rows.map(\.letter)).count == 1, "\(name)")
        }
    }

    @Test
    func `flags and operands may stand in any order, and -- ends the flags`() throws {
        let expected = [Array("a".utf8), Array("b/".utf8)]
        #expect(try parse(["-q", "upload", "a", "--json", "b/", "-v"]).operands == expected)
        #expect(try parse(["upload", "--", "--json", "-"]).operands == [Array("--json".utf8), Array("-".utf8)])
        #expect(try parse(["upload", "--", "--json", "-"]).json == false)
        #expect(try parse(["upload", "-", "b/k"]).operands == [Array("-".utf8), Array("b/k".utf8)])
        #expect(try parse(["upload", "help", "upload"]).operands == [Array("help".utf8), Array("upload".utf8)])
    }

    @Test
    func `operands and paths keep every byte, UTF-8 or not; texts must be UTF-8`() throws {
        let name: [UInt8] = [0x66, 0xFF, 0x0A, 0xC3]
        let arguments = ["upload", "b/", "--config"].map { Array($0.utf8) }
        let typed = try CommandLineParser.parse([arguments[0], name, arguments[1], arguments[2], name])
        #expect(typed.operands == [name, Array("b/".utf8)])
        #expect(typed.config == name)
        let error = #expect(throws: UsageError.self) {
            try CommandLineParser.parse([Array("status".utf8), Array("--region".utf8), name])
        }
        #expect(error?.description.contains("--region: \"f%FF\\n%C3\" is not valid UTF-8") == true)
    }

    @Test
    func `the last of a switch and its opposite wins`() throws {
        #expect(try parse(["upload", "a", "b/", "--no-overwrite", "--overwrite"]).noOverwrite == false)
        #expect(try parse(["upload", "a", "b/", "--overwrite", "--no-overwrite"]).noOverwrite)
        #expect(try parse(["status", "--json", "--no-json"]).json == false)
    }

    @Test
    func `pairs add up, and a later one of the same name replaces the earlier`() throws {
        let typed = try parse([
            "upload", "a", "b/", "--metadata", "a=1", "--metadata", "b=2", "--metadata", "A=3", "--tag", "a=1", "--tag",
            "A=2",
        ])
        #expect(typed.object[pairs: .metadata] == [NamedText(name: "a", text: "3"), NamedText(name: "b", text: "2")])
        #expect(typed.object[pairs: .tags] == [NamedText(name: "a", text: "1"), NamedText(name: "A", text: "2")])
    }

    @Test(arguments: [
        "2027-01-31T18:00:00Z", "2027-01-31T19:30:00.5+01:30", "Sun, 31 Jan 2027 18:00:00 GMT",
    ])
    func `the same date is the same header however it is written`(text: String) throws {
        let typed = try parse(["upload", "a", "b/", "--expires", text])
        #expect(typed.object[.expires] == "Sun, 31 Jan 2027 18:00:00 GMT")
    }

    @Test
    func `a day is its start in UTC`() throws {
        let typed = try parse(["upload", "a", "b/", "--expires", "2027-01-31"])
        #expect(typed.object[.expires] == "Sun, 31 Jan 2027 00:00:00 GMT")
    }

    @Test(arguments: [
        "", "tomorrow", "2027-01-31T18:00:00", "2027-02-29", "Mon, 31 Jan 2027 18:00:00 GMT",
        "Sunday, 31-Jan-27 18:00:00 GMT",
        "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00", "31.01.2027", "2027-01-31 ", "7d",
    ])
    func `what is not a date is refused`(text: String) {
        let error = #expect(throws: UsageError.self) { try parse(["upload", "a", "b/", "--expires", text]) }
        let why = error?.description ?? ""
        #expect(why.contains("--expires: ") && why.contains("is not a date; write it like 2027-01-31, "))
        #expect(why.contains("a duration would be another date in each run") == (text == "7d"))
    }

    @Test
    func `names that look alike but differ in bytes stay two`() throws {
        let typed = try parse(["upload", "a", "b/", "--tag", "u\u{308}=1", "--tag", "\u{FC}=2"])
        #expect(typed.object[pairs: .tags].count == 2)
    }

    @Test
    func `help and version are given whatever else is missing or wrong`() throws {
        #expect(try parse(["--help"]).wantsHelp)
        #expect(try parse(["--version"]).wantsVersion)
        #expect(try parse(["help"]).command == nil)
        for line in [["upload", "--help"], ["upload", "-h"], ["help", "upload"], ["-h", "upload", "x"]] {
            let typed = try parse(line)
            #expect(typed.wantsHelp && typed.command == .upload)
        }
        #expect(try parse(["upload", "--part-size", "x", "-h"], environment: ["MULE_CHECKSUM": "x"]).wantsHelp)
    }

    @Test
    func `a MULE_ variable stands in for a flag that was not typed`() throws {
        let environment = [
            "MULE_PART_SIZE": "8M", "MULE_CONCURRENCY": "7", "MULE_LEDGER": "/l", "MULE_REGION": "", "MULE_JSON": "1",
        ]
        let upload = try parse(["upload", "a", "b/", "-j", "3"], environment: environment)
        #expect(upload.store.partSize == 8 << 20)
        #expect(upload.transfer.concurrency == .fixed(3))
        #expect(upload.ledger == Array("/l".utf8))
        #expect(upload.store.region == nil)
        #expect(upload.json == false)
        #expect(try parse(["status"], environment: environment).store.partSize == nil)
        #expect(
            message(["upload", "a", "b/"], ["MULE_PART_SIZE": "8X"]).hasPrefix("MULE_PART_SIZE: \"8X\" has the unknown")
        )
    }

    @Test(
        arguments: [
            ([], "no command given; see \"mule --help\""),
            (["uplaod"], "unknown command \"uplaod\"; did you mean \"upload\"? See \"mule --help\""),
            (["cp", "f", "b/k"], "unknown command \"cp\"; use \"mule upload SOURCE DESTINATION\""),
            (["ls"], "mule only uploads. To list, download or delete objects use aws s3 or rclone"),
            (["upload", "f", "b/", "--bwlimit", "1M"], "unknown option --bwlimit; use --limit-rate"),
            (["upload", "f", "b/", "-P"], "progress is shown without an option"),
            (["upload", "f", "b/", "--dryrun"], "unknown option --dryrun; use --dry-run"),
            (["frobnicate"], "unknown command \"frobnicate\"; the commands are upload, resume, status, abort"),
            (["he\u{1B}lp"], "unknown command \"he\\x1Blp\"; the commands are"),
            (["upload", "--part-szie", "8M"], "unknown option --part-szie; did you mean --part-size?"),
            (["upload", "--conc", "8"], "unknown option --conc; did you mean --concurrency?"),
            (["upload", "--xyzzy"], "unknown option --xyzzy; see"),
            (["upload", "-x"], "unknown option -x in \"-x\""),
            (["upload", "-qxv"], "unknown option -x in \"-qxv\""),
            (["upload", "--json=yes"], "--json takes no value"),
            (["upload", "--region"], "--region needs a value: --region REGION"),
            (["upload", "-j"], "-j needs a value: -j N|auto"),
            (["upload", "a", "b/", "--region", ""], "--region: \"\" must not be empty"),
            (["upload", "a", "b/", "--part-size", "0"], "--part-size: \"0\" must be more than 0"),
            (["upload", "a", "b/", "--part-size", "8X"], "--part-size: \"8X\" has the unknown unit"),
            (["upload", "a", "b/", "--limit-rate", "fast"], "--limit-rate: \"fast\" is not a rate"),
            (["upload", "a", "b/", "--stall-limit", "500ms"], "--stall-limit: \"500ms\" is too short"),
            (
                ["upload", "a", "b/", "--page-cache", "dorp"],
                "--page-cache: \"dorp\" is not one of keep, drop; did you mean drop?"
            ),
            (["upload", "a", "b/", "-j0"], "-j: \"0\" is not allowed; write auto or a number from 1 to 256"),
            (["upload", "a", "b/", "-j", "+4"], "-j: \"+4\" is not allowed"),
            (
                ["upload", "a", "b/", "--checksum", "crc32d"],
                "is not one of auto, crc64nvme, crc32c, crc32, sha256, md5, none"
            ),
            (["upload", "a", "b/", "--checksum", "sha25"], "did you mean sha256?"),
            (["upload", "a", "b/", "--metadata", "novalue"], "--metadata: \"novalue\" has no \"=\""),
            (["upload", "a", "b/", "--metadata", "a b=c"], "has a name that cannot be a header"),
            (["upload", "a", "b/", "--metadata", "a=b\r\nc: d"], "\"a=b\\r\\nc: d\" must not hold control characters"),
            (["upload", "a", "b/", "--content-type", "a\nb"], "must not hold control characters"),
            (["upload", "a", "b/", "--tag", "=x"], "has an empty name"),
            (["upload", "a", "b/", "--endpoint-url", "example.org"], "\"example.org\" is not a web address"),
            (["upload", "a", "b/", "--endpoint-url", "https:///x"], "names no host"),
            (
                ["status", "--part-size", "8M"],
                "--part-size belongs to \"mule upload\" and \"mule archive\", not to \"mule status\""
            ),
            (["--restart", "resume"], "--restart belongs to \"mule upload\", not to \"mule resume\""),
            (["resume", "--all"], "--all belongs to \"mule status\" and \"mule abort\""),
            (["upload"], "upload needs at least one SOURCE and a DESTINATION"),
            (["upload", "only"], "missing DESTINATION after \"only\": write bucket/key or bucket/"),
            (["abort"], "abort needs the IDs"),
            (["abort", "--all", "k3v9"], "abort takes IDs or --all, not both"),
        ] as [([String], String)]
    )
    func `a wrong line is refused with a sentence that names what was typed and what helps`(
        line: [String],
        part: String
    ) {
        #expect(message(line).contains(part))
    }

    @Test
    func `every refusal ends with the help page that tells more`() {
        #expect(message(["upload", "--xyzzy"]).hasSuffix("; see \"mule upload --help\""))
        #expect(message(["--xyzzy"]).hasSuffix("; see \"mule --help\""))
    }

    @Test(arguments: [
        ["upload", "--secret-access-key=hunter2"], ["upload", "--secret_key=hunter2"], ["--session-token=hunter2"],
        ["upload", "--password=hunter2"], ["status", "--endpoint-url", "https://me:hunter2@example.org"],
        ["status", "--endpoint-url", "https://example.org/?key=hunter2"],
    ]
    )
    func `a secret on the line is refused and never repeated`(line: [String]) {
        #expect(!message(line).contains("hunter2"))
        #expect(!message(line).isEmpty)
    }

    @Test
    func `rows of one name agree on whether they take a value, and no letter or negation stands for two`() {
        for row in FlagTable.rows {
            let same = FlagTable.rows.filter { $0.name == row.name }
            #expect(same.allSatisfy { ($0.placeholder == nil) == (row.placeholder == nil) })
            #expect(row.name.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D })
            #expect(row.placeholder == nil || row.negation == nil)
        }
        for command in Command.allCases {
            let rows = FlagTable.rows(for: command)
            let names = rows.map(\.name) + rows.compactMap(\.negation)
            #expect(Set(names).count == names.count)
            let letters = rows.compactMap(\.letter)
            #expect(Set(letters).count == letters.count)
        }
    }

    private func parse(_ line: [String], environment: [String: String] = [:]) throws(UsageError) -> Arguments {
        try CommandLineParser.parse(line.map { Array($0.utf8) }, environment: environment)
    }

    /// The refusal, or nothing when the line was taken.
    private func message(_ line: [String], _ environment: [String: String] = [:]) -> String {
        do { _ = try parse(line, environment: environment) } catch { return error.description }
        return ""
    }

    @Test
    func `--ledger of doctor may stand without a file`() throws {
        func parse(_ line: String) throws -> Arguments {
            try CommandLineParser.parse(line.split(separator: " ").map { Array($0.utf8) })
        }
        for line in ["doctor --ledger", "doctor --ledger --json", "doctor --ledger -q", "doctor --json --ledger"] {
            let typed = try parse(line)
            #expect(typed.ledgerAlone && typed.ledger == nil, "\(line)")
        }
        for line in ["doctor --ledger file bucket", "doctor --ledger=file", "--ledger file doctor"] {
            let typed = try parse(line)
            #expect(!typed.ledgerAlone && typed.ledger == Array("file".utf8), "\(line)")
        }
        for line in ["doctor --ledger=", "status --ledger", "doctor --ledger --export x --import y", "doctor --write"] {
            #expect(throws: UsageError.self, "\(line)") { _ = try parse(line) }
        }
    }
}
