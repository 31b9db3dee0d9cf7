import Glibc
import TestSupport
import Testing

@testable import MuleSystem

@Suite("Range locks")
struct RangeLockTests {
    private let scratch = ScratchDirectory()

    private func lock() throws -> RangeLock {
        try RangeLock(path: Array(scratch.path("lock").utf8), mode: 0o600)
    }

    @Test
    func `a byte has one holder at a time, inside one process too`() throws {
        let (one, other) = (try lock(), try lock())
        #expect(try one.tryLock(5))
        #expect(try !other.tryLock(5))
        #expect(try other.isHeldElsewhere(5))
        #expect(try !one.isHeldElsewhere(5), "the holder itself is not somebody else")
        one.unlock(5)
        #expect(try !other.isHeldElsewhere(5))
        #expect(try other.tryLock(5))
    }

    @Test
    func `bytes are locked together or not at all, and unlocked one by one`() throws {
        let (one, other) = (try lock(), try lock())
        #expect(try one.tryLock(5, count: 3))
        #expect(try !other.tryLock(3, count: 3))
        #expect(try !one.isHeldElsewhere(4), "nothing of a refused lock remains")
        one.unlock(6)
        #expect(try other.tryLock(6))
        #expect(try !other.tryLock(5) && !other.tryLock(7))
        #expect(try other.tryLock(8))
    }

    @Test
    func `the holder is found with the time at which it started`() throws {
        let (one, other) = (try lock(), try lock())
        #expect(other.holder(5) == nil)
        #expect(try one.tryLock(5))
        #expect(try one.tryLock(6))
        let holder = try #require(other.holder(6))
        #expect(holder.process == getpid())
        #expect(other.holder(7) == nil)
        #expect((wallClockMilliseconds() - 86_400_000...wallClockMilliseconds() + 1000).contains(holder.startedAt))
        one.unlock(6)
        #expect(other.holder(6) == nil && other.holder(5)?.process == getpid())
    }

    @Test(
        arguments: [
            ("lock:\t1: OFDLCK ADVISORY  WRITE -1 fe:00:16556205 5 8", 8, true),
            ("pos:\t0\nlock:\t1: OFDLCK ADVISORY  WRITE -1 fe:00:1 5 8\n", 9, false),
            ("lock:\t1: OFDLCK ADVISORY  WRITE -1 fe:00:1 5 EOF", Int64.max, true),
            ("lock:\t1: OFDLCK ADVISORY  READ -1 fe:00:1 5 8", 5, false),
            ("lock:\t1: FLOCK  ADVISORY  WRITE 12 fe:00:1 0 EOF", 5, false), ("", 0, false),
        ] as [(String, Int64, Bool)]
    )
    func `a lock is read from the kernel's text`(info: String, position: Int64, isLocked: Bool) {
        #expect(LockHolders.locks(info).contains { $0.bytes.contains(position) } == isLocked)
    }

    @Test
    func `bytes are locked apart from each other, far beyond the file's end`() throws {
        let (one, other) = (try lock(), try lock())
        for position in [Int64(0), 1, 1 << 40] { #expect(try one.tryLock(position)) }
        #expect(try other.tryLock(2))
        for position in [Int64(0), 1, 1 << 40] { #expect(try !other.tryLock(position)) }
        one.unlock(1)
        #expect(try other.tryLock(1))
        #expect(try !other.tryLock(0))
        #expect(try Files.size(scratch.path("lock")) == 0)
    }

    @Test
    func `locks go with their holder`() throws {
        var one: RangeLock? = try lock()
        let other = try lock()
        #expect(try one?.tryLock(7) == true)
        #expect(try !other.tryLock(7))
        one = nil
        #expect(try other.tryLock(7))
    }

    @Test
    func `the lock file is made with its mode, and another one is left as it is`() throws {
        _ = try lock()
        try Files.setMode(scratch.path("lock"), 0o644)
        _ = try lock()
        var facts = stat()
        #expect(stat(scratch.path("lock"), &facts) == 0)
        #expect(facts.st_mode & 0o7777 == 0o644)
        #expect(throws: SystemError(code: ENOENT, call: "open")) {
            try RangeLock(path: Array(scratch.path("none/lock").utf8), mode: 0o600)
        }
    }

    @Test
    func `another process is kept out, sees our locks, and leaves none behind when it is killed`() throws {
        let ours = try lock()
        #expect(try ours.tryLock(1))
        // Takes byte 2, tries byte 1, says what came of it and waits.
        let script = """
            import fcntl, sys
            file = open(sys.argv[1], "r+b")
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 2)
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1)
                print("both", flush=True)
            except OSError:
                print("refused", flush=True)
            sys.stdin.read()
            """
        var command = TestCommand(
            "/usr/bin/env",
            ["python3", "-c", script, scratch.path("lock")],
            home: scratch.path
        )
        command.input = .pipe
        let process = try command.start()
        #expect(process.waitForText("refused"), "\(process.outputSoFar)\(process.errorSoFar)")
        #expect(try ours.isHeldElsewhere(2))
        #expect(try !ours.tryLock(2))
        process.signal(SIGKILL)
        #expect(process.wait().end == .signal(SIGKILL))
        #expect(try !ours.isHeldElsewhere(2))
        #expect(try ours.tryLock(2))
    }
}
