import Glibc
import MuleJSON
import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload

/// `mule doctor --export` and `--import`: moves uploads from one ledger to another.
struct LedgerExportImport {
    let session: Session

    // MARK: Export

    func export(to path: [UInt8]) throws(CommandFailure) -> ExitStatus {
        let source = try session.ledgerPath()
        guard (try? FileStatus.of(path: source)) != nil else {
            throw CommandFailure(
                status: .ledger,
                message: "There is no ledger to export: \(TextSafety.displayName(source)) does not exist."
            )
        }
        let ledger = try session.openLedger()
        let output = try ExportOutput(path: path)
        var failure: SystemError?
        var invalid = 0
        let walk: Ledger.Walk
        do {
            failure = output.write(ExportFormat.header(at: wallClockMilliseconds()).line)
            walk = try ledger.forEachUpload { upload in
                // An export that cannot be imported shows damage that SQLite does not detect.
                guard failure == nil, !session.cancellation.isCancelled else { return false }
                let line = ExportFormat.line(upload).line
                guard ExportFormat.accepts(line) else {
                    invalid += 1
                    return true
                }
                failure = output.write(line)
                return failure == nil
            }
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        failure = failure ?? output.close()
        if let failure {
            throw CommandFailure(
                status: .failed,
                message: "Cannot write the export to \(Self.shown(path, isOutput: true)): \(failure.reason)."
            )
        }
        if session.cancellation.isCancelled { return .interrupted }
        let damaged = walk.damaged.count + invalid
        session.console.note(
            "exported \(Wording.count(walk.uploads - invalid, "upload")) to \(Self.shown(path, isOutput: true))"
        )
        guard damaged > 0 else { return .done }
        session.console.error(
            "\(Wording.count(damaged, "upload")) of the damaged ledger could not be read completely. \"mule adopt\" "
                + "finds their parts at the store, \"mule clean\" removes them."
        )
        return .ledger
    }

    // MARK: Import

    /// Reads the file twice: once to check every line, and once to import it. It cannot change in between: input from a
    /// pipe is kept in an unnamed file, and an ordinary file that changes is refused.
    func importFrom(_ path: [UInt8]) throws(CommandFailure) -> ExitStatus {
        let file = try input(path)
        var stores: Set<String> = []
        var checked = 0
        try read(file, path) { upload, _ in
            checked += 1
            stores.insert("\(upload.record.upload.store.endpoint)")
            return true
        }
        let ledger = try session.openLedger()
        var lines = LineReader(file: file)
        var reader = ExportReader()
        var taken = 0
        let result: Ledger.ImportResult
        do {
            result = try ledger.importUploads {
                do {
                    while !session.cancellation.isCancelled {
                        guard let line = try lines.next() else { return taken == checked ? .end : .stop }
                        guard let upload = try reader.read(line) else { continue }
                        taken += 1
                        return .upload(upload, line: reader.line)
                    }
                } catch {
                    // The line has changed since it was checked.
                    return .stop
                }
                return .stop
            }
        } catch {
            throw session.ledgerFailure(error, ledger)
        }
        switch result {
        case .done(let added, let identical):
            report(added: added, identical: identical, stores: stores)
            return .done
        case .conflict(let problem):
            throw refused(path, problem)
        case .stopped:
            if session.cancellation.isCancelled { return .interrupted }
            throw CommandFailure(
                status: .usage,
                message: "\(Self.shown(path)) changed while it was read. Nothing was imported."
            )
        }
    }

    private func report(added: Int, identical: Int, stores: Set<String>) {
        if session.console.isJSON {
            session.console.result(
                JSONValue.object([
                    "added": .int(Int64(added)), "event": "imported", "identical": .int(Int64(identical)),
                    "stores": .array(stores.sorted().map { .string($0) }),
                ]).line
            )
        } else if !session.console.isQuiet {
            var text = "imported \(Wording.count(added, "upload"))"
            if identical > 0 { text += "; \(identical) already known" }
            if !stores.isEmpty {
                text += "; stores: " + stores.sorted().map(TextSafety.displayName).joined(separator: ", ")
            }
            session.console.result(text)
        }
    }

    private func read(
        _ file: File,
        _ path: [UInt8],
        body: (ExportedUpload, Int) -> Bool
    ) throws(CommandFailure) {
        var lines = LineReader(file: file)
        var reader = ExportReader()
        do {
            while let line = try lines.next() {
                if session.cancellation.isCancelled {
                    throw CommandFailure(status: .interrupted, message: "interrupted")
                }
                guard let upload = try reader.read(line) else { continue }
                if !body(upload, reader.line) { return }
            }
            try reader.end()
        } catch let problem as ExportProblem {
            throw refused(path, problem)
        } catch let error as SystemError {
            throw CommandFailure(status: .usage, message: "Cannot read \(Self.shown(path)): \(error.reason).")
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(status: .failed, message: "\(error)")
        }
    }

    private func refused(_ path: [UInt8], _ problem: ExportProblem) -> CommandFailure {
        CommandFailure(
            status: .usage,
            message:
                "\(Self.shown(path)), line \(problem.line): \(TextSafety.displayText(problem.reason)). Nothing was "
                + "imported."
        )
    }

    /// The file, or an unnamed copy of what comes through a pipe.
    func input(_ path: [UInt8]) throws(CommandFailure) -> File {
        do throws(SystemError) {
            if path != [UInt8(ascii: "-")] {
                let file = try File.openForReading(path: path)
                if try file.status().kind == .regular { return file }
                if try file.status().kind == .directory { throw SystemError(code: EISDIR, call: "read") }
                return try spool(try File.open(path: path, flags: O_RDONLY).descriptor)
            }
            guard StandardStreams.canRead else { throw SystemError(code: EBADF, call: "read") }
            return try spool(STDIN_FILENO)
        } catch {
            throw CommandFailure(status: .usage, message: "Cannot read \(Self.shown(path)): \(error.reason).")
        }
    }

    private func spool(_ descriptor: Int32) throws(SystemError) -> File {
        let directory = session.environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/var/tmp"
        let file = try File.openNameless(directory: Array(directory.utf8))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
        defer { buffer.deallocate() }
        var length: Int64 = 0
        while !session.cancellation.isCancelled {
            var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if try retryingInterrupts("poll", { poll(&request, 1, 200) }) == 0 { continue }
            let count = try retryingInterrupts("read") {
                Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            }
            if count == 0 { break }
            try file.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]), at: length)
            length += Int64(count)
        }
        return file
    }

    static func shown(_ path: [UInt8], isOutput: Bool = false) -> String {
        path == [UInt8(ascii: "-")] ? "standard \(isOutput ? "output" : "input")" : TextSafety.displayName(path)
    }
}

/// Lines of a file, one after another, each of a bounded length.
struct LineReader {
    private let file: File
    private var offset: Int64 = 0
    private var buffer: [UInt8] = []
    private var position = 0

    init(file: File) {
        self.file = file
    }

    /// The next line without its line feed; nil at the end. A line that exceeds the limit is cut, but stays above it.
    mutating func next() throws(SystemError) -> [UInt8]? {
        var line: [UInt8] = []
        while true {
            if position == buffer.count {
                buffer = try file.bytes(at: offset, count: 256 << 10)
                offset += Int64(buffer.count)
                position = 0
                if buffer.isEmpty { return line.isEmpty ? nil : line }
            }
            let end = buffer[position...].firstIndex(of: 0x0A)
            // The rest of a line that is too long is skipped.
            if line.count <= ExportFormat.longestLine { line += buffer[position..<(end ?? buffer.count)] }
            position = end.map { $0 + 1 } ?? buffer.count
            if end != nil { return line }
        }
    }
}

/// The target of an export: a new file that only its owner can read, or standard output.
private final class ExportOutput {
    private let file: File?
    private var offset: Int64 = 0
    private var pending: [UInt8] = []

    init(path: [UInt8]) throws(CommandFailure) {
        guard path != [UInt8(ascii: "-")] else {
            file = nil
            return
        }
        do {
            file = try File.open(path: path, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        } catch {
            let reason = error.code == EEXIST ? "it already exists, and an export never replaces a file" : error.reason
            throw CommandFailure(
                status: .usage,
                message: "Cannot write the export to \(TextSafety.displayName(path)): \(reason)."
            )
        }
    }

    func write(_ line: String) -> SystemError? {
        pending += Array(line.utf8) + [0x0A]
        return pending.count < 64 << 10 ? nil : flush()
    }

    /// If this returns nil, all data is on disk.
    func close() -> SystemError? {
        if let failure = flush() { return failure }
        guard let file else { return nil }
        return fsync(file.descriptor) == 0 ? nil : SystemError.current("fsync")
    }

    private func flush() -> SystemError? {
        defer { pending = [] }
        do throws(SystemError) {
            if let file {
                try file.write(pending, at: offset)
                offset += Int64(pending.count)
            } else {
                try writeAll(pending, to: STDOUT_FILENO)
            }
            return nil
        } catch {
            return error
        }
    }
}
