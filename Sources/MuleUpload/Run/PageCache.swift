// Keeps or drops what sending leaves in the page cache.

import MulePlan
import MuleSystem
import MuleTransport

/// What happens to a file's bytes in the page cache after they are sent.
package enum PageCacheUse: String, CaseIterable, Sendable {
    case keep
    /// Drop a recorded part if none of it was cached when the upload started. Other parts stay cached: another program
    /// may use them.
    case drop
}

extension UploadRun {
    /// Finds the parts that are not cached yet. Call before reading any of them, because the kernel reads ahead beyond
    /// the end of each.
    ///
    /// - Parameter plan: nil for a file sent in one request.
    func noteCache(_ source: SourceFile, _ plan: PartPlan?, transfer: Transfer) {
        guard settings.pageCache == .drop else { return }
        source.file.adviseNoReuse()
        let parts = plan.map { plan in (1...plan.count).map { plan.range(of: $0) } } ?? [0..<source.size]
        var cold: [Range<Int64>] = []
        // If the kernel cannot tell, drop everything: the user asked for it.
        for range in parts where source.file.isCached(range) != true {
            if let last = cold.indices.last, cold[last].upperBound == range.lowerBound {
                cold[last] = cold[last].lowerBound..<range.upperBound
            } else {
                cold.append(range)
            }
        }
        transfer.change { [cold] in $0.dropFromCache(cold) }
    }

    /// Drops a recorded part's bytes if they were not cached before.
    func dropCache(_ slice: FileSlice, of transfer: Transfer) {
        guard settings.pageCache == .drop else { return }
        let ranges = transfer.change { $0.leavingCache }
        if ranges.contains(where: { $0.contains(slice.offset) }) { slice.file.dropCache(slice.range) }
    }

    /// Drops the rest of such parts at the end: pages across their borders, and read-ahead.
    func dropCache(of transfer: Transfer) {
        let (source, ranges) = transfer.change { ($0.source, $0.leavingCache) }
        for range in ranges { source?.file.dropCache(range) }
    }
}
