import Glibc
import MuleLedger
import TestSupport
import Testing

/// What the first program left, read before another one resumes.
struct Wreck {
    var records: [UploadRecord] = []
    /// Numbers of the parts that are safe, by upload ID: those with a row, and those the store has.
    var recorded: [String: Set<Int>] = [:]
    var delivered: [String: Set<Int>] = [:]
}

/// One home in which commands are killed and run again.
struct CrashTrial {
    let bench: CrashBench
    let mule: MuleRun
    private(set) var wrecks: [Wreck] = []
    /// Which call the last program was killed at, in the shim's words.
    private(set) var note = ""
    /// A power cut leaves another disk.
    private var disk = 0
    private let killSwitch = KillSwitch()
    private let firstRequest: Int

    /// After each kill the program has another key: requests of a dead program may arrive at any time.
    static let keys = (0..<4).map { FakeCredentials(accessKey: "AKIAFAKEFAKEFAKEFAK\($0)") }

    init(_ bench: CrashBench) {
        self.bench = bench
        mule = MuleRun(bench.store)
        firstRequest = bench.store.requests.count
    }

    /// Requests of programs that were started when so many others had been killed, or more.
    private func requests(after deaths: Int) -> [RecordedRequest] {
        let keys = Self.keys[deaths...].map { "Credential=\($0.accessKey)/" }
        return bench.store.requests[firstRequest...].filter { request in
            let signature = request.header("authorization") ?? ""
            return keys.contains { signature.contains($0) }
        }
    }

    private var root: String { mule.home.path("disk\(disk)") }
    var ledgerDirectory: String { root + "/state/mule" }

    private func command(_ arguments: [String]) throws -> TestCommand {
        try mule.home.makeDirectory("disk\(disk)")
        var command = mule.command(arguments)
        command.environment["XDG_STATE_HOME"] = root + "/state"
        command.environment["AWS_ACCESS_KEY_ID"] = Self.keys[wrecks.count].accessKey
        if arguments.contains("-") { command.input = .bytes(try Files.read(bench.source.path)) }
        return command
    }

    /// Seconds in which a command surely ends, also on a machine with a hundred other things to do.
    private static let patience = 600.0

    func run(_ arguments: [String]) throws -> CommandOutcome {
        try command(arguments).run(timeoutSeconds: Self.patience)
    }

    func pending() throws -> [String] { try run(["status", "--json"]).objects.compactMap { $0["id"]?.text } }

    // MARK: Killing

    /// Runs a command until it is killed; or to its end, when it has ended before the kill's moment came.
    mutating func run(_ arguments: [String], _ kill: Kill?) throws -> CommandOutcome {
        var command = try command(arguments)
        let image = try mule.home.makeDirectory("disk\(disk + 1)")
        let notePath = mule.home.path("note")
        if Files.exists(notePath) { try Files.remove(notePath) }
        let before = bench.store.requests.count
        if let fault = kill?.fault(killSwitch) {
            bench.store.script([fault])
        } else {
            let orders = Kill.orders(kill, root: root, image: image, note: notePath)
            command.environment.merge(orders) { $1 }
        }
        let running = try command.start()
        killSwitch.arm(running)
        let outcome = running.wait(timeoutSeconds: Self.patience)
        try #require(!outcome.timedOut)
        bench.store.script([])
        note = Files.exists(notePath) ? String(decoding: try Files.read(notePath), as: UTF8.self) : ""
        guard outcome.end == .signal(SIGKILL), let kill else { return outcome }
        waitUntilQuiet(from: before)
        if kill.isPowerCut { disk += 1 }
        try wrecks.append(inspect(from: before, outcome, "\(bench.scenario): \(kill) (\(note))"))
        return outcome
    }

    /// Runs a command whose sync of this number fails.
    ///
    /// - Returns: its end, the path whose sync failed (nil if it has fewer syncs), and whether a ledger after a power cut
    ///   at the end has a finished upload.
    func run(
        _ arguments: [String],
        failingSync number: Int
    ) throws -> (outcome: CommandOutcome, path: String?, isDoneOnDisk: Bool) {
        var command = try command(arguments)
        let note = mule.home.path("note")
        if Files.exists(note) { try Files.remove(note) }
        let image = try mule.home.makeDirectory("image")
        command.environment.merge(Kill.failure(ofSync: number, root: root, image: image, note: note)) { $1 }
        let outcome = try command.run(timeoutSeconds: Self.patience)
        let path = Files.exists(note) ? String(decoding: try Files.read(note), as: UTF8.self) : nil
        let ledger = image + "/state/mule/ledger.sqlite"
        let isDone = try Files.exists(ledger) && Ledger(path: Array(ledger.utf8)).all().contains { $0.state == .done }
        return (outcome, path, isDone)
    }

    /// What was on the wire when the program died still reaches the store.
    private func waitUntilQuiet(from first: Int) {
        let isQuiet = bench.store.waitUntil { store in
            store.requests[first...].allSatisfy { request in
                request.status != nil || request.disturbed
                    || request.bodyBytes < Int64(request.header("content-length") ?? "0") ?? 0
            }
        }
        #expect(isQuiet)
    }

    /// Reads a copy of the ledger, and compares it with what the store has seen: all that was to be durable first.
    private func inspect(from first: Int, _ outcome: CommandOutcome, _ comment: Comment) throws -> Wreck {
        let store = bench.store
        var wreck = Wreck()
        let copy = ScratchDirectory("mule-wreck")
        for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-journal"]
        where Files.exists(ledgerDirectory + "/" + name) {
            try copy.write(try Files.read(ledgerDirectory + "/" + name), to: name)
        }
        if Files.exists(copy.path("ledger.sqlite")) {
            let ledger = try Ledger(path: Array(copy.path("ledger.sqlite").utf8))
            wreck.records = try ledger.all()
            for record in wreck.records {
                guard let id = record.uploadID else { continue }
                wreck.recorded[id] = Set(try ledger.parts(of: record.number).map(\.number))
            }
        }
        for upload in store.uploads {
            wreck.delivered[upload.id] = Set(upload.parts.keys)
            let isKnown = wreck.records.contains { record in
                record.isOpen && (record.uploadID == upload.id || record.createAttemptedAt != nil)
            }
            #expect(isKnown, "an upload at the store that the ledger does not know: \(comment)")
        }
        let requests = store.requests[first...]
        func record(of request: RecordedRequest) -> UploadRecord? {
            wreck.records.first { $0.uploadID == request.uploadID }
        }
        let unknown = requests.count { $0.operation == .uploadPart && record(of: $0) == nil }
        #expect(unknown == 0, "parts before their upload was on record: \(comment)")
        for request in requests where request.operation == .complete {
            let record = record(of: request)
            let isWhole = record?.state == .done || record?.partsDone == bench.scenario.partCount
            #expect(isWhole, "Complete before all parts were on record: \(comment)")
        }
        if outcome.out.contains(#""event":"completed""#) {
            let isDone = wreck.records.contains { $0.state == .done }
            #expect(isDone, "success before it was on record: \(comment)")
        }
        return wreck
    }

    // MARK: Resuming

    /// Kills the scenario's command at the moment, resumes in one of three ways, and checks the result.
    ///
    /// - Parameters:
    ///   - way: which of the ways.
    ///   - second: a second kill, for one of the ways.
    /// - Returns: whether the command was still running at the moment.
    static func run(_ bench: CrashBench, _ kill: Kill, way: Int, second: Kill) throws -> Bool {
        var trial = CrashTrial(bench)
        try bench.reset(trial)
        let arguments = bench.scenario.arguments(bench.source, id: bench.id)
        let first = try trial.run(arguments, kill)
        let comment: Comment = "\(bench.scenario): \(kill) (\(trial.note)), way \(way % 3), second \(second)"
        guard first.end == .signal(SIGKILL) else {
            #expect(first.exitCode == 0, "\(comment): \(first.err)")
            return false
        }
        switch bench.scenario {
        case .parts, .noOverwrite, .small, .restart: try trial.sendAll(arguments, way: way % 3, second, comment)
        case .stream: try trial.clearStream(arguments, way: way % 3, second, comment)
        case .abort: try trial.giveUp(arguments, way: way % 3, second, comment)
        }
        try trial.judge(comment)
        return true
    }

    private mutating func sendAll(_ arguments: [String], way: Int, _ second: Kill, _ comment: Comment) throws {
        switch way {
        case 1:
            let resumed = try run(["resume", "--json"])
            #expect(resumed.exitCode == 0, "\(comment): \(resumed.err)")
        case 2: _ = try run(arguments, second)
        default: break
        }
        // A restart that was killed need not be restarted again.
        let again = way == 1 ? arguments.filter { $0 != "--restart" } : arguments
        let outcome = try run(again)
        #expect(outcome.exitCode == 0, "\(comment): \(outcome.err)")
        #expect(outcome.event("completed") != nil, comment)
        expectObject(comment)
    }

    private func expectObject(_ comment: Comment) {
        let isRight = bench.source.equals(bench.store.object(key: "key"))
        #expect(isRight, "not the right object: \(comment)")
    }

    private mutating func clearStream(_ arguments: [String], way: Int, _ second: Kill, _ comment: Comment) throws {
        if way == 1 {
            let outcome = try run(arguments)
            #expect(outcome.exitCode == 0, "\(comment): \(outcome.err)")
            expectObject(comment)
        }
        let left = try pending()
        let isKnown = bench.store.uploads.isEmpty || !left.isEmpty
        #expect(isKnown, "an upload that status does not show: \(comment)")
        for id in left {
            if way == 2 { _ = try run(["abort", id], second) }
            let outcome = try run(["abort", id])
            #expect(outcome.exitCode == 0, "\(comment): \(outcome.err)")
        }
        if bench.store.object(key: "key") != nil { expectObject(comment) }
    }

    private mutating func giveUp(_ arguments: [String], way: Int, _ second: Kill, _ comment: Comment) throws {
        if way == 2 { _ = try run(arguments, second) }
        let outcome = try run(way == 1 ? ["resume"] : arguments)
        #expect(outcome.exitCode == 0, "\(comment): \(outcome.err)")
        // Resuming finishes an upload that was not recorded as aborted.
        let isGivenUp = way != 1 || wrecks.first?.records.contains { $0.abortRequested || $0.state == .aborted } == true
        guard isGivenUp else { return expectObject(comment) }
        #expect(bench.store.keys() == [], comment)
    }

    private func judge(_ comment: Comment) throws {
        let store = bench.store
        #expect(store.uploads.map(\.id) == [], "an upload left at the store: \(comment)")
        #expect(store.violations == [], comment)
        #expect(try pending() == [], "something left in the ledger: \(comment)")
        for (index, wreck) in wrecks.enumerated() {
            let requests = requests(after: index + 1)
            for request in requests where request.operation == .uploadPart {
                guard let id = request.uploadID, let number = request.partNumber else { continue }
                let wasRecorded = wreck.recorded[id]?.contains(number) == true
                #expect(!wasRecorded, "part \(number) was on record and was sent again: \(comment)")
                let wasDelivered = wreck.delivered[id]?.contains(number) == true
                #expect(!wasDelivered, "part \(number) was delivered and was sent again: \(comment)")
            }
            // A recorded upload is resumed.
            if bench.scenario != .restart, !wreck.recorded.isEmpty, bench.scenario.partCount == 20 {
                let isResumed = !requests.contains { $0.operation == .create }
                #expect(isResumed, "started over: \(comment)")
            }
        }
    }
}
