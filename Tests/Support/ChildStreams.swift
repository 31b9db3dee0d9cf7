import Glibc
import MuleSystem

/// The three streams of a child: our ends and its ends.
struct ChildStreams {
    /// Our end of standard input, when there is a pipe.
    private(set) var inputEnd: Int32?
    private(set) var outputEnd: Int32?
    private(set) var errorEnd: Int32?
    private(set) var terminal: Int32?
    private var childInput: Int32
    private var childOutput: Int32
    private var childError: Int32

    init(_ command: TestCommand) throws(CommandFailure) {
        switch command.input {
        case .none, .terminal: childInput = open("/dev/null", O_RDONLY | O_CLOEXEC)
        case .bytes, .pipe:
            let ends = try Self.pipe()
            childInput = ends.read
            inputEnd = ends.write
        }
        if let size = command.terminal {
            let pair = try Self.openTerminal(size)
            terminal = pair.ours
            errorEnd = pair.ours
            childError = pair.child
            if case .terminal = command.input {
                close(childInput)
                childInput = fcntl(pair.child, F_DUPFD_CLOEXEC, 0)
                inputEnd = fcntl(pair.ours, F_DUPFD_CLOEXEC, 0)
            }
        } else {
            let ends = try Self.pipe()
            errorEnd = ends.read
            childError = ends.write
        }
        if command.terminal != nil, command.outputGoesToTerminal {
            childOutput = fcntl(childError, F_DUPFD_CLOEXEC, 0)
        } else {
            let ends = try Self.pipe()
            outputEnd = ends.read
            childOutput = ends.write
        }
    }

    func closeChildEnds() {
        for descriptor in [childInput, childOutput, childError] { close(descriptor) }
    }

    /// Starts the program in a process group of its own, with default signal handling, and nothing open but 0, 1 and 2.
    func spawn(_ command: TestCommand) throws(CommandFailure) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, childInput, 0)
        posix_spawn_file_actions_adddup2(&actions, childOutput, 1)
        posix_spawn_file_actions_adddup2(&actions, childError, 2)
        var code = SpawnExtensions.closeFrom(3, &actions)
        if let directory = command.workingDirectory, code == 0 {
            code = SpawnExtensions.changeDirectory(directory, &actions)
        }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
        posix_spawnattr_setflags(&attributes, Int16(flags))

        let words = [Array(command.executable.utf8)] + command.arguments
        let variables = command.environment.sorted { $0.key < $1.key }.map { Array("\($0.key)=\($0.value)".utf8) }
        var pid: pid_t = 0
        if code == 0 {
            code = Self.withCStrings(words) { words in
                Self.withCStrings(variables) { variables in
                    posix_spawn(&pid, command.executable, &actions, &attributes, words, variables)
                }
            }
        }
        guard code == 0 else {
            closeChildEnds()
            for descriptor in [inputEnd, outputEnd, errorEnd].compactMap(\.self) { close(descriptor) }
            throw CommandFailure("cannot run \(command.executable)", code: code)
        }
        return pid
    }

    static func setSize(_ size: TestCommand.TerminalSize, of terminal: Int32) {
        var window = winsize(ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(terminal, UInt(TIOCSWINSZ), &window)
    }

    private static func pipe() throws(CommandFailure) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { throw CommandFailure("pipe", code: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func openTerminal(_ size: TestCommand.TerminalSize) throws(CommandFailure) -> (
        ours: Int32, child: Int32
    ) {
        // What posix_openpt, unlockpt and ptsname do on Linux (ioctl_tty(2)); Swift's Glibc lacks them. The numbers are
        // TIOCSPTLCK and TIOCGPTN, the same on x86-64 and arm64.
        let ours = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var lock: Int32 = 0
        var number: UInt32 = 0
        guard ours >= 0, ioctl(ours, 0x4004_5431, &lock) == 0, ioctl(ours, 0x8004_5430, &number) == 0 else {
            throw CommandFailure("open /dev/ptmx", code: errno)
        }
        let child = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard child >= 0 else { throw CommandFailure("open terminal", code: errno) }
        var settings = termios()
        tcgetattr(child, &settings)
        cfmakeraw(&settings)
        tcsetattr(child, TCSANOW, &settings)
        setSize(size, of: ours)
        return (ours, child)
    }

    /// Lends a NULL-terminated array of C strings.
    private static func withCStrings<Result>(
        _ strings: [[UInt8]],
        _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers = strings.map { string -> UnsafeMutablePointer<CChar>? in
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: string.count + 1)
            for (index, byte) in string.enumerated() { copy[index] = CChar(bitPattern: byte) }
            copy[string.count] = 0
            return copy
        }
        pointers.append(nil)
        defer { for pointer in pointers { pointer?.deallocate() } }
        return pointers.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { preconditionFailure("an array with a NULL is never empty") }
            return body(base)
        }
    }
}
