import MuleLedger
import MulePlan
import Synchronization

/// What unfinished uploads of a run have at the store according to their rows, from this and earlier runs.
package struct KeptParts: Hashable, Sendable {
    package private(set) var uploads = 0
    package private(set) var bytes: Int64 = 0
    /// Total bytes; nil while a stream's length is unknown.
    package private(set) var size: Int64? = 0
    package private(set) var parts = 0
    /// Total parts; nil while a stream's length is unknown.
    package private(set) var partCount: Int? = 0
    /// The upload's ID, if there is only one.
    package private(set) var id: String?

    package init() {}

    /// - Parameters:
    ///   - size: bytes of the whole upload; nil if unknown.
    ///   - partCount: nil if unknown; 0 for an upload in one request.
    ///   - id: nil if the ledger does not have the upload.
    package mutating func add(
        bytes: Int64,
        of size: Int64?,
        parts: Int,
        of partCount: Int?,
        id: String? = nil
    ) {
        self.id = uploads == 0 ? id : nil
        uploads += 1
        self.bytes += bytes
        self.parts += parts
        self.size = self.size.flatMap { sum in size.map { sum + $0 } }
        self.partCount = self.partCount.flatMap { sum in partCount.map { sum + $0 } }
    }

    mutating func add(_ transfer: Transfer) {
        let record = transfer.record
        // A run stopped before it asked the store has only the recorded values.
        let bytes = max(transfer.bytesDone.load(ordering: .relaxed), record?.bytesDone ?? 0)
        let parts = max(transfer.partsDone.load(ordering: .relaxed), record?.partsDone ?? 0)
        let isWhole = transfer.job.path != nil && record?.upload.partSize == nil
        add(bytes: bytes, of: transfer.size, parts: parts, of: isWhole ? 0 : transfer.partCount, id: record?.id)
    }

    /// `160.0 of 500.0 MiB are kept (20 of 63 parts)`
    package var sentence: String {
        var text = (size.map { ByteSize.format(bytes, of: $0) } ?? ByteSize.format(bytes)) + " are kept"
        if let partCount, partCount > 0 {
            text += " (\(parts) of \(partCount) parts)"
        } else if parts > 0 {
            text += " (\(parts) \(parts == 1 ? "part" : "parts"))"
        }
        return text
    }
}
