import Glibc
import MuleSystem
import TestSupport
import Testing

/// Credentials that end, or are hard to come by, as the person at the command line sees them.
struct CredentialsTests {
    private static let keys = [1, 2].map {
        FakeCredentials(accessKey: "KEY\($0)", secretKey: "hush-hush-\($0)", sessionToken: "whisper-\($0)")
    }

    private let store = FakeS3(credentials: keys)
    private var mule: MuleRun

    init() throws {
        mule = MuleRun(store)
        mule.environment = ["AWS_ENDPOINT_URL": store.endpoint, "AWS_REGION": store.region]
    }

    /// The default profile gets its keys from a script, which counts its runs in `runs`.
    private func credentialProcess(_ script: String) throws {
        let path = try mule.home.write("echo run >> '\(mule.home.path("runs"))'\n\(script)", to: "keys.sh")
        try mule.home.write("[default]\ncredential_process = /bin/sh '\(path)'\n", to: ".aws/config")
    }

    private var runs: Int {
        (try? mule.home.read("runs"))?.count { $0 == UInt8(ascii: "\n") } ?? 0
    }

    /// Prints the first key in the first run, the second afterwards.
    private func printKeys(afterFirst: String = "") -> String {
        """
        n=1; test $(wc -l < '\(mule.home.path("runs"))') = 1 || { n=2; \(afterFirst.isEmpty ? ":" : afterFirst); }
        echo "{\\"Version\\": 1, \\"AccessKeyId\\": \\"KEY$n\\", \\"SecretAccessKey\\": \\"hush-hush-$n\\","
        echo "\\"SessionToken\\": \\"whisper-$n\\"}"
        """
    }

    /// The store calls the first key ended from the moment when so much of the second part has come.
    private func endFirstKey() {
        store.onBodyBytes(.uploadPart, part: 2, after: 1 << 20) { [store] _ in
            var ended = Self.keys
            ended[0].isExpired = true
            store.accept(ended)
        }
    }

    private func holdsSecret(_ outcome: CommandOutcome) throws -> Bool {
        var seen = outcome.standardOutput + outcome.standardError
        for name in ["ledger.sqlite", "ledger.sqlite-wal"] {
            seen += (try? mule.home.read(".local/state/mule/\(name)")) ?? []
        }
        let text = String(decoding: seen, as: UTF8.self)
        return text.contains("hush") || text.contains("whisper")
    }

    @Test func `that end in the middle are renewed and every part arrives`() throws {
        try credentialProcess(printKeys())
        endFirstKey()
        let file = try mule.file(parts: 6)
        let outcome = try mule.uploadInParts(file).run()
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        #expect(try store.holdsOnly(file))
        #expect(runs == 2)
        #expect(try !holdsSecret(outcome))
    }

    @Test func `that cannot be renewed stop the run and others go on with it`() throws {
        try credentialProcess(printKeys(afterFirst: "echo 'login is over' >&2; exit 4"))
        endFirstKey()
        let file = try mule.file(parts: 6)
        let outcome = try mule.uploadInParts(file, "bucket/key", "-j", "1").run()
        #expect(outcome.exitCode == 5)
        #expect(outcome.explains("ExpiredToken", "exit status 4"), "\(outcome.err)")
        #expect(outcome.explains("says: login is over"), "\(outcome.err)")
        let status = try mule.status()
        #expect(status.first?["state"]?.text == "pending")
        // It may hold anything, so the ledger keeps nothing of it.
        #expect(status.first?["lastError"]?.text?.contains("login is over") == false)
        #expect(try !holdsSecret(outcome))

        try credentialProcess(printKeys())
        let stored = store.storedParts
        let resumed = try mule.run("resume")
        #expect(resumed.exitCode == 0, "\(resumed.err)")
        #expect(try store.holdsOnly(file))
        #expect(!stored.isEmpty)
    }

    @Test func `that are nowhere are told of with every place that was looked at`() throws {
        var mule = mule
        mule.environment["AWS_EC2_METADATA_DISABLED"] = "false"
        mule.environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://127.0.0.1:1"
        let outcome = try mule.run("upload", try mule.home.write("x", to: "small"), "bucket/key")
        #expect(outcome.exitCode == 5)
        #expect(outcome.explains("looked for AWS_ACCESS_KEY_ID", ".aws/credentials", "127.0.0.1:1"), "\(outcome.err)")
        #expect(try mule.status().isEmpty)
    }

    @Test func `that a process is slow to give do not hold up a stop`() throws {
        try credentialProcess("echo $$ > '\(mule.home.path("pid"))'; echo here >&2; exec sleep 600")
        let running = try mule.start(["upload", try mule.home.write("x", to: "small"), "bucket/key"])
        let deadline = Moment.now().adding(seconds: 60)
        var process: Int32?
        while process == nil, Moment.now() < deadline {
            process = (try? mule.home.read("pid")).flatMap { Int32(String(decoding: $0.dropLast(), as: UTF8.self)) }
            usleep(10_000)
        }
        let pid = try #require(process)
        running.signal(SIGTERM)
        let outcome = running.wait(timeoutSeconds: 60)
        #expect(outcome.end == .signal(SIGTERM))
        #expect(kill(pid, 0) != 0)
        #expect(store.requests.isEmpty)
    }
}
