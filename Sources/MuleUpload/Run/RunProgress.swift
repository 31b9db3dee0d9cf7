import MuleLedger
package import MulePlan
import MuleSystem
import Synchronization

/// The current state of one upload.
package struct FileSnapshot: Sendable {
    package var id: String?
    /// The source's path; nil for standard input.
    package var source: [UInt8]?
    package var destination: ObjectAddress
    package var size: Int64?
    package var bytesDone: Int64
    package var bytesInFlight: Int64
    package var partsDone: Int
    package var partCount: Int?
    package var phase: TransferPhase
}

/// The current state of a run.
package struct RunSnapshot: Sendable {
    /// Active uploads; waiting and finished ones are only counted.
    package var active: [FileSnapshot]
    package var filesDone: Int
    /// Files found so far.
    package var filesTotal: Int
    /// Whether the search for files continues.
    package var findsMore: Bool
    /// Nil until all files are found, and while a stream's length is unknown.
    package var bytesTotal: Int64?
    package var bytesDone: Int64
    package var bytesInFlight: Int64
    package var bytesSkipped: Int64
    package var bytesSent: Int64
    package var partsInFlight: Int
    package var retries: Int
    /// Why nothing moves, if known.
    package var waitingReason: String?
}

/// Counters of a run, updated by all workers.
final class RunProgress: Sendable {
    let partsInFlight = Atomic<Int>(0)
    let retries = Atomic<Int>(0)
    private let state = Monitor<State>(State())

    private struct State {
        var active: [Transfer] = []
        var found = FeedCounts()
        var hasFoundAll = false
        var filesDone = 0
        /// Totals of transfers that have ended.
        var bytesDone: Int64 = 0
        var bytesSkipped: Int64 = 0
        var bytesSent: Int64 = 0
        var waiting: (reason: String, until: Moment)?
    }

    func found(_ findings: FeedCounts) {
        state.withLock { state in
            state.found.uploads += findings.uploads
            state.found.bytes += findings.bytes
            state.found.unknownSizes += findings.unknownSizes
        }
    }

    func foundAll() {
        state.withLock { $0.hasFoundAll = true }
    }

    /// Updates the total when a stream ends or exceeds its expected size.
    ///
    /// - Parameters:
    ///   - size: nil if it is unknown again.
    ///   - expected: the expected size; nil if there was none.
    func found(size: Int64?, insteadOf expected: Int64?) {
        state.withLock { state in
            state.found.bytes += (size ?? 0) - (expected ?? 0)
            state.found.unknownSizes += (size == nil ? 1 : 0) - (expected == nil ? 1 : 0)
        }
    }

    func begin(_ transfer: Transfer) {
        state.withLock { $0.active.append(transfer) }
    }

    func end(_ transfer: Transfer) {
        state.withLock { state in
            // The oldest are in front, and mostly end first.
            if let place = state.active.firstIndex(where: { $0 === transfer }) { state.active.remove(at: place) }
            state.filesDone += 1
            state.bytesDone += transfer.bytesDone.load(ordering: .relaxed)
            state.bytesSkipped += transfer.bytesSkipped.load(ordering: .relaxed)
            state.bytesSent += transfer.bytesSent.load(ordering: .relaxed)
        }
    }

    func noteWaiting(_ reason: String, until: Moment) {
        state.withLock { $0.waiting = (reason, until) }
    }

    /// Payload bytes sent in this run.
    var bytesSent: Int64 {
        state.withLock { state in
            state.active.reduce(state.bytesSent) { $0 + $1.bytesSent.load(ordering: .relaxed) }
        }
    }

    func snapshot() -> RunSnapshot {
        state.withLock { state in
            let now = Moment.now()
            let reason = state.waiting.flatMap { waiting in
                waiting.until > now
                    ? "\(waiting.reason), trying again in \(Int(waiting.until.seconds(since: now)) + 1) s" : nil
            }
            var snapshot = RunSnapshot(
                active: state.active.map(Self.snapshot),
                filesDone: state.filesDone,
                filesTotal: state.found.uploads,
                findsMore: !state.hasFoundAll,
                bytesTotal: state.hasFoundAll && state.found.unknownSizes == 0 ? state.found.bytes : nil,
                bytesDone: state.bytesDone,
                bytesInFlight: 0,
                bytesSkipped: state.bytesSkipped,
                bytesSent: state.bytesSent,
                partsInFlight: partsInFlight.load(ordering: .relaxed),
                retries: retries.load(ordering: .relaxed),
                waitingReason: reason
            )
            for (transfer, file) in zip(state.active, snapshot.active) {
                snapshot.bytesDone += file.bytesDone
                snapshot.bytesInFlight += file.bytesInFlight
                snapshot.bytesSkipped += transfer.bytesSkipped.load(ordering: .relaxed)
                snapshot.bytesSent += transfer.bytesSent.load(ordering: .relaxed)
            }
            return snapshot
        }
    }

    private static func snapshot(_ transfer: Transfer) -> FileSnapshot {
        transfer.change { state in
            FileSnapshot(
                id: state.record?.id,
                source: transfer.job.sourceName,
                destination: transfer.job.destination,
                size: state.size,
                bytesDone: transfer.bytesDone.load(ordering: .relaxed),
                bytesInFlight: transfer.bytesInFlight.load(ordering: .relaxed),
                partsDone: transfer.partsDone.load(ordering: .relaxed),
                partCount: state.partCount,
                phase: state.phase
            )
        }
    }
}
