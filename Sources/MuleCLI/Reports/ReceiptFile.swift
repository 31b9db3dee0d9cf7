import Glibc
import MuleJSON
import MuleLedger
import MulePlan
import MuleSystem

/// The receipt of a run as a file: a line for the run, then one for each file with a result.
enum ReceiptFile {
    private static let batch = 500

    /// `JOB-20261121T030000Z-RUN.jsonl`; characters that a file name cannot have become `_`.
    static func name(of run: RunRecord) -> String {
        let plain = run.jobName.utf8.prefix(100).map { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "."), UInt8(ascii: "-"): byte
            default: UInt8(ascii: "_")
            }
        }
        let job = String(decoding: plain, as: UTF8.self)
        return "\(job)-\(UTCTime(millisecondsSince1970: run.startedAt).basic)-\(run.number).jsonl"
    }

    /// Writes it atomically: it gets its name when every line is on disk. Replaces an existing one.
    ///
    /// - Throws: `SystemError` or `LedgerError`.
    static func write(_ view: RunView, _ ledger: Ledger, to directory: [UInt8]) throws {
        let slash = [UInt8(ascii: "/")]
        let name = Array(name(of: view.record).utf8)
        let partial = directory + slash + Array(".".utf8) + name + Array(".part".utf8)
        try makeDirectories(path: directory, mode: 0o777)
        let file = try File.open(path: partial, flags: O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o666)
        do {
            var output = Output(file: file)
            let files = try ledger.receiptCount(of: view.record.number)
            try output.add(header(view).merging(["files": .int(files)]) { own, _ in own })
            var last: Int64 = 0
            while true {
                let slice = try ledger.receipts(of: view.record.number, after: last, limit: batch)
                guard let end = slice.last else { break }
                last = end.receipt.number
                for (receipt, upload) in slice {
                    try output.add(FileView(run: view.record, receipt: receipt, upload: upload).members)
                }
            }
            try output.flush()
            try sync(file)
            try rename(partial, to: directory + slash + name)
            try syncDirectory(of: partial)
        } catch {
            unlink(partial.map { CChar(bitPattern: $0) } + [0])
            throw error
        }
    }

    static func header(_ view: RunView) -> [String: JSONValue] {
        view.members.merging(["host": .string(TextSafety.jsonName(Array(hostName().utf8)))]) { own, _ in own }
    }

    private static func sync(_ file: File) throws(SystemError) {
        try retryingInterrupts("fsync") { fsync(file.descriptor) }
    }

    private static func rename(_ path: [UInt8], to target: [UInt8]) throws(SystemError) {
        let names = [path, target].map { $0.map { CChar(bitPattern: $0) } + [0] }
        try retryingInterrupts("rename") { Glibc.rename(names[0], names[1]) }
    }

    private struct Output {
        let file: File
        private var pending: [UInt8] = []
        private var offset: Int64 = 0

        init(file: File) {
            self.file = file
        }

        mutating func add(_ members: [String: JSONValue]) throws(SystemError) {
            pending += Array(JSONValue.object(members).line.utf8) + [0x0A]
            if pending.count >= 64 << 10 { try flush() }
        }

        mutating func flush() throws(SystemError) {
            try file.write(pending, at: offset)
            offset += Int64(pending.count)
            pending = []
        }
    }
}
