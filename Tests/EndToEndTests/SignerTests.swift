import Glibc
import MuleSystem
import TestSupport
import Testing

/// A program in Python that listens on a free port of 127.0.0.1 and prints it; it is killed with the last reference.
final class PythonServer: Sendable {
    let url: String
    private let process: RunningCommand

    /// - Parameter script: from the root of the tree.
    init(_ script: String, _ arguments: [String], home: ScratchDirectory, environment: [String: String]) throws {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        let command = TestCommand(
            "/usr/bin/env",
            ["python3", "-u", "\(root)/\(script)"] + arguments,
            home: home.path,
            environment: environment
        )
        process = try command.start()
        guard process.waitForText("listening on 127.0.0.1:"), process.waitForText("\n") else {
            throw NotStarted(description: process.wait(timeoutSeconds: 1).err)
        }
        let line = process.outputSoFar.split(separator: "\n").first { $0.hasPrefix("listening on ") } ?? ""
        url = "http://" + line.dropFirst("listening on ".count)
    }

    deinit { stop() }

    func stop() {
        process.signal(SIGKILL)
        _ = process.wait(timeoutSeconds: 10)
    }

    struct NotStarted: Error, CustomStringConvertible {
        let description: String
    }
}

/// Uploads of a host that holds a token and no key, through the signer of Examples/signer.
final class SignerTests {
    private static let token = "mule_hush0hush1hush2hush3"

    private let store = FakeS3()
    private let home = ScratchDirectory()
    private var mule: MuleRun

    init() throws {
        mule = MuleRun(store)
        // As with env -i: where the store is, and a token.
        mule.environment = [
            "AWS_ENDPOINT_URL": store.endpoint, "AWS_REGION": store.region, "MULE_SIGNER_TOKEN": Self.token,
        ]
        try home.write(Self.token + "\n", to: "token")
    }

    private func signer(_ script: String = "Examples/signer/signer.py", _ more: [String] = []) throws -> PythonServer {
        try PythonServer(
            script,
            more + [
                "--listen", "127.0.0.1:0", "--endpoint", store.endpoint, "--region", store.region, "--bucket", "bucket",
                "--prefix", "in/", "--token-file", home.path("token"),
            ],
            home: home,
            environment: [
                "AWS_ACCESS_KEY_ID": store.credentials.accessKey, "AWS_SECRET_ACCESS_KEY": store.credentials.secretKey,
            ]
        )
    }

    private func upload(_ signer: PythonServer, _ file: String, _ more: String...) throws -> CommandOutcome {
        try mule.command(["upload", "--signer", signer.url] + more + [file, "bucket/in/key"]).run()
    }

    /// Whether the token, or a signature, is anywhere where it must not be.
    private func leaks(_ outcomes: CommandOutcome...) throws -> Bool {
        var seen = outcomes.flatMap { $0.standardOutput + $0.standardError }
        for name in ["ledger.sqlite", "ledger.sqlite-wal"] {
            seen += (try? mule.home.read(".local/state/mule/\(name)")) ?? []
        }
        let text = String(decoding: seen, as: UTF8.self)
        return ["hush0", "AWS4-HMAC", "Signature=", store.credentials.secretKey].contains(where: text.contains)
    }

    @Test func `doctor says what a signer is not asked for`() throws {
        let signer = try signer()
        let outcome = try mule.run("doctor", "--json", "--signer", signer.url, "bucket")
        #expect(outcome.exitCode == 0, "\(outcome.out) \(outcome.err)")
        for check in ["identity", "bucket.lifecycle", "bucket.object-lock", "permissions.delete"] {
            let found = outcome.objects.first { $0["check"]?.text == check }
            #expect(
                found?["state"]?.text == "ok" && found?["message"]?.text?.contains("signer") == true,
                "\(outcome.out)"
            )
        }
        let operations = Set(store.requests.map(\.operation))
        #expect(
            operations.isDisjoint(with: [.getLifecycle, .getObjectLock, .getVersioning, .listBuckets, .deleteObject])
        )
        #expect(try !leaks(outcome))
    }

    @Test func `a host with only a token uploads, is killed, resumes and verifies`() throws {
        let signer = try signer()
        let file = try mule.file(parts: 6)
        store.add(.on(.uploadPart, part: 4, times: 1, .stall))
        let running = try mule.command(
            ["upload", "-v", "-j", "2", "--signer", signer.url] + MuleRun.inParts + [file, "bucket/in/key"]
        ).start()
        #expect(store.waitUntil { $0.storedParts.count >= 3 })
        running.signal(SIGKILL)
        let killed = running.wait()
        // It may not have been struck yet.
        store.script([])
        #expect(killed.end == .signal(SIGKILL))

        // The ledger knows the signer.
        mule.environment = ["MULE_SIGNER_TOKEN": Self.token]
        let resumed = try mule.run("resume", "--json", "-v")
        #expect(resumed.exitCode == 0, "\(resumed.err)")
        #expect(try store.holdsOnly(file, at: "in/key"))
        #expect(store.count(.uploadPart) <= 6 + 2)
        mule.environment["AWS_ENDPOINT_URL"] = store.endpoint
        let verified = try mule.run("verify", "-v", "--signer", signer.url, file, "bucket/in/key")
        #expect(verified.exitCode == 0, "\(verified.err)")
        #expect(try !leaks(killed, resumed, verified))
        // No signature of this host.
        #expect(store.requests.allSatisfy { $0.header("authorization")?.contains("content-length") != nil })
    }

    @Test func `status and abort work by the same signer`() throws {
        let signer = try signer()
        let file = try mule.file(parts: 3)
        store.add(.on(.uploadPart, part: 3, times: 9, .status(403, code: "AccessDenied")))
        #expect(try upload(signer, file, "--part-size", "5MiB").exitCode == 4)
        mule.environment = ["MULE_SIGNER_TOKEN": Self.token]
        mule.environment["AWS_ENDPOINT_URL"] = store.endpoint
        let listed = try mule.run("status", "--remote", "bucket/in/", "--signer", signer.url)
        #expect(listed.exitCode == 0 && listed.out.contains("bucket/in/key"), "\(listed.err)")
        mule.environment = ["MULE_SIGNER_TOKEN": Self.token]
        let id = try #require(try mule.status().first?["id"]?.text)
        let aborted = try mule.run("abort", id)
        #expect(aborted.exitCode == 0, "\(aborted.err)")
        #expect(store.uploads.isEmpty)
        #expect(try !leaks(listed, aborted))
    }

    @Test func `the token may come from a file, and what is configured for another signer does not count`() throws {
        let signer = try signer()
        let file = try mule.home.write("x", to: "small")
        mule.environment["MULE_SIGNER_TOKEN"] = nil
        let without = try upload(signer, file)
        #expect(without.exitCode == 5 && without.explains("wants a token"), "\(without.err)")
        let named = try upload(signer, file, "--signer-token-file", home.path("token"))
        #expect(named.exitCode == 0, "\(named.err)")

        func configure(_ url: String) throws {
            try mule.home.write(
                #"{"signer": {"url": "\#(url)", "tokenFile": "\#(home.path("token"))"}}"#,
                to: ".config/mule/config.json"
            )
        }
        try configure(signer.url)
        #expect(try mule.run("upload", file, "bucket/in/second").exitCode == 0)
        try configure("https://other.example.org")
        #expect(try upload(signer, file, "--force").exitCode == 5)
        #expect(try !leaks(without, named))
    }

    @Test func `a token, an operation and a key that the signer refuses are told apart`() throws {
        let signer = try signer()
        let file = try mule.home.write("x", to: "small")
        let outside = try mule.run("upload", "--signer", signer.url, file, "bucket/out/key")
        #expect(outside.exitCode == 4)
        #expect(outside.explains("refused PutObject of bucket/out/key", "this key is not allowed"), "\(outside.err)")
        let bucket = try mule.run("upload", "--signer", signer.url, file, "bucket2/in/key")
        #expect(bucket.exitCode == 4 && bucket.explains("this is another bucket"), "\(bucket.err)")
        mule.environment["MULE_SIGNER_TOKEN"] = "mule_hush0wrong"
        let unknown = try mule.run("upload", "--json", "--signer", signer.url, file, "bucket/in/key")
        #expect(unknown.exitCode == 5 && unknown.explains("does not know this token"), "\(unknown.err)")
        #expect(store.requests.isEmpty)
        #expect(try !leaks(outside, bucket, unknown))
    }

    @Test func `a signer that is gone is waited for, as long as a store`() throws {
        let signer = try signer()
        let file = try mule.home.write("x", to: "small")
        signer.stop()
        let gone = try upload(signer, file, "--stall-limit", "2s")
        #expect(gone.exitCode == 75, "\(gone.err)")
        #expect(gone.explains("No signatures for 2 s"), "\(gone.err)")
        #expect(try mule.status().first?["state"]?.text == "pending")
    }

    @Test(arguments: [["http://sign.example.org"], ["sign.example.org"], ["https://me:hush0@h"]])
    func `what is no address of a signer, or would show the token, is a mistake`(_ words: [String]) throws {
        let outcome = try mule.run(["upload", "--signer"] + words + ["file", "bucket/in/key"])
        #expect(outcome.exitCode == 2)
        #expect(!outcome.err.contains("hush0"))
    }

    /// What the signer does, and the exit status.
    private static let lies: [(String, Int32)] = [
        ("bucket", 6), ("key", 6), ("upload", 6), ("part", 6), ("host", 6), ("scheme", 6), ("method", 6), ("query", 6),
        ("header", 6), ("host-header", 6), ("body", 6), ("line", 1), ("unsigned", 1), ("undated", 1), ("basic", 1),
        ("stale-signature", 6), ("expired", 6), ("stale", 5), ("fewer", 6), ("more", 6), ("wrong-signature", 5),
        ("other-key-signed", 5), ("array", 1), ("garbage", 1), ("truncated", 75), ("huge", 1), ("redirect", 1),
        ("silence", 75), ("500", 75), ("503", 75), ("401", 5), ("403", 5), ("404", 1),
    ]

    @Test(arguments: lies.indices)
    func `a signer that lies is never followed`(_ index: Int) throws {
        let (lie, status) = Self.lies[index]
        let signer = try signer("Tests/Servers/lying_signer.py", [lie])
        let file = try mule.file(parts: 2)
        let outcome = try upload(signer, file, "--part-size", "5MiB", "--stall-limit", "3s", "-v", "--json")
        #expect(outcome.exitCode == status, "\(lie): \(outcome.err)")
        #expect(store.object(key: "in/key") == nil)
        #expect(store.keys().isEmpty)
        // What is signed wrongly is the signer's; all else is noticed before it is sent.
        if status != 5 { #expect(store.violations.isEmpty) }
        #expect(try !leaks(outcome))
        // An honest signer finishes what is left.
        let honest = try upload(try self.signer(), file, "--part-size", "5MiB")
        #expect(honest.exitCode == 0, "\(honest.err)")
        #expect(try store.object(key: "in/key")?.equals(file: file) == true)
    }
}

/// The same through a stand-in for the backend of mule-uploader.
final class UploadBackendTests {
    private static let token = "mule_hush0hush1hush2hush3"

    private let store = FakeS3(buckets: ["bucket", "other"])
    private let home = ScratchDirectory()
    private var mule: MuleRun

    init() {
        mule = MuleRun(store)
        mule.environment = ["AWS_ENDPOINT_URL": store.endpoint, "MULE_SIGNER_TOKEN": Self.token]
    }

    private func backend(_ more: String..., environment: [String: String] = [:]) throws -> PythonServer {
        try PythonServer(
            "Tests/Servers/upload_backend.py",
            ["--log", home.path("log"), "--token", Self.token, "--region", store.region] + more,
            home: home,
            environment: [
                "AWS_ACCESS_KEY_ID": store.credentials.accessKey, "AWS_SECRET_ACCESS_KEY": store.credentials.secretKey,
            ].merging(environment) { $1 }
        )
    }

    private var calls: [String] {
        let text = (try? home.read("log")).map { String(decoding: $0, as: UTF8.self) } ?? ""
        return text.split(separator: "\n").map(String.init)
    }

    private func upload(
        _ backend: PythonServer,
        _ file: String,
        _ more: String...,
        to destination: String = "bucket/key"
    )
        throws -> CommandOutcome
    {
        try mule.command(
            [
                "upload", "--signer", backend.url + "/upload-backend/", "--signer-protocol", "mule-uploader",
                "--part-size", "5MiB",
            ]
                + more + [file, destination]
        ).run()
    }

    @Test func `a host with only a token uploads with the key of the day, is killed and resumes`() throws {
        let backend = try backend()
        let file = try mule.file(parts: 6)
        store.add(.on(.uploadPart, part: 4, times: 1, .stall))
        let running = try mule.command(
            [
                "upload", "-v", "-j", "2", "--signer", backend.url + "/upload-backend", "--signer-protocol",
                "mule-uploader",
            ] + MuleRun.inParts + [file, "bucket/key"]
        ).start()
        #expect(store.waitUntil { $0.storedParts.count >= 3 })
        running.signal(SIGKILL)
        let killed = running.wait()
        // It may not have been struck yet.
        store.script([])
        mule.environment = ["MULE_SIGNER_TOKEN": Self.token]
        let resumed = try mule.run("resume", "-v")
        #expect(resumed.exitCode == 0, "\(resumed.err)")
        #expect(try store.holdsOnly(file))
        let text = killed.err + killed.out + resumed.err + resumed.out
        #expect(!text.contains("hush0") && !text.contains(store.credentials.secretKey))
        #expect(calls.first?.hasPrefix("signing_key ") == true)
        #expect(store.requests.allSatisfy { $0.header("x-amz-acl") == nil })
    }

    /// Of Debian's package faketime: programs get another time.
    private static let fakeTime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"

    @Test(.enabled(if: (try? Files.read(fakeTime)) != nil, "libfaketime is not installed"))
    func `an upload crosses midnight with a second key`() throws {
        let second = wallClockMilliseconds() / 1000
        // The day ends after 6 seconds.
        let offset = 86_400 - second % 86_400 - 6
        store.profile.clockOffsetSeconds = Int(offset)
        let clock = ["LD_PRELOAD": Self.fakeTime, "FAKETIME": "+\(offset)s"]
        let backend = try backend(environment: clock)
        mule.environment.merge(clock) { $1 }
        mule.environment.merge(["DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"]) { $1 }
        let file = try mule.file(parts: 12)
        let outcome = try upload(backend, file, "-j", "2", "--limit-rate", "5MB/s")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(try store.holdsOnly(file))
        #expect(calls.count { $0.hasPrefix("signing_key ") } >= 2)
        let scopes = store.requests(.uploadPart).compactMap { request in
            request.header("authorization")?.split(separator: "/").dropFirst().first.map(String.init)
        }
        #expect(Set(scopes).count == 2, "\(Set(scopes))")
    }

    @Test func `the region is the backend's`() throws {
        let far = FakeS3(region: "eu-west-3")
        var mule = mule
        mule.environment["AWS_ENDPOINT_URL"] = far.endpoint
        let backend = try backend("--region", "eu-west-3")
        let file = try mule.home.write("x", to: "small")
        let outcome = try mule.run(
            "upload",
            "--signer",
            backend.url,
            "--signer-protocol",
            "mule-uploader",
            file,
            "bucket/key"
        )
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(try far.holdsOnly(file))
    }

    @Test(arguments: [
        (["--bucket", "other"], 6, "is for the bucket other"), (["--lie", "key"], 5, "does not accept"),
        (["--lie", "old"], 1, "Signature Version 2"), (["--lie", "garbage"], 1, "not JSON"),
        (["--days", "-2"], 6, "the day is"),
        (["--days", "2"], 6, "the day is"), (["--lie", "500"], 75, "HTTP 500"),
        (["--token", "other"], 5, "does not know this token"),
    ])
    func `a backend that lies is never followed`(_ words: [String], _ status: Int32, _ sentence: String) throws {
        let backend = try PythonServer(
            "Tests/Servers/upload_backend.py",
            ["--log", home.path("log"), "--token", Self.token, "--region", store.region] + words,
            home: home,
            environment: [
                "AWS_ACCESS_KEY_ID": store.credentials.accessKey, "AWS_SECRET_ACCESS_KEY": store.credentials.secretKey,
            ]
        )
        let file = try mule.home.write("x", to: "small")
        let outcome = try upload(backend, file, "--stall-limit", "2s", "-v")
        #expect(outcome.exitCode == status, "\(outcome.err)")
        #expect(outcome.err.contains(sentence), "\(outcome.err)")
        #expect(store.keys().isEmpty && store.keys(bucket: "other").isEmpty)
        #expect(!outcome.err.contains("hush0"))
    }

    @Test func `a bucket alone leaves the key to the backend, and the same command resumes`() throws {
        let backend = try backend()
        let file = try mule.file(parts: 4)
        store.add(.on(.uploadPart, part: 4, times: 9, .status(403, code: "AccessDenied")))
        #expect(try upload(backend, file, to: "bucket/").exitCode == 4)
        store.script([])
        let again = try upload(backend, file, to: "bucket/")
        #expect(again.exitCode == 0, "\(again.err)")
        let key = try #require(store.keys().first)
        #expect(store.keys().count == 1 && store.count(.create) == 1)
        #expect(Int(String(decoding: key, as: UTF8.self)) != nil)
        #expect(try store.object(key: key)?.equals(file: file) == true)
        // Told afterwards, as far as there was time.
        let told = calls.filter { $0.hasPrefix("chunk_loaded ") }
        #expect(told.count <= 4 && told.allSatisfy { $0.contains(#""filename": "file""#) && !$0.contains("hush0") })
    }

    /// A ledger that is gone, and a backend that knows the upload.
    private func startedUpload(_ file: String, seed: UInt64 = 1) throws -> String {
        let keys = MuleRun(store)
        let other = try keys.file(parts: 4, seed: seed)
        store.add(.on(.uploadPart, part: 4, times: 9, .status(403, code: "AccessDenied")))
        #expect(try keys.uploadInParts(other, "bucket/key").run().exitCode == 4)
        store.script([])
        return try #require(store.uploads.first?.id)
    }

    @Test func `an upload that the backend knows is taken over if its parts are the file's`() throws {
        let file = try mule.file(parts: 4)
        let uploadID = try startedUpload(file)
        let backend = try backend("--known", "key", uploadID)
        let (before, held) = (store.count(.uploadPart), store.storedParts.count)
        let outcome = try upload(backend, file, "-v")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(outcome.err.contains("adopted the upload that the signer knows"), "\(outcome.err)")
        #expect(try store.holdsOnly(file))
        #expect(store.count(.create) == 1 && store.count(.uploadPart) == before + 4 - held)
    }

    @Test(arguments: [true, false])
    func `an upload that is another file's, or gone, is forgotten and the file sent`(_ isGone: Bool) throws {
        let file = try mule.file(parts: 4)
        let uploadID = try startedUpload(file, seed: 2)
        let backend = try backend("--known", "key", isGone ? "gone" : uploadID)
        let outcome = try upload(backend, file, "-v")
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(try store.object(key: "key")?.equals(file: file) == true)
        #expect(store.count(.create) == 2)
        #expect(calls.contains { $0.contains(#""force": "true""#) })
    }
}
