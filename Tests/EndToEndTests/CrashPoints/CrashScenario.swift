import MuleDigest
import TestSupport
import Testing

/// A command that is killed at all its points.
enum CrashScenario: String, Sendable, CaseIterable {
    /// An upload of 20 parts.
    case parts
    /// The same with `--no-overwrite`.
    case noOverwrite
    /// A file that goes in one request.
    case small
    /// Standard input, in 3 parts.
    case stream
    /// `--restart` of an upload that was killed halfway.
    case restart
    /// `abort` of an upload that was killed halfway.
    case abort

    var beginsHalfWay: Bool { self == .restart || self == .abort }

    /// The command that is killed; `id` is that of the upload that was killed halfway.
    func arguments(_ source: CrashSource, id: String) -> [String] {
        let upload = ["upload", "--json", "-j", "4"] + MuleRun.inParts
        return switch self {
        case .parts, .small: upload + [source.path, "bucket/key"]
        case .noOverwrite: upload + ["--no-overwrite", source.path, "bucket/key"]
        case .stream: upload + ["-", "bucket/key"]
        case .restart: upload + ["--restart", source.path, "bucket/key"]
        case .abort: ["abort", id]
        }
    }

    var partCount: Int? {
        switch self {
        case .small: nil
        case .stream: 3
        case .parts, .noOverwrite, .restart, .abort: 20
        }
    }
}

/// A file to send, and what its object must be.
///
/// It is sparse but for a random block in each part, so that parts cost little and are not like one another.
struct CrashSource: Sendable {
    let path: String
    let size: Int64
    let wholeChecksum: String
    /// MD5 of each part in hex, as the store's entity tags; of the whole where it goes in one request.
    let parts: [String]
    private let directory = ScratchDirectory("mule-crash")

    init(parts count: Int?) throws {
        size = count.map { Int64($0 - 1) * MuleRun.partSize + 4_321 } ?? 100_000
        path = try directory.makeSparse("file", size: size)
        var random = SeededRandom(seed: 20)
        for number in 0..<(count ?? 1) {
            try Files.overwrite(path, at: Int64(number) * MuleRun.partSize, with: random.bytes(4_096))
        }
        let bytes = try Files.read(path)
        var whole = CRCDigest(.crc64nvme)
        bytes.withUnsafeBytes { whole.update($0) }
        wholeChecksum = whole.checksum.base64
        parts = stride(from: 0, to: bytes.count, by: Int(MuleRun.partSize)).map { start in
            var md5 = MessageDigest(.md5)
            bytes[start..<min(bytes.count, start + Int(MuleRun.partSize))].withUnsafeBytes { md5.update($0) }
            return Hex.encode(md5.finish())
        }
    }

    /// Whether the object is the file: each part by its MD5, the whole by CRC-64/NVME, both as the store computed them.
    func equals(_ object: FakeObject?) -> Bool {
        guard let object else { return false }
        return object.size == size && object.checksum?.value == wholeChecksum && object.parts.map(\.eTag) == parts
    }
}

/// What the trials of a scenario share: the store, the source, and the initial state.
struct CrashBench {
    let scenario: CrashScenario
    let store: FakeS3
    let source: CrashSource
    /// Content of the store, files of the ledger and the upload's ID at the beginning.
    private var content: FakeStore
    private var ledger: [(name: String, bytes: [UInt8])] = []
    private(set) var id = ""

    init(_ scenario: CrashScenario) throws {
        self.scenario = scenario
        var profile = FakeProfile.aws()
        // Digests of what arrived are kept, which is all that is compared.
        profile.bodies = .discard
        store = FakeS3(profile, credentials: CrashTrial.keys)
        source = try CrashSource(parts: scenario.partCount)
        content = store.edit { $0 }
        guard scenario.beginsHalfWay else { return }
        var trial = CrashTrial(self)
        let kill = Kill(number: 9, moment: .request(.processed))
        _ = try trial.run(CrashScenario.parts.arguments(source, id: ""), kill)
        content = store.edit { $0 }
        id = try #require(try trial.pending().first)
        for name in ["ledger.sqlite", "ledger.sqlite-wal"] where Files.exists(trial.ledgerDirectory + "/" + name) {
            ledger.append((name, try Files.read(trial.ledgerDirectory + "/" + name)))
        }
    }

    /// Brings the store and a fresh home to the beginning.
    func reset(_ trial: CrashTrial) throws {
        store.script([])
        store.edit { $0 = content }
        for file in ledger {
            try Files.setMode(try trial.mule.home.write(file.bytes, to: "disk0/state/mule/" + file.name), 0o600)
        }
    }

    /// How many calls change the ledger's files when nothing goes wrong. It varies a little from run to run, with how
    /// many parts a commit holds.
    func countCalls() throws -> Int {
        var trial = CrashTrial(self)
        try reset(trial)
        let outcome = try trial.run(scenario.arguments(source, id: id), nil)
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        return Self.numbers(trial.note).first ?? 0
    }

    /// Of calls and of syncs, as the shim notes them at the end of a program.
    static func numbers(_ note: String) -> [Int] { note.split { !$0.isNumber }.compactMap { Int($0) } }

    /// How many syncs a run of the command costs if nothing goes wrong, and how many if it runs once more with another
    /// file in its place.
    func countSyncs() throws -> [Int] {
        var trial = CrashTrial(self)
        try reset(trial)
        return try ["bucket/key", "bucket/other"].map { target in
            let outcome = try trial.run(["upload", "--json", source.path, target], nil)
            #expect(outcome.exitCode == 0, "\(outcome.err)")
            return Self.numbers(trial.note).last ?? 0
        }
    }

    func countRequests() throws -> Int {
        let trial = CrashTrial(self)
        try reset(trial)
        let before = store.requests.count
        let outcome = try trial.run(scenario.arguments(source, id: id))
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        return store.requests.count - before
    }
}
