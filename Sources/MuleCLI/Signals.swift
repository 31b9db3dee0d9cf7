import Glibc
import MuleSystem
import Synchronization

/// Handles SIGINT, SIGTERM and SIGHUP: one thread receives them and cancels the run; at the end the process dies by the
/// signal, as shells and service managers expect. SIGHUP may have another meaning.
final class Signals: Sendable {
    private let received = Atomic<Int32>(0)
    private static let stop = Atomic<Int32>(0)

    /// The signal that stopped the process; 0 for none.
    static var stopSignal: Int32 { stop.load(ordering: .sequentiallyConsistent) }

    private let onStop: @Sendable (Int32) -> Void
    private let onHangUp: @Sendable () -> Bool
    private let lastWords: @Sendable () -> Void

    /// The longest time that a stop may take. Nothing is lost after it, because rows are committed one by one.
    private static let graceNanoseconds = 800_000_000
    private static let secondsForLastWords = 0.1
    /// Seconds in which more signals count as the first one: timeout(1) signals the process and its group, and other
    /// programs forward what the terminal has already sent.
    private static let secondsOfOneStop = 0.25

    /// Blocks the signals on this thread and all that it starts, and listens for them. Must be called before any thread
    /// starts.
    ///
    /// A signal that the parent ignored (`nohup`, a shell's background job) does not stop the process.
    ///
    /// - Parameters:
    ///   - onStop: called with the first signal.
    ///   - onHangUp: called for each SIGHUP, even if the parent ignored it; true if it has no other meaning.
    ///   - lastWords: called if the program does not end in time.
    /// - Throws: if no thread can be created.
    init(
        onStop: @escaping @Sendable (Int32) -> Void,
        onHangUp: @escaping @Sendable () -> Bool,
        lastWords: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        self.onStop = onStop
        self.onHangUp = onHangUp
        self.lastWords = lastWords
        signal(SIGPIPE, SIG_IGN)
        // Exceeding the file size limit is then an error of the write, and does not end the process.
        signal(SIGXFSZ, SIG_IGN)
        var set = sigset_t()
        sigemptyset(&set)
        for number in [SIGINT, SIGTERM] where !Self.isIgnored(number) { sigaddset(&set, number) }
        // Even an ignored signal stays pending while it is blocked (Linux).
        sigaddset(&set, SIGHUP)
        let hangUpStops = !Self.isIgnored(SIGHUP)
        pthread_sigmask(SIG_BLOCK, &set, nil)
        _ = try Thread(name: "signals") { [set] in self.listen(set, hangUpStops: hangUpStops) }
    }

    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        sigaction(number, nil, &action)
        // SIG_IGN is the address 1, in a cast that Swift cannot import.
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
    }

    private func listen(_ set: sigset_t, hangUpStops: Bool) {
        var set = set
        var number: Int32 = 0
        repeat {
            guard sigwait(&set, &number) == 0 else { return }
        } while number == SIGHUP && (onHangUp() || !hangUpStops)
        received.store(number, ordering: .sequentiallyConsistent)
        Self.stop.store(number, ordering: .sequentiallyConsistent)
        onStop(number)
        // A second signal means "at once"; so does a stop that takes too long.
        let first = Moment.now()
        let end = Moment.now().adding(seconds: Double(Self.graceNanoseconds) / 1e9)
        var second: Int32 = 0
        while true {
            let left = max(0, end.nanoseconds - Moment.now().nanoseconds)
            var grace = timespec(tv_sec: 0, tv_nsec: Int(left))
            second = sigtimedwait(&set, nil, &grace)
            if second > 0, Moment.now().seconds(since: first) < Self.secondsOfOneStop { continue }
            if second == SIGHUP, onHangUp() || !hangUpStops { continue }
            break
        }
        let last = second > 0 ? second : number
        // From here on one more signal ends the process, even if this thread blocks.
        Self.restore(last)
        speak()
        Self.die(by: last)
    }

    /// Writes the last message from another thread, and does not wait long for it: a pipe may be full, or the log's
    /// disk may hang.
    private func speak() {
        let isOver = Monitor(false)
        do throws(SystemError) {
            _ = try Thread(name: "last words") { [lastWords] in
                lastWords()
                isOver.update { $0 = true }
            }
        } catch {
            return lastWords()
        }
        let end = Moment.now().adding(seconds: Self.secondsForLastWords)
        _ = isOver.wait(until: end) { $0 ? true : nil }
    }

    /// Ends the process by the received signal; returns if there was none.
    func dieIfStopped() {
        let number = received.load(ordering: .sequentiallyConsistent)
        if number != 0 { Self.die(by: number) }
    }

    var hasStopped: Bool { received.load(ordering: .sequentiallyConsistent) != 0 }

    /// Restores the default action, for this signal and on this thread.
    private static func restore(_ number: Int32) {
        signal(number, SIG_DFL)
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, number)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }

    private static func die(by number: Int32) -> Never {
        restore(number)
        kill(getpid(), number)
        // Another thread may receive the signal.
        sleep(1)
        _exit(128 + number)
    }
}
