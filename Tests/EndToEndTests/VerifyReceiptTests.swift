import Glibc
import MuleSystem
import TestSupport
import Testing

/// `mule verify --receipt`, on receipts that `mule archive` has written.
@Suite struct VerifyReceiptTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    /// Archives files of these names, which are their contents too, and gives the receipt's path.
    private func archived(_ names: [String] = ["a", "b", "c"], _ more: String = "") throws -> String {
        let source = try mule.home.makeDirectory("spool")
        try mule.home.write(
            """
            {"stallLimit": "2s", "jobs": {"nightly": {"source": "\(source)", "destination": "bucket/n/",
             "receipts": "~/receipts"\(more)}}}
            """,
            to: ".config/mule/config.json"
        )
        for name in names { try mule.home.write("content of \(name)", to: "spool/\(name)") }
        #expect(try mule.run("archive", "nightly").exitCode == 0)
        return try receipt()
    }

    private func receipt() throws -> String {
        let directory = mule.home.path("receipts")
        let stream = try #require(opendir(directory))
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".jsonl") { return directory + "/" + name }
        }
        throw NoReceipt()
    }

    private struct NoReceipt: Error {}

    private func text(_ path: String) throws -> String { String(decoding: try Files.read(path), as: UTF8.self) }

    private func change(_ key: String, _ body: (inout FakeObject) -> Void) {
        store.edit { store in
            guard var object = store.buckets["bucket"]?.objects[Array(key.utf8)] else { return }
            body(&object)
            store.buckets["bucket"]?.objects[Array(key.utf8)] = object
        }
    }

    private func remove(_ key: String) {
        store.edit { $0.buckets["bucket"]?.objects[Array(key.utf8)] = nil }
    }

    // MARK: Proven

    @Test func `everything is proven by its checksum`() throws {
        let receipt = try archived(["a", "b \"quoted\"\nline", "ü%41"])
        let before = store.requests.count
        let outcome = try mule.run("verify", "--receipt", receipt)
        #expect(outcome.exitCode == 0 && outcome.err.isEmpty, "\(outcome.err)")
        #expect(outcome.lines == ["3 verified, 0 not verified"])
        #expect(store.requests[before...].allSatisfy { $0.operation == .headObject })
        #expect(store.requests.count == before + 3)
        let verbose = try mule.run("verify", "-v", "--receipt", receipt, "-j", "1")
        #expect(verbose.lines.count == 4 && verbose.lines.last == "3 verified, 0 not verified", "\(verbose.out)")
        #expect(verbose.lines.dropLast().allSatisfy { $0.hasPrefix("verified: bucket/n/") && $0.contains("CRC64NVME") })
        let quiet = try mule.run("verify", "-q", "--receipt", receipt)
        #expect(quiet.exitCode == 0 && quiet.out.isEmpty && quiet.err.isEmpty)
    }

    @Test func `objects have the shape of verify`() throws {
        let receipt = try archived()
        remove("n/b")
        let outcome = try mule.run("verify", "--json", "--receipt", receipt)
        #expect(outcome.exitCode == 6)
        let objects = outcome.objects
        #expect(objects.count == 4)
        let proven = objects.filter { $0["event"]?.text == "verified" }
        #expect(Set(proven.compactMap { $0["destination"]?.text }) == ["bucket/n/a", "bucket/n/c"])
        for object in proven {
            #expect(object["proof"]?["kind"]?.text == "fullObjectChecksum")
            #expect(object["size"]?.integer == 12)
        }
        let failed = try #require(outcome.event("failed"))
        #expect(failed["verdict"]?.text == "missing" && failed["error"]?["kind"]?.text == "verification")
        #expect(failed["source"]?.text == mule.home.path("spool/b"))
        let last = try #require(objects.last)
        #expect(last["event"]?.text == "summary")
        #expect(last["proven"]?.integer == 2 && last["notProven"]?.integer == 1 && last["stopped"] == .bool(false))
    }

    @Test func `what HEAD does not show is asked for elsewhere`() throws {
        let receipt = try archived(["a"])
        store.profile.headOmitsChecksum = true
        store.profile.attributesShowOmitted = true
        // The ETag from the store proves these bytes.
        let outcome = try mule.run("verify", "--json", "--receipt", receipt)
        #expect(outcome.event("verified")?["proof"]?["kind"]?.text == "recordedETag", "\(outcome.out)")
        #expect(store.count(.getAttributes) == 0)
        let without = try mule.home.write(
            try text(receipt).replacing(
                #""eTag":"\#(try #require(store.object(key: "n/a")?.eTag))""#,
                with: #""eTag":null"#
            ),
            to: "without.jsonl"
        )
        let asked = try mule.run("verify", "--json", "--receipt", without)
        #expect(asked.exitCode == 0)
        #expect(asked.event("verified")?["proof"]?["kind"]?.text == "fullObjectChecksum", "\(asked.out)")
        #expect(store.count(.getAttributes) == 1)
        store.profile.denied = [.getAttributes]
        let denied = try mule.run("verify", "--receipt", without)
        #expect(denied.exitCode == 6)
        #expect(denied.out.contains("not verified: Cannot prove") && denied.out.contains("s3:GetObjectAttributes"))
        #expect(denied.lines.last == "0 verified, 1 not verified")
    }

    @Test func `composite checksums are compared as such`() throws {
        let receipt = try archived(["a"], #", "partSize": "5MiB", "checksum": "sha256""#)
        _ = try mule.file(parts: 2, "spool/large")
        unlink(receipt)
        #expect(try mule.run("archive", "nightly").exitCode == 0)
        let second = try self.receipt()
        let proven = try mule.run("verify", "--json", "--receipt", second)
        #expect(proven.exitCode == 0)
        #expect(proven.event("verified")?["proof"]?["kind"]?.text == "compositeChecksum", "\(proven.out)")
        store.profile.headOmitsChecksum = true
        store.profile.attributesShowOmitted = true
        let eTag = try #require(store.object(key: "n/large")?.eTag)
        let without = try mule.home.write(
            try text(second).replacing(#""eTag":"\#(eTag)""#, with: #""eTag":null"#),
            to: "without.jsonl"
        )
        let asked = try mule.run("verify", "--json", "--receipt", without)
        #expect(asked.event("verified")?["proof"]?["kind"]?.text == "compositeChecksum", "\(asked.out)")
    }

    // MARK: Not proven

    @Test func `changed and gone objects are named`() throws {
        let receipt = try archived()
        change("n/a") { $0.checksum?.value = "AAAAAAAAAAA=" }
        remove("n/b")
        let outcome = try mule.run("verify", "--receipt", receipt)
        #expect(outcome.exitCode == 6)
        #expect(outcome.lines.count == 3 && outcome.lines.last == "1 verified, 2 not verified", "\(outcome.out)")
        #expect(outcome.lines.contains { $0.hasPrefix("differs: bucket/n/a") && $0.contains("AAAAAAAAAAA=") })
        #expect(outcome.lines.contains("missing: The object bucket/n/b does not exist."))
        #expect(try mule.run("verify", "-q", "--receipt", receipt).lines.count == 2)
    }

    @Test func `an object that was written again is seen`() throws {
        let receipt = try archived(["a", "b"])
        let file = try mule.home.write("content of z, longer", to: "other")
        #expect(try mule.run("upload", file, "bucket/n/a").exitCode == 0)
        change("n/b") { $0.eTag = "11111111111111111111111111111111" }
        let outcome = try mule.run("verify", "--receipt", receipt)
        #expect(outcome.exitCode == 6)
        #expect(
            outcome.lines.contains {
                $0.contains("n/a differs from") && $0.contains("it has 20 bytes, recorded were 12")
            }
        )
        #expect(
            outcome.lines.contains { $0.contains("n/b differs from") && $0.contains("its ETag is 1111") },
            "\(outcome.out)"
        )
    }

    @Test func `another version is a difference`() throws {
        store.profile.hasVersions = true
        let receipt = try archived(["a", "b"])
        #expect(try mule.run("verify", "--receipt", receipt).exitCode == 0)
        // The same bytes in another version.
        #expect(try mule.run("upload", mule.home.path("spool/a"), "bucket/n/a", "--force").exitCode == 0)
        let outcome = try mule.run("verify", "--receipt", receipt)
        #expect(outcome.exitCode == 6)
        let version = try #require(store.object(key: "n/a")?.versionID)
        #expect(outcome.lines.first?.contains("its version is \(version), recorded was") == true, "\(outcome.out)")
        #expect(outcome.lines.last == "1 verified, 1 not verified")
    }

    @Test func `one refusal is 4 and no credentials stop it`() throws {
        let receipt = try archived()
        store.add(.on(.headObject, key: "n/b", times: 100, .status(403, code: "AccessDenied")))
        let one = try mule.run("verify", "--receipt", receipt)
        #expect(one.exitCode == 4)
        #expect(one.lines.contains { $0.hasPrefix("not checked: HeadObject of bucket/n/b") }, "\(one.out)")
        #expect(one.lines.last == "2 verified, 1 not verified")
        store.script([])
        var user = mule
        user.environment["AWS_ACCESS_KEY_ID"] = nil
        user.environment["AWS_SECRET_ACCESS_KEY"] = nil
        let all = try user.run("verify", "--receipt", receipt, "-j", "1", "--json")
        #expect(all.exitCode == 5, "\(all.err)")
        #expect(all.objects.count == 1 && all.objects.last?["stopped"] == .bool(true), "\(all.out)")
    }

    @Test func `a store out of reach is 75`() throws {
        let receipt = try archived()
        store.add(.on(.headObject, times: 10_000, .status(503, code: "SlowDown")))
        let outcome = try mule.run("verify", "--stall-limit", "1s", "--receipt", receipt)
        #expect(outcome.exitCode == 75)
        #expect(outcome.lines.last?.hasSuffix("the rest was not checked") == true, "\(outcome.out)")
    }

    // MARK: Receipts

    @Test func `malformed lines are 2 after the others were asked`() throws {
        let receipt = try archived()
        var lines = try text(receipt).split(separator: "\n").map(String.init)
        let index = try #require(lines.firstIndex { $0.contains("bucket/n/b") })
        lines[index] = String(lines[index].dropLast(5))
        let damaged = try mule.home.write(lines.joined(separator: "\n") + "\n", to: "damaged.jsonl")
        let outcome = try mule.run("verify", "--receipt", damaged)
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("damaged.jsonl, line \(index + 1): column"), "\(outcome.err)")
        #expect(outcome.lines == ["2 verified, 0 not verified"])
        remove("n/c")
        let both = try mule.run("verify", "--receipt", damaged, "--receipt", mule.home.path("none.jsonl"))
        #expect(both.exitCode == 2)
        #expect(both.explains("Cannot read ", "none.jsonl"))
        #expect(both.lines.last == "1 verified, 1 not verified")
    }

    @Test func `a receipt that was cut at the end of a line is 2`() throws {
        let receipt = try archived()
        let lines = try text(receipt).split(separator: "\n")
        #expect(lines.count == 4)
        let cut = try mule.home.write(lines.dropLast(2).joined(separator: "\n") + "\n", to: "cut.jsonl")
        let outcome = try mule.run("verify", "--receipt", cut)
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("cut.jsonl, up to line 2, has 2 fewer files than its run"), "\(outcome.err)")
        #expect(outcome.lines == ["1 verified, 0 not verified"])
        // Followed by another one.
        let both = try mule.home.write(try text(cut) + text(receipt), to: "both.jsonl")
        let second = try mule.run("verify", "--receipt", both)
        #expect(second.exitCode == 2)
        #expect(second.explains("both.jsonl, up to line 3, has 2 fewer files"), "\(second.err)")
        #expect(second.lines == ["4 verified, 0 not verified"])
        let more = try mule.home.write(try text(receipt) + lines[3] + "\n", to: "more.jsonl")
        let third = try mule.run("verify", "--receipt", more)
        #expect(third.exitCode == 2)
        #expect(third.explains("more.jsonl, up to line 5, has 1 more files than its run"), "\(third.err)")
    }

    @Test func `an empty file is no receipt`() throws {
        let empty = try mule.home.write("", to: "empty.jsonl")
        let outcome = try mule.run("verify", "--receipt", empty)
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains("empty.jsonl is empty"), "\(outcome.err)")
        #expect(store.requests.isEmpty)
    }

    @Test func `several receipts and a pipe are read one after another`() throws {
        let receipt = try archived()
        #expect(
            try mule.run("verify", "--receipt", receipt, "--receipt", receipt).lines == ["6 verified, 0 not verified"]
        )
        var command = mule.command(["verify", "--receipt", "-"])
        command.input = .bytes(try Files.read(receipt))
        #expect(try command.run().lines == ["3 verified, 0 not verified"])
    }

    @Test func `the store is the receipts and flags go first`() throws {
        let receipt = try archived()
        var user = mule
        user.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
        user.environment["AWS_ENDPOINT_URL_S3"] = "http://127.0.0.1:1"
        #expect(try user.run("verify", "--receipt", receipt).exitCode == 0)
        let before = store.requests.count
        let outcome = try mule.run(
            "verify",
            "--receipt",
            receipt,
            "--endpoint-url",
            "http://127.0.0.1:1",
            "--stall-limit",
            "1s"
        )
        #expect(outcome.exitCode == 75)
        #expect(store.requests.count == before)
    }

    @Test func `a store that no one knows is not asked`() throws {
        let receipt = try archived()
        let other = FakeS3()
        let changed = try text(receipt).split(separator: store.endpoint, omittingEmptySubsequences: false)
            .joined(separator: other.endpoint)
        let path = try mule.home.write(changed, to: "changed.jsonl")
        let outcome = try mule.run("verify", "--receipt", path)
        #expect(outcome.exitCode == 2)
        #expect(outcome.explains(other.endpoint, "never uploaded", "--endpoint-url"))
        #expect(other.requests.isEmpty)
        let named = try mule.run("verify", "--receipt", path, "--endpoint-url", other.endpoint)
        #expect(named.exitCode == 6)
    }

    @Test(arguments: [["file", "bucket/key"], ["bucket/key"], ["--download"], ["--receipt", ""]])
    func `wrong operands are 2`(more: [String]) throws {
        #expect(try mule.run(["verify", "--receipt", "x.jsonl"] + more).exitCode == 2)
        #expect(store.requests.isEmpty)
    }
}
