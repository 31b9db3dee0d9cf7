import Glibc
import MuleLedger
import TestSupport
import Testing

@Suite struct SurvivalTests {
    private let directory = ScratchDirectory()
    private var path: String { directory.path("ledger.sqlite") }

    /// One child after another resumes the same upload, and is killed at an arbitrary point after some number of
    /// commits.
    @Test func `every part that was committed before a kill is there after it`() throws {
        var random = SeededRandom(seed: 50)
        var committed = 0
        for round in 0..<50 {
            let running = try child("commit", path, home: directory).start()
            let last = committed + Int.random(in: 1...25, using: &random)
            #expect(running.waitForText("\(last)\n"), "round \(round): \(running.outputSoFar)")
            running.signal(SIGKILL)
            let outcome = running.wait()
            #expect(outcome.end == .signal(SIGKILL))
            // A line cut short by the kill was not said.
            let said = outcome.out.utf8.reversed().drop { $0 != UInt8(ascii: "\n") }.reversed()
            let printed = String(decoding: Array(said), as: UTF8.self).split(separator: "\n").compactMap { Int($0) }

            let ledger = try Ledger(directory)
            let record = try #require(try ledger.unfinished().first)
            let parts = try ledger.parts(of: record.number).map(\.number)
            #expect(Set(printed).isSubset(of: parts), "round \(round)")
            #expect(parts == Array(1..<parts.count + 1), "round \(round)")
            #expect((record.partsDone, record.bytesDone) == (parts.count, Int64(parts.count) * 8 * mebibyte))
            #expect(parts.count <= (printed.last ?? 0) + 1, "at most one commit was not heard of")
            committed = parts.count
        }
        #expect(try Ledger(directory).unfinished().count == 1)
        #expect(try RawDatabase(path).column("PRAGMA integrity_check") == ["ok"])
    }

    /// A kill while the ledger is made leaves something that opens.
    @Test func `a kill at any moment of the making leaves a ledger that opens`() throws {
        var random = SeededRandom(seed: 51)
        for round in 0..<20 {
            let ledger = directory.path("\(round)/ledger.sqlite")
            let running = try child("commit", ledger, home: directory).start()
            // Looks at the clock of the file system, not of the test: each file that appears is a moment.
            let moment = ["", "-journal", "-wal", "-shm", ".leases"].randomElement(using: &random) ?? ""
            while running.isRunning, !Files.exists(ledger + moment), !running.outputSoFar.contains("\n") {
                sched_yield()
            }
            running.signal(SIGKILL)
            _ = running.wait()
            #expect(errorOfOpening(ledger) == nil, "killed at \(moment)")
        }
    }

    /// In a mount namespace of its own, a file system of 1 MiB: the ballast leaves a little room, and is removed when
    /// the disk is full.
    @Test(.enabled(if: TestCommand.canMount, "needs the right to mount a tmpfs in a namespace (unshare)"))
    func `a full disk loses nothing that was committed`() throws {
        let room = try directory.makeDirectory("room")
        let script = """
            mount -t tmpfs -o size=1m mule-test "$1" && head -c 300000 /dev/zero > "$1/ballast" \
                && exec "$0" fill "$1/ledger.sqlite" "$1/ballast"
            """
        let outcome = try Self.inNamespace(script, arguments: [room], home: directory).run()
        #expect(
            outcome.lines == [
                "stopped: diskFull", "intact while full: true", "intact with room: true committed: true",
            ],
            "\(outcome.err)"
        )
    }

    @Test(.enabled(if: TestCommand.canMount, "needs the right to mount a tmpfs in a namespace (unshare)"))
    func `a ledger cannot be made on a full disk, and can when there is room`() throws {
        let room = try directory.makeDirectory("room")
        let script = """
            mount -t tmpfs -o size=1m mule-test "$1"
            for left in 0 4096 8192 16384 32768 65536; do
                rm -f "$1"/*; head -c $((1048576 - left)) /dev/zero > "$1/ballast"
                "$0" open "$1/ledger.sqlite"; rm "$1/ballast"; "$0" open "$1/ledger.sqlite"
            done
            """
        let outcome = try Self.inNamespace(script, arguments: [room], home: directory).run()
        #expect(outcome.lines.count == 12, "\(outcome.err)")
        for (index, line) in outcome.lines.enumerated() {
            #expect(line == "opened" || (index.isMultiple(of: 2) && line == "error: diskFull"), "line \(index)")
        }
        #expect(outcome.lines.first == "error: diskFull")
    }

    /// A file size limit simulates a full disk, because tests may not mount one. (`trap` ignores the signal that would
    /// end the process; a commit takes about 12 KB.)
    @Test func `what is under way can be recorded when there is no room for more`() throws {
        let script = "trap '' XFSZ; ulimit -f 10240; exec \"$0\" reserve \"$1\""
        let child = "\(TestCommand.productsDirectory)/ledger-child"
        let outcome = try TestCommand("/bin/sh", ["-c", script, child, path], home: directory.path).run()
        #expect(outcome.lines.first == "no room: diskFull", "\(outcome.lines) \(outcome.err)")
        #expect(outcome.lines.last?.hasPrefix("recorded all the same: true after: ") == true, "\(outcome.lines)")
        #expect(try Ledger(directory).unfinished().count == 1)
    }

    @Test(.enabled(if: TestCommand.canMount, "needs the right to mount a tmpfs in a namespace (unshare)"))
    func `what is under way can be recorded on a disk that is full`() throws {
        let room = try directory.makeDirectory("room")
        let script = """
            mount -t tmpfs -o size=6m mule-test "$1" && exec "$0" reserve "$1/ledger.sqlite"
            """
        let outcome = try Self.inNamespace(script, arguments: [room], home: directory).run()
        #expect(outcome.lines.first == "no room: diskFull", "\(outcome.lines) \(outcome.err)")
        #expect(outcome.lines.last?.hasPrefix("recorded all the same: true after: ") == true, "\(outcome.lines)")
    }

    private static func inNamespace(_ script: String, arguments: [String], home: ScratchDirectory) -> TestCommand {
        TestCommand("\(TestCommand.productsDirectory)/ledger-child", [], home: home.path)
            .inMountNamespace(script, arguments)
    }
}
