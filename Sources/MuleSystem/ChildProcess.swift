import Glibc

/// A program that is run for its output.
///
/// It reads only the given input, has no terminal, and inherits neither descriptors nor blocked signals. It is killed
/// with all processes that it started if it times out, prints too much, or the run is stopped.
package struct ChildProcess: Sendable {
    package enum End: Hashable, Sendable {
        case exit(Int32)
        case signal(Int32)
        /// It has ended, but its exit status is unknown: this process ignores SIGCHLD, or other code reaped the child.
        /// Never treated as a success.
        case unknown
        case timeout
        case tooMuchOutput
        case cancelled
    }

    package struct Outcome: Sendable {
        package var end: End
        package var output: [UInt8]
        /// The last bytes of its standard error.
        package var lastError: [UInt8]
    }

    /// The program, searched in `PATH` if it has no slash, and its arguments.
    package var words: [String]
    package var environment: [String: String]
    /// Seconds until it is killed.
    package var timeout: Double
    /// Maximum number of bytes of output.
    package var outputLimit: Int

    /// Its standard input; nil for an empty one.
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
    /// - Throws: if it cannot be started.
    package func run(_ cancellation: Cancellation) throws(SystemError) -> Outcome {
        let output = try Pipe()
        let error = try Pipe()
        // A file instead of a pipe: it needs no thread that writes, and a program that does not read it causes no
        // SIGPIPE.
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

/// A running child and its output so far.
private struct Listening {
    let pid: pid_t
    let output: Pipe
    let error: Pipe
    let limit: Int
    private var said: [UInt8] = []
    private var lastError: [UInt8] = []

    /// How often to check for cancellation, and for the end of a child that has closed its streams.
    private static let tickMilliseconds: Int32 = 50

    init(pid: pid_t, output: Pipe, error: Pipe, limit: Int) {
        (self.pid, self.output, self.error, self.limit) = (pid, output, error, limit)
    }

    consuming func untilEnd(deadline: Moment, _ cancellation: Cancellation) -> ChildProcess.Outcome {
        var end: ChildProcess.End?
        while true {
            // Asked before the streams are read: all that it printed before it ended is in the pipe by then. A process
            // that it left running may keep the pipe open indefinitely.
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

    /// Reads what is available, without waiting; false if there was nothing.
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
