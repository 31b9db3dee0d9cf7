import Glibc

/// A program that is run for what it prints.
///
/// It reads nothing but what it is given, has no terminal, and inherits neither descriptors nor blocked signals. With everything it has
/// started it is killed when its time is up, when it prints too much, or when the run is stopped.
package struct ChildProcess: Sendable {
    package enum End: Hashable, Sendable {
        case exit(Int32)
        case signal(Int32)
        /// It is gone, and the system says no more: something in this process ignores the ends of children, or has taken this
        /// one's. Not known to be a success.
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
        let pid = try spawnChild(
            words.map { Array($0.utf8) },
            environment: environment,
            input: input?.descriptor,
            output: output.writing,
            error: error.writing
        )
        output.closeWriting()
        error.closeWriting()
        return Listening(pid: pid, output: output, error: error, limit: outputLimit)
            .untilEnd(deadline: Moment.now().adding(seconds: timeout), cancellation)
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
        return answer == pid ? ChildProcess.End(status: status) : .unknown
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
