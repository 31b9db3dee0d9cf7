import Glibc

/// A program that is run for what it prints.
///
/// It reads nothing but what it is given, has no terminal, and inherits neither descriptors nor blocked signals. With everything it has
/// started it is killed when its time is up, when it prints too much, or when the run is stopped.
package struct ChildProcess: Sendable {
    package enum End: Hashable, Sendable {
        case exit(Int32)
        case signal(Int32)
        /// It is gone, and the system says no more: this process has been told to ignore its children's ends.
        case unknown
        case timeout
        case tooMuchOutput
        case cancelled
    }

    package struct Outcome: Sendable {
        package var end: End
        package var output: [UInt8]
        /// The last that it said on standard error.
        package var lastError: [UInt8]
    }

    /// The program, looked for in `PATH` when it has no slash, and its arguments.
    package var words: [String]
    package var environment: [String: String]
    /// Seconds until it is killed.
    package var timeout: Double
    /// Most bytes of output that are taken.
    package var outputLimit: Int

    /// What it finds on standard input; nil for nothing at all.
    package var input: [UInt8]?

    package static let errorLimit = 4096

    package init(words: [String], environment: [String: String], timeout: Double, outputLimit: Int = 64 << 10) {
        self.words = words
        self.environment = environment
        self.timeout = timeout
        self.outputLimit = outputLimit
    }

    /// Runs the program and waits for its end.
    ///
    /// - Throws: When it can't be started.
    package func run(_ cancellation: Cancellation) throws(SystemError) -> Outcome {
        let output = try Pipe()
        let error = try Pipe()
        // Not a pipe: nobody has to fill it while the program runs, and one that reads nothing breaks nothing.
        let input = try self.input.map { content throws(SystemError) in try File.inMemory(content) }
        let pid = try spawn(input: input, output: output, error: error)
        output.closeWriting()
        error.closeWriting()
        return Listening(pid: pid, output: output, error: error, limit: outputLimit)
            .untilEnd(deadline: Moment.now().adding(seconds: timeout), cancellation)
    }

    private func spawn(input: File?, output: Pipe, error: Pipe) throws(SystemError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input.descriptor, STDIN_FILENO)
        } else {
            posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_adddup2(&actions, output.writing, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, error.writing, STDERR_FILENO)
        // All descriptors of ours are closed on exec; libraries may have others.
        _ = SpawnExtensions.closeFrom(3, &actions)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A session of its own: no terminal to ask at, and a group to be killed with.
        let flags = Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF) | SpawnExtensions.newSession
        posix_spawnattr_setflags(&attributes, Int16(flags))
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigaddset(&signals, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &signals)

        var arguments = words.map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var pid: pid_t = 0
        let status = posix_spawnp(&pid, words[0], &actions, &attributes, &arguments, &variables)
        guard status == 0 else { throw SystemError(code: status, call: "posix_spawn") }
        return pid
    }
}

/// A child that runs, and what it has said so far.
private struct Listening {
    let pid: pid_t
    let output: Pipe
    let error: Pipe
    let limit: Int
    private var said: [UInt8] = []
    private var lastError: [UInt8] = []

    /// How often the end of a child that has closed its streams, and the wish to stop, are looked for.
    private static let tickMilliseconds: Int32 = 50

    init(pid: pid_t, output: Pipe, error: Pipe, limit: Int) {
        (self.pid, self.output, self.error, self.limit) = (pid, output, error, limit)
    }

    consuming func untilEnd(deadline: Moment, _ cancellation: Cancellation) -> ChildProcess.Outcome {
        var end: ChildProcess.End?
        while true {
            // Asked before the streams are read: what it printed before its end is in the pipe by then. Something that it
            // has left running may hold the pipe open for ever.
            end = end ?? Self.end(of: pid)
            let isQuiet = !takeIn()
            if said.count > limit { return killed(end, .tooMuchOutput) }
            if let end, isQuiet { return outcome(end) }
            if cancellation.isCancelled { return killed(end, .cancelled) }
            if Moment.now() >= deadline { return killed(end, .timeout) }
            if end == nil, isQuiet { sleepUntilSomethingHappens() }
        }
    }

    private func outcome(_ end: ChildProcess.End) -> ChildProcess.Outcome {
        ChildProcess.Outcome(end: end, output: said, lastError: lastError)
    }

    private func killed(_ end: ChildProcess.End?, _ reason: ChildProcess.End) -> ChildProcess.Outcome {
        if end == nil {
            kill(-pid, SIGKILL)
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        }
        return outcome(reason)
    }

    /// Nil while it runs.
    private static func end(of pid: pid_t) -> ChildProcess.End? {
        var status: Int32 = 0
        let answer = waitpid(pid, &status, WNOHANG)
        if answer == 0 || (answer < 0 && errno == EINTR) { return nil }
        guard answer == pid else { return .unknown }
        let signal = status & 0x7F
        return signal == 0 ? .exit((status >> 8) & 0xFF) : .signal(signal)
    }

    /// Reads what there is, without waiting; false when there was nothing.
    private mutating func takeIn() -> Bool {
        let piece = output.read()
        said += piece
        let complaint = error.read()
        lastError = (lastError + complaint).suffix(ChildProcess.errorLimit)
        return !piece.isEmpty || !complaint.isEmpty
    }

    private func sleepUntilSomethingHappens() {
        let open = [output, error].filter { !$0.hasEnded }
        var polls = open.map { pollfd(fd: $0.reading, events: Int16(POLLIN), revents: 0) }
        _ = poll(&polls, nfds_t(polls.count), Self.tickMilliseconds)
    }
}

/// A pipe that closes itself; its reading end never blocks.
private final class Pipe {
    let reading: Int32
    let writing: Int32
    private(set) var hasEnded = false
    private var isWritingOpen = true

    init() throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        try retryingInterrupts("pipe") { pipe(&ends) }
        (reading, writing) = (ends[0], ends[1])
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(reading, F_SETFL, O_NONBLOCK)
    }

    deinit {
        close(reading)
        closeWriting()
    }

    func closeWriting() {
        if isWritingOpen { close(writing) }
        isWritingOpen = false
    }

    /// Empty when there is nothing at the moment, or nothing more.
    func read() -> [UInt8] {
        let room = 16 << 10
        return [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            let result = Glibc.read(reading, buffer.baseAddress, room)
            if result == 0 { hasEnded = true }
            count = max(0, result)
        }
    }
}
