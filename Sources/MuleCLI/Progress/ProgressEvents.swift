import MuleJSON
import MuleSystem

/// The `progress` events of `--json`: at most one a second.
final class ProgressEvents: Sendable {
    private let job: String?
    private let startedAt = Moment.now()
    private let lastAt: Monitor<Moment>

    /// Seconds between two events, and before the first.
    private static let interval = 1.0

    init(job: String?) {
        self.job = job
        lastAt = Monitor(startedAt)
    }

    /// The event for these counts; nil if none is due.
    func next(_ snapshot: TransferSnapshot) -> JSONValue? {
        let now = Moment.now()
        let isDue = lastAt.withLock { last in
            guard now.seconds(since: last) >= Self.interval else { return false }
            last = now
            return true
        }
        // A plain nil would be JSON's null.
        guard isDue else { return .none }
        return Self.event(snapshot, job: job, seconds: now.seconds(since: startedAt))
    }

    static func event(_ snapshot: TransferSnapshot, job: String?, seconds: Double) -> JSONValue {
        .object([
            "bytesDone": .int(snapshot.bytesDone),
            "bytesInFlight": .int(snapshot.bytesInFlight),
            "bytesSent": .int(snapshot.bytesSentThisRun),
            "bytesTotal": JSONValue(snapshot.totalBytes),
            "event": "progress",
            "failed": .int(Int64(snapshot.failures)),
            "filesDone": .int(Int64(snapshot.filesDone)),
            "filesTotal": .int(Int64(snapshot.filesTotal)),
            "findsMore": .bool(snapshot.findsMore),
            "job": JSONValue(job),
            "partsInFlight": .int(Int64(snapshot.partsInFlight)),
            "retries": .int(Int64(snapshot.retries)),
            "seconds": .double((seconds * 1000).rounded() / 1000),
        ])
    }
}
