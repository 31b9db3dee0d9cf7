import Glibc
import MuleSystem
import TestSupport
import Testing

@Suite("Range locks")
struct RangeLockTests {
    private let scratch = ScratchDirectory()

    private func lock() throws -> RangeLock {
        try RangeLock(path: Array(scratch.path("lock").utf8), mode: 0o600)
    }

    @Test("a byte has one holder at a time, inside one process too")
    func excludes() throws {
        let (one, other) = (try lock(), try lock())
        #expect(try one.tryLock(5))
        #expect(try !other.tryLock(5))
        #expect(try other.isHeldElsewhere(5))
        #expect(try !one.isHeldElsewhere(5), "the holder itself is not somebody else")
        one.unlock(5)
        #expect(try !other.isHeldElsewhere(5))
        #expect(try other.tryLock(5))
    }

    @Test("bytes are locked apart from each other, far beyond the file's end")
    func positions() throws {
        let (one, other) = (try lock(), try lock())
        for position in [Int64(0), 1, 1 << 40] { #expect(try one.tryLock(position)) }
        #expect(try other.tryLock(2))
        for position in [Int64(0), 1, 1 << 40] { #expect(try !other.tryLock(position)) }
        one.unlock(1)
        #expect(try other.tryLock(1))
        #expect(try !other.tryLock(0))
        #expect(try Files.size(scratch.path("lock")) == 0)
    }

    @Test("locks go with their holder")
    func dropped() throws {
        var one: RangeLock? = try lock()
        let other = try lock()
        #expect(try one?.tryLock(7) == true)
        #expect(try !other.tryLock(7))
        one = nil
        #expect(try other.tryLock(7))
    }

    @Test("the lock file is made with its mode, and another one is left as it is")
    func mode() throws {
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

    @Test("another process is kept out, sees our locks, and leaves none behind when it is killed")
    func betweenProcesses() throws {
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
