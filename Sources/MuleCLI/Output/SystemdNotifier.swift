import MuleSystem

/// Reports to the service manager from its own thread: start, progress and stop of a command, and keep-alives while the
/// run makes progress.
final class SystemdNotifier: Sendable {
    private struct Subject {
        var job: String?
        var isAlive: @Sendable () -> Bool
        var snapshot: @Sendable () -> TransferSnapshot
        var pace = TransferPace()
    }

    private struct State {
        var subject: Subject?
        /// Counts status texts, so that a new one is sent at once.
        var generation = 0
        var isOver = false
    }

    private let manager: NotifySocket
    private let state = Monitor(State())
    private let thread = Monitor<Thread?>(nil)

    /// Seconds between two messages.
    private static let interval = 3.0

    /// Nil without a service manager.
    init?(environment: [String: String]) {
        guard let manager = NotifySocket(environment: environment) else { return nil }
        self.manager = manager
    }

    /// - Throws: if no thread can be created. Without keep-alives, a watchdog would end the process.
    func begin() throws(SystemError) {
        let started = try Thread(name: "service") { self.work() }
        thread.withLock { $0 = started }
    }

    /// - Parameters:
    ///   - job: the job's name, if several may run.
    ///   - isAlive: whether the run makes progress, by its own judgement.
    func watch(
        job: String?,
        isAlive: @escaping @Sendable () -> Bool,
        _ snapshot: @escaping @Sendable () -> TransferSnapshot
    ) {
        state.update { state in
            state.subject = Subject(job: job, isAlive: isAlive, snapshot: snapshot)
            state.generation += 1
        }
    }

    /// Ends the watch when the run is over; the remaining steps are short.
    func unwatch() {
        state.update { state in
            state.subject = nil
            state.generation += 1
        }
    }

    func stopping() { manager.tell("STOPPING=1") }

    /// Sends `STOPPING=1` as the last message, after the sending thread has ended.
    func end() {
        state.update { $0.isOver = true }
        thread.withLock { $0.take() }?.join()
        stopping()
    }

    private func work() {
        // Sent here so that no other message can precede it.
        manager.tell("READY=1")
        let interval = min(Self.interval, (manager.watchdog ?? .infinity) / 2)
        while true {
            var (subject, generation) = state.withLock { ($0.subject, $0.generation) }
            if manager.watchdog != nil, subject?.isAlive() ?? true { manager.tell("WATCHDOG=1") }
            if subject != nil {
                tell(of: &subject)
                state.withLock { if $0.generation == generation, $0.subject != nil { $0.subject = subject } }
            }
            let next = Moment.now().adding(seconds: interval)
            let isOver = state.wait(until: next) { state -> Bool? in
                state.isOver ? true : state.generation != generation ? false : nil
            }
            if isOver == true { return }
        }
    }

    private func tell(of subject: inout Subject?) {
        guard let snapshot = subject?.snapshot() else { return }
        subject?.pace.add(snapshot, at: Double(Moment.now().nanoseconds) / 1e9)
        let line = PlainPrinter.line(snapshot, pace: subject?.pace ?? TransferPace()).dropFirst("mule: ".count)
        manager.tell("STATUS=" + (subject?.job.map { TextSafety.displayName($0) + ": " } ?? "") + line)
    }
}
