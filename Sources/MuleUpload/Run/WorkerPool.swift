import Glibc
import MuleSystem

/// The threads of a run. They come and go, thousands of them in a run of weeks, and those that have left are cleared away.
final class WorkerPool: Sendable {
    private struct State {
        var threads: [Int: Thread] = [:]
        var started = 0
        /// Numbers of those whose work is over and who have not been waited for.
        var left: [Int] = []
        /// When the system may be asked for a thread again: it has refused one.
        var mayGrowAt = Moment(nanoseconds: 0)

        mutating func takeOneThatLeft() -> Thread? {
            left.popLast().flatMap { threads.removeValue(forKey: $0) }
        }
    }

    private let state = Monitor(State())

    /// Seconds between two tries to get a thread from a system that refuses: each costs a mapping of memory.
    private static let pause = 1.0

    /// One more thread. To be called by the first before anybody waits, and by those who work.
    ///
    /// - Throws: when the system starts no more; the others work on.
    func start(_ work: @escaping @Sendable () -> Void) throws(SystemError) {
        let gone = try state.withLock { state throws(SystemError) in
            let number = state.started
            if Moment.now() < state.mayGrowAt { throw SystemError(code: EAGAIN, call: "pthread_create") }
            do throws(SystemError) {
                // Under the lock, so that it is in the list before it can say that it leaves.
                state.threads[number] = try Thread(name: "worker \(number + 1)") { [self] in
                    work()
                    self.state.update { $0.left.append(number) }
                }
            } catch {
                state.mayGrowAt = Moment.now().adding(seconds: Self.pause)
                throw error
            }
            state.started += 1
            var gone: [Thread] = []
            while let thread = state.takeOneThatLeft() { gone.append(thread) }
            return gone
        }
        for thread in gone { thread.join() }
    }

    /// Returns when all have left. Nothing that they held is held any more.
    func waitForAll() {
        while true {
            let next: (thread: Thread?, isLast: Bool) = state.wait { state in
                if let thread = state.takeOneThatLeft() { return (thread, false) }
                return state.threads.isEmpty ? (nil, true) : nil
            }
            next.thread?.join()
            if next.isLast { return }
        }
    }

    var isEmpty: Bool { state.withLock { $0.threads.count == $0.left.count } }

    /// Threads that have not been cleared away; for tests.
    var count: Int { state.withLock { $0.threads.count } }
}
