import MulePlan
import MuleSystem
import MuleUpload

/// Ends a run at its limits: nothing new starts, uploads in flight get some time to finish, and then the run is
/// cancelled. Everything that the store has confirmed stays.
final class RunLimitWatch: Sendable {
    private let limits: RunLimits
    private let run: UploadRun
    private let cancellation: Cancellation
    private let now: @Sendable () -> Int64
    private let startedAt = Moment.now()
    private let isOver = Monitor(false)
    private let reachedLimit = Monitor<UploadFailure?>(nil)

    /// Seconds between two checks.
    private static let interval = 0.2

    init(
        _ limits: RunLimits,
        of run: UploadRun,
        cancellation: Cancellation,
        now: @escaping @Sendable () -> Int64
    ) {
        self.limits = limits
        self.run = run
        self.cancellation = cancellation
        self.now = now
    }

    /// Nil if there is no limit.
    func start() throws(SystemError) -> Thread? {
        guard limits.until != nil || limits.maximumDuration != nil || limits.maximumBytes != nil else { return nil }
        return try Thread(name: "run limits") { self.watch() }
    }

    func end() {
        isOver.update { $0 = true }
    }

    /// The limit that was reached.
    var reason: UploadFailure? { reachedLimit.withLock { $0 } }

    private func watch() {
        guard let failure = reached() else { return }
        reachedLimit.withLock { $0 = failure }
        run.drain(failure)
        if !pause(limits.grace) { cancellation.cancel() }
    }

    /// Waits for a limit; nil if the run ended before.
    private func reached() -> UploadFailure? {
        while true {
            if let until = limits.until, now() >= until { return Self.failure("its end time is reached") }
            if let longest = limits.maximumDuration, Moment.now().seconds(since: startedAt) >= longest {
                return Self.failure("its maximum duration (\(DurationText.format(longest))) is reached")
            }
            if let most = limits.maximumBytes, run.bytesSent >= most {
                return Self.failure("its maximum of bytes to send (\(ByteSize.format(most))) is reached")
            }
            if pause(Self.interval) { return nil }
        }
    }

    /// - Returns: whether the run ended during the pause.
    private func pause(_ seconds: Double) -> Bool {
        isOver.wait(until: Moment.now().adding(seconds: seconds), for: { $0 ? true : nil }) ?? false
    }

    private static func failure(_ why: String) -> UploadFailure {
        var failure = UploadFailure(
            .limit,
            "The run stops here: \(why). Uploaded parts are kept, and the next run resumes.",
            isResumable: true
        )
        failure.scope = .run
        return failure
    }
}
