import MuleJSON
import MuleLedger
import MulePlan
import MuleSystem
import MuleUpload

/// `mule status`
struct StatusCommand {
    let session: Session

    func run() throws(CommandFailure) -> ExitStatus {
        let ledger = try session.openLedger()
        let showsAll = session.typed.all
        let records = try session.records(ledger, ids: session.typed.operands) { ledger throws(LedgerError) in
            showsAll ? try ledger.all() : try ledger.unfinished().filter(\.isOpen)
        }
        session.console.results(
            records.map { record in
                let state = state(of: record, ledger)
                return session.console.isJSON ? json(record, state) : text(record, state)
            }
        )
        // What has no place in the objects is said beside them.
        if session.console.isJSON {
            for case let warning? in records.map(abortWarning) { session.console.note(TextSafety.displayName(warning)) }
        }
        if records.isEmpty && !session.console.isJSON { session.console.note("nothing is pending") }
        return .done
    }

    private func state(of record: UploadRecord, _ ledger: Ledger) -> String {
        guard record.state == .pending, ledger.isActive(record) else { return record.state.rawValue }
        return "active"
    }

    private func json(_ record: UploadRecord, _ state: String) -> String {
        JSONValue.object([
            "bytesDone": .int(record.bytesDone),
            "createdAt": .string(UTCTime(millisecondsSince1970: record.createdAt).iso8601),
            "destination": .string(record.upload.destination.description),
            "id": .string(record.id),
            "lastError": JSONValue(record.lastError),
            "partSize": JSONValue(record.upload.partSize),
            "partsDone": .int(Int64(record.partsDone)),
            "partsTotal": record.partCount.map { .int(Int64($0)) } ?? .null,
            "size": JSONValue(record.size),
            "source": .string(record.upload.source.map { TextSafety.jsonName($0.path) } ?? "-"),
            "state": .string(state),
            "updatedAt": .string(UTCTime(millisecondsSince1970: record.updatedAt).iso8601),
            "uploadID": JSONValue(record.uploadID),
        ]).line
    }

    /// What is to be said of the day on which the store gives the upload up, by what the ledger knows: the rate so far is
    /// that between the first day and the last part.
    private func abortWarning(_ record: UploadRecord) -> String? {
        guard record.isOpen, let date = record.abortDate.flatMap(AbortDate.init) else { return nil }
        let seconds = Double(record.updatedAt - record.createdAt) / 1000
        let rate = record.bytesDone > 0 && seconds > 0 ? Double(record.bytesDone) / seconds : nil
        let risk = date.risk(
            at: UTCTime(millisecondsSince1970: wallClockMilliseconds()),
            bytesLeft: record.size.map { $0 - record.bytesDone },
            rate: rate
        )
        return risk?.sentence(date, of: record.upload.destination.description)
    }

    private func text(_ record: UploadRecord, _ state: String) -> String {
        let source = record.upload.source.map { TextSafety.displayName($0.path) } ?? "standard input"
        var line = "\(record.id)  \(state.padded(to: 8))"
        if let size = record.size {
            let share = size == 0 ? 100 : Int(Double(record.bytesDone) / Double(size) * 100)
            line += "\(String(share).leftPadded(to: 3)) %  \(ByteSize.format(record.bytesDone, of: size))"
        } else {
            line += "     \(ByteSize.format(record.bytesDone))"
        }
        line += "  \(source) -> \(TextSafety.displayName(record.upload.destination.description))"
        if record.abortRequested, record.state != .aborted {
            line += "\n       to be given up: mule resume removes its parts"
        }
        if let warning = abortWarning(record) { line += "\n       \(TextSafety.displayText(warning))" }
        if let error = record.lastError { line += "\n       \(TextSafety.displayText(error))" }
        return line
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - utf8.count))
    }

    fileprivate func leftPadded(to width: Int) -> String {
        String(repeating: " ", count: max(0, width - utf8.count)) + self
    }
}
