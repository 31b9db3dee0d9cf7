import MuleDigest
import TestSupport
import Testing

/// SSE-C: the key goes with every request that needs it, and nowhere else. `FakeS3` refuses each request without it.
@Suite struct CustomerKeyTests {
    private let store = FakeS3()
    private let mule: MuleRun
    private let key: [UInt8] = (0..<32).map { UInt8(truncatingIfNeeded: $0 * 37 + 200) }
    private let keyFile: String
    private let otherFile: String

    init() throws {
        mule = MuleRun(store)
        keyFile = try mule.home.write(key, to: "sse-c.key")
        otherFile = try mule.home.write(Base64.encode(key.reversed()) + "\n", to: "other.key")
    }

    /// An upload of which two parts of four are at the store, and the process killed.
    private func leaveHalf(_ options: [String] = []) throws -> (file: String, outcome: CommandOutcome, line: [UInt8]) {
        let file = try mule.file(parts: 4)
        for part in [3, 4] { store.add(.on(.uploadPart, part: part, .stallAfter(bytes: 1 << 20))) }
        let running = try mule.start(
            ["upload", "-j", "2"] + MuleRun.inParts + options + ["--sse-c-key-file", keyFile, file, "bucket/key"]
        )
        #expect(store.waitUntil { $0.storedParts == [1, 2] && $0.requests(.uploadPart).count == 4 })
        let line = (try? Files.read("/proc/\(running.pid)/cmdline")) ?? []
        running.signal(9)
        return (file, running.wait(), line)
    }

    @Test func `an upload continues only with its key, and the key is in no file, argument or output`() throws {
        let log = mule.home.path("mule.log")
        let (file, killed, line) = try leaveHalf(["-v", "--json", "--log-file", log])
        var said = [killed.standardOutput, killed.standardError, line]
        #expect(!line.isEmpty)
        let sent = store.requests.count
        let again = ["upload"] + MuleRun.inParts + [file, "bucket/key"]
        for command in [["resume"], again] {
            let without = try mule.run(command + ["-v"])
            #expect(without.exitCode == 5 && without.explains("--sse-c-key-file", "MULE_SSE_C_KEY"), "\(without.err)")
            let other = try mule.run(command + ["-v", "--sse-c-key-file", otherFile])
            #expect(other.exitCode == 4 && other.explains("another customer key"), "\(other.err)")
            said += [without.standardError, other.standardError]
        }
        #expect(store.requests.count == sent)

        var keyed = mule
        keyed.environment["MULE_SSE_C_KEY"] = Base64.encode(key)
        let resumed = try keyed.run("resume", "-v", "--json", "--log-file", log)
        #expect(resumed.exitCode == 0, "\(resumed.err)")
        #expect(store.count(.create) == 1 && store.partNumbers.sorted() == [1, 2, 3, 3, 4, 4])
        #expect(try store.holdsOnly(file))
        let verified = try keyed.run("verify", "-v", "--download", file, "bucket/key")
        #expect(verified.exitCode == 0, "\(verified.err)")
        let unkeyed = try mule.run("verify", file, "bucket/key")
        #expect(unkeyed.exitCode != 0 && unkeyed.explains("--sse-c-key-file"), "\(unkeyed.err)")
        // Unchanged, as the ledger and the store say.
        let unchanged = try keyed.run(["-v"] + again)
        #expect(unchanged.exitCode == 0 && store.count(.create) == 1, "\(unchanged.err)")
        let export = try mule.run("doctor", "--export", "-")
        #expect(export.out.contains("customerKey"))
        said += [resumed.standardOutput, resumed.standardError, verified.standardError, export.standardOutput]
        said += [try mule.run("status", "--all", "--json").standardOutput, unchanged.standardError]

        var digest = MessageDigest(.md5)
        key.withUnsafeBytes { digest.update($0) }
        let md5 = digest.finish()
        let forms = [
            key, Array(Base64.encode(key).utf8), Array(Hex.encode(key).utf8), md5, Array(Base64.encode(md5).utf8),
            Array(Hex.encode(md5).utf8),
        ]
        for text in said { for form in forms { #expect(!text.contains(form)) } }
        var searched = 0
        for path in Self.files(below: mule.home.path) where path != keyFile && path != otherFile && path != file {
            guard let content = try? Files.read(path) else { continue }
            for form in forms { #expect(!content.contains(form), "\(path)") }
            searched += 1
        }
        #expect(searched >= 2, "the ledger and the log")
        #expect(store.violations.isEmpty)
    }

    private static func files(below directory: String) -> [String] {
        ((try? Files.names(in: directory)) ?? []).filter { $0 != "." && $0 != ".." }.flatMap { name in
            let path = "\(directory)/\(name)"
            let within = files(below: path)
            return within.isEmpty ? [path] : within
        }
    }

    @Test func `small objects, streams and aborts`() throws {
        let file = try mule.file(parts: 1)
        let key = ["--sse-c-key-file", keyFile]
        #expect(try mule.run(["upload"] + key + [file, "bucket/key"]).exitCode == 0)
        #expect(try mule.run(["upload", "--no-overwrite"] + key + [file, "bucket/key"]).exitCode == 0)
        #expect(store.count(.putObject) == 1)
        // Without the key it is another object.
        #expect(try mule.run(["upload", file, "bucket/key"]).exitCode == 0)
        #expect(store.count(.putObject) == 2)
        var stream = mule.command(["upload", "-"] + key + ["bucket/stream"])
        stream.input = .bytes(Array("text".utf8))
        #expect(try stream.run().exitCode == 0)
        // An abort needs no key.
        _ = try leaveHalf()
        let id = try #require(try mule.status().first?["id"]?.text)
        let aborted = try mule.run("abort", id)
        #expect(aborted.exitCode == 0 && store.uploads.isEmpty, "\(aborted.err)")
        #expect(store.violations.isEmpty)
    }

    /// OpenStack Swift and rclone take the headers and store the bytes as they are.
    @Test(arguments: [1, 3]) func `a store that ignores the key ends the upload`(parts: Int) throws {
        store.profile.knowsCustomerKeys = false
        let file = try mule.file(parts: parts)
        let outcome = try mule.uploadInParts(file, "bucket/key", "--sse-c-key-file", keyFile).run()
        #expect(outcome.exitCode == 4 && outcome.explains("ignores the customer key"), "\(outcome.err)")
        #expect(outcome.explains(parts == 1 ? "Delete the object" : "mule abort"), "\(outcome.err)")
        #expect(store.count(.complete) == 0)
    }

    @Test func `an upload without a key does not continue with one`() throws {
        let file = try mule.file(parts: 3)
        store.add(.on(.uploadPart, part: 3, .status(403, code: "AccessDenied")))
        #expect(try mule.uploadInParts(file).run().exitCode == 4)
        let outcome = try mule.uploadInParts(file, "bucket/key", "--sse-c-key-file", keyFile).run()
        #expect(outcome.exitCode == 2 && outcome.explains("without a customer key"), "\(outcome.err)")
        // Resume gives the key only to uploads that have one.
        #expect(try mule.run("resume", "--sse-c-key-file", keyFile).exitCode == 0)
        #expect(try store.holdsOnly(file))
    }

    @Test func `a key is refused where it would be read, and with other encryption`() throws {
        let file = try mule.file(parts: 1)
        let key = ["--sse-c-key-file", keyFile]
        let far = try mule.run(["upload", "--endpoint-url", "http://192.0.2.1:9"] + key + [file, "bucket/key"])
        #expect(far.exitCode == 2 && far.explains("only sent over https"), "\(far.err)")
        let both = try mule.run(["upload", "--sse", "AES256"] + key + [file, "bucket/key"])
        #expect(both.exitCode == 2 && both.explains("--sse AES256"), "\(both.err)")
        let short = try mule.home.write("not-a-key-at-all", to: "short.key")
        for path in [short, mule.home.path("missing.key")] {
            let outcome = try mule.run("upload", "--sse-c-key-file", path, file, "bucket/key")
            #expect(outcome.exitCode == 5 && outcome.messages.count == 1, "\(outcome.err)")
            #expect(!outcome.err.contains("not-a-key-at-all"))
        }
        var wrong = mule
        wrong.environment["MULE_SSE_C_KEY"] = "bm90LWEta2V5"
        let outcome = try wrong.run("upload", file, "bucket/key")
        #expect(outcome.exitCode == 5 && !outcome.err.contains("bm90"), "\(outcome.err)")
        #expect(store.requests.isEmpty)
    }

    @Test func `the configuration names the file`() throws {
        let source = ScratchDirectory()
        _ = try source.write("text", to: "a")
        let configuration = try mule.home.write(
            "{\"object\": {\"sseCKeyFile\": \"\(keyFile)\"}, \"jobs\": {\"j\": {\"source\": \"\(source.path)\", "
                + "\"destination\": \"bucket/in/\"}}}",
            to: "own.json"
        )
        let outcome = try mule.run("archive", "--config", configuration, "j")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        let request = try #require(store.requests(.putObject).first)
        #expect(request.header("x-amz-server-side-encryption-customer-key") == Base64.encode(key))
    }
}
