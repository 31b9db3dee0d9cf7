import Glibc
import MuleDigest
import TestSupport
import Testing

/// `mule archive` with moving or deleting, killed at every change of its ledger and of the files, and around every
/// request; and a power loss at each of these changes. Afterwards no file is lost, each missing file is at the store,
/// and the next run finishes.
///
/// As in `CrashPointTests`, MULE_CRASH_POINTS is the number of tested points of each kind.
@Suite struct ArchiveCrashTests {
    enum After: String, Sendable, CaseIterable {
        case move, delete
    }

    @Test(arguments: After.allCases, Kill.RequestMoment.allCases)
    func `every request`(after: After, moment: Kill.RequestMoment) throws {
        let count = try ArchiveCrashTrial(after).countRequests()
        try Self.tryAll(after, of: count, few: 1) { Kill(number: $0, moment: .request(moment), seed: $1) }
    }

    @Test(.enabled(if: CrashPointTests.hasShim), arguments: After.allCases, Kill.CallMoment.allCases)
    func `every change of files`(after: After, moment: Kill.CallMoment) throws {
        let count = try ArchiveCrashTrial(after).countCalls()
        // Making the ledger alone takes 30.
        try #require(count > 40, "\(count) calls: is the shim loaded?")
        try Self.tryAll(after, of: count, few: 2) { Kill(number: $0, moment: .call(moment), seed: $1) }
    }

    private static func tryAll(_ after: After, of count: Int, few: Int, _ kill: (Int, UInt64) -> Kill) throws {
        let points = CrashPointTests.points(count, few: few, seed: UInt64(count))
        var random = SeededRandom(seed: 11)
        var reached = 0
        for point in points {
            var trial = try ArchiveCrashTrial(after)
            // A second one may come while the first is put right.
            let second = kill(Int.random(in: 1...count, using: &random), random.next() >> 1)
            if try trial.run(kill(point, random.next() >> 1), then: point.isMultiple(of: 3) ? second : nil) {
                reached += 1
            }
        }
        guard CrashPointTests.wanted != nil else { return }
        print("crash points: archive, \(after), \(kill(0, 0).moment): \(reached) of \(points.count) reached")
    }
}

/// A directory that is archived, a home and a store of their own.
private struct ArchiveCrashTrial {
    private let after: ArchiveCrashTests.After
    private let store = FakeS3()
    private let mule: MuleRun
    private let killSwitch = KillSwitch()
    /// Contents by names.
    private let files: [String: [UInt8]]

    init(_ after: ArchiveCrashTests.After) throws {
        self.after = after
        mule = MuleRun(store)
        var random = SeededRandom(seed: 5)
        var files: [String: [UInt8]] = ["empty": []]
        for name in ["a", "b", "sub/a", "sub/deep/c"] { files[name] = random.bytes(1_000) }
        files["parts"] = random.bytes(Int(2 * MuleRun.partSize) + 4_321)
        self.files = files
        for directory in ["disk/spool/sub/deep", "disk/state", "image"] { try mule.home.makeDirectory(directory) }
        for (name, bytes) in files {
            let path = try mule.home.write(bytes, to: "disk/spool/" + name)
            try Files.setModificationTime(path, seconds: 1_700_000_000)
        }
    }

    private var root: String { mule.home.path("disk") }
    private var notePath: String { mule.home.path("note") }

    private func command() -> TestCommand {
        let action = after == .move ? "move:\(root)/done" : "delete"
        var command = mule.command(
            ["archive", "--json", "-j", "2", "--source", root + "/spool", "--to", "bucket/", "--after", action]
                + MuleRun.inParts
        )
        command.environment["XDG_STATE_HOME"] = root + "/state"
        return command
    }

    func countCalls() throws -> Int {
        var command = command()
        command.environment.merge(Kill.orders(nil, root: root, image: mule.home.path("image"), note: notePath)) { $1 }
        let outcome = try command.run()
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        return CrashBench.numbers(try note()).first ?? 0
    }

    func countRequests() throws -> Int {
        let outcome = try command().run()
        #expect(outcome.exitCode == 0, "\(outcome.err)")
        return store.requests.count
    }

    private func note() throws -> String {
        Files.exists(notePath) ? String(decoding: try Files.read(notePath), as: UTF8.self) : ""
    }

    /// - Returns: whether the moment came before the command had ended.
    mutating func run(_ kill: Kill, then second: Kill?) throws -> Bool {
        guard try dies(at: kill) else { return false }
        let comment: Comment = "\(after): \(kill) (\(try note()))"
        try expectNothingLost(comment)
        if let second {
            _ = try dies(at: second)
            try expectNothingLost("\(comment), then \(second) (\(try note()))")
        }
        let gone = Set(files.keys.filter { !Files.exists(root + "/spool/" + $0) })
        let before = store.requests.count
        let outcome = try command().run()
        #expect(outcome.exitCode == 0, "\(comment): \(outcome.err)")
        for request in store.requests[before...]
        where request.operation == .putObject || request.operation == .uploadPart {
            let key = String(decoding: request.key, as: UTF8.self)
            #expect(!gone.contains(key), "\(key) was archived and is sent again: \(comment)")
        }
        try expectDone(comment)
        let quiet = store.requests.count
        let last = try command().run()
        #expect(last.exitCode == 0, "\(comment): \(last.err)")
        #expect(store.requests.count == quiet, "one more run has requests: \(comment)")
        return true
    }

    private func dies(at kill: Kill) throws -> Bool {
        var command = command()
        if Files.exists(notePath) { try Files.remove(notePath) }
        let image = try mule.home.makeDirectory("image")
        store.script(kill.fault(killSwitch).map { [$0] } ?? [])
        if case .call = kill.moment {
            command.environment.merge(Kill.orders(kill, root: root, image: image, note: notePath)) { $1 }
        }
        let running = try command.start()
        killSwitch.arm(running)
        let outcome = running.wait(timeoutSeconds: 600)
        try #require(!outcome.timedOut)
        store.script([])
        guard outcome.end == .signal(SIGKILL) else {
            #expect(outcome.exitCode == 0, "\(outcome.err)")
            return false
        }
        if kill.isPowerCut {
            // The machine is on again: the same paths, and on them what was on the disk.
            let dead = mule.home.path("dead\(store.requests.count)-\(kill.number)")
            try #require(rename(root, dead) == 0 && rename(image, root) == 0)
        }
        return true
    }

    /// Each file is complete in one of its places, or it was to be deleted and the store has it. It has left its own
    /// place only if the store has it.
    private func expectNothingLost(_ comment: Comment) throws {
        for (name, bytes) in files {
            let isHere = try holds(bytes, "spool/" + name)
            let isMoved = try holds(bytes, "done/" + name)
            #expect(isHere || isMoved || (after == .delete && isStored(name)), "\(name) is lost: \(comment)")
            #expect(isHere || isStored(name), "\(name) has left its place unproven: \(comment)")
        }
    }

    private func holds(_ bytes: [UInt8], _ name: String) throws -> Bool {
        let path = root + "/" + name
        return try Files.exists(path) && Files.read(path) == bytes
    }

    private func isStored(_ name: String) -> Bool {
        guard let object = store.object(key: name), let bytes = files[name] else { return false }
        var digest = CRCDigest(.crc64nvme)
        bytes.withUnsafeBytes { digest.update($0) }
        return object.size == Int64(bytes.count) && object.checksum?.value == digest.checksum.base64
    }

    private func expectDone(_ comment: Comment) throws {
        for (name, bytes) in files {
            #expect(isStored(name), "\(name) is not at the store: \(comment)")
            #expect(!Files.exists(root + "/spool/" + name), "\(name) is still there: \(comment)")
            if after == .move { #expect(try holds(bytes, "done/" + name), "\(name) was not moved: \(comment)") }
        }
        #expect(Set(store.keys()) == Set(files.keys.map { Array($0.utf8) }), comment)
        #expect(store.uploads.isEmpty, "an upload left at the store: \(comment)")
        for directory in ["spool", "spool/sub", "spool/sub/deep"] {
            let left = try Files.names(in: root + "/" + directory).filter { !["sub", "deep"].contains($0) }
            #expect(left.isEmpty, "\(left) in \(directory): \(comment)")
        }
        guard after == .move else { return }
        for (directory, count) in ["done": 3 + 2, "done/sub": 2, "done/sub/deep": 1] {
            let names = try Files.names(in: root + "/" + directory)
            #expect(names.count == count, "\(names) in \(directory): \(comment)")
        }
    }
}
