// What sending leaves behind in this machine's memory.

import MulePlan
import MuleSystem
import MuleTransport

/// What becomes of a file's bytes in the page cache when they have been sent.
package enum PageCacheUse: String, CaseIterable, Sendable {
    case keep
    /// A part of which nothing was there when the upload was taken up is dropped when it is recorded. What was there is
    /// somebody else's, and stays.
    case drop
}

extension UploadRun {
    /// Finds the parts whose bytes will be in the page cache only because they are sent. To be asked before any of them is
    /// read: the kernel reads ahead, beyond the end of each.
    ///
    /// - Parameter plan: nil for a file that goes in one request.
    func noteCache(_ source: SourceFile, _ plan: PartPlan?, _ transfer: Transfer) {
        guard settings.pageCache == .drop else { return }
        source.file.adviseNoReuse()
        let parts = plan.map { plan in (1...plan.count).map { plan.range(of: $0) } } ?? [0..<source.size]
        var cold: [Range<Int64>] = []
        // Who can't be told drops all: that is what was asked for.
        for range in parts where source.file.isCached(range) != true {
            if let last = cold.indices.last, cold[last].upperBound == range.lowerBound {
                cold[last] = cold[last].lowerBound..<range.upperBound
            } else {
                cold.append(range)
            }
        }
        transfer.change { [cold] in $0.dropFromCache(cold) }
    }

    /// Drops a recorded part's bytes, if they are to leave the page cache.
    func dropCache(_ slice: FileSlice, of transfer: Transfer) {
        guard settings.pageCache == .drop else { return }
        let ranges = transfer.change { $0.leavingCache }
        if ranges.contains(where: { $0.contains(slice.offset) }) { slice.file.dropCache(slice.range) }
    }

    /// Drops what is left of such parts at the end: pages that lie across their borders, and what was read ahead.
    func dropCache(of transfer: Transfer) {
        let (source, ranges) = transfer.change { ($0.source, $0.leavingCache) }
        for range in ranges { source?.file.dropCache(range) }
    }
}
