import Glibc
import MuleSystem
import Synchronization

/// SIGINT, SIGTERM and SIGHUP as a wish to stop: heard by one thread, carried by a `Cancellation`, and answered in the
/// end by dying of the signal, as shells and service managers expect. SIGHUP may have another meaning.
final class Signals: Sendable {
    private let received = Atomic<Int32>(0)
    private static let stop = Atomic<Int32>(0)

    /// The signal that stopped the process; 0 for none.
    static var stopSignal: Int32 { stop.load(ordering: .sequentiallyConsistent) }

    private let onStop: @Sendable (Int32) -> Void
    private let onHangUp: @Sendable () -> Bool
    private let lastWords: @Sendable () -> Void

    /// The longest time that a stop may take: rows are committed one by one, so nothing depends on it.
    private static let graceNanoseconds = 800_000_000
    private static let secondsForLastWords = 0.1
    /// Seconds in which more signals belong to the first: timeout(1) sends its own to the process and to its group, and others pass
    /// on what the terminal has sent already.
    private static let secondsOfOneStop = 0.25

    /// Blocks the signals on this thread and all that it starts, and listens for them. To be called before any thread.
    ///
    /// A signal that the parent had ignored (`nohup`, a shell's background job) stops nothing.
    ///
    /// - Parameters:
    ///   - onStop: called with the first signal.
    ///   - onHangUp: called with each SIGHUP, also with one that the parent had ignored; true where that was all that it meant.
    ///   - lastWords: called when the program has not ended itself in time.
    /// - Throws: when there is no thread to listen.
    init(
        onStop: @escaping @Sendable (Int32) -> Void,
        onHangUp: @escaping @Sendable () -> Bool,
        lastWords: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        self.onStop = onStop
        self.onHangUp = onHangUp
        self.lastWords = lastWords
        signal(SIGPIPE, SIG_IGN)
        // A limit of the file size is an error of the write then, and not the end of the process.
        signal(SIGXFSZ, SIG_IGN)
        var set = sigset_t()
        sigemptyset(&set)
        for number in [SIGINT, SIGTERM] where !Self.isIgnored(number) { sigaddset(&set, number) }
        // One that is ignored and blocked waits like any other (Linux).
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
        // From here on one more signal ends the process, whatever this thread waits for.
        Self.restore(last)
        speak()
        Self.die(by: last)
    }

    /// The last words, from a thread that may meet a full pipe or a log on a disk that hangs, and is not waited for then.
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

    /// Ends the process by the signal that was received; returns when there was none.
    func dieIfStopped() {
        let number = received.load(ordering: .sequentiallyConsistent)
        if number != 0 { Self.die(by: number) }
    }

    var hasStopped: Bool { received.load(ordering: .sequentiallyConsistent) != 0 }

    /// What the system does by itself, for this signal and on this thread.
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
        // Another thread may be the one that takes the signal.
        sleep(1)
        _exit(128 + number)
    }
}
