import MuleJSON
import MuleLedger
import MulePlan

extension FuzzTarget {
    /// An export of a ledger: what is taken keeps the rules of a ledger, and is written as it was read.
    static let ledger = FuzzTarget("ledger") { bytes throws(BrokenPromise) in
        let uploads: [ExportedUpload]
        do throws(ExportProblem) {
            uploads = try ExportFormat.read(bytes)
        } catch {
            let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
            return try promise((1...lines.count).contains(error.line), "line \(error.line) of \(lines.count)")
        }
        let written = [ExportFormat.header(at: 0).line] + uploads.map { ExportFormat.line($0).line }
        let again = try? ExportFormat.read(Array((written.joined(separator: "\n") + "\n").utf8))
        try promise(again == uploads, "an export does not read back: \(written.joined(separator: "\n"))")
        for upload in uploads { try promiseSound(upload) }
    }
}

private func promiseSound(_ exported: ExportedUpload) throws(BrokenPromise) {
    let record = exported.record
    try promise(!record.id.isEmpty && !record.id.hasControls, "the ID \(record.id)")
    for text in [record.upload.store.endpoint, record.upload.store.region, record.upload.destination.bucket] {
        try promise(!text.isEmpty && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }, "the address \(text)")
    }
    try promise(record.upload.source.map { !$0.path.contains(0) } ?? true, "a path with a NUL")
    try promise(record.upload.store.caBundle.map { !$0.utf8.contains(0) } ?? true, "a path with a NUL")
    try promise(record.uploadID.map { !$0.isEmpty && $0.utf8.count <= 4096 } ?? true, "an upload ID that is none")
    try promise(record.bytesDone >= 0 && record.bytesSent >= 0 && record.size ?? 0 >= 0, "fewer bytes than none")
    let numbers = exported.parts.map(\.number)
    try promise(zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 }, "parts out of order")
    try promise(exported.parts.allSatisfy { $0.size >= 0 && (1...10_000).contains($0.number) }, "a part that can't be")
    for header in record.upload.attributes.headers {
        try promise(!header.value.utf8.contains { $0 < 0x20 && $0 != 0x09 }, "a header of more than one line")
        try promise(header.name != "host" && header.name != "authorization", "the header \(header.name)")
    }
}
