import MuleSystem

/// The threads of a run. They come and go, thousands of them in a run of weeks, and those that have left are cleared away.
final class Crew: Sendable {
    private struct State {
        var threads: [Int: Thread] = [:]
        var hired = 0
        /// Numbers of those whose work is over and who have not been waited for.
        var left: [Int] = []

        mutating func takeOneThatLeft() -> Thread? {
            left.popLast().flatMap { threads.removeValue(forKey: $0) }
        }
    }

    private let state = Monitor(State())

    /// One more thread. To be called by the first before anybody waits, and by those who work.
    func hire(_ work: @escaping @Sendable () -> Void) {
        let gone = state.withLock { state in
            let number = state.hired
            state.hired += 1
            // Under the lock, so that it is in the list before it can say that it leaves.
            state.threads[number] = Thread(name: "worker \(number + 1)") { [self] in
                work()
                self.state.update { $0.left.append(number) }
            }
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

    /// Threads that have not been cleared away; for tests.
    var count: Int { state.withLock { $0.threads.count } }
}
