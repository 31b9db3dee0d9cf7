package import MuleLedger

extension Ledger {
    /// Pending, failed and unknown uploads, the oldest first; for ledgers of a few rows.
    package func unfinished() throws(LedgerError) -> [UploadRecord] { try list(.unfinished) }

    /// All uploads, the oldest first; for ledgers of a few rows.
    package func all() throws(LedgerError) -> [UploadRecord] { try list(.all) }

    private func list(_ selection: UploadSelection) throws(LedgerError) -> [UploadRecord] {
        var cursor = try UploadCursor(self, selection)
        var records: [UploadRecord] = []
        while case let slice = try cursor.next(), !slice.isEmpty { records += slice }
        return records
    }
}
