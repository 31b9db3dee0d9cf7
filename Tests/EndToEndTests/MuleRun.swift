import TestSupport
import Testing

/// One user of mule: a home of its own with its own ledger, and the variables that lead to a store.
struct MuleRun {
    let home = ScratchDirectory()
    var environment: [String: String]

    /// The smallest part that S3 takes, so that a few parts make a small file.
    static let partSize: Int64 = 5 << 20
    /// Sends a file of more than one smallest part in parts.
    static let inParts = ["--part-size", "5MiB"]

    init(_ store: FakeS3) { self.init(environment: store.environment) }

    init(_ server: RealServer) { self.init(environment: server.environment) }

    /// Texts have local time: it is the same everywhere.
    private init(environment: [String: String]) {
        self.environment = environment.merging(["TZ": "UTC"]) { own, _ in own }
    }

    func command(_ arguments: [String]) -> TestCommand {
        .mule(arguments, home: home, environment: environment)
    }

    func run(_ arguments: String...) throws -> CommandOutcome { try command(arguments).run() }

    func run(_ arguments: [String]) throws -> CommandOutcome { try command(arguments).run() }

    func start(_ arguments: [String]) throws -> RunningCommand { try command(arguments).start() }

    /// `upload` in the smallest parts with two requests in flight.
    func uploadInParts(_ file: String, _ destination: String = "bucket/key", _ more: String...) -> TestCommand {
        command(["upload", "-j", "2"] + Self.inParts + more + [file, destination])
    }

    /// What `status --json` shows.
    func status(_ more: String...) throws -> [JSONText] { try run(["status", "--json"] + more).objects }

    /// A file of random bytes that makes `parts` parts; the last of them is an odd number of bytes long.
    func file(parts: Int, _ name: String = "file", seed: UInt64 = 1) throws -> String {
        try home.writeRandom(name, count: Int64(parts - 1) * Self.partSize + 4_321, seed: seed)
    }
}

extension CommandOutcome {
    /// Standard output as JSON Lines. A line that is anything else fails the test, and so does one that differs from
    /// docs/json.md.
    var objects: [JSONText] { JSONReference.shared.read(lines, printedBy: command) }

    /// The command of mule that was run: `upload`, `status`, ... Nil for one that prints no JSON.
    private var command: String? {
        arguments.lazy.map { String(decoding: $0, as: UTF8.self) }.first(where: JSONReference.shared.commands.contains)
    }

    /// The last event of this kind.
    func event(_ name: String) -> JSONText? { objects.last { $0["event"]?.text == name } }

    /// Lines of standard error.
    var messages: [String] {
        standardError.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Whether every line of standard error is mule's and one of them says all of `words`.
    func explains(_ words: String...) -> Bool {
        messages.allSatisfy { $0.hasPrefix("mule: ") }
            && messages.contains { message in words.allSatisfy { message.contains($0) } }
    }

    var hasEscapeCodes: Bool { standardOutput.contains(0x1B) || standardError.contains(0x1B) }
}

extension FakeS3 {
    /// Numbers of the parts that a client has started to send, in the order of arrival.
    var partNumbers: [Int] { requests(.uploadPart).compactMap(\.partNumber) }

    /// Numbers of the parts that the store holds for its open uploads.
    var storedParts: Set<Int> { Set(uploads.flatMap { $0.parts.keys }) }

    /// Whether the object is the file, nothing is left open, and no request broke a rule.
    func holdsOnly(_ file: String, at key: String = "key") throws -> Bool {
        guard let object = object(key: key) else { return false }
        return try object.equals(file: file) && uploads.isEmpty && violations.isEmpty
    }
}
