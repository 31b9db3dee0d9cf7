import MuleLedger
import MuleSystem

/// Writes down what has happened, on a thread of its own, so that no worker waits for the disk between two parts.
///
/// What has piled up while one transaction was being written goes into the next, all at once: the number of commits
/// follows the disk, not the number of parts. Whatever hangs on an entry being durable runs after its commit.
final class Recorder: Sendable {
    private struct Item {
        var entry: Ledger.Entry
        var then: @Sendable (LedgerError?) -> Void
    }

    private struct State {
        var waiting: [Item] = []
        /// Entries of the transaction that is being written, until all that hangs on them has run.
        var beingWritten = 0
        var isClosed = false
        /// The thread waits for an entry.
        var isIdle = false
        /// The thread waits for more.
        var isGathering = false
        /// Somebody waits until all is written.
        var isAwaited = false
    }

    private let ledger: Ledger
    private let state = Monitor(State())
    private let patience: Double
    private let shouldStop: @Sendable () -> Bool
    private let onFailure: @Sendable (LedgerError) -> Void
    private let onShortage: @Sendable (LedgerError) -> Void

    /// Entries that may wait while more is sent: what is at the store and not on record stays bounded, whatever the disk
    /// does, and the ledger's reserve has room for it.
    static let mostWaiting = 64
    /// Seconds between two commits, unless enough has come together: an entry that comes alone does not wait at all.
    private static let interval = 0.005
    private static let enough = mostWaiting / 2
    /// Seconds that another process may keep the ledger to itself: an import of many uploads takes that long.
    static let defaultPatience = 60.0

    /// - Parameters:
    ///   - shouldStop: whether there is no sense in waiting for the ledger any longer.
    ///   - onShortage: called, on the recorder's thread, when there is no room for more than what is under way.
    ///   - onFailure: called, on the recorder's thread, when a commit fails; what it held stays unrecorded.
    init(
        _ ledger: Ledger,
        patience: Double = defaultPatience,
        shouldStop: @escaping @Sendable () -> Bool = { false },
        onShortage: @escaping @Sendable (LedgerError) -> Void = { _ in },
        onFailure: @escaping @Sendable (LedgerError) -> Void
    ) {
        self.ledger = ledger
        self.patience = patience
        self.shouldStop = shouldStop
        self.onFailure = onFailure
        self.onShortage = onShortage
    }

    /// Starts the thread; it ends after `close`, when everything is written.
    func start() throws(SystemError) -> Thread {
        try Thread(name: "recorder") { self.work() }
    }

    /// - Parameter then: runs after the commit, on the recorder's thread; with the error when nothing was written.
    func record(_ entry: Ledger.Entry, then: @escaping @Sendable (LedgerError?) -> Void) {
        // While the thread writes or gathers it is not woken for each.
        state.update(if: { $0.isIdle || ($0.isGathering && $0.waiting.count == Self.enough) }) { state in
            state.waiting.append(Item(entry: entry, then: then))
        }
    }

    /// Waits while too much is unrecorded. Not to be called on the recorder's thread.
    func waitForRoom() {
        state.wait { $0.waiting.count + $0.beingWritten < Self.mostWaiting ? () : nil }
    }

    /// Waits until all that was handed over is written, or has failed to be, and what hangs on it has run. Not to be called
    /// on the recorder's thread.
    func waitUntilRecorded() {
        state.update { $0.isAwaited = true }
        state.wait { state -> Void? in
            guard state.waiting.isEmpty && state.beingWritten == 0 else { return nil }
            state.isAwaited = false
            return ()
        }
    }

    func close() {
        state.update { $0.isClosed = true }
    }

    private func work() {
        while true {
            let batch: [Item] = state.wait { state in
                state.isIdle = state.waiting.isEmpty && !state.isClosed
                if state.isIdle { return nil }
                let batch = state.waiting
                state.waiting = []
                state.beingWritten = batch.count
                return batch
            }
            if batch.isEmpty { return }
            let began = Moment.now()
            let failure = commit(batch.map(\.entry))
            if let failure { onFailure(failure) }
            for item in batch { item.then(failure) }
            state.update { $0.beingWritten = 0 }
            gather(until: began.adding(seconds: Self.interval))
        }
    }

    /// Lets entries come together where a disk is fast and uploads are small: each commit costs as much as several requests.
    private func gather(until moment: Moment) {
        state.withLock { $0.isGathering = true }
        _ = state.wait(until: moment) { state in
            state.waiting.count >= Self.enough || state.isClosed || state.isAwaited ? () : nil
        }
        state.withLock { $0.isGathering = false }
    }

    private func commit(_ entries: [Ledger.Entry]) -> LedgerError? {
        let end = Moment.now().adding(seconds: patience)
        while true {
            do throws(LedgerError) {
                try ledger.commit(entries)
                break
            } catch {
                guard error == .busy, !shouldStop(), Moment.now() < end else { return error }
            }
        }
        do {
            try ledger.makeRoom()
        } catch {
            onShortage(error)
        }
        return nil
    }
}
