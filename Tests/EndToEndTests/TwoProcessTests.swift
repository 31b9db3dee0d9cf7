import Glibc
import TestSupport
import Testing

/// Two commands started at the same moment, as by two cron jobs, do no harm to each other.
@Suite struct TwoProcessTests {
    private let store = FakeS3()
    private let mule: MuleRun

    init() { mule = MuleRun(store) }

    private static let parts = 20

    /// Starts two commands, the second so many microseconds after the first.
    private func race(_ first: [String], _ second: [String], offset: UInt32) throws -> (RunningCommand, RunningCommand)
    {
        let one = try mule.start(first)
        usleep(offset)
        return (one, try mule.start(second))
    }

    private func upload(_ file: String, _ key: String = "key") -> [String] {
        ["upload", "--json", "-j", "4"] + MuleRun.inParts + [file, "bucket/\(key)"]
    }

    /// Offsets from 0 to 50 ms, and a file: sparse but for a block of the part's own.
    private static func trial(_ number: Int) -> (offset: UInt32, seed: UInt64) {
        var random = SeededRandom(seed: UInt64(number))
        // Half of them in the very same moment.
        return (number.isMultiple(of: 2) ? 0 : UInt32.random(in: 0...50_000, using: &random), UInt64(number))
    }

    /// One command uploads and exits with 0; the other exits with 11 and a sentence.
    ///
    /// The uploading one is held at its first part until the other has ended, so that they certainly meet.
    private func expectOneCarries(_ commands: ([String], [String]), trial number: Int, _ file: String) throws {
        let gate = Gate()
        let before = store.requests.count
        store.script([.on(.uploadPart, .run(.headersRead) { _ in gate.wait() })])
        let (one, two) = try race(commands.0, commands.1, offset: Self.trial(number).offset)
        while one.isRunning && two.isRunning { usleep(1_000) }
        let (carries, leaves) = one.isRunning ? (one, two) : (two, one)
        let left = leaves.wait(timeoutSeconds: 300)
        #expect(left.exitCode == 11, "trial \(number): \(left.end) \(left.err)")
        #expect(left.explains("Another mule process is uploading", "skipped"), "trial \(number): \(left.err)")
        gate.open()
        let carried = carries.wait(timeoutSeconds: 300)
        #expect(carried.exitCode == 0, "trial \(number): \(carried.err)")
        #expect(try store.holdsOnly(file), "trial \(number)")
        let sent = store.requests[before...].filter { $0.operation == .uploadPart }.compactMap(\.partNumber)
        #expect(sent.count == Set(sent).count, "trial \(number): parts sent twice")
        #expect(store.requests[before...].count { $0.operation == .complete } == 1, "trial \(number)")
        #expect(try mule.status().isEmpty, "trial \(number)")
    }

    private func sparse(_ name: String, seed: UInt64) throws -> String {
        let file = try mule.home.makeSparse(name, size: Int64(Self.parts - 1) * MuleRun.partSize + 4_321)
        var random = SeededRandom(seed: seed)
        for number in 0..<Self.parts {
            try Files.overwrite(file, at: Int64(number) * MuleRun.partSize, with: random.bytes(4_096))
        }
        return file
    }

    /// Neither finds a ledger: each makes it, or the other's half.
    @Test(arguments: 0..<10) func `same upload on a new ledger is uploaded by one`(number: Int) throws {
        let file = try sparse("file", seed: 1)
        try expectOneCarries((upload(file), upload(file)), trial: number, file)
        #expect(store.count(.create) == 1)
        #expect(store.partNumbers.count == Self.parts)
    }

    @Test func `same upload on one ledger is uploaded by one`() throws {
        for number in 10..<20 {
            let file = try sparse("file\(number)", seed: UInt64(number))
            let before = store.count(.uploadPart)
            try expectOneCarries((upload(file), upload(file)), trial: number, file)
            #expect(store.count(.uploadPart) - before == Self.parts)
        }
    }

    @Test(arguments: 20..<26) func `pending upload is resumed by one`(number: Int) throws {
        let file = try sparse("file", seed: 2)
        try dieHalfWay(file)
        let held = store.storedParts
        let before = store.requests.count
        let commands = [upload(file), ["resume", "--json"]]
        try expectOneCarries(
            (commands[number % 2], commands[number < 23 ? 1 : (number + 1) % 2]),
            trial: number,
            file
        )
        let sent = store.requests[before...].compactMap(\.partNumber)
        #expect(held.isDisjoint(with: sent))
        #expect(store.count(.create) == 1)
    }

    private func dieHalfWay(_ file: String) throws {
        let killSwitch = KillSwitch()
        store.script([.on(.uploadPart, occurrence: 7, .run(.afterProcessing) { _ in killSwitch.strike() })])
        let running = try mule.start(upload(file))
        killSwitch.arm(running)
        #expect(running.wait(timeoutSeconds: 300).end == .signal(SIGKILL))
        store.script([])
    }

    /// Either is first; in the end the object is the file or there is none, and nothing is left.
    @Test(arguments: 30..<40) func `abort and upload do not tear one another`(number: Int) throws {
        let file = try sparse("file", seed: 3)
        try dieHalfWay(file)
        let id = try #require(try mule.status().first?["id"]?.text)
        let commands = [upload(file), ["abort", id]]
        let (one, two) = try race(commands[number % 2], commands[(number + 1) % 2], offset: Self.trial(number).offset)
        let outcomes = [one.wait(timeoutSeconds: 300), two.wait(timeoutSeconds: 300)]
        let (sent, aborted) = (outcomes[number % 2], outcomes[(number + 1) % 2])
        #expect([0, 11].contains(sent.exitCode), "\(sent.err)")
        #expect([0, 11].contains(aborted.exitCode), "\(aborted.err)")
        #expect(sent.exitCode == 0 || aborted.exitCode == 0)
        #expect(store.violations == [])
        if sent.exitCode == 0 {
            #expect(try store.holdsOnly(file))
        } else {
            #expect(sent.explains("Another mule", "skipped"), "\(sent.err)")
            #expect(store.keys().isEmpty && store.uploads.isEmpty)
        }
        #expect(try mule.status().isEmpty)
    }

    // MARK: Two names of one ledger

    @Test(arguments: ["upload", "abort", "resume"]) func `by another name of the ledger the lease is met`(
        command: String
    ) throws {
        let file = try sparse("file", seed: 9)
        let gate = Gate()
        store.script([.on(.uploadPart, .run(.headersRead) { _ in gate.wait() })])
        let ledger = mule.home.path("disk/ledger.sqlite")
        let link = mule.home.path("link.sqlite")
        let carries = try mule.start(upload(file) + ["--ledger", ledger])
        #expect(store.waitUntil { $0.count(.uploadPart) > 0 })
        #expect(symlink(ledger, link) == 0)
        let id = try #require(try mule.status("--ledger", link).first?["id"]?.text)
        let others = ["upload": upload(file), "abort": ["abort", id], "resume": ["resume", id]]
        let left = try mule.run((others[command] ?? []) + ["--ledger", link])
        #expect(left.exitCode == 11, "\(left.end) \(left.err)")
        gate.open()
        #expect(carries.wait(timeoutSeconds: 300).exitCode == 0)
        #expect(try store.holdsOnly(file))
        #expect(store.count(.create) == 1 && store.count(.abort) == 0)
    }

    // MARK: Two uploads that meet at the store

    @Test func `same file to two keys is two uploads`() throws {
        let file = try sparse("file", seed: 4)
        let (one, two) = try race(upload(file, "one"), upload(file, "two"), offset: 0)
        for outcome in [one.wait(timeoutSeconds: 300), two.wait(timeoutSeconds: 300)] {
            #expect(outcome.exitCode == 0, "\(outcome.err)")
        }
        for key in ["one", "two"] { #expect(try store.holdsOnly(file, at: key)) }
        #expect(try mule.status().isEmpty)
    }

    /// The last Complete wins. Who finds the other's object in the place of its own does not call its own proven.
    @Test func `two files to one key are not both called there`() throws {
        let first = try sparse("first", seed: 5)
        let second = try sparse("second", seed: 6)
        let gate = Gate()
        store.script([.on(.headObject, .run(.headersRead) { _ in gate.wait() })])
        let slow = try mule.start(upload(first))
        #expect(store.waitUntil { $0.count(.headObject) == 1 })
        let replaced = try mule.run(upload(second))
        #expect(replaced.exitCode == 0, "\(replaced.err)")
        gate.open()
        let outcome = slow.wait(timeoutSeconds: 300)
        #expect(outcome.exitCode == 6)
        #expect(outcome.explains("another program has written a different object"), "\(outcome.err)")
        #expect(try store.holdsOnly(second))
        let left = try mule.status()
        #expect(left.map { $0["state"]?.text } == ["unknown"])
        // It stays unproven until the user decides.
        let resumed = try mule.run("resume")
        #expect(resumed.exitCode == 6)
        #expect(resumed.explains("another program has written the object", "--restart"), "\(resumed.err)")
        #expect(try mule.run("abort", try #require(left.first?["id"]?.text)).exitCode == 0)
        #expect(try mule.status().isEmpty)
        #expect(try store.holdsOnly(second))
    }

    @Test(arguments: 40..<46) func `two files to one key leave one of them whole`(number: Int) throws {
        let first = try sparse("first", seed: 7)
        let second = try sparse("second", seed: 8)
        let (one, two) = try race(upload(first), upload(second), offset: Self.trial(number).offset)
        let outcomes = [one.wait(timeoutSeconds: 300), two.wait(timeoutSeconds: 300)]
        let isFirst = try store.holdsOnly(first)
        let isSecond = try store.holdsOnly(second)
        #expect(isFirst != isSecond)
        for outcome in outcomes { #expect([0, 6].contains(outcome.exitCode), "\(outcome.err)") }
        // The command whose object is at the store exits with 0.
        #expect(outcomes[isFirst ? 0 : 1].exitCode == 0)
    }
}
