import Glibc
import Synchronization

/// A real S3 server for end-to-end tests, started by `Tests/Servers/s3server` on a free port of 127.0.0.1.
///
/// One instance of each kind serves a whole test process; it is stopped when the process ends. A server that does not
/// start is a failed test with the end of its log, never a skipped one.
package struct RealServer: Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        case swift, localstack, rclone, moto
    }

    package let kind: Kind
    /// `http://127.0.0.1:PORT`
    package let endpoint: String
    package let accessKey: String
    package let secretKey: String
    package let region: String
    /// A bucket that exists.
    package let bucket: String

    /// `AWS_*` variables that point a client here.
    package var environment: [String: String] {
        [
            "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": region, "AWS_ACCESS_KEY_ID": accessKey,
            "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_EC2_METADATA_DISABLED": "true",
        ]
    }

    /// The shared server of a kind, started at the first call. Callers at the same time wait for one start.
    package static func start(_ kind: Kind) throws -> RealServer {
        switch kind {
        case .swift: try swift.get()
        case .localstack: try localstack.get()
        case .rclone: try rclone.get()
        case .moto: try moto.get()
        }
    }

    private static let swift = Result { try launch(.swift) }
    private static let localstack = Result { try launch(.localstack) }
    private static let rclone = Result { try launch(.rclone) }
    private static let moto = Result { try launch(.moto) }

    /// Servers to stop, with their directories, which must live as long as they do.
    private static let running = Mutex<[(kind: Kind, directory: ScratchDirectory)]>([])

    private static let script: String = {
        let tests = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        return tests.joined(separator: "/") + "/Servers/s3server"
    }()

    private static func launch(_ kind: Kind) throws -> RealServer {
        let directory = ScratchDirectory("mule-\(kind.rawValue)")
        let isFirst = running.withLock { running in
            running.append((kind, directory))
            return running.count == 1
        }
        if isFirst { atexit { RealServer.stopAll() } }
        let outcome = try command("start", kind, directory).run(timeoutSeconds: 900)
        let facts = outcome.lines.last { $0.hasPrefix("ENDPOINT=") }.map(parse) ?? [:]
        guard outcome.exitCode == 0, let endpoint = facts["ENDPOINT"], let accessKey = facts["ACCESS_KEY"],
            let secretKey = facts["SECRET_KEY"], let region = facts["REGION"], let bucket = facts["BUCKET"]
        else { throw StartFailure(kind: kind, outcome: outcome) }
        return RealServer(
            kind: kind,
            endpoint: endpoint,
            accessKey: accessKey,
            secretKey: secretKey,
            region: region,
            bucket: bucket
        )
    }

    /// The script may install what is missing, so it gets what installers heed; it keeps that from the server itself.
    private static func command(_ verb: String, _ kind: Kind, _ directory: ScratchDirectory) -> TestCommand {
        var environment: [String: String] = [:]
        let names = [
            "MULE_TEST_SERVERS", "PIP_INDEX_URL", "PIP_CONFIG_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY",
            "no_proxy",
        ]
        for name in names {
            if let value = getenv(name) { environment[name] = String(cString: value) }
        }
        let home = getenv("HOME").map { String(cString: $0) } ?? directory.path
        return TestCommand(
            script,
            [verb, kind.rawValue, directory.path],
            home: home,
            environment: environment
        )
    }

    private static func stopAll() {
        let servers = running.withLock { running in
            defer { running = [] }
            return running
        }
        for server in servers {
            _ = try? command("stop", server.kind, server.directory).run(timeoutSeconds: 30)
        }
    }

    /// Parses `NAME=value NAME=value`.
    static func parse(_ line: String) -> [String: String] {
        var facts: [String: String] = [:]
        for word in line.split(separator: " ") {
            let pair = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2 { facts[String(pair[0])] = String(pair[1]) }
        }
        return facts
    }

    /// The server's script failed.
    package struct StartFailure: Error, CustomStringConvertible {
        package let description: String

        init(kind: Kind, outcome: CommandOutcome) {
            let tail = (outcome.out + outcome.err).split(separator: "\n").suffix(40).joined(separator: "\n")
            description = "the server \(kind.rawValue) did not start (\(outcome.end)):\n\(tail)"
        }
    }
}
