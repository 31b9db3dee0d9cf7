import MuleLedger
import MuleSystem

/// Writes the ledger on its own thread, so that no worker waits for the disk between two parts.
///
/// Entries that collect during one transaction go into the next one together: the disk sets the number of commits, not
/// the number of parts. Each entry's completion runs after its commit.
final class Recorder: Sendable {
    private struct Item {
        var entry: Ledger.Entry
        var then: @Sendable (LedgerError?) -> Void
    }

    private struct State {
        var waiting: [Item] = []
        /// Entries of the current transaction, until all their completions have run.
        var beingWritten = 0
        var isClosed = false
        /// The thread waits for an entry.
        var isIdle = false
        /// The thread waits for more entries.
        var isGathering = false
        /// A thread waits until all is written.
        var isAwaited = false

        var hasRoom: Bool { waiting.count + beingWritten < mostWaiting }
    }

    private let ledger: Ledger
    private let state = Monitor(State())
    private let patience: Double
    private let shouldStop: @Sendable () -> Bool
    private let isLast: @Sendable ([Ledger.Entry]) -> Bool
    private let onFailure: @Sendable (LedgerError) -> Void
    private let onShortage: @Sendable (LedgerError) -> Void

    /// The maximum number of waiting entries. Bounds what is at the store without a record even on a slow disk, and
    /// fits into the ledger's reserve.
    static let mostWaiting = 64
    /// Seconds between two commits, unless enough entries have collected. A single entry does not wait.
    private static let interval = 0.005
    private static let enough = mostWaiting / 2
    /// Seconds to wait while another process locks the ledger, for example to import many uploads.
    static let defaultPatience = 60.0

    /// - Parameters:
    ///   - shouldStop: whether to stop waiting for a locked ledger.
    ///   - isLast: whether probably nothing will be recorded after these entries.
    ///   - onShortage: called on the recorder's thread when there is only room for what is in flight.
    ///   - onFailure: called on the recorder's thread when a commit fails; its entries stay unrecorded.
    init(
        _ ledger: Ledger,
        patience: Double = defaultPatience,
        shouldStop: @escaping @Sendable () -> Bool = { false },
        isLast: @escaping @Sendable ([Ledger.Entry]) -> Bool = { _ in false },
        onShortage: @escaping @Sendable (LedgerError) -> Void = { _ in },
        onFailure: @escaping @Sendable (LedgerError) -> Void
    ) {
        self.ledger = ledger
        self.patience = patience
        self.shouldStop = shouldStop
        self.isLast = isLast
        self.onFailure = onFailure
        self.onShortage = onShortage
    }

    /// Starts the thread; it ends after `close`, when everything is written.
    func start() throws(SystemError) -> Thread {
        try Thread(name: "recorder") { self.work() }
    }

    /// - Parameter then: runs on the recorder's thread after the commit; with the error if nothing was written.
    func record(_ entry: Ledger.Entry, then: @escaping @Sendable (LedgerError?) -> Void) {
        // A thread that writes or gathers is not woken for each entry.
        state.update(if: { $0.isIdle || ($0.isGathering && $0.waiting.count == Self.enough) }) { state in
            state.waiting.append(Item(entry: entry, then: then))
        }
    }

    /// Waits while too many entries are unrecorded. Do not call on the recorder's thread.
    func waitForRoom() {
        if state.withLock({ $0.hasRoom }) { return }
        state.wait { $0.hasRoom ? () : nil }
    }

    /// Waits until all earlier entries are written or have failed, and their completions have run. Do not call on the
    /// recorder's thread.
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

    /// Lets entries collect if the disk is fast and uploads are small: a commit costs as much as several requests.
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
                try ledger.commit(entries, isLast: isLast(entries))
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
