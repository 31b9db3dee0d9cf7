import Glibc
import MuleSystem

/// The threads of a run. A long run starts and ends thousands of them; ended threads are joined along the way.
final class WorkerPool: Sendable {
    private struct State {
        var threads: [Int: Thread] = [:]
        var started = 0
        /// Numbers of threads that have ended but are not joined.
        var left: [Int] = []
        /// When to try to create a thread again after the system refused one.
        var mayGrowAt = Moment(nanoseconds: 0)

        mutating func takeOneThatLeft() -> Thread? {
            left.popLast().flatMap { threads.removeValue(forKey: $0) }
        }
    }

    private let state = Monitor(State())

    /// Seconds between two attempts to create a thread after a refusal: each costs a memory mapping.
    private static let pause = 1.0

    /// Starts one more thread. Called for the first thread before `waitForAll`, and by running threads.
    ///
    /// - Throws: if the system refuses a thread; the others continue.
    func start(_ work: @escaping @Sendable () -> Void) throws(SystemError) {
        let gone = try state.withLock { state throws(SystemError) in
            let number = state.started
            if Moment.now() < state.mayGrowAt { throw SystemError(code: EAGAIN, call: "pthread_create") }
            do throws(SystemError) {
                // Under the lock, so that the thread is in the list before it can end.
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

    /// Returns when all threads have ended and are joined.
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

    /// Threads that are not joined yet; for tests.
    var count: Int { state.withLock { $0.threads.count } }
}
