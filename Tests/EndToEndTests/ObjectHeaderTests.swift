import MuleDigest
import MulePlan
import MuleSystem
import TestSupport
import Testing

/// Every header of the object is an option and a key of the configuration, is sent with the object, and survives an
/// export. The values are those of `config.example.json`.
@Suite struct ObjectHeaderTests {
    private let store = FakeS3()
    private let mule: MuleRun
    /// Flags with values, and what they come to in a request.
    private var flags: [String] = []
    private var headers: [(name: String, value: String)] = []
    private let configuration: String

    init() throws {
        mule = MuleRun(store)
        let here = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let example = String(decoding: try Files.read(here + "/config.example.json"), as: UTF8.self).replacing(
            "\n",
            with: " "
        )
        let object = try #require(JSONText(example)?["object"])
        for header in ObjectHeader.allCases {
            let value = try #require(object[header.key], "\(header.key) is not in config.example.json")
            let pairs = value.names.map { (name: $0, text: value[$0]?.text ?? "") }
            for text in value.text.map({ [$0] }) ?? pairs.map({ "\($0.name)=\($0.text)" }) {
                flags += ["--\(header.flag)", text]
                if ![.metadata, .encryptionContext].contains(header.kind) { headers.append((header.name, text)) }
            }
            if header.kind == .encryptionContext {
                let json = "{" + pairs.map { "\"\($0.name)\":\"\($0.text)\"" }.joined(separator: ",") + "}"
                headers.append((header.name, Base64.encode(Array(json.utf8))))
            }
            if header.kind == .metadata { headers += pairs.map { (header.name + $0.name, $0.text) } }
        }
        // The example's "object", without what points elsewhere.
        let start = try #require(example.firstRange(of: "\"object\"")).lowerBound
        let end = try #require(example.firstRange(of: "\"buckets\"")).lowerBound
        let members = String(example[start..<end]).split(separator: ",").dropLast().joined(separator: ",")
        configuration = try mule.home.write("{\(members)}", to: "own.json")
    }

    @Test(arguments: [1, 2], [false, true])
    func `every header is sent when the object is created`(parts: Int, isConfigured: Bool) throws {
        let file = try mule.file(parts: parts)
        let options = isConfigured ? ["--config", configuration] : flags
        let outcome = try mule.run(["upload"] + MuleRun.inParts + options + [file, "bucket/key"])
        #expect(outcome.exitCode == 0 && outcome.messages.isEmpty, "\(outcome.err)")
        let request = try #require(store.requests(parts == 1 ? .putObject : .create).first)
        for (name, value) in headers { #expect(request.header(name) == value, "\(name)") }
        #expect(store.violations.isEmpty)
    }

    @Test func `every header survives an export and an import`() throws {
        let file = try mule.file(parts: 1)
        #expect(try mule.run(["upload"] + flags + [file, "bucket/key"]).exitCode == 0)
        let export = try mule.run("doctor", "--export", "-")
        let other = MuleRun(store)
        var command = other.command(["doctor", "--import", "-"])
        command.input = .bytes(export.standardOutput)
        let taken = try command.run()
        #expect(taken.exitCode == 0, "\(taken.err)")
        let lines = try other.run("doctor", "--export", "-").lines
        let attributes = try #require(lines.last.flatMap { JSONText($0)?["attributes"] })
        for (name, value) in headers { #expect(attributes[name]?.text == value, "\(name)") }
        #expect(attributes.names.count == headers.count)
    }

    // MARK: Content-Type

    @Test(arguments: [1, 2]) func `the extension gives the type, which an option changes or turns off`(parts: Int)
        throws
    {
        let file = try mule.file(parts: parts, "page.html")
        let plain = try mule.file(parts: parts, "page")
        let off = try mule.home.write(#"{"object": {"contentType": "none"}}"#, to: "off.json")
        let cases: [(options: [String], file: String, key: String, type: String?)] = [
            ([], file, "a", "text/html"), ([], plain, "b.json", "application/json"), ([], plain, "c", nil),
            (["--content-type", "text/x-own"], file, "d", "text/x-own"), (["--content-type", "none"], file, "e", nil),
            (["--config", off], file, "f", nil),
            (["--config", off, "--content-type", "text/x-own"], file, "g", "text/x-own"),
        ]
        for (options, file, key, type) in cases {
            let outcome = try mule.run(["upload"] + MuleRun.inParts + options + [file, "bucket/\(key)"])
            #expect(outcome.exitCode == 0 && outcome.messages.isEmpty, "\(key): \(outcome.err)")
            let request = try #require(store.requests(parts == 1 ? .putObject : .create).last)
            #expect(request.header("content-type") == type, "\(key)")
        }
    }

    @Test func `a stream has no type of its own`() throws {
        var command = mule.command(["upload", "-", "bucket/page.html"])
        command.input = .bytes(Array("<p>".utf8))
        #expect(try command.run().exitCode == 0)
        #expect(store.requests(.putObject).map { $0.header("content-type") } == [nil])
    }

    // MARK: What is computed when the upload is created

    @Test func `a type from the table and a lock for a duration are no other upload in the next run`() throws {
        let file = try mule.file(parts: 3, "page.html")
        let lock = ["--object-lock-mode", "GOVERNANCE", "--object-lock-retain-until", "30d"]
        store.add(.on(.uploadPart, part: 3, times: 1, .status(403, code: "AccessDenied")))
        let before = UTCTime(millisecondsSince1970: wallClockMilliseconds())
        #expect(try mule.run(["upload"] + MuleRun.inParts + lock + [file, "bucket/key"]).exitCode == 4)
        for _ in 1...2 {
            // The second of these finds the object unchanged. The same duration may be written in another way.
            let again = ["--object-lock-mode", "GOVERNANCE", "--object-lock-retain-until", "4w2d"]
            let outcome = try mule.run(["upload"] + MuleRun.inParts + again + [file, "bucket/key"])
            #expect(outcome.exitCode == 0, "\(outcome.err)")
        }
        let created = store.requests(.create)
        #expect(created.count == 1 && store.partNumbers.count == 4)
        #expect(created.first?.header("content-type") == "text/html")
        let end = try #require(created.first?.header("x-amz-object-lock-retain-until-date"))
        let days = try #require(UTCTime(iso8601: end)).millisecondsSince1970 - before.millisecondsSince1970
        #expect((-1_000...600_000).contains(days - 30 * 86_400_000), "\(end)")
        let other = ["--object-lock-mode", "GOVERNANCE", "--object-lock-retain-until", "31d"]
        #expect(try mule.run(["upload"] + MuleRun.inParts + other + [file, "bucket/key"]).exitCode == 0)
        #expect(store.requests(.create).count == 2)
    }

    // MARK: Combinations

    @Test(arguments: [true, false]) func `encryption that the store does not show is said once`(isKept: Bool) throws {
        store.profile.encrypts = isKept
        let files = [try mule.file(parts: 1, "small"), try mule.file(parts: 2, "large")]
        let outcome = try mule.run(
            ["upload", "-j", "1"] + MuleRun.inParts + ["--sse", "AES256"] + files + ["bucket/"]
        )
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(outcome.messages.count { $0.contains("it may ignore --sse") } == (isKept ? 0 : 1))
        #expect(store.requests(.headObject).count <= 2)
    }

    @Test(arguments: [true, false]) func `a lock that the store does not show is said once`(isKept: Bool) throws {
        store.profile.keepsLocks = isKept
        let files = [try mule.file(parts: 1, "small"), try mule.file(parts: 2, "large")]
        let outcome = try mule.run(
            ["upload", "-j", "1"] + MuleRun.inParts + ["--object-lock-legal-hold", "ON"] + files + ["bucket/"]
        )
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(outcome.messages.count { $0.contains("does not show the Object Lock") } == (isKept ? 0 : 1))
    }

    @Test(arguments: [
        ("--sse-kms-key-id k", "--sse aws:kms or aws:kms:dsse"), ("--sse AES256 --sse-kms-key-id k", "--sse aws:kms"),
        ("--sse-kms-context a=b", "--sse aws:kms or aws:kms:dsse"), ("--sse-bucket-key true", "--sse aws:kms"),
        ("--sse aws:kms:dsse --sse-bucket-key true", "--sse aws:kms"),
        ("--object-lock-mode GOVERNANCE", "--object-lock-retain-until"),
        ("--object-lock-retain-until 30d", "--object-lock-mode"),
        ("--object-lock-mode GOVERNANCE --object-lock-retain-until 1d --checksum none", "checksum of each part"),
        ("--object-lock-legal-hold ON --checksum none", "checksum of each part"),
        ("--object-lock-retain-until soon --object-lock-mode GOVERNANCE", "30d"),
        ("--object-lock-mode governance --object-lock-retain-until 1d", "COMPLIANCE"),
        ("--website-redirect moved.html", "does not start with /"),
    ])
    func `what cannot work together is refused before anything is sent`(options: String, why: String) throws {
        let file = try mule.file(parts: 1)
        let outcome = try mule.run(["upload"] + options.split(separator: " ").map(String.init) + [file, "bucket/key"])
        #expect(outcome.exitCode == 2 && outcome.messages.count == 1 && outcome.explains(why), "\(outcome.err)")
        #expect(store.requests.isEmpty)
    }
}
