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
        var isClosed = false
    }

    private let ledger: Ledger
    private let state = Monitor(State())
    private let onFailure: @Sendable (LedgerError) -> Void

    /// - Parameter onFailure: called, on the recorder's thread, when a commit fails; what it held stays unrecorded.
    init(_ ledger: Ledger, onFailure: @escaping @Sendable (LedgerError) -> Void) {
        self.ledger = ledger
        self.onFailure = onFailure
    }

    /// Starts the thread; it ends after `close`, when everything is written.
    func start() -> Thread {
        Thread(name: "recorder") { self.work() }
    }

    /// - Parameter then: runs after the commit, on the recorder's thread; with the error when nothing was written.
    func record(_ entry: Ledger.Entry, then: @escaping @Sendable (LedgerError?) -> Void) {
        state.update { $0.waiting.append(Item(entry: entry, then: then)) }
    }

    func close() {
        state.update { $0.isClosed = true }
    }

    private func work() {
        while true {
            let batch: [Item] = state.wait { state in
                if state.waiting.isEmpty { return state.isClosed ? [] : nil }
                let batch = state.waiting
                state.waiting = []
                return batch
            }
            if batch.isEmpty { return }
            var failure: LedgerError?
            do {
                try ledger.commit(batch.map(\.entry))
            } catch {
                failure = error
                onFailure(error)
            }
            for item in batch { item.then(failure) }
        }
    }
}
