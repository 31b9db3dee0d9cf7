import MuleJSON
import MuleLedger
import MulePlan
import MuleS3
import MuleSystem
import MuleUpload

/// The lines of `mule status` for an upload: one JSON object, or one to three lines of text.
struct StatusLines {
    let console: Console
    let ledger: Ledger
    /// Quarantined files by their uploads' numbers.
    var quarantined: [Int64: QuarantinedFile] = [:]
    /// Lock holders at the start of the list.
    private let holders: LockHolders

    init(console: Console, ledger: Ledger) {
        holders = ledger.holders()
        self.console = console
        self.ledger = ledger
    }

    /// Quarantined files without an upload in this list.
    func print(_ files: [QuarantinedFile]) {
        console.results(files.map { console.isJSON ? json($0) : text($0) })
    }

    /// All at once, in as few writes as possible.
    func print(_ records: [UploadRecord]) {
        console.results(records.map { console.isJSON ? json($0, nil) : text($0, nil) })
        // The JSON objects have no key for it.
        if console.isJSON { for record in records { noteAbortDate(record) } }
    }

    /// With the store's state; nil if the store was not asked.
    func print(_ record: UploadRecord, _ remote: RemoteView?) {
        console.result(console.isJSON ? json(record, .some(remote)) : text(record, .some(remote)))
        if console.isJSON { noteAbortDate(record) }
    }

    /// An upload that the store lists and that is not open in the ledger.
    func print(_ listed: ListedUpload, _ remote: RemoteView) {
        console.result(console.isJSON ? json(listed, remote) : text(listed, remote))
    }

    private func noteAbortDate(_ record: UploadRecord) {
        if let warning = abortWarning(record) { console.note(TextSafety.displayName(warning)) }
    }

    /// The process that holds an active upload, if this user may see it.
    private func holder(of record: UploadRecord) -> LockHolder? {
        record.state == .pending && ledger.isActive(record) ? holders.holder(record.number) : nil
    }

    private func state(of record: UploadRecord) -> String {
        guard record.state == .pending, ledger.isActive(record) else { return record.state.rawValue }
        return "active"
    }

    // MARK: JSON

    private func json(_ record: UploadRecord, _ remote: RemoteView??) -> String {
        var status = StatusRecord(state: state(of: record))
        status.bytesDone = record.bytesDone
        status.createdAt = UTCTime(millisecondsSince1970: record.createdAt).iso8601
        status.destination = record.upload.destination.description
        status.endpoint = record.upload.store.endpoint
        status.id = record.id
        status.lastError = record.lastError
        status.partSize = record.upload.partSize
        status.partsDone = record.partsDone
        status.partsTotal = record.partCount
        status.process = holder(of: record)?.process
        status.size = record.size
        status.source = record.upload.sourceName.map(TextSafety.jsonName) ?? "-"
        status.updatedAt = UTCTime(millisecondsSince1970: record.updatedAt).iso8601
        status.uploadID = record.uploadID
        if let remote { status.remote = remote?.json ?? .null }
        status.quarantinedBy = quarantined[record.number]?.job.name
        return status.json.line
    }

    private func json(_ listed: ListedUpload, _ remote: RemoteView) -> String {
        let record = over(listed)
        var status = StatusRecord(state: record?.state.rawValue ?? UploadState.unknown.rawValue)
        status.bytesDone = remote.bytes
        status.createdAt = listed.upload.initiated?.iso8601
        status.destination = listed.address.description
        status.endpoint = record?.upload.store.endpoint
        status.id = record?.id
        status.partsDone = remote.parts
        status.remote = remote.json
        status.source = record?.upload.sourceName.map(TextSafety.jsonName)
        status.updatedAt = status.createdAt
        status.uploadID = listed.upload.uploadID
        return status.json.line
    }

    private func json(_ file: QuarantinedFile) -> String {
        var status = StatusRecord(state: UploadState.failed.rawValue)
        status.bytesDone = 0
        status.createdAt = file.item.upload.map { UTCTime(millisecondsSince1970: $0.createdAt).iso8601 }
        status.lastError = file.item.lastError?.message
        status.partsDone = 0
        status.source = TextSafety.jsonName(file.item.source)
        status.updatedAt = status.createdAt
        status.quarantinedBy = file.job.name
        return status.json.line
    }

    private func over(_ listed: ListedUpload) -> UploadRecord? {
        if case .over(let record) = listed.standing { record } else { nil }
    }

    // MARK: Text

    private func text(_ record: UploadRecord, _ remote: RemoteView??) -> String {
        let source =
            record.upload.sourceName.map(TextSafety.displayName)
            ?? (record.abortRequested ? "leftover" : "standard input")
        var line = "\(record.id)  \(state(of: record).padded(to: 8))"
        if let size = record.size {
            let share = size == 0 ? 100 : Int(Double(record.bytesDone) / Double(size) * 100)
            line += "\(String(share).leftPadded(to: 3)) %  \(ByteSize.format(record.bytesDone, of: size))"
        } else {
            line += "     \(ByteSize.format(record.bytesDone))"
        }
        line += "  \(source) -> \(TextSafety.displayName(record.upload.destination.description))"
        func add(_ text: String) { line += "\n       \(TextSafety.displayName(text))" }
        let holder = holder(of: record)
        if let holder {
            let since = LocalTime.clock(milliseconds: holder.startedAt)
            add("process \(holder.process) since \(since), to \(record.upload.store.endpoint)")
        } else if console.isVerbose {
            add("to \(record.upload.store.endpoint), region \(record.upload.store.region)")
        }
        if record.abortRequested, record.state != .aborted {
            add("abort pending: mule resume or mule clean removes its parts")
        }
        if let file = quarantined[record.number] { add("quarantined by job \(file.job.name) \(words(file))") }
        if record.upload.stream != nil, record.isOpen, !record.abortRequested, state(of: record) != "active" {
            add("a stream: run the same command again, which skips the parts that the store has")
        }
        if case .some(.some(let remote)) = remote { add(remote.text(besides: record)) }
        if let warning = abortWarning(record) { add(warning) }
        if let error = record.lastError { add(error) }
        return line
    }

    private func words(_ file: QuarantinedFile) -> String {
        "after \(Wording.count(file.item.failures, "failure")), until the file changes"
    }

    private func text(_ file: QuarantinedFile) -> String {
        let name = TextSafety.displayName(file.item.source)
        var line =
            "       \("failed".padded(to: 8))  \(name)\n       quarantined by job "
            + "\(TextSafety.displayName(file.job.name)) "
            + words(file)
        if let error = file.item.lastError { line += "\n       \(TextSafety.displayName(error.message))" }
        return line
    }

    private func text(_ listed: ListedUpload, _ remote: RemoteView) -> String {
        var line = "       not in this ledger"
        if let record = over(listed) {
            line = "\(record.id)  parts left from an upload that is \(record.state.rawValue)"
        }
        line += ": \(TextSafety.displayName(listed.address.description))"
        line += "\n       upload ID \(TextSafety.displayName(listed.upload.uploadID))"
        if let time = listed.upload.initiated { line += ", started \(LocalTime.text(time))" }
        if let initiator = remote.initiator { line += " by \(TextSafety.displayName(initiator))" }
        return line + "\n       \(TextSafety.displayName(remote.text(besides: nil)))"
    }

    /// Warns of the day on which the store aborts the upload. The rate is the average between the start and the last
    /// part, from the ledger.
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
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - utf8.count))
    }

    fileprivate func leftPadded(to width: Int) -> String {
        String(repeating: " ", count: max(0, width - utf8.count)) + self
    }
}
