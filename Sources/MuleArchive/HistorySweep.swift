// Removes old records from the ledger, except those that prevent a file from being sent again: the rows of a file that
// still exists as it was archived stay, however old they are.

import Glibc
package import MuleLedger
import MulePlan
package import MuleSystem
import MuleUpload

package struct HistorySweep {
    private let ledger: Ledger
    /// Milliseconds since 1970.
    private let cutoff: Int64
    private let removes: Bool
    private let cancellation: Cancellation

    /// Rows to check between two commits.
    private static let batch = 500

    /// - Parameters:
    ///   - cutoff: milliseconds since 1970; newer records stay.
    ///   - removes: whether to remove records, or only count them.
    package init(_ ledger: Ledger, cutoff: Int64, removes: Bool, cancellation: Cancellation) {
        self.ledger = ledger
        self.cutoff = cutoff
        self.removes = removes
        self.cancellation = cancellation
    }

    /// Sweeps the ledger once; stops early if cancelled.
    ///
    /// - Returns: what was removed, or would be.
    package func run() throws(LedgerError) -> HistoryCounts {
        var counts = HistoryCounts()
        if removes {
            while !cancellation.isCancelled {
                let gone = try ledger.removeHistory(before: cutoff)
                counts.runs += gone.runs
                counts.receipts += gone.receipts
                counts.notices += gone.notices
                if gone.isEmpty { break }
            }
        } else {
            counts = try ledger.oldHistory(before: cutoff)
        }
        try sweepItems(&counts)
        try sweepUploads(&counts)
        return counts
    }

    private func sweepItems(_ counts: inout HistoryCounts) throws(LedgerError) {
        var last: OwnedItem?
        while !cancellation.isCancelled {
            let items = try ledger.oldItems(before: cutoff, after: last, limit: Self.batch)
            guard let end = items.last else { return }
            last = end
            let gone = items.filter { isGone($0.item) }
            guard !gone.isEmpty else { continue }
            // Their uploads are removed with them.
            let uploads = gone.compactMap(\.item.upload).filter { upload in
                upload.updatedAt < cutoff && (upload.state == .done || upload.state == .aborted)
            }
            counts.items += removes ? try ledger.remove(gone, before: cutoff) : gone.count
            counts.uploads += removes ? try ledger.removeOver(uploads.map(\.number)) : uploads.count
        }
    }

    private func sweepUploads(_ counts: inout HistoryCounts) throws(LedgerError) {
        var last: Int64 = 0
        while !cancellation.isCancelled {
            let records = try ledger.overUploads(before: cutoff, after: last, limit: Self.batch)
            guard let end = records.last else { return }
            last = end.number
            var gone: [Int64] = []
            for record in records where try !isNeeded(record) { gone.append(record.number) }
            counts.uploads += removes && !gone.isEmpty ? try ledger.removeOver(gone) : gone.count
        }
    }

    private func isGone(_ item: JobItem) -> Bool {
        // For a file that mule moved or deleted, the device does not matter: another disk may be mounted there by now.
        let wasTakenAway = item.state == .settled && item.action != nil
        return Self.isGone(item.source, device: wasTakenAway ? nil : item.upload?.source.device)
    }

    /// Whether the record prevents a file from being sent again.
    private func isNeeded(_ record: UploadRecord) throws(LedgerError) -> Bool {
        guard record.state == .done, let source = record.upload.source else { return false }
        if let status = try? FileStatus.of(path: source.path) {
            let now = SourceIdentity(path: source.path, status)
            if now.verdict(since: source).isChanged { return false }
            let latest = try ledger.lastDone(
                source: source.path,
                destination: record.upload.destination,
                endpoint: record.upload.store.endpoint
            )
            return latest?.number == record.number
        }
        return !Self.isGone(source.path, device: source.device)
    }

    /// Whether nothing exists at this path any more.
    ///
    /// - Parameter device: the file's device. An unmounted disk hides its files only until it is mounted again: if the
    ///   parent directory is on another device, the answer is false. Nil to ignore the device.
    static func isGone(_ path: [UInt8], device: UInt64?) -> Bool {
        var path = path
        guard error(path) == ENOENT else { return false }
        guard let device else { return true }
        while true {
            path = AfterActionExecutor.parent(path)
            if let status = try? FileStatus.of(path: path) { return status.device == device }
            guard error(path) == ENOENT, path.count > 1 else { return false }
        }
    }

    /// The error of looking at the path; 0 if it exists.
    private static func error(_ path: [UInt8]) -> Int32 {
        do {
            _ = try FileStatus.of(path: path, followingLinks: false)
            return 0
        } catch {
            return error.code
        }
    }
}
