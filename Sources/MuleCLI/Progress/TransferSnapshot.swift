/// The counts of a run at one moment, for progress.
package struct TransferSnapshot: Sendable, Equatable {
    /// In the order of the command. Waiting and finished files may be omitted if there are many; the totals below count
    /// them all.
    package var files: [FileProgress]
    /// Bytes of all files; nil while a size is unknown.
    package var totalBytes: Int64?
    /// Bytes that the store has confirmed, over all files, including those of earlier runs.
    package var bytesDone: Int64
    /// Bytes of parts that earlier runs had delivered. They do not count for the rate.
    package var bytesSkipped: Int64
    /// Payload bytes sent in this run, including retries; only grows.
    package var bytesSentThisRun: Int64
    package var partsInFlight: Int
    package var retries: Int
    /// Failed files, including those that never started.
    package var failures: Int
    package var filesDone: Int
    /// Files known so far.
    package var filesTotal: Int
    /// Whether more files may be found. Then totals are not final, and nothing is complete.
    package var findsMore: Bool
    /// Why there is no progress now: "network down, retrying in 8 s".
    package var waitingReason: String?

    /// `bytesDone` may be omitted if `files` has every file.
    package init(
        files: [FileProgress] = [],
        totalBytes: Int64? = nil,
        bytesDone: Int64? = nil,
        bytesSkipped: Int64 = 0,
        bytesSentThisRun: Int64 = 0,
        partsInFlight: Int = 0,
        retries: Int = 0,
        failures: Int = 0,
        filesDone: Int = 0,
        filesTotal: Int = 1,
        findsMore: Bool = false,
        waitingReason: String? = nil
    ) {
        self.files = files
        self.totalBytes = findsMore ? nil : totalBytes
        self.bytesDone = bytesDone ?? files.reduce(0) { $0 + $1.bytesDone }
        self.bytesSkipped = bytesSkipped
        self.bytesSentThisRun = bytesSentThisRun
        self.partsInFlight = partsInFlight
        self.retries = retries
        self.failures = failures
        self.filesDone = filesDone
        self.filesTotal = filesTotal
        self.findsMore = findsMore
        self.waitingReason = waitingReason
    }

    /// Whether the run has one file, which is shown by its name.
    package var isSingle: Bool { filesTotal <= 1 && !findsMore }

    /// Whether all work is done.
    package var isComplete: Bool { !findsMore && filesTotal > 0 && filesDone >= filesTotal }

    /// `3 of 12 files`, or `3 of 12+ files` while more may be found.
    package var filesText: String { "\(filesDone) of \(filesTotal)\(findsMore ? "+" : "") files" }

    /// Sent bytes of parts that are not confirmed yet; decreases when a part must be sent again.
    package var bytesInFlight: Int64 { files.reduce(0) { $0 + $1.bytesInFlight } }
}

/// One file of a run.
package struct FileProgress: Sendable, Equatable {
    package enum State: String, Sendable {
        case waiting, checking, sending, completing, done, failed
    }

    package var id: Int
    /// Safe to show: see `TextSafety.displayName`.
    package var name: String
    /// Bytes; nil while unknown (standard input).
    package var size: Int64?
    /// Bytes that the store has confirmed: skipped ones and those of this run.
    package var bytesDone: Int64
    /// Sent bytes of parts that are not confirmed yet.
    package var bytesInFlight: Int64
    package var partsDone: Int
    package var partsTotal: Int?
    package var state: State

    package init(
        id: Int,
        name: String,
        size: Int64?,
        bytesDone: Int64 = 0,
        bytesInFlight: Int64 = 0,
        partsDone: Int = 0,
        partsTotal: Int? = nil,
        state: State = .waiting
    ) {
        self.id = id
        self.name = name
        self.size = size
        self.bytesDone = bytesDone
        self.bytesInFlight = bytesInFlight
        self.partsDone = partsDone
        self.partsTotal = partsTotal
        self.state = state
    }

    var isActive: Bool { state == .checking || state == .sending || state == .completing }
}
