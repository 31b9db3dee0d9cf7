import TestSupport
import Testing

/// `mule presign`, and what a store does with its URLs.
@Suite struct PresignTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    /// Writes the URL of `presign put` into a file.
    private func urlFile(_ options: String..., to key: String = "bucket/key") throws -> String {
        let outcome = try mule.run(["presign", "put"] + options + [key])
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        return try mule.home.write(outcome.out, to: "url")
    }

    @Test func `a URL sends the object without credentials`() throws {
        let file = try mule.file(parts: 2)
        let url = try urlFile("--content-type", "video/mp4", "--if-absent", to: "bucket/a b+ü/%41.mov")
        var plain = mule
        plain.environment = ["TZ": "UTC", "AWS_EC2_METADATA_DISABLED": "true"]
        let outcome = try plain.run("upload", file, "--url-file", url, "--content-type", "video/mp4", "--json")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        let event = try #require(outcome.event("completed"))
        #expect(event["destination"]?.text == "\(store.endpoint)/bucket/a%20b%2B%C3%BC/%2541.mov")
        #expect(event["checksum"]?["algorithm"]?.text == "MD5")
        #expect(event["id"] == .null && event["parts"] == .null)
        #expect(try store.holdsOnly(file, at: "a b+ü/%41.mov"), "\(store.violations)")
        #expect(store.requests(.putObject).first?.header("if-none-match") == "*")
        #expect(store.requests.allSatisfy { $0.header("authorization") == nil })
        // Not a second time.
        let again = try plain.run("upload", file, "--url-file", url, "--content-type", "video/mp4")
        #expect(again.exitCode == 7)
        #expect(again.explains("An object exists there"), "\(again.err)")
        #expect(try mule.status("--all").isEmpty)
    }

    @Test func `JSON says what must be sent and when the URL ends`() throws {
        let outcome = try mule.run(
            "presign",
            "put",
            "--json",
            "--expires",
            "15m",
            "--content-type",
            "text/plain",
            "--if-absent",
            "bucket/key"
        )
        #expect(outcome.exitCode == 0 && outcome.messages.isEmpty)
        let object = try #require(outcome.objects.first)
        #expect(object["headers"]?["content-type"]?.text == "text/plain")
        #expect(object["headers"]?["if-none-match"]?.text == "*")
        #expect(object["method"]?.text == "PUT" && object["destination"]?.text == "bucket/key")
        #expect(object["url"]?.text?.contains("&X-Amz-Expires=900&") == true)
        #expect(object["credentialsEndAt"] == .null)
    }

    @Test func `plain output is one URL, and its end is a message`() throws {
        let outcome = try mule.run("presign", "get", "--filename", "my \"ü\".tar", "bucket/key")
        #expect(outcome.lines.count == 1 && outcome.out.hasPrefix("\(store.endpoint)/bucket/key?response-content-"))
        #expect(
            outcome.out.contains(
                "=attachment%3B%20filename%3D%22my%20%5C%22_%5C%22.tar%22%3B%20filename%2A%3DUTF-8%27%27my%2520%2522%25C3%25BC%2522.tar&"
            ),
            "\(outcome.out)"
        )
        #expect(outcome.explains("valid until ", "for 1h00m"), "\(outcome.err)")
        #expect(!outcome.err.contains("X-Amz"))
        #expect(try mule.run("presign", "get", "-q", "bucket/key").messages.isEmpty)
    }

    @Test func `credentials that end before the URL are named`() throws {
        var mule = mule
        let process = try mule.home.write(
            """
            #!/bin/sh
            echo '{"Version": 1, "AccessKeyId": "AKID", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": "2099-01-01T00:00:00Z"}'
            """,
            to: "credentials"
        )
        try mule.home.write("[default]\ncredential_process = /bin/sh \(process)\n", to: ".aws/config")
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] { mule.environment[name] = nil }
        let long = try mule.run("presign", "put", "--json", "bucket/key")
        #expect(long.exitCode == 0 && long.messages.isEmpty, "\(long.err)")
        #expect(long.objects.first?["credentialsEndAt"]?.text == "2099-01-01T00:00:00Z")
        // Expires in 20 minutes: later than what is refreshed, and before the hour is over.
        let soon = String(decoding: try Files.read(process), as: UTF8.self).replacing(
            "2099-01-01T00:00:00Z\"}'",
            with: "'$(date -u -d '+20 minutes' +%Y-%m-%dT%H:%M:%SZ)'\"}'"
        )
        try mule.home.write(soon, to: "credentials")
        let short = try mule.run("presign", "put", "bucket/key")
        #expect(short.exitCode == 0 && short.lines.count == 1)
        #expect(short.explains("The credentials end at ", "and the URL with them"), "\(short.err)")
        #expect(try mule.run("presign", "put", "--expires", "10m", "bucket/key").messages.count == 1)
    }

    @Test(arguments: [
        (["put", "bucket/"], "is no object"), (["put", "bucket"], "is no object"),
        (["put", "bucket/key", "--expires", "8d"], "at most 7d"), (["post", "bucket/key"], "unknown action"),
        (["put"], "an operand is missing"), (["get", "bucket/key", "--if-absent"], "is for put"),
        (["put", "bucket/key", "--inline"], "is for get"),
        (["put", "bucket/key", "--digest", "sha1"], "presign swift"),
        (["swift", "put", "https://h/v1/a/c/o"], "--key-file"),
    ])
    func `mistakes are refused`(words: [String], why: String) throws {
        let outcome = try mule.run(["presign"] + words)
        #expect(outcome.exitCode == 2 && outcome.out.isEmpty)
        #expect(outcome.explains(why), "\(outcome.err)")
    }
}

/// `mule upload --url-file`
@Suite struct URLUploadTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    private func url(_ options: String..., key: String = "key") throws -> String {
        try mule.run(["presign", "put"] + options + ["bucket/\(key)"]).out
    }

    private func upload(_ url: String, _ file: String, _ options: String...) throws -> CommandOutcome {
        var command = mule.command(["upload", "--url-file", "-", file] + options)
        command.input = .bytes(Array(url.utf8))
        return try command.run()
    }

    @Test func `nothing of the query is shown or kept`() throws {
        let url = try url()
        let query = try #require(url.split(separator: "?").last).dropLast()
        let file = try mule.file(parts: 2)
        store.add(.on(.putObject, .status(503, code: "SlowDown", message: "for \(query)")))
        let log = mule.home.path + "/log"
        let good = try upload(url, file, "-v", "--log-file", log, "--progress", "plain")
        #expect(good.exitCode == 0, "\(good.err)")
        store.profile.denied = [.putObject]
        let refused = try upload(url, file, "-v", "--json", "--log-file", log)
        #expect(refused.exitCode == 4, "\(refused.err)")
        #expect(refused.event("failed")?["error"]?["httpStatus"]?.integer == 403)
        #expect(refused.event("failed")?["resumable"] == .bool(false))
        let changed = try upload(url.replacing("X-Amz-Signature=", with: "X-Amz-Signature=0"), file, "-v")
        #expect(changed.exitCode == 5, "\(changed.err)")
        var said = [good, refused, changed].map { $0.out + $0.err }.joined()
        said += String(decoding: try Files.read(log), as: UTF8.self)
        for item in query.split(separator: "&") {
            let value = item.split(separator: "=", maxSplits: 1).last.map(String.init) ?? ""
            if value.count > 6 { #expect(!said.contains(value), "\(item)") }
        }
        #expect(!said.contains("X-Amz-"))
        #expect(said.contains("PUT \(store.endpoint)/bucket/key: 200"))
        #expect(try mule.status("--all").isEmpty)
    }

    @Test func `a file that the rate limit makes too late is refused before it is sent`() throws {
        let file = try mule.home.makeSparse("sparse", size: 1 << 30)
        let outcome = try upload(try url("--expires", "20s"), file, "--limit-rate", "10MB/s")
        #expect(outcome.exitCode == 2)
        #expect(
            outcome.explains("cannot arrive before the URL ends", "--limit-rate", "Nothing was sent"),
            "\(outcome.err)"
        )
        #expect(store.requests.isEmpty)
    }

    @Test func `a file that the network makes too late stops early`() throws {
        store.profile.connectionBytesPerSecond = 1 << 20
        let file = try mule.home.writeRandom("file", count: 64 << 20)
        let outcome = try upload(try url("--expires", "16s"), file)
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("cannot arrive before the URL ends", "Nothing is stored"), "\(outcome.err)")
        #expect(store.keys().isEmpty)
    }

    @Test func `an ended URL and a file of more than 5 GiB are refused`() throws {
        let file = try mule.home.makeSparse("sparse", size: (5 << 30) + 1)
        #expect(try upload(try url(), file).explains("too large for a URL"))
        let small = try mule.file(parts: 1)
        let ended = try url().replacing(/X-Amz-Date=\d{8}T\d{6}/, with: "X-Amz-Date=20200101T000000")
        let outcome = try upload(ended, small)
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("The URL ended at 2020-01-01T"), "\(outcome.err)")
        #expect(store.requests.isEmpty)
    }

    @Test func `signed headers are sent or named`() throws {
        let file = try mule.file(parts: 1)
        let typed = try url("--content-type", "text/plain")
        let missing = try upload(typed, file)
        #expect(missing.exitCode == 2)
        #expect(missing.explains("has signed the header content-type", "--content-type"), "\(missing.err)")
        let other = try upload(try url(), file, "--storage-class", "GLACIER")
        #expect(other.exitCode == 2)
        #expect(other.explains("has not signed the header x-amz-storage-class", "--storage-class"), "\(other.err)")
        #expect(store.requests.isEmpty)
        #expect(try upload(typed, file, "--content-type", "text/plain").exitCode == 0)
    }

    @Test func `failures that may pass are retried from the start`() throws {
        let file = try mule.file(parts: 2)
        store.add(.on(.putObject, .status(500, code: "InternalError")))
        store.add(.on(.putObject, .resetAfter(bytes: 1 << 20)))
        let outcome = try upload(try url(), file, "--json")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(store.requests(.putObject).count >= 3)
        #expect(try store.holdsOnly(file))
        #expect(outcome.event("notice")?["message"]?.text?.contains("sent again from its start") == true)
    }

    @Test func `what the answer does not prove is 6`() throws {
        let file = try mule.file(parts: 1)
        store.profile.checksums = .ignored
        store.add(.on(.putObject, .wrongETag))
        let wrong = try upload(try url(), file)
        #expect(wrong.exitCode == 6)
        #expect(wrong.explains("is not", "its ETag is"), "\(wrong.err)")
        store.add(.on(.putObject, .emptyETag))
        let none = try upload(try url(key: "other"), file)
        #expect(none.exitCode == 6)
        #expect(none.explains("sent, not proven"), "\(none.err)")
        // The store executes it and loses the answer: the object of the second attempt cannot be told from another's.
        store.add(.on(.putObject, .closeAfterProcessing))
        let lost = try upload(try url("--if-absent", key: "once"), file)
        #expect(lost.exitCode == 6, "\(lost.err)")
    }

    @Test(arguments: [
        ["--no-overwrite"], ["-r"], ["--dry-run"], ["--checksum", "md5"], ["--restart"], ["bucket/key"],
    ])
    func `options that one PUT cannot honour are refused`(more: [String]) throws {
        let outcome = try mule.run(["upload", "--url-file", "none", "file"] + more)
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("--url-file"), "\(outcome.err)")
    }

    @Test func `a text that is no URL is refused and not repeated`() throws {
        let file = try mule.file(parts: 1)
        for text in ["", "two\nlines", "ftp://secret.example.org/a?X-Amz-Signature=secret", "https://u:secret@host/a"] {
            let outcome = try upload(text, file)
            #expect(outcome.exitCode == 2)
            #expect(!outcome.err.contains("secret"), "\(outcome.err)")
        }
    }

    @Test func `a stop keeps nothing and says so`() throws {
        store.add(.on(.putObject, .stallAfter(bytes: 1 << 20)))
        let file = try mule.file(parts: 2)
        let path = try mule.home.write(try url(), to: "url")
        let running = try mule.start(["upload", "--url-file", path, file])
        #expect(store.waitUntil { !$0.requests(.putObject).isEmpty })
        running.signal(15)
        let outcome = running.wait()
        #expect(outcome.end == .signal(15))
        #expect(outcome.err.contains("A PUT to a URL keeps nothing"), "\(outcome.err)")
    }
}
