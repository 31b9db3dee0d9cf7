import Glibc

/// A program whose standard output is read as a stream, and whose end tells whether the stream was whole.
///
/// It reads nothing and has no terminal; its standard error and its environment are those of this process. It leads a process group of its own, with
/// which it is ended when nobody wants its output any more. No zombie is left.
package final class PipedProcess: @unchecked Sendable {
    // Made Sendable by `state`, and by `pipe`, of which only the descriptor is used once it is made.
    private let pid: pid_t
    private let pipe: Pipe
    private let state = Monitor<ChildProcess.End?>(nil)

    /// Those whose ends are not known yet: what a process that dies at once has to take along.
    private static let living = Monitor<Set<pid_t>>([])

    /// Seconds that it has between SIGTERM and SIGKILL: less than mule itself has to stop.
    package static let grace = 0.4
    private static let tickMicroseconds: UInt32 = 5000

    /// Starts the program.
    ///
    /// - Parameter words: the program, looked for in `PATH` when it has no slash, and its arguments.
    package init(words: [[UInt8]]) throws(SystemError) {
        let pipe = try Pipe()
        // Under the lock, so that `killAll` knows of every one that runs.
        let pid = try Self.living.withLock { living throws(SystemError) in
            let pid = try spawnChild(words, environment: nil, output: pipe.writing)
            living.insert(pid)
            return pid
        }
        pipe.closeWriting()
        (self.pid, self.pipe) = (pid, pipe)
    }

    deinit { stop() }

    /// Its standard output, to be read without blocking. Ends when everybody has closed it whom the program gave it to.
    package var output: Int32 { pipe.reading }

    /// How it ended; nil while it runs.
    package func end() -> ChildProcess.End? {
        state.withLock { end in
            if end == nil { end = Self.reap(pid) }
            return end
        }
    }

    private static func reap(_ pid: pid_t) -> ChildProcess.End? {
        // The number must not be given to anybody else while it is in the list.
        living.withLock { living in
            var status: Int32 = 0
            let answer = waitpid(pid, &status, WNOHANG)
            if answer == 0 || (answer < 0 && errno == EINTR) { return nil }
            living.remove(pid)
            return answer == pid ? ChildProcess.End(status: status) : .unknown
        }
    }

    /// Ends it and all that it has started and that has stayed in its group, unless it has ended by itself.
    package func stop() {
        guard end() == nil else { return }
        kill(-pid, SIGTERM)
        // One that is stopped would not hear it.
        kill(-pid, SIGCONT)
        let deadline = Moment.now().adding(seconds: Self.grace)
        while Moment.now() < deadline {
            // A group whose leader has ended keeps its number as long as it has members (setpgid(2), credentials(7)).
            if end() != nil, kill(-pid, 0) != 0 { return }
            usleep(Self.tickMicroseconds)
        }
        kill(-pid, SIGKILL)
        while end() == nil { usleep(Self.tickMicroseconds) }
    }

    /// Kills all that run, with their groups, without waiting. For a process that is about to die.
    package static func killAll() {
        living.withLock { living in
            for pid in living { kill(-pid, SIGKILL) }
        }
    }
}
