import Glibc
import TestSupport
import Testing

/// The built program, killed at every change of its ledger's files, and before and after every request; and a power
/// loss at every change of the ledger's files. The next command, whichever it is, ends with the right object, leaves
/// nothing at the store or in the ledger, and sends no recorded part again.
///
/// All points, about 4,000, take most of an hour (`make crashpoints`, with MULE_CRASH_POINTS=all; a number is a limit
/// for each case). Otherwise each case tests a few, drawn with a fixed seed.
@Suite struct CrashPointTests {
    static let wanted = getenv("MULE_CRASH_POINTS").map { String(cString: $0) }
    /// A sanitizer's runtime intercepts libc's functions, as the shim does.
    static let hasShim = !TestCommand.isSanitized

    @Test(arguments: CrashScenario.allCases, Kill.RequestMoment.allCases)
    func `every request`(scenario: CrashScenario, moment: Kill.RequestMoment) throws {
        let bench = try CrashBench(scenario)
        let count = try bench.countRequests()
        let points = Self.points(count, few: scenario == .parts ? 3 : 1, seed: UInt64(count))
        try Self.tryAll(points, of: count, bench) { Kill(number: $0, moment: .request(moment), seed: $1) }
    }

    @Test(.enabled(if: hasShim), arguments: CrashScenario.allCases, Kill.CallMoment.allCases)
    func `every change of the ledger`(scenario: CrashScenario, moment: Kill.CallMoment) throws {
        let bench = try CrashBench(scenario)
        let count = try bench.countCalls()
        try #require(count > (scenario.beginsHalfWay ? 5 : 25), "\(count) calls: is the shim loaded?")
        let points = Self.points(count, few: scenario == .parts ? 3 : 1, seed: UInt64(moment.rawValue.utf8.count))
        try Self.tryAll(points, of: count, bench) { Kill(number: $0, moment: .call(moment), seed: $1) }
    }

    /// A new ledger: its file; the names of two directories; the log with its name; the upload; at the end, the log and
    /// the file. docs/decisions.md says what needs each.
    @Test(.enabled(if: hasShim)) func `a first file costs few syncs, and the next one fewer`() throws {
        let syncs = try CrashBench(.small).countSyncs()
        #expect(syncs == [7, 4])
    }

    /// The kernel reports a failed write once: the next sync succeeds, and the bytes are not on disk. A run may succeed
    /// only if what it has recorded is there: what cannot be moved into the file stays in the log. If a directory or the
    /// first version of the file cannot be synced, the ledger is created in another way, and SQLite ignores a failed
    /// sync of a directory.
    @Test(.enabled(if: hasShim), arguments: [CrashScenario.small, .parts])
    func `a sync of the ledger that fails fails the command, and the next one succeeds`(scenario: CrashScenario) throws
    {
        let bench = try CrashBench(scenario)
        let arguments = scenario.arguments(bench.source, id: "")
        var failed = 0
        for number in 1... {
            let trial = CrashTrial(bench)
            try bench.reset(trial)
            let (outcome, path, isDoneOnDisk) = try trial.run(arguments, failingSync: number)
            guard let path else {
                #expect(outcome.exitCode == 0 && isDoneOnDisk, "\(outcome.err)")
                break
            }
            if outcome.exitCode != 0 {
                failed += 1
                #expect(outcome.exitCode == 12, "sync \(number) of \(path): \(outcome.err)")
                #expect(outcome.err.contains("The ledger \(trial.ledgerDirectory)/ledger.sqlite"), "\(outcome.err)")
            } else if path.contains("ledger.sqlite") {
                #expect(isDoneOnDisk, "sync \(number) of \(path)")
            }
            let again = try trial.run(arguments)
            #expect(again.exitCode == 0, "after sync \(number) of \(path): \(again.err)")
            #expect(bench.source.equals(bench.store.object(key: "key")))
        }
        #expect(failed > 1)
    }

    static func points(_ count: Int, few: Int, seed: UInt64) -> [Int] {
        let wanted = wanted == "all" ? count : wanted.flatMap { Int($0) } ?? few
        guard wanted < count else { return Array(1...count) }
        var random = SeededRandom(seed: seed)
        return (0..<wanted).map { _ in Int.random(in: 1...count, using: &random) }
    }

    private static func tryAll(
        _ points: [Int],
        of count: Int,
        _ bench: CrashBench,
        _ kill: (Int, UInt64) -> Kill
    ) throws {
        var random = SeededRandom(seed: 7)
        var reached = 0
        for (index, point) in points.enumerated() {
            let second = kill(Int.random(in: 1...count, using: &random), random.next() >> 1)
            if try CrashTrial.run(bench, kill(point, random.next() >> 1), way: index + point, second: second) {
                reached += 1
            }
        }
        guard wanted != nil else { return }
        print("crash points: \(bench.scenario), \(kill(0, 0).moment): \(reached) of \(points.count) reached")
    }
}
