import Glibc

/// A program whose standard output is read as a stream; its exit status tells whether the stream is complete.
///
/// It has an empty standard input and no terminal, and shares standard error and environment with this process. It
/// leads a process group, which is ended with it once its output is no longer needed. It leaves no zombie.
package final class PipedProcess: @unchecked Sendable {
    // Sendable because of `state`; of `pipe` only the descriptor is used after `init`.
    private let pid: pid_t
    private let pipe: Pipe
    private let state = Monitor<ChildProcess.End?>(nil)

    /// Processes that have not been reaped. `killAll` ends them.
    private static let living = Monitor<Set<pid_t>>([])

    /// Seconds between SIGTERM and SIGKILL: less than mule itself has to stop.
    package static let grace = 0.4
    private static let tickMicroseconds: UInt32 = 5000

    /// Starts the program.
    ///
    /// - Parameter words: the program, searched in `PATH` if it has no slash, and its arguments.
    package init(words: [[UInt8]]) throws(SystemError) {
        let pipe = try Pipe()
        // Under the lock, so that `killAll` knows every running process.
        let pid = try Self.living.withLock { living throws(SystemError) in
            let pid = try spawnChild(words, environment: nil, output: pipe.writing)
            living.insert(pid)
            return pid
        }
        pipe.closeWriting()
        (self.pid, self.pipe) = (pid, pipe)
    }

    deinit { stop() }

    /// Its standard output, to be read without blocking. Ends when all processes that inherited it have closed it.
    package var output: Int32 { pipe.reading }

    /// Its exit status or signal; nil while it runs.
    package func end() -> ChildProcess.End? {
        state.withLock { end in
            if end == nil { end = Self.reap(pid) }
            return end
        }
    }

    private static func reap(_ pid: pid_t) -> ChildProcess.End? {
        // Under the lock: the process ID must not be reused while it is in the list.
        living.withLock { living in
            var status: Int32 = 0
            let answer = waitpid(pid, &status, WNOHANG)
            if answer == 0 || (answer < 0 && errno == EINTR) { return nil }
            living.remove(pid)
            return answer == pid ? ChildProcess.End(status: status) : .unknown
        }
    }

    /// Ends the program and its process group, unless it has already ended.
    package func stop() {
        guard end() == nil else { return }
        kill(-pid, SIGTERM)
        // A stopped process gets SIGTERM only after SIGCONT.
        kill(-pid, SIGCONT)
        let deadline = Moment.now().adding(seconds: Self.grace)
        while Moment.now() < deadline {
            // The group's number remains valid as long as it has members (setpgid(2), credentials(7)).
            if end() != nil, kill(-pid, 0) != 0 { return }
            usleep(Self.tickMicroseconds)
        }
        kill(-pid, SIGKILL)
        while end() == nil { usleep(Self.tickMicroseconds) }
    }

    /// Kills all running programs and their groups, without waiting. For a process that is about to end.
    package static func killAll() {
        living.withLock { living in
            for pid in living { kill(-pid, SIGKILL) }
        }
    }
}
